"""Laws of complex files: what was saved comes back bit for bit, and damage never passes unnoticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import random_case

from regions.complexes import CellComplex, Completeness
from regions.domain import Box, Domain, Polytope, Segment, Slice
from regions.enumeration.enumerate import enumerate_cells
from regions.errors import InvalidInputError
from regions.network.relu_network import Network


def named_network(inputs: int, widths: tuple[int, ...], relu_at_end: bool = False) -> Network:
    case = random_case(inputs, widths, seed=5)
    relu = [*case.relu[:-1], relu_at_end]
    return Network.from_arrays(case.weights, case.biases, relu, name="random, ü")


def cut_box() -> Polytope:
    corner = np.array([[1.0, 1.0, 1.0]])
    return Polytope(np.vstack([np.eye(3), -np.eye(3), corner]), np.array([1.0] * 6 + [1.25]))


CASES: dict[str, tuple[tuple[int, tuple[int, ...]], Callable[[], Domain], dict[str, Any]]] = {
    "segment": ((4, (6, 5)), lambda: Segment([-1.0, 0.1, 0.3, -2.0], [1.0, 0.0, 0.7, 2.0]), {}),
    "box d=2": ((2, (6, 5)), lambda: Box([-1.0, -0.1], [1.0, 0.3]), {}),
    "box d=2, cells": ((2, (6, 5)), lambda: Box([-1.0, -0.1], [1.0, 0.3]), {"engine": "cells"}),
    "clipped slice": ((4, (6, 5)), lambda: Slice.around(np.zeros(4), np.eye(4)[:2], 3, (-1, 1)), {}),
    "truncated": ((2, (6, 5)), lambda: Box([-1.0, -0.1], [1.0, 0.3]), {"max_cells": 5}),
    "box d=3": ((3, (5, 3)), lambda: Box([-1.0] * 3, [1.0] * 3), {}),
    "polytope": ((3, (4, 2)), cut_box, {}),
    "no unit cuts": ((2, ()), lambda: Box([0.1, 0.2], [0.3, 0.4]), {}),
}


def made(name: str, **options: Any) -> CellComplex:
    (inputs, widths), domain, more = CASES[name]
    return enumerate_cells(named_network(inputs, widths, **options), domain(), **more)


def assert_same_bits(mine: CellComplex, theirs: CellComplex) -> None:
    assert mine.network == theirs.network and mine.network.name == theirs.network.name
    assert mine.domain == theirs.domain
    for part, other in ((mine, theirs), (mine.facets, theirs.facets)):
        for field in fields(part):
            value, again = getattr(part, field.name), getattr(other, field.name)
            if isinstance(value, np.ndarray):
                assert (value.dtype, value.shape) == (again.dtype, again.shape), field.name
                assert value.tobytes() == again.tobytes(), field.name
                assert not again.flags.writeable
            elif field.name not in ("network", "domain", "facets"):
                assert value == again, field.name


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("relu_at_end", [False, True])
def test_loading_gives_back_what_was_saved_bit_for_bit(tmp_path: Path, name: str, relu_at_end: bool) -> None:
    cells = made(name, relu_at_end=relu_at_end)
    cells.save(tmp_path / "a file.regions")
    again = CellComplex.load(tmp_path / "a file.regions")
    assert_same_bits(cells, again)
    assert again.status is cells.status and isinstance(again.status, Completeness)
    for i in (0, again.n_cells - 1):
        assert again.vertices(i).tobytes() == cells.vertices(i).tobytes()
    for mine, theirs in zip(cells.facet_simplices(), again.facet_simplices(), strict=True):
        assert mine.tobytes() == theirs.tobytes()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[CellComplex, Path]:
    cells = made("box d=2")
    path = tmp_path_factory.mktemp("complexes") / "good.regions"
    cells.save(path)
    return cells, path


def refused_or_identical(content: bytes, path: Path, cells: CellComplex) -> None:
    path.write_bytes(content)
    try:
        again = CellComplex.load(path)
    except InvalidInputError as error:
        assert str(path) in str(error)
        return
    assert_same_bits(cells, again)


@given(position=st.floats(0.0, 1.0, exclude_max=True), mask=st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_nothing(
    saved: tuple[CellComplex, Path], position: float, mask: int
) -> None:
    cells, good = saved
    content = bytearray(good.read_bytes())
    content[int(position * len(content))] ^= mask
    refused_or_identical(bytes(content), good.with_name("changed.regions"), cells)


@pytest.mark.slow
def test_no_changed_byte_of_the_directory_passes_unnoticed(saved: tuple[CellComplex, Path]) -> None:
    """The names and sizes of the entries have no checksum, so all of those bytes are tried."""
    cells, good = saved
    content = good.read_bytes()
    for position in range(content.index(b"PK\x01\x02"), len(content)):
        changed = bytearray(content)
        changed[position] ^= (0x01, 0xFF)[position % 2]
        refused_or_identical(bytes(changed), good.with_name("changed.regions"), cells)


@given(part=st.floats(0.0, 1.0, exclude_max=True))
def test_a_cut_off_file_is_refused(saved: tuple[CellComplex, Path], part: float) -> None:
    _, good = saved
    content = good.read_bytes()
    short = good.with_name("short.regions")
    short.write_bytes(content[: int(part * len(content))])
    with pytest.raises(InvalidInputError, match=r"short\.regions"):
        CellComplex.load(short)


def test_files_of_another_kind_are_refused(tmp_path: Path, saved: tuple[CellComplex, Path]) -> None:
    cells, _ = saved
    cells.network.save(tmp_path / "network.npz")
    np.savez(tmp_path / "empty.npz")
    np.savez(tmp_path / "pickled.npz", header=np.array([{}], dtype=object))
    np.savez(tmp_path / "format.npz", header=np.array(json.dumps({"format": "regions cell complex 0"})))
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "text.txt").write_text("cells")
    (tmp_path / "nothing").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(InvalidInputError, match=path.name):
            CellComplex.load(path)
    with pytest.raises(InvalidInputError, match="no file"):
        CellComplex.load(tmp_path / "absent.regions")


WRONG_ARRAYS: dict[str, Callable[[Any], Any]] = {
    "volumes": lambda a: a[:-1],
    "centroids": lambda a: a[:, :1],
    "patterns": lambda a: a.astype(np.int64),
    "n_facets": lambda a: a[None],
    "rings": lambda a: a[:-1],
    "facet_cell_a": lambda a: a + len(a),
    "facet_cell_b": lambda a: a - 2,
    "facet_layer": lambda a: a + 5,
    "facet_unit": lambda a: a + 6,
    "facet_side": lambda a: a + 4,
    "facet_place": lambda a: a - 1,
    "facet_jump": lambda a: a.astype(np.float32),
    "W0": lambda a: a * np.nan,
    "b1": lambda a: a[:-1],
    "header": lambda a: np.array(str(a).replace('"planar"', '"elsewhere"', 1).replace("COMPLETE", "DONE")),
}


@pytest.mark.parametrize("name", list(WRONG_ARRAYS))
def test_arrays_that_do_not_fit_are_refused(
    saved: tuple[CellComplex, Path], tmp_path: Path, name: str
) -> None:
    with np.load(saved[1]) as stored:
        arrays = {key: stored[key] for key in stored.files}
    np.savez(tmp_path / "wrong.npz", **{**arrays, name: WRONG_ARRAYS[name](arrays[name])})
    with pytest.raises(InvalidInputError, match=r"wrong\.npz"):
        CellComplex.load(tmp_path / "wrong.npz")
    np.savez(tmp_path / "lacks.npz", **{key: array for key, array in arrays.items() if key != name})
    with pytest.raises(InvalidInputError, match=r"lacks\.npz"):
        CellComplex.load(tmp_path / "lacks.npz")


def test_a_place_that_cannot_be_written_is_refused(saved: tuple[CellComplex, Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot write"):
        saved[0].save(tmp_path / "no" / "folder.regions")
