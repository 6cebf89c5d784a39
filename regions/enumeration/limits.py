"""What ends a search before its time: a number of cells, a number of seconds, Ctrl-C; and which one did.

Ctrl-C and SIGTERM, where a program takes them, are remembered while a search goes on and ask it to end,
so that none of them comes between two steps that belong together. `threads` and others look and obey.
"""

from __future__ import annotations

import math
import numbers
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, TypedDict

from regions.complexes import Completeness, StoppedBy
from regions.errors import InvalidInputError

# a signal so soon after the first is taken for the same, and work so short may be lost
IMPATIENT_SECONDS = 1.0
MOST_KEPT_BACK = 0.5  # of the limit, for what follows the search

Handler = Callable[[int, FrameType | None], Any]


class Limits(TypedDict, total=False):
    """What may end an enumeration early; the result is then TRUNCATED, and says which of them did.

    Attributes
    ----------
    max_cells : int from 1, or None for no limit
    max_seconds : float above 0, of wall time without compilation, or None for no limit
    """

    max_cells: int | None
    max_seconds: float | None


def checked_limits(function: str, limits: Limits) -> tuple[int | None, float | None]:
    """Return max_cells and max_seconds from the keywords of a function.

    Raises
    ------
    TypeError
        If there are other keywords.
    InvalidInputError
        If a limit cannot be used.
    """
    refuse_others(function, limits, Limits)
    cells, seconds = limits.get("max_cells"), limits.get("max_seconds")
    check_whole("max_cells", cells, 1)
    check_seconds(seconds)
    return cells, seconds


def refuse_others(function: str, given: Mapping[str, object], known: type) -> None:
    """Raise TypeError, as Python does, if there are keywords that a function does not know."""
    for name in given:
        if name not in known.__annotations__:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def check_whole(name: str, value: object, least: int) -> None:
    """Raise InvalidInputError unless a limit is None or a whole number from `least`."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if value is not None and not (whole and value >= least):  # type: ignore[operator]
        raise InvalidInputError(f"{name}={value!r}; give a whole number from {least}, or None for no limit")


def check_seconds(value: object) -> None:
    """Raise InvalidInputError unless a time limit is None or a finite number above 0."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if value is not None and not (number and 0.0 < value < math.inf):  # type: ignore[operator]
        raise InvalidInputError(
            f"max_seconds={value!r}; give a finite number of seconds above 0, or None for no limit"
        )


class _Keeper:
    """Handles a signal by its handler before, and keeps the KeyboardInterrupt that this raises."""

    def __init__(self, number: int, before: Handler, stop: Stop) -> None:
        self.number, self.before, self.stops = number, before, [stop]
        self._first = math.inf

    def __call__(self, number: int, frame: FrameType | None) -> None:
        try:
            self.before(number, frame)
        except KeyboardInterrupt:
            now = time.perf_counter()
            if now - self._first > IMPATIENT_SECONDS:
                raise
            self._first = min(self._first, now)
            for stop in self.stops:
                stop.interrupt()

    def leave(self) -> None:
        """End the innermost search that looks at this; after the outermost the handler before is back."""
        if len(self.stops) == 1:
            signal.signal(self.number, self.before)
        else:
            self.stops.pop()


class Stop:
    """Asks a search to end when its time is up, or Ctrl-C or SIGTERM have come; used as `with Stop(...)`.

    Inside of the `with`, in the main thread, the process's own handlers of these signals are called as ever,
    and a KeyboardInterrupt that they raise is kept: `is_set` is True from then on. One that comes more than a
    second after the first is raised, as it gives up even what was found.

    Parameters
    ----------
    max_seconds : float or None, counted from here on

    Attributes
    ----------
    interrupted : bool, whether Ctrl-C has come
    kept_back : function or None, how many seconds of the limit are for what follows the search
    """

    def __init__(self, max_seconds: float | None = None) -> None:
        self._start = time.perf_counter()
        self._end = math.inf if max_seconds is None else self._start + max_seconds
        self.interrupted = False
        self.kept_back: Callable[[], float] | None = None
        self._keepers: list[_Keeper] = []

    def __enter__(self) -> Stop:
        """Take the signals that some handler of the program takes."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if isinstance(handler, _Keeper):  # of a search that this one is a part of
                    handler.stops.append(self)
                    self.interrupted = self.interrupted or handler.stops[0].interrupted
                elif callable(handler):
                    handler = _Keeper(number, handler, self)
                    signal.signal(number, handler)
                else:
                    continue
                self._keepers.append(handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for keeper in self._keepers:
            keeper.leave()

    def interrupt(self) -> None:
        """Ask the search to end, as Ctrl-C does."""
        self.interrupted = True

    def is_set(self) -> bool:
        """Tell whether the search is to end."""
        return self.interrupted or (self._end < math.inf and time.perf_counter() >= self._search_end())

    def is_over(self) -> bool:
        """Tell whether all the time is up, that of what follows the search included."""
        return time.perf_counter() >= self._end

    def _search_end(self) -> float:
        if self.kept_back is None or self._end == math.inf:
            return self._end
        return self._end - min(self.kept_back(), MOST_KEPT_BACK * (self._end - self._start))

    @property
    def seconds(self) -> float:
        """Seconds since the search began."""
        return time.perf_counter() - self._start

    def left(self) -> float | None:
        """Return the seconds that are left, None where there is no limit; never 0."""
        return None if self._end == math.inf else max(self._search_end() - time.perf_counter(), 1e-9)

    def reason(self, complete: bool, cells: int, limit: int | None) -> StoppedBy:
        """Say what ended a search that found so many cells: "" if it is complete."""
        if complete:
            return ""
        if limit is not None and cells >= limit:
            return "max_cells"
        return "interrupt" if self.interrupted or self._end == math.inf else "max_seconds"

    def deliver(self, stopped_by: StoppedBy) -> None:
        """Raise the Ctrl-C that came too late to end a search, if less than a second of work is lost by it.

        So a loop over short searches ends, and the result of a long one is kept.
        """
        if self.interrupted and stopped_by != "interrupt" and self.seconds < IMPATIENT_SECONDS:
            raise KeyboardInterrupt


def status_of(stopped_by: StoppedBy) -> Completeness:
    """Return COMPLETE where nothing ended a search early."""
    return Completeness.TRUNCATED if stopped_by else Completeness.COMPLETE


@contextmanager
def interrupts_raised_after() -> Iterator[None]:
    """Raise a Ctrl-C that came during a search once it is over, also where the result is complete.

    For whoever searches again and again, and is to end then.
    """
    with Stop() as stop:
        yield
    if stop.interrupted:
        raise KeyboardInterrupt
