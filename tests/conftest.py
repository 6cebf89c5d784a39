"""What all tests share: reproducible random numbers, hypothesis settings, the reference data."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import typer
from hypothesis import settings

import regions
from regions.cli import main
from regions.enumeration.compile_ahead import warm_up
from regions.kernels.memory.compiling import JIT_DISABLED

# compiling a kernel inside the first example takes seconds, so no deadline; the same examples each run
settings.register_profile("all", deadline=None, derandomize=True, print_blob=True, max_examples=50)
settings.register_profile("short", settings.get_profile("all"), max_examples=6)

# typer builds all commands for each call, which takes 40 ms; they are the same in each
typer.main.get_command = cache(typer.main.get_command)

MOST_PROCESSES = 4

HERE = Path(__file__).resolve().parent

# programs that tests start find the package that is being tested (and no other that happens to lie in the
# working folder, whose kernels would be compiled anew) and the tests' own modules
PACKAGES = (str(Path(regions.__file__).resolve().parents[1]), str(HERE))
os.environ["PYTHONSAFEPATH"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join([*PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])])

# what a shell runs in the background ignores Ctrl-C, and so would the programs that tests interrupt
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run every case of every law (many minutes)")
    parser.addoption("--times", type=int, default=1, help="with --all: so many times as many cases")


@pytest.hookimpl(tryfirst=True)  # before the workers are started
def pytest_cmdline_main(config: pytest.Config) -> None:
    # the whole suite runs on several cores; `-n 0` runs it in one process
    if hasattr(config, "workerinput"):  # this is one of them
        return
    wanted = config.option
    alone = wanted.file_or_dir or wanted.usepdb or wanted.collectonly
    if getattr(wanted, "numprocesses", 0) is None and not alone:
        wanted.numprocesses, wanted.dist = min(os.cpu_count() or 1, MOST_PROCESSES), "worksteal"
        compile_what_all_need(wanted.numprocesses)


def compile_what_all_need(processes: int) -> None:
    """Compile each kernel in one process; those that run the tests would all compile the same."""
    if not JIT_DISABLED:
        print("compiling the kernels ...", flush=True)
        try:
            warm_up(workers=processes)
        except regions.RegionsError as error:  # where nothing can be kept, each process compiles its own
            print(error, flush=True)


def pytest_configure(config: pytest.Config) -> None:
    # before test modules are imported: their numbers of examples are parts of the profile's
    if config.getoption("--all"):
        every = settings.get_profile("all")
        wanted = config.getoption("--times") * every.max_examples
        settings.register_profile("times", every, max_examples=wanted)
    settings.load_profile("times" if config.getoption("--all") else "short")


def pytest_report_header(config: pytest.Config) -> str:
    if config.getoption("--all"):
        return "all cases of all laws"
    return "short run: every law on a few of its cases; `pytest --all` runs them all"


@pytest.hookimpl(tryfirst=True)  # before -m is applied
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    every, times = config.getoption("--all"), config.getoption("--times")
    few = _beyond(items, lambda few, many=None: few)
    for item in items:
        slow = item.get_closest_marker("slow")
        scaled = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if every and not (scaled or slow or item in few):
            item.add_marker("short")
        elif slow and not every:
            item.add_marker(pytest.mark.skip(reason="slow: runs with --all"))
    beyond = _beyond(items, lambda few, many=None: times * many if many else None) if every else few
    config.hook.pytest_deselected(items=[item for item in items if item in beyond])
    items[:] = [item for item in items if item not in beyond]


def _beyond(items: list[pytest.Item], wanted: Callable[..., int | None]) -> set[pytest.Item]:
    """Return the cases of sweeps but for the first, the last and some between, as many as are wanted."""
    laws: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("sweep"):
            laws.setdefault((str(item.path), item.originalname), []).append(item)
    beyond: set[pytest.Item] = set()
    for cases in laws.values():
        number = wanted(*cases[0].get_closest_marker("sweep").args) or len(cases)
        kept = {round(k) for k in np.linspace(0, len(cases) - 1, min(number, len(cases)))}
        beyond |= {case for k, case in enumerate(cases) if k not in kept}
    return beyond


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240701)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line and returns its exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def small_nets() -> Path:
    """Folder of the small reference networks that are kept with the tests."""
    return HERE / "data"


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Folder with `counts.json` and the networks that it counts; skips where it is absent."""
    given = os.environ.get("REGIONS_REFERENCE_DATA")
    folder = Path(given) if given else HERE.parents[1] / "shared" / "data"
    if not (folder / "counts.json").is_file():
        pytest.skip(
            f"no reference data: no counts.json in {folder} (set REGIONS_REFERENCE_DATA to the folder)"
        )
    return folder
