"""Laws of what is compiled, when, and where it is kept; each in processes of its own, with a fresh cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from numba import config

import regions
from regions.enumeration.compile_ahead import warm_up
from regions.errors import InvalidInputError

pytestmark = pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")

SMALL = """
import json
import numpy as np
from regions.kernels.memory.compiling import cache_problems
from regions.kernels.programs.simplex import residuals

found = residuals(np.eye(2), np.ones(2), np.array([1.0, 2.0]), np.ones(2), np.array([1.0, 2.0]))
hits = sum(residuals.dispatcher.stats.cache_hits.values())
print(json.dumps([found, hits, cache_problems()]))
"""
NO_ERRORS = [0.0, 0.0, 0.0, 3.0]

ENTRY = """
import json, sys
import numpy as np
from regions.kernels.memory.compiling import cache_problems
from regions.kernels.memory.pattern_lookup import find_rows

rows = np.arange(8, dtype=np.uint8).reshape(4, 2)
found = np.zeros(2, np.bool_)
find_rows(rows[[3, 0]] + np.uint8([[0], [9]]), rows, np.full(4, -1), np.empty(2, np.int64), found)
print(json.dumps([found.tolist(), "numba" in sys.modules, cache_problems()]))
"""

WITHOUT_NUMBA = """
import json, sys
from regions import Box, count_cells, load_network
found = count_cells(load_network(sys.argv[1]), Box([-1.0, -1.0], [1.0, 1.0]), engine=sys.argv[2])
print(json.dumps([found.cells, "numba" in sys.modules]))
"""

LISTED = """
import json, sys
from regions import Box, enumerate_cells, load_network
network = load_network(sys.argv[1])
found = enumerate_cells(network, Box([-1.0] * network.input_dim, [1.0] * network.input_dim))
print(json.dumps([found.n_cells, len(found.facets), sorted({"numba", "scipy"} & sys.modules.keys())]))
"""

COUNTED = """
from numba.core import event

class Counter(event.Listener):
    names = []
    def on_start(self, event): Counter.names.append(event.data["dispatcher"].py_func.__module__)
    def on_end(self, event): pass

event.register("numba:compile", Counter())
import json, sys
import regions
find = getattr(regions, sys.argv[1])
found = find(regions.load_network(sys.argv[2]), regions.Box([-1.0, -1.0], [1.0, 1.0]))
print(json.dumps([found.n_cells, found.volume_sum, sorted(set(Counter.names))]))
"""


def start(
    code: str, cache: Path | None, *arguments: object, limit: str = "", **environment: str
) -> subprocess.Popen:
    words = [sys.executable, "-c", limit + code, *map(str, arguments)]
    settings = {**os.environ, **({"NUMBA_CACHE_DIR": str(cache)} if cache else {}), **environment}
    return subprocess.Popen(words, env=settings, stdout=subprocess.PIPE, text=True)


def result(running: subprocess.Popen) -> list:
    out, _ = running.communicate(timeout=600)
    assert running.returncode == 0
    return json.loads(out)


@pytest.mark.slow
def test_bounds_checks_are_not_taken_from_a_cache_without_them(tmp_path: Path) -> None:
    checked = {"NUMBA_BOUNDSCHECK": "0" if config.BOUNDSCHECK else "1"}
    result(start(SMALL, tmp_path))
    assert result(start(SMALL, tmp_path, **checked)) == [NO_ERRORS, 0, []]
    assert result(start(SMALL, tmp_path)) == [NO_ERRORS, 1, []]


@pytest.mark.slow
def test_without_a_folder_for_kernels_the_answer_comes_all_the_same() -> None:
    only_there = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
    found, hits, problems = result(start(SMALL, Path(os.devnull) / "absent", **only_there))
    assert (found, hits) == (NO_ERRORS, 0) and len(problems) == 1


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX limits")
def test_on_a_full_disk_the_answer_comes_all_the_same(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
    found, hits, problems = result(start(SMALL, tmp_path, limit=limit))
    assert (found, hits) == (NO_ERRORS, 0) and len(problems) == 1
    assert result(start(SMALL, tmp_path)) == [NO_ERRORS, 0, []]


STEP = """
import json, sys
from regions.kernels.memory.compiling import cache_problems
from regions.kernels.memory.layouts import address_of
from regions.kernels.memory.vertex_layout import VERTEX_SEARCH
from regions.kernels.vertices.predicates import report_doubt

memory = VERTEX_SEARCH.make({})
memory.bind({"settle_doubt": report_doubt})

status = memory.settle_doubt(0, 0, 0, 1.5)
print(json.dumps([status, memory.asked, "numba" in sys.modules, cache_problems()]))
"""


BOTH = SMALL.replace("print(json.dumps(", "first = ((") + STEP.replace("json.dumps([", "json.dumps([first, ")


def days_old(path: Path, days: float) -> Path:
    path.touch()
    os.utime(path, (time.time() - 86400 * days,) * 2)
    return path


def kept_step(cache: Path) -> Path:
    (file,) = (path for path in cache.glob("*.step") if path.stat().st_size)
    return file


# files of earlier versions, and the days since anybody used them
EARLIER = {
    "predicates.report_doubt-0123.step": 61,
    "predicates.report_doubt-4567.step": 59,
    "predicates.other-0123.step": 61,
    "predicates.report_doubt-0123.nbi": 61,
}


class Kept(NamedTuple):
    """What the first process to compile anything says, and the folder with what it keeps."""

    answer: list[Any]
    folder: Path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Both a kernel that Python calls and a step, compiled beside files of earlier versions."""
    folder = tmp_path_factory.mktemp("kept")
    for name, days in EARLIER.items():
        days_old(folder / name, days)
    return Kept(result(start(BOTH, folder)), folder)


def test_what_one_process_compiles_the_next_one_loads(kept: Kept) -> None:
    assert kept.answer[0] == [NO_ERRORS, 0, []]
    assert result(start(SMALL, kept.folder)) == [NO_ERRORS, 1, []]


def test_a_kept_step_is_called_without_numba(kept: Kept, tmp_path: Path) -> None:
    first = kept.answer[1:]
    assert first[2:] == [True, []]
    assert result(start(STEP, kept.folder)) == [*first[:2], False, []]
    shutil.copy(kept_step(kept.folder), tmp_path)
    checked = {"NUMBA_BOUNDSCHECK": "0" if config.BOUNDSCHECK else "1"}
    assert result(start(STEP, tmp_path, **checked))[2]


def test_a_kept_kernel_that_python_calls_is_called_without_numba(tmp_path: Path) -> None:
    assert result(start(ENTRY, tmp_path)) == [[True, False], True, []]
    assert result(start(ENTRY, tmp_path)) == [[True, False], False, []]
    checked = {"NUMBA_BOUNDSCHECK": "0" if config.BOUNDSCHECK else "1"}
    assert result(start(ENTRY, tmp_path, **checked)) == [[True, False], True, []]
    assert [path.name.partition("-")[0] for path in tmp_path.iterdir()] == ["pattern_lookup.find_rows"] * 2


@pytest.mark.slow
def test_a_damaged_step_is_compiled_again(kept: Kept, tmp_path: Path) -> None:
    # compiled by a process that does nothing else, as below: names in the code count what else it compiled
    assert result(start(STEP, tmp_path)) == kept.answer[1:]
    file = kept_step(tmp_path)
    whole = file.read_bytes()
    for damaged in (whole[:-9], whole[:-1] + bytes([whole[-1] ^ 1]), b"", b"[]"):
        file.write_bytes(damaged)
        assert result(start(STEP, tmp_path)) == kept.answer[1:]
        assert kept_step(tmp_path).read_bytes()[-100:] == whole[-100:]
    assert not result(start(STEP, tmp_path))[2]


def test_steps_of_earlier_versions_are_removed_when_nobody_has_used_them_for_long(kept: Kept) -> None:
    unused, *stay = (kept.folder / name for name in EARLIER)
    assert not unused.exists() and all(path.exists() for path in stay)


def test_that_a_step_is_used_is_noted_once_a_day(kept: Kept, tmp_path: Path) -> None:
    file, before = Path(shutil.copy(kept_step(kept.folder), tmp_path)), time.time()
    days_old(file, 30)
    assert not result(start(STEP, tmp_path))[2]
    assert file.stat().st_mtime > before - 60.0
    noted = days_old(file, 0.5).stat().st_mtime
    assert not result(start(STEP, tmp_path))[2]
    assert file.stat().st_mtime == noted


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX limits")
def test_on_a_full_disk_no_step_is_kept_in_part(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
    *_, problems = result(start(STEP, tmp_path, limit=limit))
    assert len(problems) == 1 and not list(tmp_path.iterdir())


def test_the_second_count_by_programs_needs_no_numba(small_nets: Path) -> None:
    arguments = (small_nets / "d2_w16x2.npz", "lp")  # in the cache of all tests, which need it too
    result(start(WITHOUT_NUMBA, None, *arguments))
    assert result(start(WITHOUT_NUMBA, None, *arguments)) == [333, False]


@pytest.mark.parametrize("name", ["d2_w16x2", "d3_w16x2"])
def test_the_second_listing_needs_no_numba(name: str, small_nets: Path) -> None:
    first = result(start(LISTED, None, small_nets / f"{name}.npz"))
    assert first[0] > 100 and first[1] > first[0]
    assert result(start(LISTED, None, small_nets / f"{name}.npz")) == [*first[:2], []]


@pytest.mark.slow
def test_four_processes_on_one_empty_cache_do_not_disturb_each_other(tmp_path: Path) -> None:
    answers = [result(running) for running in [start(BOTH, tmp_path) for _ in range(4)]]
    for (found, _, unkept), status, *_, problems in answers:
        assert (found, status, unkept, problems) == (NO_ERRORS, answers[0][1], [], [])
    assert result(start(SMALL, tmp_path)) == [NO_ERRORS, 1, []]
    assert not result(start(STEP, tmp_path))[2]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.slow
def test_a_count_in_the_plane_compiles_its_kernels_and_a_warm_up_the_rest(
    tmp_path: Path, small_nets: Path
) -> None:
    """Nothing of volumes, of more dimensions or of programs; and nothing at all the second time."""
    net = small_nets / "d2_w16x2.npz"
    cells, volume, modules = result(start(COUNTED, tmp_path, "count_cells", net))
    assert (cells, volume) == (333, 4.0)
    ours = {name for name in modules if name.startswith("regions.kernels.")}
    assert "regions.kernels.vertices.polygons" in ours
    assert not [name for name in ours if ".volumes." in name or ".programs." in name]
    assert "regions.kernels.vertices.polytopes" not in ours
    assert result(start(COUNTED, tmp_path, "count_cells", net)) == [333, 4.0, []]
    assert result(start(WITHOUT_NUMBA, tmp_path, net, "planar")) == [333, False]

    command = [sys.executable, "-m", "regions.cli", "warmup", "--engine", "planar", "--json"]
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, env=settings, check=True, capture_output=True, text=True)
    assert {"split_polygon", "settle_doubt", "linear programs"} <= json.loads(done.stdout)["kernels"].keys()
    assert result(start(COUNTED, tmp_path, "enumerate_cells", net)) == [333, 4.0, []]


def test_engines_that_do_not_exist_are_not_warmed_up() -> None:
    with pytest.raises(InvalidInputError, match="engine is 'spheres'; choose 'planar', 'cells' or 'lp'"):
        warm_up(["spheres"])


def test_importing_the_package_imports_no_compiler() -> None:
    code = "import sys, regions; assert not {'numba', 'scipy', 'matplotlib', 'torch'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(regions.__file__).parents[1])
