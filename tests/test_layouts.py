"""Laws of the memory that kernels read: layouts, views, steps, and what is kept of compiled kernels."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import config, njit

import regions
from regions.kernels.memory.bits import popcount, scale_of, trailing_zeros
from regions.kernels.memory.compiling import kernels_digest
from regions.kernels.memory.layout_types import type_of
from regions.kernels.memory.layouts import Layout, floats, ints, records, words
from regions.kernels.memory.program_layout import PROGRAM_SEARCH
from regions.kernels.memory.vertex_layout import NETWORK, VERTEX_SEARCH

DEMO = Layout(
    "Demo",
    counters={"count": "a counter"},
    numbers={"total": "a number"},
    arrays={
        "points": floats("d, n", "coordinates"),
        "units": ints("n", "numbers"),
        "bits": words("n", "sets"),
        "nodes": records("n", ["layer", "depth"], "records"),
    },
)


def memory():
    return DEMO.make(
        {
            "points": np.arange(6.0).reshape(2, 3),
            "units": np.array([3, 1, 2]),
            "nodes": np.zeros(3, DEMO.arrays["nodes"].dtype),
        }
    )


@njit
def write_everywhere(search, k):
    row = search.points[1]
    part = row[1:3]
    part[0] = 10.0
    search.points[0, k] += search.flat_points[5]
    node = search.nodes[k]
    node.layer += 4
    node.depth = search.units[0]
    search.nodes[0] = search.nodes[k]
    search.count += part.shape[0]
    search.total = search.total + row[1]
    return search.points.shape[0] * 10 + search.points.shape[1]


@pytest.mark.small
@pytest.mark.kernels
def test_kernels_and_python_read_and_write_one_memory() -> None:
    made = memory()
    assert write_everywhere(made, 2) == 23
    assert made.points.tolist() == [[0.0, 1.0, 7.0], [3.0, 10.0, 5.0]]
    assert [(node.layer, node.depth) for node in made.nodes] == [(4, 3), (0, 0), (4, 3)]
    assert (made.count, made.total) == (2, 10.0)
    made.clear()
    assert (made.count, made.total) == (0, 0.0)
    assert made.bits.shape == (0,)


@njit
def operate(word, x):
    return popcount(word), trailing_zeros(word), scale_of(x)


@pytest.mark.small
@pytest.mark.kernels
@pytest.mark.parametrize("x", [1.0, 0.5, 0.75, 1.5, 3e-308, 5e-324, 1e300, 2.0**-900, 2.0**901, 1e-200])
def test_machine_operations_are_what_python_computes(x: float) -> None:
    word = np.uint64(0b1011000)
    scale = math.ldexp(1.0, -max(-900, min(900, math.frexp(x)[1])))
    assert operate(word, x) == (3, 3, scale)


@pytest.mark.skipif(not config.BOUNDSCHECK, reason="needs NUMBA_BOUNDSCHECK=1")
@pytest.mark.kernels
def test_indices_out_of_bounds_are_errors_where_they_are_checked() -> None:
    with pytest.raises(IndexError):
        write_everywhere(memory(), 3)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("points", np.zeros((2, 3), np.float32)),
        ("points", np.zeros(3)),
        ("points", np.zeros((3, 2)).T),
        ("units", np.zeros(3)),
        ("absent", np.zeros(3)),
    ],
)
def test_an_array_that_is_not_what_was_declared_is_refused(name: str, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=name):
        memory().use({name: array})


def test_a_layout_is_declared_once_and_its_names_are_distinct() -> None:
    with pytest.raises(ValueError, match="declared already"):
        Layout("Demo", {}, {}, {})
    with pytest.raises(ValueError, match="taken"):
        Layout("Twice", {"a": ""}, {"a": ""}, {})


@pytest.mark.parametrize("layout", [DEMO, NETWORK, VERTEX_SEARCH, PROGRAM_SEARCH], ids=lambda one: one.name)
def test_everything_declared_says_what_it_means(layout: Layout) -> None:
    assert all(array.meaning and all(array.axes) for array in layout.arrays.values())
    assert all({**layout.counters, **layout.numbers}.values())
    assert pickle.loads(pickle.dumps(type_of(layout))) is type_of(layout)


def test_kept_signatures_of_layouts_unknown_here_can_be_read() -> None:
    """Two engines share kernels, and a process that uses one of them has not declared the other's layout."""
    code = (
        "import pickle, sys; from regions.kernels.memory.layout_types import type_of;"
        "found = pickle.loads(bytes.fromhex(sys.argv[1])); "
        "from regions.kernels.memory.vertex_layout import NETWORK; assert found != type_of(NETWORK)"
    )
    stored = pickle.dumps(type_of(DEMO)).hex()
    subprocess.run([sys.executable, "-c", code, stored], check=True)


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
def test_a_change_of_any_kernel_file_changes_what_is_kept(tmp_path: Path) -> None:
    """The code of a step holds that of other files, whose changes numba's cache does not see."""
    package = Path(regions.__file__).parent
    copy = tmp_path / "regions"
    subprocess.run(["cp", "-r", str(package), str(copy)], check=True)
    code = "from regions.kernels.memory.compiling import kernels_digest; print(kernels_digest())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def digest() -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    assert digest() == kernels_digest()
    with (copy / "kernels" / "volumes" / "determinants.py").open("a") as stream:
        stream.write("\n")
    assert digest() != kernels_digest()
