"""Laws of `regions info`: it says what the network has, and its number of cells is that of the count."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from regions import Box, CellEstimate, Network, count_cells
from regions.cli import main
from regions.cli.session import watched


@pytest.fixture
def facts(tmp_path, capsys):
    def ask(network: Network, *words: str) -> Any:
        network.save(tmp_path / "net.npz")
        assert main(["info", str(tmp_path / "net.npz"), *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def test_layers_units_and_parameters_are_those_of_the_arrays(facts) -> None:
    first, second = np.array([[1.0, 0.0], [2.0, 3.0], [0.0, 0.0]]), np.array([[1.0, 0.0, 4.0]])
    found = facts(Network.from_arrays([first, second], [[0.0, 1.0, 0.0], [5.0]]))
    assert (found["inputs"], found["outputs"], found["units"], found["parameters"]) == (2, 1, 3, 5 + 2)
    assert [layer["shape"] for layer in found["layers"]] == [[3, 2], [1, 3]]
    assert [layer["units"] for layer in found["layers"]] == ["3 ReLUs", "none"]
    assert found["unsupported"] == [] and "on_domain" not in found


def test_max_units_are_named_with_what_refuses_them(facts) -> None:
    rows = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    maxout = Network.from_arrays([rows, [[1.0] * 3]], [[0.0] * 3, [0.0]], maxima=[3, None])
    found = facts(maxout)
    assert found["layers"][0]["units"] == "1 max units of 3 to 3 rows"
    assert "inequalities" in found["unsupported"]


def test_a_small_network_on_a_box_is_counted_to_the_end(facts, capsys, tmp_path) -> None:
    rng = np.random.default_rng(3)
    network = Network.from_arrays([rng.normal(size=(6, 2)), rng.normal(size=(1, 6))], [np.zeros(6), [0.0]])
    found = facts(network, "--box", "-1", "1")["on_domain"]
    cells = count_cells(network, Box([-1.0, -1.0], [1.0, 1.0])).cells
    assert found["cells"] == {"estimate": cells, "interval": [cells, cells], "exact": True, "probes": 0}
    assert found["count"].startswith("planar") and found["list"].startswith("planar")
    assert main(["info", str(tmp_path / "net.npz"), "--box", "-1", "1"]) == 0
    assert f"{cells} (all counted)" in capsys.readouterr().out


def test_a_progress_bar_shows_the_part_of_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regions.cli.session._QUIET_SECONDS", -1.0)
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    with watched("counting", estimate=lambda: CellEstimate(400.0, 300.0, 500.0, 9)) as bar:
        end = time.monotonic() + 10.0
        while not bar._expected and time.monotonic() < end:
            bar(100, 0.9)
            time.sleep(0.01)
        bar(100, 0.9)
        (task,) = bar._bar.tasks
        assert (task.completed, task.fields["done"]) == (0.25, "100 of about 400")
        assert "cells/s, " in task.fields["pace"] and task.fields["pace"].endswith(" left")
        bar(500, 0.95)  # more than were expected
        assert (task.completed, task.fields["done"]) == (0.95, "500")
