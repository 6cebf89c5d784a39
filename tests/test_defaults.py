"""Law of defaults: a command without options asks the library for what the library does without arguments."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from regions import Box, Network, Run, count_cells, enumerate_cells
from regions.validation.local_complexity import ValidationSettings

BOX = ["--box", "-1", "1"]
FOLDER = "regions.analysis."
# what a command asks for otherwise, and why that is no other default
MEANT = {
    "progress": "a terminal sees it",
    "report": "a terminal sees it",
    "rng": "a seed stands for it",
    "steps": "are in the names of the files",
    "name": "of the estimator that was named",
    "problems": "all of them, as without",
    "allow_truncated": "is answered by 'at least'",
    "strict": "is answered by an exit code",
}
CASES: dict[str, tuple[str, str, list[str]]] = {
    "count": ("regions.enumeration.enumerate", "count_cells", ["count", "NET", *BOX]),
    "enumerate": (
        "regions.enumeration.enumerate",
        "enumerate_cells",
        ["enumerate", "NET", *BOX, "-o", "e.regions"],
    ),
    "regions": (
        "regions.enumeration.enumerate",
        "enumerate_cells",
        ["count", "NET", *BOX, "--definition", "affine"],
    ),
    "ball": (FOLDER + "ball_cells", "ball_cells", ["count", "NET", "--ball", "POINT", "--radius", "1"]),
    "polyline": (FOLDER + "polylines", "polyline_cells", ["count", "NET", "--polyline", "POINTS"]),
    "plane": ("regions.domain", "Slice.through", ["count", "NET", "--slice", "POINT", "OTHER"]),
    "locus": (FOLDER + "locus", "locus_volume", ["locus", "CELLS"]),
    "graph": (FOLDER + "graph", "export_graph", ["graph", "CELLS", "-o", "g.json"]),
    "verify": (FOLDER + "verification", "verify", ["verify", "CELLS"]),
    "independent": (FOLDER + "independent", "prove", ["verify", "CELLS", "--independent"]),
    "property": (FOLDER + "properties", "check_property", ["property", "NET", "SPEC"]),
    "mesh": (FOLDER + "boundaries", "decision_boundary", ["mesh", "SPACE", *BOX, "-o", "m.ply"]),
    "difference": (FOLDER + "differences", "compare_networks", ["difference", "NET", "NET", *BOX]),
    "explore": ("regions.exploration", "explore", ["explore", "NET", "--center", "POINT"]),
    "perturbation": (
        "regions.exploration",
        "minimal_perturbation",
        ["explore", "NET", "--center", "POINT", "--perturbation", "2"],
    ),
    "validate": (
        "regions.validation.local_complexity",
        "validate",
        ["validate", "NET", *BOX, "--sigma", "0.1"],
    ),
    "compare": ("regions.validation.comparison", "compare_estimators", ["compare", "NET", *BOX]),
    "inequalities": (
        "regions.validation.inequalities",
        "check_inequalities",
        ["inequalities", "NET", *BOX, "--sigma", "0.1"],
    ),
    "benchmark": ("regions.validation.benchmark", "score_estimator", ["benchmark", "coarea"]),
    "plot": ("regions.plotting", "plot_cells", ["plot", "CELLS", "-o", "p.png"]),
    "page": ("regions.plotting", "interactive_figure", ["plot", "CELLS", "-o", "p.html"]),
    "cut": ("regions.plotting", "plot_space", ["plot", "SOLID", "-o", "p.png", "--cut", "2=0.5"]),
    "animate": ("regions.plotting", "animate_cells", ["animate", "NET", "NET", *BOX, "-o", "a.gif"]),
    "info": ("regions.runs", "estimate_cells", ["info", "NET", *BOX]),
    "run": ("regions.runs", "Run.create", ["run", "create", "NET", *BOX, "-o", "run"]),
    "work": ("regions.runs", "Run.work", ["run", "work", "RUN"]),
    "status": ("regions.runs", "Run.status", ["run", "status", "RUN"]),
    "join": ("regions.enumeration", "join_listing", ["join", "folder"]),
    "warmup": ("regions.enumeration.compile_ahead", "warm_up", ["warmup"]),
}


class Asked(Exception):
    """The library was asked for something; it need not do it."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the words in capitals stand for."""
    folder = tmp_path_factory.mktemp("defaults")
    paths = {name: str(folder / file) for name, file in FILES.items()}
    net = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    space = Network.from_arrays([np.eye(3), [[1.0, 1.0, 1.0]]], [[0.0, 0.0, 0.0], [0.0]])
    net.save(paths["NET"])
    space.save(paths["SPACE"])
    enumerate_cells(net, Box([-1, -1], [1, 1])).save(paths["CELLS"])
    enumerate_cells(space, Box([-1] * 3, [1] * 3)).save(paths["SOLID"])
    Run.create(paths["RUN"], net, Box([-1, -1], [1, 1]))
    np.save(paths["POINT"], [0.3, 0.4])
    np.save(paths["OTHER"], [-0.3, 0.5])
    np.save(paths["POINTS"], [[0.3, 0.4], [-0.3, 0.5]])
    declared = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0"))
    sides = "".join(f"(assert (>= X_{k} -1.0))\n(assert (<= X_{k} 1.0))\n" for k in range(2))
    (folder / FILES["SPEC"]).write_text(f"{declared}{sides}(assert (>= Y_0 9.0))\n")
    return paths


FILES = {
    "NET": "net.npz",
    "SPACE": "space.npz",
    "CELLS": "c.regions",
    "SOLID": "s.regions",
    "RUN": "run",
    "POINT": "x.npy",
    "OTHER": "y.npy",
    "POINTS": "xy.npy",
    "SPEC": "p.vnnlib",
}


@pytest.mark.parametrize("name", CASES)
def test_a_command_without_options_asks_for_the_defaults(run, monkeypatch, tmp_path, files, name):
    module, function, words = CASES[name]
    owner, _, attribute = function.rpartition(".")
    place: Any = importlib.import_module(module)
    place = getattr(place, owner) if owner else place
    original = getattr(place, attribute)  # of a class bound, of an instance not
    asked: list[inspect.BoundArguments] = []

    def ask(*given: Any, **named: Any) -> Any:
        asked.append(inspect.signature(original).bind(*given, **named))
        raise Asked

    classwide = isinstance(inspect.getattr_static(place, attribute), classmethod)
    monkeypatch.setattr(place, attribute, staticmethod(ask) if classwide else ask)
    if name == "perturbation":
        monkeypatch.setattr(place, "explore", lambda *_, **__: SimpleNamespace(stopped_by=""))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Asked):
        run(*[files.get(word, word) for word in words])
    for argument, value, default in options_of(original, asked[0]):
        if argument not in MEANT and f"--{argument}" not in words:
            assert value == default, f"{argument} is {value!r}, without it {default!r}"


def options_of(function: Any, asked: inspect.BoundArguments) -> Iterator[tuple[str, Any, Any]]:
    """Give each optional argument of a call with its value and what it is by default."""
    for one in asked.signature.parameters.values():
        if one.kind is one.VAR_KEYWORD:
            for argument, value in asked.arguments.get(one.name, {}).items():
                default = documented(function, argument)
                if default is not one.empty:
                    yield argument, value, default
        elif one.default is not one.empty and one.name in asked.arguments:
            yield one.name, asked.arguments[one.name], one.default


def documented(function: Any, argument: str) -> Any:
    """Return the default that the documentation of a keyword names; empty for what has to be given.

    What it does not name is None, a limit or a choice that is left to the library, or that of `count_cells`.
    """
    entry = re.search(rf"^(?:\w+, )*{argument}(?:, \w+)* : (.*(?:\n +.*)*)", inspect.getdoc(function), re.M)
    said = entry[1] if entry else ""
    if found := re.search(r'"(\w+)" \(default\)', said):
        return found[1]
    if found := re.search(r"\bdefault (\d+)( alone)?", said):
        return [int(found[1])] if found[2] else int(found[1])
    common = inspect.signature(count_cells).parameters
    if argument in common:
        return common[argument].default
    return inspect.Parameter.empty if argument in ValidationSettings.__required_keys__ else None


def test_engines_in_the_help_are_those_of_the_library(run):
    shown = " ".join(run("count", "--help")[1].split())
    entry = re.search(r"^engine : (.*)$", inspect.getdoc(count_cells), re.MULTILINE)
    names = re.findall(r'"(\w+)"', entry[1])
    assert len(names) == 5
    for name in names:
        assert re.search(rf"\b{name}\b", shown.partition("--engine")[2][:300]), name
