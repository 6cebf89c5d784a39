"""Whatever changes in a saved exploration, loading notices; without a digest, what cannot be is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import random_network
from test_mutations import mutations
from test_saved_files import rewrite

from regions.domain import Box, Slice
from regions.errors import InvalidInputError
from regions.exploration import Exploration, explore
from regions.network.npz_members import read_members


def around(name: str, seed: int = 3) -> Exploration:
    network = random_network(seed, (4, 5, 4, 2))
    center = np.random.default_rng(seed).uniform(-0.3, 0.3, 4)
    box = Box(np.full(4, -1.0), np.full(4, 1.0))
    match name:
        case "hops":
            return explore(network, center, box, max_cells=None, max_hops=2)
        case "distance":
            return explore(network, center, box, max_cells=None, radius=0.5)
        case "few":
            return explore(network, center, box, max_cells=5)
        case "free":
            return explore(network, center, max_cells=7)
        case "slice":
            plane = Slice.around(center, np.eye(4)[:2], 1.0, (-1, 1))
            return explore(network, center, plane, max_cells=None)
        case "at once":
            return explore(network, center, box, max_seconds=1e-6)
        case _:
            return explore(network, center, box, max_cells=None, max_hops=0)


NAMES = ("hops", "distance", "few", "free", "slice", "at once", "own cell")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.sweep(14)
def test_what_is_saved_is_loaded_with_and_without_digest(tmp_path: Path, name: str, seed: int) -> None:
    found, file = around(name, seed), tmp_path / "found.npz"
    found.save(file)
    assert Exploration.load(file).to_dict() == found.to_dict()
    rewrite(file, lambda arrays: None)  # as version 0.1 wrote it
    assert Exploration.load(file).to_dict() == found.to_dict()


@pytest.mark.sweep(3)
@pytest.mark.parametrize(
    "name", [name if name == "few" else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_the_digest_notices_every_change(tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    every = max(1, 3 // request.config.getoption("--times"))
    file = tmp_path / "found.npz"
    around(name).save(file)
    seen = 0
    for seen, (field, what, changed) in enumerate(mutations(read_members(file))):
        if (seen + NAMES.index(name)) % every:
            continue
        with file.open("wb") as stream:
            np.savez(stream, **changed)
        if field == "digest" and what == "missing":
            Exploration.load(file)  # taken for a file of version 0.1, and checked as such
            continue
        with pytest.raises(InvalidInputError):
            Exploration.load(file)
    assert seen > 200


def header(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(arrays: dict[str, Any]) -> None:
        fields = {**json.loads(str(arrays["header"])), **changes}
        arrays["header"] = np.array(json.dumps(fields))

    return change


def array(name: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays.__setitem__(name, change(arrays[name]))


IMPOSSIBLE: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a pattern listed twice": (array("patterns", lambda a: a[[0, *range(len(a) - 1)]]), "listed twice"),
    "bits beyond the last unit": (array("patterns", lambda a: a | np.array([0, 128], np.uint8)), "beyond"),
    "patterns exchanged": (array("patterns", lambda a: np.roll(a, 1, axis=0)), "one side of its unit"),
    "patterns too long": (array("patterns", lambda a: np.hstack([a, a])), "expected uint8 of shape"),
    "points of another type": (array("points", lambda a: a.astype(np.float32)), "expected float64"),
    "infinite points": (array("points", lambda a: a + np.inf), "infinite"),
    "one hop more": (array("hops", lambda a: a + 1), "hops"),
    "hops exchanged": (array("hops", lambda a: a[::-1].copy()), "hops"),
    "rows undecided": (array("undecided", lambda a: a + 1), "undecided"),
    "negative rows undecided": (array("undecided", lambda a: a - 1), "negative"),
    "a facet of no cell": (array("first", lambda a: a + 1000), "not there"),
    "facets turned round": (array("second", lambda a: np.zeros_like(a)), "not there"),
    "facets in another order": (array("first", lambda a: a[::-1].copy()), "not there|not in order"),
    "facets missing": (array("flat_units", lambda a: a[:-1]), "expected int64 of shape"),
    "facets of another unit": (array("flat_units", lambda a: (a + 1) % 9), "one side of its unit"),
    "facets of no unit": (array("flat_units", lambda a: a - 100), "not there"),
    "another center": (array("center", lambda a: a + 1e-3), "another point"),
    "another place": (array("at", lambda a: a - 1e-3), "another point"),
    "no number": (array("center", lambda a: a * np.nan), "not finite"),
    "fewer cells": (header(n_cells=3), "expected"),
    "a negative number": (header(rows=-1), "it counts"),
    "more exact rows than rows": (header(exact_rows=10**9), "it counts"),
    "negative hops": (header(max_hops=-1), "max_hops"),
    "no radius": (header(radius="far"), "radius"),
    "no time": (header(seconds=float("nan")), "seconds"),
    "another word": (header(stopped_by="rain"), "stopped_by"),
    "another arithmetic": (header(arithmetic="sure"), "arithmetic"),
    "free without reach": (header(free=True, reach=None), "reach"),
    "another domain": (header(domain={"kind": "box", "low": [-1.0], "high": [1.0]}), "dimension|expected"),
}


@pytest.mark.sweep(10)
@pytest.mark.parametrize("name", list(IMPOSSIBLE))
def test_what_cannot_be_is_refused_without_a_digest_too(tmp_path: Path, name: str) -> None:
    change, reason = IMPOSSIBLE[name]
    found, file = around("hops"), tmp_path / "found.npz"
    assert found.status.name == "COMPLETE" and found.n_frontier
    found.save(file)
    rewrite(file, change)
    with pytest.raises(InvalidInputError, match=f"as an exploration: .*({reason})"):
        Exploration.load(file)
