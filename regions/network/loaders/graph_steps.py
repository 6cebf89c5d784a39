"""Running a graph of operators on affine tensors, one layer of units after another.

Steps run as soon as their inputs are there, and units wait until nothing else can run: so branches that
bend equally often become one layer. What a step does is left to the reader of its format.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError, RegionsError
from regions.network.loaders.affine_tensors import AffineTensor, Layering
from regions.network.loaders.checks import MALFORMED
from regions.network.slopes import RELU

__all__ = ["Bend", "Step", "needed_steps", "run_steps"]


class Bend(NamedTuple):
    """The answer of a step that asks for units of these slopes left and right of 0.

    The tensor is replaced by what they put out; `after` makes the step's result of it, with another tensor
    that is kept until then. With `sizes` the tensor lists the candidates of max units, and is replaced by a
    list of what these put out.
    """

    tensor: AffineTensor
    slopes: tuple[Any, Any] = RELU
    kept: AffineTensor | None = None
    after: Callable[[AffineTensor, AffineTensor | None], AffineTensor] | None = None
    sizes: NDArray[np.int64] | None = None


class Step(NamedTuple):
    """One operator: the names of what it takes and gives, and what it computes; `where` is for messages.

    `role` says what `maxima_first` has to know: "rising" of a function of single entries that nowhere falls,
    "maximum" of one that takes the largest of several entries.
    """

    where: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    run: Callable[[list[Any]], Sequence[Any] | Bend]
    role: str = ""


def needed_steps(steps: Sequence[Step], wanted: Iterable[str]) -> list[int]:
    """Return the numbers of the steps that something wanted depends on, in their order."""
    producer = {name: k for k, step in enumerate(steps) for name in step.outputs if name}
    needed, open_names = set(), list(wanted)
    while open_names:
        k = producer.get(open_names.pop())
        if k is not None and k not in needed:
            needed.add(k)
            open_names += [name for name in steps[k].inputs if name]
    return sorted(needed)


def maxima_first(steps: Sequence[Step], wanted: str) -> tuple[list[Step], int]:
    """Move functions that nowhere fall behind the maximum that alone takes them; returns how many were moved.

    The largest of some ReLUs is the ReLU of the largest: the values are the same, and a window of k entries
    is cut once and not k times.
    """
    moved = list(steps)
    count = 0
    while True:
        uses = Counter([wanted, *(name for step in moved for name in step.inputs if name)])
        producer = {name: k for k, step in enumerate(moved) for name in step.outputs if name}
        for k, step in enumerate(moved):
            before = producer.get(step.inputs[0]) if step.role == "maximum" else None
            if before is not None and moved[before].role == "rising" and uses[step.inputs[0]] == 1:
                rising, between = moved[before], step.inputs[0]
                largest = step._replace(inputs=[rising.inputs[0], *step.inputs[1:]], outputs=[between])
                moved[before] = largest
                moved[k] = rising._replace(inputs=[between, *rising.inputs[1:]], outputs=step.outputs)
                count += 1
                break
        else:
            return moved, count


def run_steps(steps: Sequence[Step], values: dict[str, Any], layering: Layering, wanted: str) -> Any:
    """Run steps and return the wanted value.

    Parameters
    ----------
    steps : those that `needed_steps` numbers
    values : what is there at first, by name; the mapping that `layering` keeps up to date
    layering : Layering
    wanted : name of the value to return

    Raises
    ------
    InvalidNetworkError : if a step is malformed or a value is missing
    """
    uses = Counter(name for step in steps for name in step.inputs if name)
    uses[wanted] += 1
    consumers = defaultdict(list)
    missing: dict[int, int] = {}
    ready: list[int] = []
    for k, step in enumerate(steps):
        absent = {name for name in step.inputs if name and name not in values}
        for name in absent:
            consumers[name].append(k)
        missing[k] = len(absent)
        if not absent:
            heappush(ready, k)
    bent: list[tuple[int, Bend]] = []

    def keep(k: int, results: Sequence[Any]) -> None:
        for name, result in zip(steps[k].outputs, results, strict=False):
            layering.spend(sum(prod(getattr(part, "shape", ())) for part in _parts(result)))
            if name and uses[name]:
                values[name] = result
            for consumer in consumers[name]:
                missing[consumer] -= 1
                if not missing[consumer]:
                    heappush(ready, consumer)

    while True:
        while ready:
            k = heappop(ready)
            arguments = [values[name] if name else None for name in steps[k].inputs]
            for name in filter(None, steps[k].inputs):
                uses[name] -= 1
                if not uses[name]:
                    del values[name]
            result = _run(steps[k], arguments)
            if isinstance(result, Bend):
                # a name that no step has, so that the tensors stay known to the layering
                values[f"\0{k}"] = [result.tensor, result.kept]
                bent.append((k, result))
            else:
                keep(k, result)
        if not bent:
            break
        bent.sort(key=lambda one: one[0])
        bends = [bend for _, bend in bent]
        layering.activate(
            [bend.tensor for bend in bends], [bend.slopes for bend in bends], [bend.sizes for bend in bends]
        )
        for k, bend in bent:
            done = bend.after(bend.tensor, bend.kept) if bend.after else bend.tensor
            del values[f"\0{k}"]
            keep(k, [done])
        bent = []
    if wanted not in values:
        lost = next((step for k, step in enumerate(steps) if missing[k]), None)
        hint = f"{lost.where} waits for a value that no operator gives" if lost else "no operator gives it"
        raise InvalidNetworkError(f"the output {wanted!r} cannot be computed: {hint}")
    return values[wanted]


def _parts(result: Any) -> Sequence[Any]:
    return result if isinstance(result, list | tuple) else [result]


def _run(step: Step, arguments: list[Any]) -> Sequence[Any] | Bend:
    try:
        return step.run(arguments)
    except RegionsError as error:
        place = "" if step.where in str(error) else f"{step.where}: "
        raise type(error)(f"{place}{error}") from error
    except MALFORMED as error:
        raise InvalidNetworkError(f"{step.where} is malformed: {error}") from error
