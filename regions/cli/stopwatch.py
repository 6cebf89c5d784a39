"""What a command spent its time on: how long each part took, from the first import on."""

from __future__ import annotations

import time

__all__ = ["Stopwatch", "watch"]


class Stopwatch:
    """Parts of a time, one after another.

    Examples
    --------
    >>> one = Stopwatch()
    >>> one.lap("reading")
    >>> one.lap("search", other="kernels", took=0.0)
    >>> list(one.parts)
    ['reading', 'kernels', 'search']
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self._last = time.perf_counter()
        self.parts: dict[str, float] = {}

    def lap(self, name: str, other: str = "", took: float | None = None) -> None:
        """End a part; where it is known how long that took by itself, the rest goes to another."""
        now = time.perf_counter()
        spent = now - self._last
        self._last = now
        if took is not None:
            self.parts[other] = self.parts.get(other, 0.0) + max(spent - took, 0.0)
            spent = min(took, spent)
        self.parts[name] = self.parts.get(name, 0.0) + spent

    @property
    def total(self) -> float:
        """Seconds of all parts together."""
        return sum(self.parts.values())

    def sentence(self) -> str:
        """Return the whole and its parts in words, the longest first.

        Examples
        --------
        >>> one = Stopwatch()
        >>> one.parts = {"imports": 0.25, "search": 1.5}
        >>> one.sentence()
        '1.75 s: search 1.5, imports 0.25'
        """
        longest = sorted(self.parts.items(), key=lambda part: -part[1])
        return f"{self.total:.3g} s: " + ", ".join(f"{name} {spent:.2g}" for name, spent in longest)


watch = Stopwatch()  # of the command that runs
