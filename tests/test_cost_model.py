"""Laws of the cost model: what it says of large and small dimensions, and that `auto` does as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from networks import cube, random_network

from regions import Box, Network, count_cells
from regions.enumeration.cost_model import LARGEST_VERTEX_DIMENSION, choose, seconds_per_cell
from regions.errors import InvalidDomainError, InvalidInputError


def box_problem(d: int, widths: tuple[int, ...] = (4, 3)) -> tuple[Network, Box]:
    return random_network(d, (d, *widths, 1)), cube(d)


@pytest.mark.parametrize("engine", ["cells", "lp"])
@pytest.mark.parametrize("units", [8, 64, 512])
def test_a_cell_costs_more_in_more_dimensions(engine: str, units: int) -> None:
    costs = [seconds_per_cell(engine, d, units, 2 * d) for d in range(3, 13)]
    assert costs == sorted(costs) and costs[0] > 1e-8 and costs[-1] < 10.0


@pytest.mark.parametrize("units", [4, 16, 32, 64, 128, 1000])
def test_vertices_in_few_dimensions_programs_in_many_and_one_crossover(units: int) -> None:
    engines = [choose(d, units, 2 * d).engine for d in range(3, 21)]
    first = engines.index("lp")
    assert first >= 1 and set(engines[:first]) == {"cells"} and set(engines[first:]) == {"lp"}
    assert choose(2, units, 4).engine == "planar"
    assert choose(9, units, 18).engine == "lp"


def test_the_reason_names_both_expectations() -> None:
    network, box = box_problem(3)
    found = count_cells(network, box)
    engine, reason = choose(3, network.n_units, 6)
    assert (found.engine, found.engine_reason) == (engine, reason)
    for name in ("cells", "lp"):
        assert f"{1e6 * seconds_per_cell(name, 3, network.n_units, 6):.2g}" in reason


@pytest.mark.parametrize("d", [1, 2, 4, 6, 9])
def test_auto_counts_what_the_other_engine_counts(d: int) -> None:
    network, box = box_problem(d)
    found = count_cells(network, box)
    assert found.engine == choose(d, network.n_units, 2 * d).engine
    other = "cells" if found.engine == "lp" else "lp"
    assert found.cells == count_cells(network, box, engine=other).cells


def test_auto_without_units() -> None:
    network = Network.from_arrays([np.ones((1, 7))], [np.zeros(1)])
    assert count_cells(network, cube(7)).cells == 1


@pytest.mark.parametrize("d", [9, 10])
def test_vertices_and_programs_agree_beyond_eight_dimensions(d: int) -> None:
    network, box = box_problem(d, (3, 2))
    counts = [count_cells(network, box, engine=engine).cells for engine in ("cells", "lp")]
    assert counts[0] == counts[1] > 4


def test_volumes_are_asked_of_vertices() -> None:
    network, box = box_problem(6)
    found = count_cells(network, box, check_volumes=True)
    assert found.engine == "cells" and math.isclose(found.volume_sum, 2.0**6, rel_tol=1e-9)
    with pytest.raises(InvalidInputError, match="no volumes"):
        count_cells(network, box, engine="lp", check_volumes=True)


@pytest.mark.parametrize("values", [(0, 5, 4), (3, 0, 4), (3, 5, 0)])
def test_numbers_below_one_are_refused(values: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidInputError, match="at least 1"):
        seconds_per_cell("lp", *values)


def test_unknown_engines_and_dimensions_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="'planar', 'cells' or 'lp'"):
        seconds_per_cell("vertices", 3, 5, 6)
    network, box = box_problem(LARGEST_VERTEX_DIMENSION + 1)
    with pytest.raises(InvalidDomainError, match="takes 1 to 12"):
        count_cells(network, box, engine="cells")


@pytest.mark.parametrize("d", [2, 3, 5])
def test_many_rivals_are_left_to_programs_and_few_are_not(d: int) -> None:
    costs = [seconds_per_cell("planar" if d == 2 else "cells", d, 128, 2 * d, k) for k in (1, 4, 16, 64)]
    assert costs == sorted(costs)
    assert choose(d, 128, 2 * d, rivals=128).engine == "lp"
    # windows of max pooling, of which there are thousands
    for k in (4, 16):
        assert choose(2, 20_000, 4, rivals=k).engine == "planar"
    with pytest.raises(InvalidInputError, match="rivals 0"):
        seconds_per_cell("lp", d, 128, 2 * d, 0)


@pytest.mark.parametrize(("candidates", "engine"), [(2, "planar"), (40, "lp")])
def test_auto_takes_what_suits_the_largest_max_unit(candidates: int, engine: str) -> None:
    rng = np.random.default_rng(candidates)
    weights = [rng.normal(size=(candidates, 2)), [[1.0]]]
    network = Network.from_arrays(weights, [rng.normal(size=candidates), [0.0]], maxima=[candidates, None])
    found = count_cells(network, cube(2))
    assert found.engine == engine and f"a max unit of {candidates} candidates" in found.engine_reason
    assert found.cells == count_cells(network, cube(2), engine="both").cells
