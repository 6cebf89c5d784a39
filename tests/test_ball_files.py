"""Files of balls and of polylines: what was saved comes back, and what was changed does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_balls import NORMS, deep
from test_polylines import wide

from regions import BallCells, CellComplex, PolylineCells, ball_cells, polyline_cells
from regions.complexes.complex_files import read_words, write_entries
from regions.errors import CertificateError, InvalidInputError
from regions.network.npz_members import read_members


def assert_stale_digest_is_refused(file: Path, load: Callable[[Path], Any]) -> None:
    arrays = read_members(file)
    arrays["patterns"] = arrays["patterns"].copy()
    arrays["patterns"][0, 0] ^= 1
    with file.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    with pytest.raises(InvalidInputError, match="its digest is another"):
        load(file)


def assert_same(found: BallCells, expected: BallCells) -> None:
    """Everything is the same, but for the time that it took."""
    assert (found.radius, found.norm, found.squared_distances) == (
        expected.radius,
        expected.norm,
        expected.squared_distances,
    )
    for name in ("center", "cells"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))
    assert found.complex.domain == expected.complex.domain
    for name in ("patterns", "volumes", "centroids"):
        assert np.array_equal(getattr(found.complex, name), getattr(expected.complex, name))


@pytest.mark.parametrize("norm", NORMS)
def test_a_ball_in_a_file_is_the_ball_and_a_complex(norm: float, tmp_path: Path) -> None:
    found = ball_cells(deep(2), [0.1, 0.1], 0.8, norm=norm)
    found.save(tmp_path / "ball.regions")
    again = BallCells.load(tmp_path / "ball.regions")
    again.check()
    assert_same(again, found)
    assert np.array_equal(CellComplex.load(tmp_path / "ball.regions").volumes, found.complex.volumes)
    found.complex.save(tmp_path / "box.regions")
    with pytest.raises(InvalidInputError, match="not those of a ball"):
        BallCells.load(tmp_path / "box.regions")


def test_balls_that_cannot_be_are_not_read(tmp_path: Path) -> None:
    found, file = ball_cells(deep(2), [0.1, 0.1], 0.8), tmp_path / "ball.regions"
    squares = found.squared_distances
    for changes, says in (
        ({"radius": 0.9}, "not around that ball"),
        ({"center": np.array([0.1, 0.2])}, "not around that ball"),
        ({"norm": 1.0}, "not around that ball"),
        ({"norm": np.inf}, "not numbers of cells"),
        ({"cells": found.cells[::-1].copy()}, "not numbers of cells"),
        ({"cells": found.cells + 1000}, "not numbers of cells"),
        ({"cells": found.cells.astype(np.int32)}, "int32"),
        ({"squared_distances": squares[1:]}, "distances of"),
        ({"squared_distances": (*squares[1:], Fraction(16, 25) + 1)}, "farther away"),
        ({"squared_distances": ("1/0", *squares[1:])}, "ZeroDivisionError"),
    ):
        replace(found, **changes).save(file)
        with pytest.raises(InvalidInputError, match=says):
            BallCells.load(file)
    replace(found, squared_distances=(squares[0] / 2 + Fraction(1, 10), *squares[1:])).save(file)
    with pytest.raises(CertificateError, match="meet the ball"):
        BallCells.load(file).check()
    assert_stale_digest_is_refused(file, BallCells.load)


def assert_same_path(found: PolylineCells, expected: PolylineCells) -> None:
    assert found.stopped_by == expected.stopped_by and np.array_equal(found.points, expected.points)
    assert found.to_dict() == expected.to_dict()
    for one, other in zip(found.pieces, expected.pieces, strict=True):
        assert one.domain == other.domain
        assert one.to_dict() == {**other.to_dict(), "seconds": one.seconds}
        assert np.array_equal(one.patterns, other.patterns)
        for name, column in vars(one.facets).items():
            other_column = getattr(other.facets, name)
            assert column is other_column or np.array_equal(column, other_column, equal_nan=True)


def test_a_polyline_in_a_file_is_the_polyline(tmp_path: Path) -> None:
    network, points = wide()
    for limit in (None, 1, 20):
        found = polyline_cells(network, points, max_cells=limit)
        found.save(tmp_path / "path.regions")
        again = PolylineCells.load(tmp_path / "path.regions")
        assert_same_path(again, found)
        assert again.pieces[0].network.digest() == network.digest()
    with pytest.raises(InvalidInputError, match=r"PolylineCells\.load reads"):
        CellComplex.load(tmp_path / "path.regions")
    found.pieces[0].save(tmp_path / "piece.regions")
    with pytest.raises(InvalidInputError, match=r"CellComplex\.load reads"):
        PolylineCells.load(tmp_path / "piece.regions")
    with pytest.raises(InvalidInputError, match="no file"):
        PolylineCells.load(tmp_path / "none.regions")


def test_changed_files_of_polylines_are_not_read(tmp_path: Path) -> None:
    network, points = wide(4)
    found, file = polyline_cells(network, points), tmp_path / "path.regions"
    found.save(file)
    words, arrays = read_words(file), read_members(file)
    del words["digest"], arrays["header"]

    def assert_refused(says: str, words: dict[str, Any] = words, **changed: np.ndarray) -> None:
        write_entries(file, words, arrays | changed, "cells along a polyline")
        with pytest.raises(InvalidInputError, match=says):
            PolylineCells.load(file)

    counts = arrays["piece_cells"]
    assert_refused("together", piece_cells=counts + 1)
    assert_refused("one for each piece", piece_cells=counts[:-1])
    assert_refused("piece 0", patterns=255 - arrays["patterns"])
    assert_refused("piece 0", volumes=2.0 * arrays["volumes"])
    assert_refused("for .* pieces", points=points[:-1])
    assert_refused("its points are", points=points.astype(np.float32))
    assert_refused("stopped by", {**words, "stopped_by": "max_cells"})
    assert_refused("format", {**words, "format": "regions polyline 7"})
    for name in arrays:
        content = {key: array for key, array in arrays.items() if key != name}
        write_entries(file, words, content, "cells along a polyline")
        with pytest.raises(InvalidInputError):
            PolylineCells.load(file)
    found.save(file)
    assert_stale_digest_is_refused(file, PolylineCells.load)


def test_the_command_line_keeps_and_verifies_polylines(run, tmp_path: Path) -> None:
    network, points = wide(4)
    network.save(tmp_path / "net.npz")
    np.save(tmp_path / "data.npy", points)
    file, path = tmp_path / "path.regions", polyline_cells(network, points)
    words = ["enumerate", tmp_path / "net.npz", "--polyline", tmp_path / "data.npy"]
    code, out, _ = run(*words, "-o", file, "--json")
    assert code == 0 and json.loads(out)["file"] == str(file)
    assert_same_path(PolylineCells.load(file), path)
    code, out, _ = run("verify", file)
    assert code == 0 and f"verified: {len(path.pieces)} pieces" in out and "no cell is missing" in out
    code, out, _ = run("verify", file, "--json")
    assert code == 0 and json.loads(out)["cells"] == path.counts.sum()
    found = [json.loads(run("locus", f"{file}:{k}", "--json")[1])["total"] for k in range(len(path.pieces))]
    assert found == [float((jumps > 0.0).sum()) for jumps in path.jumps]
    for words_of_piece in (
        ["verify"],
        ["graph", "-o", tmp_path / "g.csv"],
        ["plot", "-o", tmp_path / "p.png"],
    ):
        assert run(words_of_piece[0], f"{file}:1", *words_of_piece[1:])[0] == 0
    for wrong, says in (
        (["locus", f"{file}:99"], "has the pieces 0 to 5"),
        (["locus", f"{file}:x"], "no such file"),
        ([*words, "--folder", tmp_path / "folder"], "--output FILE"),
        (["locus", file], "PolylineCells.load reads"),
        (["verify", file, "--independent"], "polyline"),
    ):
        code, out, err = run(*wrong)
        assert (code, out) == (2, "") and says in err and err.count("\n") == 1
    part = replace(path, pieces=path.pieces[:-1], stopped_by="max_cells")
    part.save(file)
    assert "not proven: that no cell is missing" in run("verify", file)[1]
