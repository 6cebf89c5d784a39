"""Draws that cost an enumeration each: what ends them early, and what is kept then.

What is drawn, and what it is for, is left to those that call it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray

from regions.complexes import Arithmetic, CellComplex, Completeness, StoppedBy
from regions.domain import Domain
from regions.enumeration.enumerate import enumerate_cells
from regions.enumeration.limits import check_seconds, interrupts_raised_after
from regions.errors import InvalidInputError
from regions.estimators import Estimate
from regions.network.relu_network import Network

__all__ = [
    "Deadline",
    "EnumerationOptions",
    "OutOfTime",
    "all_cells",
    "finished_draws",
    "raise_if_truncated",
    "raise_interruption",
]

FloatArray = NDArray[np.float64]
Progress = Callable[[int, float], None]
Drawn = TypeVar("Drawn")


class EnumerationOptions(TypedDict, total=False):
    """What is passed on to `enumerate_cells`; `progress(draws_done, fraction_done)` spans all draws."""

    engine: str
    arithmetic: Arithmetic
    max_cells: int | None
    max_seconds: float | None
    workers: int | None
    progress: Callable[[int, float], None] | None


class OutOfTime(InvalidInputError):
    """A time limit ended draws, or a part of one that is of no use."""


class Deadline:
    """The end of the time that draws may take together, and what ended them before all were done.

    Of the first draw only the enumerations are counted, as they say it: all that it imports and compiles
    is not.

    Parameters
    ----------
    max_seconds : float above 0, or None for no limit

    Attributes
    ----------
    stopped_by : "interrupt", "max_seconds", or "" as long as nothing has ended them
    """

    def __init__(self, max_seconds: float | None = None) -> None:
        check_seconds(max_seconds)
        self.stopped_by: StoppedBy = ""
        self._limit = math.inf if max_seconds is None else max_seconds
        self._spent = 0.0
        self._begun: float | None = None

    def left(self) -> float:
        """Return the seconds that are left."""
        since = 0.0 if self._begun is None else time.perf_counter() - self._begun
        return self._limit - self._spent - since

    def options(self, given: Mapping[str, Any]) -> EnumerationOptions:
        """Return the options of an enumeration, which may take the time that is left."""
        left = None if self._limit == math.inf else max(self.left(), 1e-9)
        return EnumerationOptions(**{**given, "max_seconds": left})  # type: ignore[typeddict-item]

    def counts(self, seconds: float) -> None:
        """Count an enumeration of the first draw."""
        if self._begun is None:
            self._spent += seconds

    def begin(self) -> None:
        """Count everything from now on, as a first draw is done."""
        if self._begun is None:
            self._begun = time.perf_counter()

    def check(self) -> None:
        """Raise OutOfTime if the time is up."""
        if self.left() <= 0.0:
            raise OutOfTime(
                f"max_seconds={self._limit:g} was over before there was a result; give more time, or take "
                "a smaller domain"
            )

    def ended_by(self, error: BaseException) -> None:
        """Remember what ended the draws."""
        self.stopped_by = "max_seconds" if isinstance(error, OutOfTime) else "interrupt"


def finished_draws(
    draw: Callable[[FloatArray, Progress | None], Drawn],
    noises: Iterable[FloatArray],
    count: int,
    progress: Progress | None,
    deadline: Deadline | None = None,
) -> tuple[list[Drawn], bool]:
    """What a function gives for noise after noise, until all are done, or Ctrl-C or a deadline ends it.

    Parameters
    ----------
    draw : function of a noise and the progress of its own work
    noises : iterable of `count` arrays
    progress : called as progress(draws_done, fraction_done), or None
    deadline : Deadline, which is looked at before each, and remembers what ended them

    Returns
    -------
    values : list, one for each noise that was done
    complete : bool, whether that is all of them

    Raises
    ------
    KeyboardInterrupt : after Ctrl-C, if fewer than two are done: they have no standard error
    OutOfTime : after the deadline, in the same case

    Examples
    --------
    >>> finished_draws(lambda noise, _: noise.sum(), [np.ones(2), np.ones(3)], 2, None)
    ([np.float64(2.0), np.float64(3.0)], True)
    """
    found: list[Drawn] = []
    deadline = Deadline() if deadline is None else deadline
    try:
        for number, noise in enumerate(noises):
            deadline.check()
            found.append(draw(noise, _part_of(progress, number, count)))
            deadline.begin()
            if progress is not None:
                progress(number + 1, (number + 1) / count)
    except (KeyboardInterrupt, OutOfTime) as error:
        if len(found) < min(count, 2):
            raise
        if len(found) < count:
            deadline.ended_by(error)
        return found, len(found) == count
    return found, True


def all_cells(network: Network, domain: Domain, **options: Unpack[EnumerationOptions]) -> CellComplex:
    """All cells, for whom a part of them is of no use.

    Raises
    ------
    InvalidInputError : if max_cells truncates
    OutOfTime : if max_seconds does
    KeyboardInterrupt : after Ctrl-C, which `enumerate_cells` takes for a reason to end TRUNCATED

    Examples
    --------
    >>> from regions.domain import Box
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> all_cells(network, Box([-1.0], [1.0])).n_cells
    2
    """
    with interrupts_raised_after():
        cells = enumerate_cells(network, domain, **options)
    limit = options.get("max_cells")
    if cells.certificate.stopped_by == "max_seconds":
        raise OutOfTime(
            f"max_seconds ended the enumeration after {cells.n_cells} cells; an exact value needs all cells: "
            "give more time, or take a smaller domain"
        )
    raise_interruption(cells.status, cells.n_cells, limit)
    if cells.status is not Completeness.COMPLETE:
        raise InvalidInputError(
            f"max_cells is {limit} and the enumeration is TRUNCATED there: an exact value needs all cells; "
            "raise it or leave it out, or take a smaller domain"
        )
    return cells


def raise_interruption(status: Completeness, cells: int, max_cells: int | None) -> None:
    """Raise KeyboardInterrupt if it was Ctrl-C and not max_cells that cut an enumeration short.

    Examples
    --------
    >>> raise_interruption(Completeness.TRUNCATED, 10, 10)
    """
    if status is not Completeness.COMPLETE and (max_cells is None or cells < max_cells):
        raise KeyboardInterrupt


def raise_if_truncated(estimate: Estimate) -> None:
    """Raise KeyboardInterrupt if Ctrl-C cut an estimate short, for whom a part of the draws is of no use."""
    if not estimate.complete:
        raise KeyboardInterrupt


def _part_of(progress: Progress | None, draw: int, count: int) -> Progress | None:
    """Progress of one enumeration as progress of all of them."""
    if progress is None:
        return None
    return lambda cells, fraction: progress(draw, (draw + fraction) / count)
