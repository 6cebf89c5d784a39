"""Laws of the files that are written: whatever goes wrong, a name holds the old file or the new one."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from regions import Box, Network, adjacency_graph, enumerate_cells, write_graph
from regions.errors import InvalidInputError
from regions.reports import check_writable, replacing, save_json, write_text

OLD = b"the old file"


@pytest.fixture(scope="module")
def cells():
    network = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [np.zeros(2), np.zeros(1)])
    return enumerate_cells(network, Box([-1.0, -1.0], [1.0, 1.0]))


def write_picture(path: Path) -> None:
    import matplotlib.pyplot as plt

    from regions.plotting import save_figure

    figure, _ = plt.subplots()
    save_figure(figure, path, dpi=30)


# every writer of the rooms reports, complexes, analysis, plotting and validation, by what it writes
WRITERS: dict[str, Callable[[Path], object]] = {
    "note.txt": lambda path: write_text("new", path, "note"),
    "report.json": lambda path: save_json({"mean": 1.0}, path, "report"),
    "picture.png": write_picture,
    "picture.svg": write_picture,
}
GRAPHS = ["graph.graphml", "graph.gexf", "graph.json", "graph.csv", "graph.parquet", "graph.npz"]


def writer(name: str, cells) -> Callable[[Path], object]:
    if name.endswith(".regions"):
        return cells.save
    if name.startswith("graph"):
        return lambda path: write_graph(adjacency_graph(cells), path)
    return WRITERS[name]


ALL = [*WRITERS, *GRAPHS, "cells.regions"]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_file_that_could_not_be_finished_leaves_the_old_one(name, error, cells, tmp_path, monkeypatch):
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(OLD)

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr("regions.reports.os.fsync", fail)
    with pytest.raises((InvalidInputError, KeyboardInterrupt)) as raised:
        writer(name, cells)(path)
    if isinstance(error, OSError):
        assert str(path) in str(raised.value) and "No space left" in str(raised.value)
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ALL)
def test_a_finished_file_replaces_the_old_one_and_nothing_else_is_left(name, cells, tmp_path):
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(OLD)
    writer(name, cells)(path)
    assert path.read_bytes() != OLD
    beside = {path, path.with_name(f"graph.nodes{path.suffix}")}
    assert set(tmp_path.iterdir()) <= beside


@pytest.mark.skipif(os.name == "nt", reason="needs limits of POSIX")
def test_a_full_disk_names_the_file_and_removes_the_part(tmp_path):
    path = tmp_path / "large.json"
    path.write_bytes(OLD)
    script = (
        "import resource, signal, sys\n"
        "from regions.reports import save_json\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "save_json({'numbers': list(range(10000))}, sys.argv[1], 'report')\n"
    )
    run = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert run.returncode != 0
    assert f"cannot write the report to {str(path)!r}: File too large" in run.stderr
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "cells.bin"
    path.write_bytes(OLD)
    script = (
        "import os, signal, sys\n"
        "from regions.reports import replacing\n"
        "with replacing(sys.argv[1], 'cells') as stream:\n"
        "    stream.write(b'half of the new f')\n"
        "    stream.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = subprocess.run([sys.executable, "-c", script, str(path)])
    assert run.returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD


def test_two_writers_of_one_name_do_not_mix(tmp_path):
    path = tmp_path / "shared.json"
    texts = [json.dumps([k] * 20_000) for k in range(4)]
    threads = [threading.Thread(target=write_text, args=(text, path, "list")) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_and_links_are_kept(tmp_path):
    path, link = tmp_path / "private.json", tmp_path / "link.json"
    path.write_bytes(OLD)
    path.chmod(0o640)
    link.symlink_to(path)
    write_text("new", link, "note")
    assert link.is_symlink() and path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_the_permissions_that_any_new_file_has(tmp_path):
    (tmp_path / "plain").write_bytes(OLD)
    write_text("new", tmp_path / "ours", "note")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")}
    assert len(modes) == 1


@pytest.mark.skipif(os.name == "nt", reason="needs named pipes")
def test_what_is_no_regular_file_is_written_to_directly(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text("through a pipe", pipe, "note")
    reader.join()
    assert read == ["through a pipe"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    ("name", "says"),
    [("missing/x.json", "there is no folder"), ("folder", "is a folder"), ("x" * 300, "too long")],
)
def test_a_name_that_cannot_be_written_is_said_before_the_work(name, says, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidInputError, match=says):
        check_writable(tmp_path / name)
    with pytest.raises(InvalidInputError, match="cannot write the note"):
        write_text("new", tmp_path / name, "note")


def test_trying_a_name_leaves_nothing(tmp_path):
    path = tmp_path / "out.json"
    check_writable(path)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(OLD)
    check_writable(path)
    assert path.read_bytes() == OLD and list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_writer_itself_is_passed_on(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "x", "note"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
