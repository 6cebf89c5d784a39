"""What an experiment is, where its results lie, and the processes that it computes on.

An experiment writes tables, and its section of the report is a function of these tables alone, so a report
can be built again without computing anything again. What the experiments are is left to `experiments`.
"""

from __future__ import annotations

import csv
import hashlib
import math
import multiprocessing
import os
import re
import time
import tomllib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Check",
    "Config",
    "Experiment",
    "Folder",
    "Pool",
    "Row",
    "Section",
    "case_rng",
    "load_config",
    "markdown_table",
    "mean_and_spread",
    "prose",
]

Row = dict[str, Any]
Config = dict[str, Any]

HERE = Path(__file__).resolve().parent
# libraries that start threads of their own; one process per core is enough
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
# seconds between two lines of progress
_PROGRESS_EVERY = 10.0
# a bar that is not escaped yet
_BAR = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Check:
    """A finding that must hold: the run fails if it does not.

    Parameters
    ----------
    name : str, what must hold
    passed : bool
    detail : str, the numbers that decided
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Section:
    """One section of the report, in markdown; every number in it comes from the tables.

    Parameters
    ----------
    question, method, table, finding, limits : str
    figures : tuple of (name given to `Folder.save_figure`, caption)
    checks : tuple of Check
    headline : str, one sentence for the abstract
    """

    question: str
    method: str
    table: str
    finding: str
    limits: str
    figures: tuple[tuple[str, str], ...] = ()
    checks: tuple[Check, ...] = ()
    headline: str = ""


@dataclass(frozen=True)
class Experiment:
    """One experiment: `run` computes and writes tables, `report` reads them back.

    Parameters
    ----------
    name : str, that of its configuration and of its files
    title : str, for the report
    run : called as run(config, folder, pool)
    report : called as report(config, folder), gives a Section
    needs : modules that are not installed everywhere; without them `run` is skipped
    command : str, what makes the tables of the full form, where `run` is for the quick form only
    """

    name: str
    title: str
    run: Callable[[Config, Folder, Pool], None]
    report: Callable[[Config, Folder], Section]
    needs: tuple[str, ...] = ()
    command: str = ""

    @property
    def obstacle(self) -> str:
        """Why it cannot run here, or nothing."""
        missing = [name for name in self.needs if find_spec(name) is None]
        return f"needs {' and '.join(missing)}, which is not installed" if missing else ""


@dataclass(frozen=True)
class Folder:
    """The results of one experiment: `results/NAME_table.csv` and `figures/NAME_figure.png` under a root.

    Where `rough`, figures are drawn without the search for the best layout, which takes most of their time.
    """

    root: Path
    experiment: str
    rough: bool = False

    def csv_path(self, name: str) -> Path:
        """Where a table lies."""
        return self.root / "results" / f"{self.experiment}_{name}.csv"

    def figure_path(self, name: str) -> Path:
        """Where a figure lies."""
        return self.root / "figures" / f"{self.experiment}_{name}.png"

    def write_csv(self, name: str, rows: Sequence[Row]) -> None:
        """Write a table of at least one row; all rows have the same keys."""
        write_rows(self.csv_path(name), rows)

    def read_csv(self, name: str) -> list[Row]:
        """Read a table back: whole numbers, numbers, truth values, None for nothing, else strings."""
        return read_rows(self.csv_path(name))

    def save_figure(self, name: str, figure: Figure) -> None:
        """Write a matplotlib figure as PNG and close it."""
        from matplotlib import pyplot as plt

        path = self.figure_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # without the version of matplotlib, equal pictures are equal files
        if self.rough:
            from matplotlib.backends.backend_agg import FigureCanvasAgg

            figure.set_layout_engine("none")
            figure.set_dpi(40)
            # `savefig` would draw everything twice, the first time to find out how much room it takes
            FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})
        else:
            figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
        plt.close(figure)


@dataclass
class Pool:
    """Processes that experiments compute on; one thread in each.

    Parameters
    ----------
    workers : int >= 1, default one for each core
    say : called with each line of progress
    """

    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    say: Callable[[str], None] = print
    _executor: ProcessPoolExecutor | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        # inherited by the processes, which load numpy after this
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_leave_interrupts)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        executor, self._executor = self._executor, None
        if executor is None:
            return
        if kind is not None:
            # what is being computed is lost anyway, and may take minutes
            for child in multiprocessing.active_children():
                child.terminate()
        executor.shutdown()

    def submit(self, function: Callable[[Any], Any], item: Any) -> Future[Any]:
        """Begin the function of one item; of a module, so that processes find it."""
        if self._executor is None:
            raise RuntimeError("the pool is closed; use it in a with statement")
        return self._executor.submit(function, item)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any], label: str) -> list[Any]:
        """The function of every item, in the order of the items.

        Parameters
        ----------
        function : of a module, so that processes find it
        items : picklable, each with whatever its random numbers are derived from (`case_rng`), so that
            results do not depend on the number of processes
        label : str, for progress
        """
        listed = list(items)
        places: dict[Future[Any], int] = {}
        results: list[Any] = [None] * len(listed)
        start = last = time.monotonic()
        for place, item in enumerate(listed):
            places[self.submit(function, item)] = place
        try:
            for done, future in enumerate(as_completed(places), 1):
                results[places[future]] = future.result()
                now = time.monotonic()
                if now - last >= _PROGRESS_EVERY and done < len(listed):
                    last = now
                    left = (now - start) / done * (len(listed) - done)
                    self.say(
                        f"  {label}: {done} of {len(listed)}, {now - start:.0f} s, about {left:.0f} s left"
                    )
        except Exception:
            for future in places:
                future.cancel()
            raise
        self.say(f"  {label}: {len(listed)} of {len(listed)}, {time.monotonic() - start:.0f} s")
        return results


def case_rng(*names: object) -> np.random.Generator:
    """Random numbers that belong to a name, the same in every process and on every machine.

    Examples
    --------
    >>> case_rng("a", 1).integers(100) == case_rng("a", 1).integers(100)
    np.True_
    """
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    return np.random.default_rng(np.random.SeedSequence(int.from_bytes(digest[:16], "little")))


def load_config(name: str, mode: str) -> Config:
    """The table [full] or [quick] of `configs/NAME.toml`."""
    with (HERE / "configs" / f"{name}.toml").open("rb") as file:
        config: Config = tomllib.load(file)[mode]
    return config


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows of equal keys as CSV; numbers with all their digits."""
    if not rows:
        raise ValueError(f"no rows for {path.name}; a table has at least one")
    odd = next((row for row in rows if row.keys() != rows[0].keys()), None)
    if odd is not None:
        raise ValueError(f"{path.name}: a row has the columns {list(odd)}, the first one {list(rows[0])}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0].keys())
        writer.writerows([_written(value) for value in row.values()] for row in rows)


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: _read(text) for key, text in row.items()} for row in csv.DictReader(file)]


def mean_and_spread(values: Iterable[float | None]) -> str:
    """Mean and standard deviation of the values that are there, to be read in a table; a dash for none.

    Examples
    --------
    >>> mean_and_spread([1.0, 2.0, None]), mean_and_spread([])
    ('1.5 ± 0.7', '-')
    """
    there = [value for value in values if value is not None]
    if not there:
        return "-"
    return f"{np.mean(there):.3g} ± {np.std(there, ddof=1) if len(there) > 1 else 0.0:.1g}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in markdown; the first column to the left, the others to the right, bars in cells escaped.

    Examples
    --------
    >>> print(markdown_table(["case", "z"], [["a", "+0.5"]]))
    | case | z |
    |:--|--:|
    | a | +0.5 |
    """
    lines = [[_BAR.sub(r"\\|", cell) for cell in line] for line in (header, *rows)]
    ruler = "|" + "|".join([":--"] + ["--:"] * (len(header) - 1)) + "|"
    first, *others = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([first, ruler, *others])


def prose(text: str) -> str:
    """A paragraph as one line, however it is broken in the source.

    Examples
    --------
    >>> prose("one   two")
    'one two'
    """
    return " ".join(text.split())


def _written(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, np.generic):
        value = value.item()
    return repr(value) if isinstance(value, float) else str(value)


def _read(text: str) -> Any:
    if text == "":
        return None
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _leave_interrupts() -> None:
    """Ctrl-C is for the parent, which ends its processes."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
