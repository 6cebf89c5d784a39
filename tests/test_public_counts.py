"""Counts that others published or confirmed, of networks of public repositories, where these are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_reference_counts import reference_folder

from regions import Box, Network, count_cells, load_network

pytestmark = pytest.mark.kernels

PUBLIC, ZOO = reference_folder() / "public", reference_folder() / "zoo"


def published() -> list[Any]:
    """One parameter per published count, of the networks whose files are there."""
    path = PUBLIC / "counts.json"
    if not path.is_file():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no counts at {path}"), id="absent")]
    entries = json.loads(path.read_text())
    assert len(entries) >= 9
    return [pytest.param(one, id=f"{Path(one['network']).stem}-{k}") for k, one in enumerate(entries)]


@pytest.mark.parametrize("entry", published())
def test_published_counts_are_found(entry: Any) -> None:
    network = Network.load(PUBLIC / entry["network"])
    found = count_cells(network, Box(entry["low"], entry["high"]))
    assert (found.cells, found.status.name) == (entry["cells"], "COMPLETE")


@pytest.mark.parametrize(
    ("name", "half_width", "cells"),
    [
        ("bunny_2_4x32", 0.5, 1224),
        ("bunny_2_4x32", 1.0, 2007),
        ("bunny_2_2x100", 0.5, 3085),
        ("bunny_2_2x100", 1.0, 6858),
    ],
)
def test_the_zero_set_of_a_distance_cuts_cells_as_in_the_other_code(
    name: str, half_width: float, cells: int
) -> None:
    if not (PUBLIC / f"{name}.npz").is_file():
        pytest.skip("the public networks are not there")
    network = Network.load(PUBLIC / f"{name}.npz")
    with_output = Network(network.weights, network.biases, (*network.relu[:-1], True))
    assert count_cells(with_output, Box([-half_width] * 2, [half_width] * 2)).cells == cells


@pytest.mark.parametrize(
    ("name", "half_width", "cells"),
    [
        pytest.param("tll_8", 2.0, 433, marks=pytest.mark.slow),
        ("rl_cartpole", 0.2, 2096),
        ("rl_lunarlander", 0.02, 534),
    ],
)
def test_counts_that_were_confirmed_elsewhere_are_found_by_both_engines(
    name: str, half_width: float, cells: int
) -> None:
    pytest.importorskip("onnx", reason="needs onnx")
    if not (ZOO / f"{name}.onnx").is_file():
        pytest.skip("the real model files are not there")
    network = load_network(ZOO / f"{name}.onnx")
    d = network.input_dim
    assert count_cells(network, Box([-half_width] * d, [half_width] * d), engine="both").cells == cells
