"""The reference counts, exactly: cells that independent programs agree on.

All of them where ../shared/data is (or the environment variable REGIONS_REFERENCE_DATA
says it is); the small ones in tests/data always.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from regions.complexes import Completeness
from regions.domain import Box
from regions.enumeration.enumerate import count_cells, enumerate_cells
from regions.network.loaders import from_onnx
from regions.network.relu_network import Network

pytestmark = pytest.mark.kernels

HERE = Path(__file__).resolve().parent
SMALL: dict[str, tuple[int, int]] = {  # name: dimension of the box [-1, 1]^d, cells
    "d2_w16x2": (2, 333),
    "d3_w16x2": (3, 3259),
    "d4_w16x2": (4, 14615),
    "zerobias1": (2, 176),
    "dup": (2, 178),
    "concurrent": (2, 197),
    "onboxface": (2, 160),
    "dead": (2, 160),
}
FAST_WITHOUT_JIT = ("d2_w16x2", "zerobias1", "dup", "concurrent", "onboxface", "dead")
EXPECTED_GROUPS = {"boxes": 11, "acasxu": 12, "degenerate": 5}


def reference_folder() -> Path:
    named = os.environ.get("REGIONS_REFERENCE_DATA")
    return Path(named) if named else HERE.parent.parent / "shared" / "data"


def reference_entries() -> list[Any]:
    """One parameter per reference count; one that says why it is skipped where there are none."""
    path = reference_folder() / "counts.json"
    if not path.is_file():
        reason = f"no reference counts at {path}; set REGIONS_REFERENCE_DATA to their folder"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="absent")]
    counts = json.loads(path.read_text())
    entries = []
    for group, size in EXPECTED_GROUPS.items():
        if len(counts[group]) < size:
            raise ValueError(f"{path} lists {len(counts[group])} of the {size} counts of {group}")
        for number, entry in enumerate(counts[group]):
            name = f"{Path(entry['network']).stem}-{number}"
            entries.append(pytest.param(entry, id=name))
    return entries


@pytest.mark.sweep(14)
@pytest.mark.parametrize("entry", reference_entries())
def test_reference_counts_are_reproduced(entry: dict[str, Any]) -> None:
    path = reference_folder() / entry["network"]
    network = from_onnx(path) if path.suffix == ".onnx" else Network.load(path)
    box = Box(entry["low"], entry["high"])
    result = count_cells(network, box)
    assert (result.cells, result.status) == (entry["cells"], Completeness.COMPLETE)
    if box.dimension <= 2:  # beyond, the check costs several times the count
        assert result.volume_sum == pytest.approx(box.volume, rel=1e-9)


def small_case(name: str) -> tuple[Network, Box, int]:
    dimension, cells = SMALL[name]
    return Network.load(HERE / "data" / f"{name}.npz"), Box([-1] * dimension, [1] * dimension), cells


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.small) if n in FAST_WITHOUT_JIT else n for n in SMALL]
)
def test_stored_small_counts_are_reproduced(name: str) -> None:
    network, box, cells = small_case(name)
    assert count_cells(network, box).cells == cells


@pytest.mark.parametrize("name", list(SMALL))
def test_listing_finds_as_many_different_cells_as_counting(name: str) -> None:
    network, box, cells = small_case(name)
    listed = enumerate_cells(network, box)
    assert listed.n_cells == cells == len({row.tobytes() for row in listed.patterns})
    assert listed.volume_sum == pytest.approx(box.volume, rel=1e-9)
