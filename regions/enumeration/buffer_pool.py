"""What searches leave for later ones: their arrays, for one of the same shape, and compiled networks.

Making them anew costs as much as some hundred cells. Nothing here is ever part of a result.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from regions.errors import BudgetExceededError
from regions.kernels.memory.layouts import Memory

LARGEST_STACK = 1 << 26
KEPT = 8
LARGEST_KEPT = 1 << 24  # bytes

Made = TypeVar("Made")


@dataclass(frozen=True)
class Sizes:
    """Capacities of a search's arrays, in entries."""

    nodes: int = 256
    slots: int = 64
    vertices: int = 1024
    ring: int = 8192
    candidates: int = 1024
    events: int = 1024
    polytope: int = 256
    bits: int = 1

    def doubled(self) -> Sizes:
        """Return sizes with twice the room everywhere but in the incidence bits."""
        if self.ring > LARGEST_STACK:
            raise BudgetExceededError(
                f"a search needs more than {LARGEST_STACK:,} stack entries: the cells have too many vertices "
                "for the vertex engine; use a smaller domain or a lower dimension"
            )
        return Sizes(
            2 * self.nodes,
            2 * self.slots,
            2 * self.vertices,
            2 * self.ring,
            2 * self.candidates,
            2 * self.events,
            2 * self.polytope,
            self.bits,
        )

    def with_more_bits(self) -> Sizes:
        """Return sizes with twice the incidence bits."""
        return Sizes(
            self.nodes,
            self.slots,
            self.vertices,
            self.ring,
            self.candidates,
            self.events,
            self.polytope,
            2 * self.bits,
        )


class Kept(NamedTuple):
    """The memory of a search that is over, and whose network it served."""

    shape: tuple[Any, ...]
    owner: object
    sizes: Sizes
    memory: Memory
    nbytes: int = 0


class BufferPool:
    """Memories of finished searches, newest last; each is taken by one search at a time."""

    def __init__(self) -> None:
        self.empty()
        if hasattr(os, "register_at_fork"):
            # memories made by a blueprint are mapped, and a forked process would share them with its parent
            os.register_at_fork(after_in_child=self.empty)

    def empty(self) -> None:
        """Forget all memories, and who holds the lock."""
        self.lock = threading.Lock()
        self.memories: list[Kept] = []

    def take(self, shape: tuple[Any, ...], owner: object) -> Kept | None:
        """Take a memory of this shape, if there is any, rather one that last served the same network."""
        with self.lock:
            fitting = [k for k, memory in enumerate(self.memories) if memory.shape == shape]
            if not fitting:
                return None
            same = [k for k in fitting if self.memories[k].owner is owner]
            return self.memories.pop((same or fitting)[-1])

    def put(self, memory: Kept) -> None:
        """Keep a memory that nobody uses any more; the oldest goes, and so does a large one."""
        nbytes = memory.memory.nbytes
        if nbytes > LARGEST_KEPT:
            return
        with self.lock:
            self.memories.append(memory._replace(nbytes=nbytes))
            total = sum(kept.nbytes for kept in self.memories)
            while total > KEPT * LARGEST_KEPT:
                total -= self.memories.pop(0).nbytes


class Recent(Generic[Made]):
    """Remembers what was made last of two objects that never change, and does not keep these alive."""

    def __init__(self) -> None:
        self.entries: tuple[tuple[Callable[[], object], Callable[[], object], object, Made], ...] = ()

    def find(self, first: object, second: object, options: object) -> Made | None:
        """Return what was made of these very objects with these options, None if it is not remembered."""
        for one, other, its_options, made in self.entries:
            if one() is first and other() is second and its_options == options:
                return made
        return None

    def keep(self, first: object, second: object, options: object, made: Made, nbytes: int) -> None:
        """Keep what was made, unless it is large."""
        alive = [entry for entry in self.entries if entry[0]() is not None and entry[1]() is not None]
        if nbytes <= LARGEST_KEPT:
            alive.insert(0, (weakref.ref(first), weakref.ref(second), options, made))
        self.entries = tuple(alive[:KEPT])
