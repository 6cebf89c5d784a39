"""Laws of polylines: pieces are segments, breakpoints are where patterns change, corners add nothing."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from regions import Network, Segment, count_cells, polyline_cells
from regions.errors import InvalidDomainError


def wide(n: int = 64, seed: int = 0) -> tuple[Network, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = [(12, n), (8, 12), (3, 8)]
    network = Network.from_arrays(
        [rng.normal(size=s) / math.sqrt(s[1]) for s in shapes], [0.2 * rng.normal(size=s[0]) for s in shapes]
    )
    return network, 2.0 * rng.normal(size=(7, n))


def test_pieces_have_the_cells_of_their_segments() -> None:
    network, points = wide()
    path = polyline_cells(network, points)
    assert path.complete and path.stopped_by == ""
    segments = [Segment(a, b) for a, b in pairwise(points)]
    assert path.counts.tolist() == [count_cells(network, segment).cells for segment in segments]
    assert path.counts.max() > 3
    for segment, breaks, jumps, patterns in zip(
        segments, path.breakpoints, path.jumps, path.patterns, strict=True
    ):
        assert len(breaks) == len(jumps) == len(patterns) - 1 and (np.diff(breaks) > 0.0).all()
        ends = np.concatenate([[0.0], breaks, [segment.volume]])
        middles = (ends[:-1] + ends[1:]) / 2
        seen = network.activation_pattern(segment.to_input(middles[:, None]))
        assert np.array_equal(np.packbits(seen, axis=1, bitorder="little"), patterns)
        # the slope along the segment changes by the jump
        for at, jump in zip(breaks, jumps, strict=True):
            k = int(np.searchsorted(breaks, at))
            maps = [network.affine_map(seen[i])[0] @ segment.basis for i in (k, k + 1)]
            assert np.linalg.norm(maps[1] - maps[0]) == pytest.approx(jump, rel=1e-6, abs=1e-12)


def test_points_between_add_no_cells() -> None:
    network, points = wide(seed=1)
    path = polyline_cells(network, points)
    middles = (points[:-1] + points[1:]) / 2
    finer = np.empty((2 * len(points) - 1, points.shape[1]))
    finer[::2], finer[1::2] = points, middles
    refined = polyline_cells(network, finer)
    assert (refined.visits, refined.distinct) == (path.visits, path.distinct)
    assert sum(map(len, refined.breakpoints)) == sum(map(len, path.breakpoints))
    back = polyline_cells(network, points[::-1])
    assert back.counts.tolist() == path.counts[::-1].tolist() and back.visits == path.visits


def test_there_and_back_again() -> None:
    network, points = wide(seed=2)
    there = polyline_cells(network, points[:2])
    loop = polyline_cells(network, points[[0, 1, 0]])
    assert loop.distinct == there.distinct and loop.visits == 2 * there.visits - 1


def test_limits_hold_for_all_pieces_together() -> None:
    network, points = wide(seed=3)
    whole = polyline_cells(network, points)
    part = polyline_cells(network, points, max_cells=int(whole.counts[0]) + 1)
    assert not part.complete and part.counts.sum() == whole.counts[0] + 1
    assert len(part.pieces) == 2 and part.to_dict()["status"] == "TRUNCATED"
    assert polyline_cells(network, points, max_cells=int(whole.counts.sum())).complete
    first = polyline_cells(network, points, max_cells=int(whole.counts[0]))
    assert (first.complete, first.stopped_by, len(first.pieces)) == (False, "max_cells", 1)
    assert not polyline_cells(network, points, max_seconds=1e-9).complete


def test_what_is_no_polyline_is_refused() -> None:
    network, points = wide()
    with pytest.raises(InvalidDomainError, match="piece 1 of the polyline"):
        polyline_cells(network, points[[0, 1, 1]])
    for wrong in (points[:1], points[0]):
        with pytest.raises(InvalidDomainError, match="a polyline needs"):
            polyline_cells(network, wrong)
    with pytest.raises(InvalidDomainError, match="input dimensions"):
        polyline_cells(network, points[:, :5])


def test_the_command_line_counts_along_polylines(run, tmp_path: Path) -> None:
    network, points = wide()
    network.save(tmp_path / "net.npz")
    np.save(tmp_path / "data.npy", points)
    words = ["count", tmp_path / "net.npz", "--polyline", tmp_path / "data.npy"]
    code, out, _ = run(*words, "--json")
    path = polyline_cells(network, points)
    found = json.loads(out)
    assert (code, found["counts"], found["visits"]) == (0, path.counts.tolist(), path.visits)
    code, out, _ = run(*words)
    rows = [line.split() for line in out.splitlines() if line[:1].isdigit()]
    assert code == 0 and [int(row[2]) for row in rows] == path.counts.tolist()
    code, _, err = run(*words, "--box", "-1", "1")
    assert code == 2 and "without another domain" in err
