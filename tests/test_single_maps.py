"""Laws of counting with the last layer's maps in single precision: the numbers are as in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from networks import box_of, network_of, share_at_once
from strategies import Case, examples, float_networks, random_case, rational_networks

from regions import Network, count_cells, enumerate_cells
from regions.enumeration import rough_weights
from regions.enumeration.compiled_network import CompiledNetwork, compile_network
from regions.enumeration.search import WHOLE, Budget
from regions.enumeration.vertices.vertex_search import VertexSearch
from regions.kernels.memory.states import Mode


def with_rough_maps(patch: pytest.MonkeyPatch) -> None:
    """Use rough maps however narrow the last layer is."""
    patch.setattr(rough_weights, "NARROW", 1)


def planar(case: Case) -> CompiledNetwork:
    return compile_network(network_of(case), box_of(case), radius=0.0, certified=True, planar=True)


@pytest.mark.kernels
@pytest.mark.small
@pytest.mark.parametrize("arithmetic", ["certified", "float"])
@examples(40, 2)
@given(case=float_networks(2) | rational_networks(2))
def test_rough_maps_count_the_same_cells(case: Case, arithmetic: str) -> None:
    if case.dimension != 2:
        return
    fine = count_cells(network_of(case), box_of(case), arithmetic=arithmetic, workers=1)
    with pytest.MonkeyPatch.context() as patch:
        with_rough_maps(patch)
        rough = count_cells(network_of(case), box_of(case), arithmetic=arithmetic, workers=1)
    assert (rough.n_cells, rough.volume_sum) == (fine.n_cells, fine.volume_sum)


@pytest.mark.kernels
@pytest.mark.parametrize("widths", [(20, 33), (12, 16, 97), (9, 9, 64)])
def test_rough_maps_of_wide_layers_count_what_is_listed(
    widths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = random_case(2, widths, seed=5)
    listed = enumerate_cells(network_of(case), box_of(case)).n_cells
    with_rough_maps(monkeypatch)
    assert planar(case).rough
    assert count_cells(network_of(case), box_of(case), workers=1).n_cells == listed
    share_at_once(monkeypatch)
    assert count_cells(network_of(case), box_of(case), workers=3).n_cells == listed


@pytest.mark.kernels
def test_lines_through_one_point_are_split_with_a_map_made_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    with_rough_maps(monkeypatch)
    angles = np.pi * np.arange(1, 10) / 9.5
    fan = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # the first layer passes x, -x, y, -y on; the second one's lines all meet at the origin
    axes = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    network = Network.from_arrays(
        [axes, fan @ axes.T, np.ones((1, 9))], [np.zeros(4), np.zeros(9), np.zeros(1)]
    )
    case = random_case(2, (1,), seed=0)
    count = count_cells(network, box_of(case), workers=1)
    assert count.n_cells == 4 + 2 * 9
    assert count.n_cells == enumerate_cells(network, box_of(case)).n_cells


def test_numbers_beyond_the_range_of_single_precision_have_no_rough_maps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_rough_maps(monkeypatch)
    case = random_case(2, (3, 3), seed=1)
    assert planar(case).rough
    for factor in (2.0**60, 2.0**-60):
        weights = [case.weights[0], case.weights[1] * factor, case.weights[2]]
        assert not planar(case._replace(weights=weights)).rough


@pytest.mark.kernels
def test_a_search_that_has_grown_starts_as_a_new_one() -> None:
    case = random_case(3, (5, 4), seed=2)
    network = network_of(case)
    net = compile_network(network, box_of(case), radius=0.0, certified=True, planar=False)
    search = VertexSearch(net, box_of(case), Mode.COUNT)
    expected = search.run(WHOLE, Budget()).cells
    search._grow(search.sizes.with_more_bits())
    search.start()
    corners = search.memory.held["incidence"][:8]
    assert corners[:, 0].all() and not corners[:, 1:].any()
    assert search.run(WHOLE, Budget()).cells == expected > network.n_units
