"""Laws at the ends of what floats hold: domains without a representable volume, networks without units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import naive_box, naive_complex
from strategies import Case, examples, rational_networks

from regions import Box, Network, Slice, count_cells, enumerate_cells, locus_volume
from regions.errors import InvalidDomainError, InvalidNetworkError, SolverError

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


def proven_count(case: Case, engine: str) -> int | None:
    """Number of cells, or None where the network is refused."""
    network = Network.from_arrays(case.weights, case.biases, case.relu)
    try:
        count = count_cells(network, Box(case.low, case.high), engine=engine, workers=1)
    except InvalidNetworkError:
        return None
    assert count.certificate.proven
    return count.cells


TINY = 5e-324


@pytest.mark.small
@pytest.mark.kernels
@pytest.mark.parametrize("engine", ENGINES)
def test_two_lines_of_which_one_is_hardly_above_zero_make_four_cells(engine: str) -> None:
    """The lines x + y = 1 and x = 1/2 cross inside; all products of the first unit underflow."""
    weights = [np.array([[TINY, TINY], [1.0, 0.0]]), np.array([[1.0, 1.0]])]
    case = Case(weights, [np.array([-TINY, -0.5]), np.zeros(1)], [True, False], [0.45] * 2, [0.55] * 2)
    assert proven_count(case, engine) == 4


@st.composite
def scaled_networks(draw: st.DrawFn) -> Case:
    """Small networks whose rows are scaled by powers of two from all of the range of floats."""
    case = draw(rational_networks(max_dimension=2, max_layers=2, max_width=3))
    powers = st.sampled_from([-1074, -1070, -1050, -1000, -600, -530, -60, 0, 0, 60, 300, 500])
    weights, biases = [], []
    for weight, bias in zip(case.weights, case.biases, strict=True):
        scales = np.array([draw(powers) for _ in bias])
        weights.append(np.ldexp(weight, scales[:, None]))
        biases.append(np.ldexp(bias, scales))
    return Case(weights, biases, case.relu, case.low, case.high)


@pytest.mark.small
@pytest.mark.kernels
@examples(200, plain=30)
@given(case=scaled_networks(), engine=st.sampled_from(["auto", "cells", "lp"]))
def test_networks_of_any_scale_are_counted_right_or_refused(case: Case, engine: str) -> None:
    found = proven_count(case, engine)
    truth = naive_complex(case.weights, case.biases, case.relu, naive_box(case.low, case.high))
    assert found in (None, len(truth.cells))


@pytest.mark.small
@pytest.mark.kernels
@pytest.mark.parametrize("arithmetic", ["certified", "float"])
@pytest.mark.parametrize("power", [-664, -540, -300, 0, 300, 500, 505])
def test_a_bend_is_a_bend_whatever_its_size(power: int, arithmetic: str) -> None:
    """x -> relu(s x) s bends at 0; where s * s leaves the floats its jump is a bound, not 0 or infinite."""
    scale = 2.0**power
    network = Network.from_arrays([[[scale]], [[scale]]], [[0.0], [0.0]])
    cells = enumerate_cells(network, Box([-1.0], [1.0]), arithmetic=arithmetic)
    inner = cells.facets.jump[cells.facets.interior]
    assert inner.shape == (1,) and 0.0 < inner[0] < np.inf
    assert locus_volume(cells).total == 1.0
    if abs(power) <= 500:
        assert inner[0] == scale * scale


def test_a_process_that_flushes_subnormal_numbers_is_told_so() -> None:
    """Error bounds count on gradual underflow; torch can turn it off for the whole thread."""
    torch = pytest.importorskip("torch")
    network = Network.from_arrays([[[1.0, 1.0]]], [[0.0]])
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot")
    try:
        for engine in ("planar", "cells", "lp"):
            with pytest.raises(SolverError, match="set_flush_denormal"):
                count_cells(network, Box([-1.0, -1.0], [1.0, 1.0]), engine=engine)
    finally:
        torch.set_flush_denormal(False)
    assert count_cells(network, Box([-1.0, -1.0], [1.0, 1.0])).cells == 1
