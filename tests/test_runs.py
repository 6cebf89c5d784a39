"""Laws of runs: whatever is killed, shared or repeated, the count is that of one call, or it is refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import network_on_box
from programs import assert_fails_in_one_line, interrupted

from regions import Box, CellCount, Network, Run, count_cells, estimate_cells
from regions.domain import Polyhedron, WholeSpace
from regions.enumeration import search_digest
from regions.enumeration.planning import plan_search
from regions.enumeration.search import WHOLE, Budget, TaskResult
from regions.enumeration.search_digest import search_files
from regions.enumeration.vertices.vertex_search import pool
from regions.errors import CertificateError, InvalidInputError
from regions.kernels.memory.states import Mode
from regions.runs.proof import frontier, is_frontier
from regions.runs.task_store import TaskStore

TREES = [(2, (16, 12), "planar"), (3, (12, 8), "cells"), (4, (9, 6), "lp"), (2, (14, 9), "lp")]
SHORT = Budget(steps=20)


def problem(tree: int) -> tuple[Network, Box, str]:
    dimension, widths, engine = TREES[tree]
    return *network_on_box(dimension, widths), engine


def made(folder: Path, tree: int = 0, **options: Any) -> tuple[Run, CellCount]:
    """A run, and the count that it should come to."""
    network, box, engine = problem(tree)
    expected = count_cells(network, box, engine=engine, workers=1, **options)
    return Run.create(folder / "run", network, box, engine=engine, **options), expected


def assert_same(found: CellCount, expected: CellCount) -> None:
    """Everything is the same, but for the time that it took."""
    for name in ("cells", "status", "engine", "engine_reason", "arithmetic", "certificate", "volume_sum"):
        assert getattr(found, name) == getattr(expected, name), name


def tasks(run: Run) -> list[tuple[bytes, int]]:
    with closing(sqlite3.connect(run.folder / "run.sqlite")) as base:
        return base.execute("SELECT path, state FROM tasks ORDER BY path").fetchall()


def change(run: Run, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(run.folder / "run.sqlite")) as base, base:
        assert base.execute(statement, values).rowcount > 0


def in_process(folder: str, workers: int, steps: int, lease: float) -> None:
    """What a worker process does; its task may be searched for so many steps."""
    Run.open(folder).work(workers=workers, budget=Budget(steps=steps), lease=lease)


@pytest.mark.parametrize("tree", range(len(TREES)))
def test_a_run_in_small_pieces_counts_what_one_call_counts(tmp_path: Path, tree: int) -> None:
    run, expected = made(tmp_path, tree)
    assert not run.status().finished and run.status().cells == 0
    assert run.work(workers=2, budget=SHORT)
    assert_same(Run.open(run.folder).result(), expected)
    found = run.status()
    assert found.finished and found.done == len(tasks(run)) > 10 and found.fraction == 1.0
    assert run.work(workers=1)  # there is nothing to do


def test_volumes_are_summed_exactly_over_tasks(tmp_path: Path) -> None:
    run, expected = made(tmp_path, 1, check_volumes=True)
    run.work(workers=2, budget=SHORT)
    assert_same(run.result(), expected)
    assert run.result().volume_sum is not None


def killed(folder: str, rng: np.random.Generator) -> None:
    """Have some processes work on a run, and kill one after the other at random moments; the last may end."""
    context = multiprocessing.get_context("fork")
    for _ in range(int(rng.integers(1, 4))):
        crew = [
            context.Process(
                target=in_process, args=(folder, int(rng.integers(1, 4)), int(rng.integers(1, 40)), 0.1)
            )
            for _ in range(int(rng.integers(1, 3)))
        ]
        for process in crew:
            process.start()
        for process in crew:
            process.join(float(rng.choice([0.02, 0.1, 0.3])) * rng.random())
            process.kill()
            process.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
@pytest.mark.sweep(2, 12)
@pytest.mark.parametrize("seed", range(60))
def test_kills_and_late_results_change_nothing(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    run, expected = made(tmp_path, seed % len(TREES))
    killed(str(run.folder), rng)
    before = run.status().cells
    again = Run.open(run.folder)
    assert again.work(
        workers=int(rng.integers(1, 4)), budget=Budget(steps=int(rng.integers(1, 60))), lease=0.1
    )
    assert before <= expected.cells
    assert_same(again.result(), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_forked_processes_share_no_arrays_of_finished_searches() -> None:
    network, box, engine = problem(1)
    search = plan_search(network, box, engine, "certified", 1, volumes=False).make(Mode.COUNT)
    search.twins()().release()
    search.release()
    assert pool.memories
    child = os.fork()
    if child == 0:
        os._exit(len(pool.memories))
    assert os.waitpid(child, 0)[1] == 0 and pool.memories


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_process_writes_to_arrays_of_its_own() -> None:
    network, box, engine = problem(1)
    search = plan_search(network, box, engine, "certified", 1, volumes=False).make(Mode.COUNT)
    twin = search.twins()()
    arrays = [twin.memory.held[name] for name in ("points", "patterns")]
    before = [array.copy() for array in arrays]
    child = os.fork()
    if child == 0:
        for array in arrays:
            array[...] = 7
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert all(np.array_equal(array, old) for array, old in zip(arrays, before, strict=True))
    twin.release()
    search.release()


def test_two_processes_share_one_folder(tmp_path: Path) -> None:
    run, expected = made(tmp_path, 1)
    script = (
        "import sys; from regions import Run; from regions.enumeration.search import Budget\n"
        "Run.open(sys.argv[1]).work(workers=1, budget=Budget(steps=3))"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(run.folder)]) as other:
        run.work(workers=1, budget=Budget(steps=3))
        assert other.wait(120) == 0
    assert_same(run.result(), expected)


@pytest.mark.small
def test_tasks_of_the_dead_are_given_out_again_and_late_results_are_refused(tmp_path: Path) -> None:
    run, expected = made(tmp_path)
    search = run._plan(1).make(Mode.MEASURE)
    with closing(TaskStore(run.folder / "run.sqlite")) as store:
        store.beat("silent", 1, (1, 0), time.time() + 0.05)
        taken = store.take("silent")
        assert taken == (WHOLE, 0) and store.take("other") is None
        time.sleep(0.1)
        store.beat("other", 2, (1, 0), time.time() + 60)
        assert store.take("other") == (WHOLE, 0)
        store.leave("other")
        late = search.run(WHOLE, SHORT)
        assert late.remainder and store.enter(late, 0.1)
        assert not store.enter(search.run(WHOLE, Budget(steps=3)), 0.1)
        assert not store.enter(late, 0.1)
        with pytest.raises(InvalidInputError, match="has no task 0101010101"):
            store.enter(TaskResult(path=bytes([1] * 5)), 0.1)
    search.release()
    assert run.work(workers=1, budget=SHORT)
    assert_same(run.result(), expected)


@pytest.mark.parametrize(
    "number", [pytest.param(k, marks=pytest.mark.small) if k == 3 else k for k in range(8)]
)
def test_what_a_search_gives_back_is_a_frontier(number: int) -> None:
    network, box, engine = problem(number % len(TREES))
    rng = np.random.default_rng(number)
    search = plan_search(network, box, engine, "certified", 1, volumes=False).make(Mode.COUNT)
    todo = [WHOLE]
    while todo:
        task = todo.pop(int(rng.integers(len(todo))))
        result = search.run(task, Budget(steps=int(rng.integers(5, 40))))
        given_back = [each.path for each in result.remainder]
        assert is_frontier(task.path, given_back)
        if given_back:
            k = int(rng.integers(len(given_back)))
            assert not is_frontier(task.path, [*given_back, given_back[k]])
            assert k == 0 or not is_frontier(task.path, given_back[:k] + given_back[k + 1 :])
            assert given_back == frontier(task.path, given_back[0])
        todo += result.remainder
        if len(todo) > 200:
            break
    search.release()


def test_a_run_that_was_changed_is_not_summed_up(tmp_path: Path) -> None:
    for k, (statement, says) in enumerate(
        [
            ("UPDATE tasks SET cells = cells + 1 WHERE path = x''", "is not what was entered"),
            ("DELETE FROM tasks WHERE path = (SELECT max(path) FROM tasks)", "not what it left out"),
            ("DELETE FROM tasks WHERE path <> x''", "is missing"),
            ("DELETE FROM tasks WHERE path = x''", "the whole tree is missing"),
            ("UPDATE tasks SET parent = NULL WHERE path = (SELECT max(path) FROM tasks)", "not what was"),
        ]
    ):
        network, box, engine = problem(0)
        run = Run.create(tmp_path / str(k), network, box, engine=engine)
        run.work(workers=1, budget=SHORT)
        change(run, statement)
        with pytest.raises(CertificateError, match=says):
            run.result()


def test_an_unfinished_run_has_no_result(tmp_path: Path) -> None:
    run, _ = made(tmp_path)
    with pytest.raises(InvalidInputError, match="not finished: 1 tasks are left"):
        run.result()


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    run, _ = made(tmp_path)
    run.work(workers=1, budget=SHORT)
    file = run.folder / "run.sqlite"
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    for size in [0, 10, 100, len(whole) // 2, len(whole) - 1000]:
        file.write_bytes(whole[:size])
        with pytest.raises(InvalidInputError, match=r"run\.sqlite"):
            Run.open(run.folder)
    file.write_bytes(rng.bytes(5000))
    with pytest.raises(InvalidInputError, match="no readable run"):
        Run.open(run.folder)
    file.unlink()
    with closing(sqlite3.connect(file)) as base, base:
        base.execute("CREATE TABLE tasks (path)")
    with pytest.raises(InvalidInputError, match="no run of this package"):
        Run.open(run.folder)
    file.unlink()
    with pytest.raises(InvalidInputError, match="holds no run"):
        Run.open(run.folder)
    file.write_bytes(whole)
    change(run, "DELETE FROM facts WHERE name = 'domain'")
    with pytest.raises(InvalidInputError, match="no whole run"):
        Run.open(run.folder)


def test_another_network_domain_or_version_is_refused(tmp_path: Path) -> None:
    run, _ = made(tmp_path)
    with pytest.raises(InvalidInputError, match="is there already"):
        Run.create(run.folder, run.network, run.domain)
    change(run, "UPDATE facts SET value = '0.0.9' WHERE name = 'version'")
    change(run, "UPDATE facts SET value = 'other' WHERE name = 'kernels'")
    Run.open(run.folder)._check_version()  # the code that searches is the same
    change(run, "UPDATE facts SET value = ? WHERE name = 'searches'", "0" * 64)
    with pytest.raises(InvalidInputError, match=r"version 0\.0\.9 of the package with searches 000000000000"):
        Run.open(run.folder).work(workers=1)
    change(run, "DELETE FROM facts WHERE name = 'searches'")  # as an older version made it
    with pytest.raises(InvalidInputError, match="with searches other"):
        Run.open(run.folder).work(workers=1)
    change(
        run, "UPDATE facts SET value = ? WHERE name = 'domain'", json.dumps(Box([-1, -1], [1, 2]).to_dict())
    )
    with pytest.raises(InvalidInputError, match="rounded otherwise"):
        Run.open(run.folder)
    network_on_box(2, (3, 2))[0].save(run.folder / "network.npz")
    with pytest.raises(InvalidInputError, match="another network"):
        Run.open(run.folder)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("engine", ["cells", "lp"])
def test_a_digest_of_searches_covers_what_they_reach_and_no_more(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {file.relative_to(search_digest._ROOT).as_posix(): file for file in search_files(engine)}
    reached = {"kernels/vertices/predicates.py", "kernels/memory/bit_operations.py", "enumeration/search.py"}
    reached |= {"kernels/programs/simplex.py"} if engine == "lp" else {"kernels/vertices/nodes.py"}
    assert reached <= files.keys()
    left_out = {"kernels/programs/facets_of_cell.py", "kernels/vertices/half_facets.py"}
    left_out |= set() if engine == "lp" else {"kernels/programs/simplex.py"}
    assert not left_out & files.keys()
    assert "enumeration/facet_keys.py" not in files
    assert any(file.name == "facet_keys.py" for file in search_files(engine, lists=True))

    def digest(file: Path, text: str) -> str:
        source = search_digest._source
        with monkeypatch.context() as patch:
            patch.setattr(search_digest, "_source", lambda path: text if path == file else source(path))
            return search_digest.search_digest.__wrapped__(engine)

    now = search_digest.search_digest(engine)
    for name, file in list(files.items())[::10]:
        text = file.read_text(encoding="utf-8")
        assert digest(file, f"{text}\n\n# a remark\n") == now, name
        if text.strip().endswith('"""'):  # a docstring only
            continue
        assert digest(file, f"{text}\nx = 1\n") != now, name
    other = search_digest._ROOT / "kernels" / "vertices" / "half_facets.py"
    assert digest(other, "x = 1") == now


def test_what_is_no_code_is_not_in_a_digest() -> None:
    source = (
        '"""Words\nof a module."""\n\nimport os  # why\n\n\nclass A:\n    "B"\n\n'
        '    x = "# no remark"\n\n    def f(self):\n        """One.\n\n        Two.\n        """\n'
        "        return 'é', self  # é\n"
    )
    assert search_digest.code_of(source).splitlines() == [
        "import os",
        "class A:",
        '    x = "# no remark"',
        "    def f(self):",
        "        return 'é', self",
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"engine": "both"}, "one engine"),
        ({"engine": "lp", "check_volumes": True}, "knows no volumes"),
        ({"engine": "quick"}, "engine is 'quick'"),
    ],
)
def test_arguments_that_fit_no_run_make_no_folder(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        Run.create(tmp_path / "run", *network_on_box(2, (3, 2)), **options)
    assert not (tmp_path / "run").exists()


def assert_refused(call: Any, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        call()


@pytest.mark.parametrize(
    "domain",
    [WholeSpace(3), pytest.param(Polyhedron([[1.0, 0.5, 0.0]], [0.25]), marks=pytest.mark.slow)],
)
def test_runs_and_estimates_of_what_has_no_end_are_those_of_its_cones(
    tmp_path: Path, domain: WholeSpace | Polyhedron
) -> None:
    network = network_on_box(3, (6, 4))[0]
    expected = count_cells(network, domain, workers=1)
    run = Run.create(tmp_path / "run", network, domain)
    while not run.work(workers=1, budget=Budget(steps=100), seconds=0.2):
        run = Run.open(run.folder)
    assert run.domain == domain and run.status().cells == expected.cells
    assert_same(run.result(), expected)
    with ThreadPoolExecutor(2) as executor:
        remote = Run.create(tmp_path / "remote", network, domain)
        assert remote.work(executor=executor, workers=2)
    assert remote.result().cells == expected.cells
    assert run.result().dimension == 3 and "cones over the cells" in run.result().engine_reason
    found = estimate_cells(network, domain, rng=np.random.default_rng(0))
    assert found.is_exact and found.cells == expected.cells
    part = Run.create(tmp_path / "part", network_on_box(3, (40, 40))[0], domain)
    part.work(workers=1, budget=SHORT, seconds=0.05)
    guess = part.status(rng=np.random.default_rng(0), seconds=0.2).estimate
    assert guess is not None and guess.low <= guess.cells <= guess.high


def test_runs_of_what_has_no_end_list_nothing_and_sum_no_volumes(tmp_path: Path) -> None:
    network, space = network_on_box(2, (3, 2))[0], WholeSpace(2)
    create = partial(Run.create, tmp_path / "run", network)
    assert_refused(lambda: create(space, mode="list"), "list them by enumerate_cells")
    assert_refused(lambda: create(space, check_volumes=True), "infinite volume")
    assert_refused(lambda: create(space, engine="planar"), "cones over cells have 3 dimensions")
    assert not (tmp_path / "run").exists()


@pytest.mark.sweep(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_work_and_keep_what_was_found(tmp_path: Path, number: int) -> None:
    network, box = network_on_box(4, (60, 60))  # some minutes
    run = Run.create(tmp_path / "run", network, box)
    script = (
        "import sys, threading, time\n"
        "from regions.cli import main\n"
        "from regions import Run\n"
        "from regions.enumeration.threads import compile_search\n"
        "def tell():\n"
        "    while not run.status().cells: time.sleep(0.05)\n"
        "    print('ready', flush=True)\n"
        "run = Run.open(sys.argv[1])\n"
        "threading.Thread(target=tell, daemon=True).start()\n"
        "sys.exit(main(['run', 'work', sys.argv[1], '--workers', '2', '--json']))\n"
    )
    out = interrupted(script, str(run.folder), exit_code=130, number=number)
    found, status = json.loads(out), run.status()
    assert not found["finished"] and found["cells"] == status.cells > 0
    assert status.taken == 0 and status.threads == 0 and status.waiting > 0


def test_the_time_ends_the_work(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", *network_on_box(4, (60, 60)))
    assert not run.work(workers=2, seconds=0.5)
    found = run.status(rng=np.random.default_rng(0), seconds=0.5)
    assert found.estimate is not None and found.estimate.low > found.cells > 0
    assert (
        found.fraction is not None
        and 0.0 < found.fraction < 1.0
        and found.rate > 0.0
        and found.seconds_left is None
    )


def test_the_commands_make_a_run_and_finish_it(run: Any, tmp_path: Path) -> None:
    network, box, engine = problem(1)
    network.save(tmp_path / "net.npz")
    folder = tmp_path / "run"
    create = ("run", "create", tmp_path / "net.npz", "--box", "-1", "1", "--engine", engine, "-o", folder)
    assert run(*create)[0] == 0
    assert_fails_in_one_line(run(*create), "is there already")
    assert_fails_in_one_line(run("run", "result", folder), "not finished")
    assert_fails_in_one_line(run("run", "work", tmp_path), "holds no run")
    assert_fails_in_one_line(run(*create[:-1], tmp_path / "new", "--mode", "draw"), "mode is 'draw'")
    code, out, _ = run("run", "status", folder, "--seconds", "0.2", "--json")
    assert code == 0 and json.loads(out)["tasks"] == {"waiting": 1, "taken": 0, "done": 0}
    assert "in all" in run("run", "status", folder, "--seconds", "0.2")[1]
    code, out, _ = run("run", "work", folder, "--workers", "2")
    assert code == 0 and "finished" in out
    code, out, _ = run("run", "result", folder, "--json")
    expected = count_cells(network, box, engine=engine, workers=1)
    assert code == 0 and json.loads(out)["cells"] == expected.cells
    assert f"{expected.cells:,}" in run("run", "result", folder)[1]


def test_the_commands_make_a_run_of_the_whole_space(run: Any, tmp_path: Path) -> None:
    network, folder = network_on_box(3, (6, 4))[0], tmp_path / "run"
    network.save(tmp_path / "net.npz")
    assert run("run", "create", tmp_path / "net.npz", "--whole-space", "-o", folder)[0] == 0
    assert run("run", "work", folder, "--workers", "2")[0] == 0
    code, out, _ = run("run", "result", folder, "--json")
    found = json.loads(out)
    assert (code, found["cells"]) == (0, count_cells(network, WholeSpace(3)).cells)
    assert (found["domain"], found["dimension"]) == ("the whole space of 3 inputs", 3)
