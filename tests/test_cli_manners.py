"""Laws of the command line: stdin, pure JSON, help as it was written, one step to a picture, its log."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import regions
from regions import Network
from regions.cli import main, standard_input
from regions.cli.application import app
from regions.cli.stopwatch import Stopwatch


@pytest.fixture
def net(tmp_path):
    """A file with a network of two inputs whose cells in [-1, 1]^2 are the four quadrants."""
    path = tmp_path / "quadrants.npz"
    Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [[0.0, 0.0], [0.0]]).save(path)
    return path


@pytest.fixture
def cells(run, net, tmp_path):
    """A file with its cells."""
    path = tmp_path / "quadrants.regions"
    assert run("enumerate", net, "--box", "-1", "1", "-o", path)[0] == 0
    return path


class Piped(io.TextIOWrapper):
    """Standard input with a file in it."""

    def __init__(self, content: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content))
        self.terminal = terminal

    def isatty(self):
        return self.terminal


def test_the_package_runs_as_a_program():
    words = [sys.executable, "-m", "regions", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == f"regions {regions.__version__}\n"


def test_a_shell_completes_commands():
    asked = {"_REGIONS_COMPLETE": "complete_bash", "COMP_WORDS": "regions cou", "COMP_CWORD": "1"}
    words = [sys.executable, "-m", "regions"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | asked)
    assert done.stdout.split() == ["count"]


def test_a_network_and_cells_come_through_standard_input(run, net, cells, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Piped(net.read_bytes()))
    code, out, _ = run("count", "-", "--box", "-1", "1", "--json")
    assert code == 0 and json.loads(out)["cells"] == 4
    for words in (["locus", "-"], ["verify", "-"], ["verify", "-", "--independent"]):
        monkeypatch.setattr(sys, "stdin", Piped(cells.read_bytes()))
        code, of_pipe, _ = run(*words, "--json")
        assert code == 0
        _, of_file, _ = run(*[cells if word == "-" else word for word in words], "--json")
        drop = ("seconds", "file")
        one, other = json.loads(of_pipe), json.loads(of_file)
        assert all(one[name] == other[name] for name in one if name not in drop)


@pytest.mark.parametrize(
    ("content", "terminal", "says"), [(b"", False, "nothing in it"), (b"x", True, "pipe a file")]
)
def test_an_empty_standard_input_is_answered_in_one_line(run, monkeypatch, content, terminal, says):
    monkeypatch.setattr(sys, "stdin", Piped(content, terminal))
    code, out, err = run("count", "-", "--box", "-1", "1")
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1


def test_standard_input_is_known_by_its_first_bytes(net, small_nets):
    assert standard_input.suffix_of(net.read_bytes()) == ".npz"
    for path in sorted((small_nets / "keras").glob("*")):
        if path.suffix in (".keras", ".h5"):
            assert standard_input.suffix_of(path.read_bytes()) == path.suffix, path.name


def test_json_is_all_of_standard_output(run, net, cells, tmp_path):
    point = tmp_path / "x.npy"
    np.save(point, np.array([0.3, 0.4]))
    box = ["--box", "-1", "1"]
    for words in (
        ["count", net, *box],
        ["count", net, *box, "--definition", "affine"],
        ["enumerate", net, *box, "-o", tmp_path / "again.regions"],
        ["graph", cells, "-o", tmp_path / "g.json"],
        ["locus", cells, "--by", "unit"],
        ["verify", cells],
        ["validate", net, *box, "--sigma", "0.1", "--samples", "20", "--bias-draws", "2"],
        ["explore", net, "--center", point, "--perturbation", "2"],
    ):
        code, out, _ = run(*words, "--json")
        assert code == 0, words
        assert isinstance(json.loads(out), dict), words


def test_with_json_a_mistake_is_an_object_too(run, net):
    code, out, err = run("count", net, "--box", "1", "-1", "--json")
    assert code == 2 and err.count("\n") == 1
    assert json.loads(out) == {"error": err.removeprefix("error: ").strip()}
    code, out, _ = run("count", net, "--box", "1", "-1")
    assert (code, out) == (2, "")


def test_a_count_says_what_took_the_time(run, net):
    _code, out, _ = run("count", net, "--box", "-1", "1")
    (line,) = [line for line in out.splitlines() if line.startswith("time")]
    assert re.fullmatch(r"time +[\d.e-]+ s: .*", line)
    found = json.loads(run("count", net, "--box", "-1", "1", "--json")[1])
    assert set(found["times"]) == {"start", "reading", "imports", "kernels and set-up", "search"}
    assert found["times"]["search"] == pytest.approx(found["seconds"])


def test_parts_of_a_time_sum_to_the_whole(monkeypatch):
    now = iter([0.0, 1.0, 4.0, 4.5])
    monkeypatch.setattr("regions.cli.stopwatch.time.perf_counter", lambda: next(now))
    one = Stopwatch()
    one.lap("reading")
    one.lap("search", other="kernels", took=1.0)
    one.lap("search")
    assert one.parts == {"reading": 1.0, "kernels": 2.0, "search": 1.5} and one.total == 4.5
    assert one.sentence() == "4.5 s: kernels 2, search 1.5, reading 1"


def test_a_picture_takes_one_step(run, net, cells, tmp_path):
    of_cells, of_network = tmp_path / "cells.svg", tmp_path / "network.svg"
    assert run("plot", cells, "-o", of_cells)[0] == 0
    code, out, _ = run("plot", net, "--box", "-1", "1", "-o", of_network, "--json")
    assert code == 0 and json.loads(out) == {"file": str(of_network), "cells": 4, "status": "COMPLETE"}
    # but for matplotlib's random names
    plain = [re.sub(r"[mp][0-9a-f]{10}", "", path.read_text()) for path in (of_cells, of_network)]
    assert plain[0] == plain[1]


def test_a_picture_of_cells_takes_no_engine(run, cells, tmp_path):
    code, _, err = run("plot", cells, "-o", tmp_path / "c.png", "--engine", "lp")
    assert code == 2 and "a file of cells knows no --engine; leave it out" in err


@pytest.mark.slow
def test_help_shows_what_was_written(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("TERMINAL_WIDTH", "400")
    for command in app.registered_commands:
        for parameter in command_parameters(command.callback):
            words = " ".join((parameter.help or "").split())
            shown = " ".join(re.sub(r"[│╭╮╰╯─]", " ", help_of(run, command.name)).split())
            assert words in shown, f"{command.name}: {words}"


def command_parameters(callback):
    """What typer knows of the options of a command."""
    annotations = getattr(callback, "__wrapped__", callback).__annotations__
    found = [part for one in annotations.values() for part in getattr(one, "__metadata__", ())]
    return [part for part in found if hasattr(part, "help")]


HELP: dict[str, str] = {}


def help_of(run, name):
    """The help of a command, asked for once."""
    if name not in HELP:
        code, HELP[name], _ = run(name, "--help")
        assert code == 0
    return HELP[name]


def test_the_library_is_silent_until_it_is_asked(run, net):
    root = logging.getLogger("regions")
    assert any(isinstance(one, logging.NullHandler) for one in root.handlers)
    _, _, err = run("count", net, "--box", "-1", "1")
    assert err == ""
    kept, level = root.handlers[:], root.level
    try:
        _, out, err = run("--verbose", "count", net, "--box", "-1", "1", "--json")
        assert "engine planar" in err and "kernels ready" in err
        assert json.loads(out)["cells"] == 4
    finally:
        root.handlers[:], root.level = kept, level


def test_logs_say_which_engine_and_why(caplog, net):
    with caplog.at_level(logging.INFO, "regions"):
        regions.count_cells(Network.load(net), regions.Box([-1.0, -1.0], [1.0, 1.0]), engine="lp")
    assert "engine lp (as asked), certified arithmetic, for Box [-1, 1]^2" in caplog.text


def test_astropys_package_of_the_same_name_is_noticed(tmp_path, monkeypatch, capsys):
    with pytest.warns(UserWarning, match="pip uninstall regions relu-regions"):
        (tmp_path / "core").mkdir()
        (tmp_path / "core" / "core.py").touch()
        regions._warn_of_astropy(str(tmp_path))
    monkeypatch.setattr(regions, "__all__", ["SkyRegion"])
    assert main(["--version"]) == 2
    assert "Astropy's" in capsys.readouterr().err
