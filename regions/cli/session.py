"""What a terminal sees while something runs, and how results get out.

Progress and notices go to stderr, results to stdout: as tables for people, as one JSON object
for programs.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from regions.cli.compilation import announced_compilation
from regions.cli.interruption import INTERRUPTED

_QUIET_SECONDS = 2.0


def out() -> Console:
    """Return the console of the results, made anew so that it follows redirections."""
    return Console(highlight=False, soft_wrap=True)


def err() -> Console:
    """Return the console of progress, notices and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


class Answer:
    """Whether the command that runs has printed its JSON object: there is one, whatever fails later."""

    given = False


def print_json(payload: Mapping[str, Any]) -> None:
    """Print one JSON object; NaN and infinity, which JSON lacks, become null."""
    Answer.given = True
    print(json.dumps(_finite(payload), indent=2))  # noqa: T201


def print_text(text: str) -> None:
    """Print text as it is."""
    out().print(text, markup=False)


def print_facts(facts: Mapping[str, object], width: int = 0) -> None:
    """Print names and values in two columns, the first at least so wide."""
    width = max(width, *map(len, facts))
    console = out()
    for name, value in facts.items():
        line = Text(f"{name:<{width}}  ", style="bold")
        console.print(line.append(str(value), style="not bold"))


def print_table(
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str | None = None,
    words: Sequence[int] = (0,),
) -> None:
    """Print a table, with numbers to the right and the columns of words to the left."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for k, name in enumerate(names):
        table.add_column(name, justify="left" if k in words else "right", header_style="bold")
    for row in rows:
        table.add_row(*map(str, row))
    out().print(table)


class ProgressCallback(Protocol):
    """How an enumeration reports: cells so far, fraction done."""

    def __call__(self, cells_so_far: int, fraction_done: float) -> None: ...


class Guess(Protocol):
    """An estimate of how many cells there are in all."""

    @property
    def cells(self) -> float: ...


class _LateBar:
    """A progress bar that appears on a terminal once the work has taken two seconds.

    From then on a thread estimates how many cells there are, if it is told how; the bar shows the part of
    them that is found, in place of the part of the tree, which runs ahead at first.
    """

    def __init__(self, label: str, unit: str, estimate: Callable[[], Guess] | None) -> None:
        self._label, self._unit, self._estimate = label, unit, estimate
        self._expected = 0.0
        self._console = err()
        self._start = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, cells_so_far: int, fraction_done: float) -> None:
        if not self._console.is_terminal or time.monotonic() - self._start < _QUIET_SECONDS:
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %  {task.fields[done]} " + self._unit),
                TextColumn("{task.fields[pace]}"),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task(self._label, total=1.0, done="", pace="")
            self._bar.start()
            if self._estimate is not None:
                threading.Thread(target=self._guess, args=(self._estimate,), daemon=True).start()
        assert self._task is not None
        done, expected = f"{cells_so_far:,}", self._expected
        if expected > cells_so_far:
            done, fraction_done = f"{done} of about {float(f'{expected:.2g}'):,.0f}", cells_so_far / expected
        pace = pace_in_words(cells_so_far, fraction_done, time.monotonic() - self._start, self._unit)
        self._bar.update(self._task, completed=fraction_done, done=done, pace=pace)

    def _guess(self, estimate: Callable[[], Guess]) -> None:
        with suppress(Exception):  # the work goes on without it, and says itself what is wrong
            self._expected = estimate().cells

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def pace_in_words(done: int, fraction: float, seconds: float, unit: str) -> str:
    """Return how many things are done a second, and how long the rest takes at this pace.

    Examples
    --------
    >>> pace_in_words(30_000, 0.25, 10.0, "cells")
    '3,000 cells/s, 0:00:30 left'
    >>> pace_in_words(5, 0.0, 10.0, "bias draws")
    '0.5 bias draws/s'
    """
    rate = done / max(seconds, 1e-9)
    words = f"{rate:,.0f} {unit}/s" if rate >= 10.0 else f"{rate:.2g} {unit}/s"
    if not 0.0 < fraction < 1.0:
        return words
    left = timedelta(seconds=round(seconds * (1.0 - fraction) / fraction))
    return f"{words}, {left} left"


def say_decisions() -> None:
    """Let the library's log speak on stderr: which engine and why, fall-backs, compilation."""
    import logging

    talker = logging.StreamHandler()
    talker.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logger = logging.getLogger("regions")
    logger.handlers[:] = [talker]  # of a process that runs several commands the last one
    logger.setLevel(logging.INFO)


def leave_if(interrupted: bool, what: str) -> None:
    """End an interrupted command with its own exit code, saying what there is."""
    if interrupted:
        err().print(f"interrupted: {what}", style="yellow")
        raise typer.Exit(INTERRUPTED)


@contextmanager
def watched(
    label: str, unit: str = "cells", estimate: Callable[[], Guess] | None = None
) -> Iterator[ProgressCallback]:
    """Show the progress of what takes long, and a notice when kernels are compiled for long.

    `estimate` is called in a thread once the bar shows, and says about how many cells there will be.

    Ctrl-C that nothing below has turned into a partial result ends the command in one line.
    """
    bar = _LateBar(label, unit, estimate)
    with announced_compilation():
        try:
            yield bar
        except KeyboardInterrupt:
            bar.close()
            err().print("interrupted: there is no result yet", style="yellow")
            raise typer.Exit(INTERRUPTED) from None
        finally:
            bar.close()


def cells_in_words(cells: int, stopped_by: str) -> str:
    """Return a count, and what it is worth if something stopped the search, named as in a certificate.

    Examples
    --------
    >>> cells_in_words(2869, ""), cells_in_words(10, "max_cells")
    ('2,869', 'at least 10 (TRUNCATED: stopped by --max-cells)')
    """
    if not stopped_by:
        return f"{cells:,}"
    what = "Ctrl-C" if stopped_by == "interrupt" else f"--{stopped_by.replace('_', '-')}"
    return f"at least {cells:,} (TRUNCATED: stopped by {what})"


def _finite(value: Any) -> Any:
    """Return the same structure with numbers that JSON can hold."""
    if isinstance(value, Mapping):
        return {str(name): _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
