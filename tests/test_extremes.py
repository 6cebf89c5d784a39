"""Laws at the ends of what floats hold: domains without a representable volume, networks without units."""

from __future__ import annotations

import pytest

from regions import Box, Network, Slice, count_cells, enumerate_cells
from regions.errors import InvalidDomainError

CROSS = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
AFFINE = Network.from_arrays([[[1.0, 2.0]]], [[0.5]], [False])
ENGINES = ["planar", "cells", "lp"]


@pytest.mark.small
@pytest.mark.kernels
@pytest.mark.parametrize("engine", [*ENGINES, "auto", "both"])
def test_a_network_without_units_is_one_cell(engine: str) -> None:
    box = Box([-1.0, -1.0], [1.0, 1.0])
    assert count_cells(AFFINE, box, engine=engine).cells == 1
    cells = enumerate_cells(AFFINE, box, engine=engine)
    assert (cells.n_cells, len(cells.facets), cells.volume_sum) == (1, 4, 4.0)


@pytest.mark.small
@pytest.mark.kernels
@pytest.mark.parametrize("size", [1e-200, 1e-170, 1e-3, 1.0, 1e3, 1e160])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_count_does_not_depend_on_the_size_of_the_domain(engine: str, size: float) -> None:
    """The four quadrants; a volume that floats do not hold is left out, or refused where cells are listed."""
    box = Box([-size, -size], [size, size])
    count = count_cells(CROSS, box, engine=engine)
    held = 1e-300 < 4.0 * size * size < 1e300
    assert count.cells == 4 and count.certificate.proven
    assert count.volume_sum is None or held
    if held:
        assert enumerate_cells(CROSS, box, engine=engine).n_cells == 4
    else:
        with pytest.raises(InvalidDomainError, match="range of floats"):
            enumerate_cells(CROSS, box, engine=engine)
        assert enumerate_cells(CROSS, box, engine="lp", volumes=False).n_cells == 4


@pytest.mark.small
@pytest.mark.kernels
def test_a_tiny_slice_is_counted() -> None:
    plane = Slice.around([0.0, 0.0], ([1.0, 0.0], [0.0, 1.0]), 1e-170)
    assert count_cells(CROSS, plane).cells == 4
