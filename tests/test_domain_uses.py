"""Every kind of domain meets everything that takes domains: the table of docs/domains.md, bounded kinds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from regions import (
    Box,
    CellComplex,
    FrameBox,
    GaussianDensity,
    Network,
    Segment,
    Slice,
    UniformDensity,
    adjacency_graph,
    ball_cells,
    cell_masses,
    conditional,
    count_cells,
    count_regions,
    enumerate_cells,
    explore,
    locus_volume,
    restricted,
    sum_over_cells,
    verify,
    volume_enclosures,
)
from regions.domain import Domain
from regions.plotting import plot_graph

POINTS = np.random.default_rng(7).normal(size=(9, 10))


def network_of(n: int) -> Network:
    rng = np.random.default_rng(n)
    shapes = [(4, n), (3, 4), (2, 3)]
    return Network.from_arrays(
        [rng.normal(size=s) / np.sqrt(s[1]) for s in shapes], [0.4 * rng.normal(size=s[0]) for s in shapes]
    )


def ball(n: int, norm: float) -> Domain:
    return ball_cells(network_of(n), [0.1] * n, 0.8, norm=norm).complex.domain


KINDS: dict[str, Callable[[], Domain]] = {
    "fixed box": lambda: Box([-1.0, 0.25, -1.0, 0.5, 0.125], [1.0, 0.25, 1.0, 0.5, 0.125]),
    "frame box": lambda: FrameBox(np.full(5, 0.125), np.eye(5)[:, 1:3], [-1.0, -1.0], [1.0, 1.0]),
    "segment": lambda: Segment(POINTS[0], POINTS[1]),
    "ball of norm 1": lambda: ball(2, 1),
    "ball of norm inf": lambda: ball(3, np.inf),
    **{f"slice of {k}": partial(Slice.through, *POINTS[: k + 1], margin=0.0) for k in (1, 2, 3, 4, 6)},
}


@pytest.mark.sweep(3)
@pytest.mark.parametrize("kind", list(KINDS))
def test_what_takes_boxes_takes_all_kinds(kind: str, tmp_path: Path) -> None:
    domain = KINDS[kind]()
    network, d = network_of(domain.input_dim), domain.dimension
    cells = enumerate_cells(network, domain)
    assert cells.n_cells == count_cells(network, domain, engine="lp").cells > 1
    assert cells.volume_sum == pytest.approx(domain.volume, rel=1e-9)
    cells.save(tmp_path / "cells.regions")
    assert CellComplex.load(tmp_path / "cells.regions").domain == domain
    assert adjacency_graph(cells).number_of_edges() == cells.facets.interior.sum()
    plain = locus_volume(cells).total
    assert locus_volume(cells, UniformDensity(domain)).total == pytest.approx(plain / domain.volume, rel=1e-9)
    masses, _ = cell_masses(cells, UniformDensity(domain))
    np.testing.assert_allclose(masses, cells.volumes / domain.volume, rtol=1e-9)
    if d <= 3:
        assert verify(cells).ok
        open_cells, closed = (int(count_regions(cells, name)) for name in ("open", "closed"))
        assert closed <= open_cells <= cells.n_cells
        for volume, exact in zip(cells.volumes.tolist(), volume_enclosures(cells), strict=True):
            assert volume == pytest.approx(float(exact), rel=1e-9)
    if d <= 2:
        assert sum_over_cells(cells, eps=0.01).mass == pytest.approx(1.0, abs=1e-9)
        of_inputs = GaussianDensity(np.zeros(domain.input_dim), np.eye(domain.input_dim))
        for density in (conditional(of_inputs, domain), restricted(of_inputs, domain)):
            assert 0.0 < locus_volume(cells, density).total < np.inf
            assert cell_masses(cells, density)[0].sum() == pytest.approx(density.mass(domain)[0], rel=1e-6)
        center = domain.to_input(cells.witnesses[0])
        found = explore(network, center, domain, max_cells=None)
        assert (found.n_cells, found.status.name, len(found.first)) == (
            cells.n_cells,
            "COMPLETE",
            cells.facets.interior.sum(),
        )
        assert found.bounded.all() and plot_graph(cells).get_title() == ""
