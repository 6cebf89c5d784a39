"""Laws of the keys under which the two sides of a facet meet: no network can be built whose keys collide."""

from __future__ import annotations

import numpy as np
import pytest

from regions import Box, Network, enumerate_cells
from regions.enumeration.compiled_network import compile_network

ENGINES = ["planar", "cells", "lp"]
BOX = Box([-1.0, -1.0], [1.0, 1.0])
UNITS = 70
pytestmark = [pytest.mark.small, pytest.mark.kernels]


def cancelling(keys: np.ndarray) -> list[int]:
    """Return numbers of words whose exclusive or is 0: elimination over GF(2), with who took part."""
    pivots: dict[int, tuple[int, int]] = {}
    for k, word in enumerate(keys.tolist()):
        members = 1 << k
        while word:
            high = word.bit_length()
            if high not in pivots:
                pivots[high] = (word, members)
                break
            word, members = word ^ pivots[high][0], members ^ pivots[high][1]
        else:
            return [unit for unit in range(len(keys)) if members >> unit & 1]
    raise AssertionError("more than 64 words of 64 bits are dependent")


def cross_with(doubled: list[int]) -> Network:
    """Make the four quadrants of units x, and y doubled as often as said; all others are constants."""
    first, bias = np.zeros((UNITS, 2)), np.ones(UNITS)
    first[doubled], bias[doubled] = [0.0, 1.0], 0.0
    other = next(unit for unit in range(UNITS) if unit not in doubled)
    first[other], bias[other] = [1.0, 0.0], 0.0
    return Network.from_arrays([first, np.ones((1, UNITS))], [bias, [0.0]])


def old_keys() -> np.ndarray:
    """Return the words that every network of so many units had in release 0.1.0."""
    return np.random.default_rng(20241218).integers(0, 2**64, size=UNITS + 1, dtype=np.uint64)


def other_keys() -> np.ndarray:
    net = compile_network(cross_with([1, 2]), BOX, radius=0.0, certified=True, planar=True)
    return net.arrays["unit_keys"]


def test_words_found_by_elimination_cancel() -> None:
    for keys in (old_keys(), other_keys()):
        assert np.bitwise_xor.reduce(keys[cancelling(keys[:UNITS])]) == 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("keys", [old_keys, other_keys])
def test_duplicates_whose_keys_cancelled_elsewhere_are_four_cells(engine: str, keys) -> None:
    """The facet between two cells above and that between the two below them had one key."""
    doubled = cancelling(keys()[:UNITS])
    assert len(doubled) > 10
    cells = enumerate_cells(cross_with(doubled), BOX, engine=engine)
    assert (cells.n_cells, int(cells.facets.interior.sum())) == (4, 4)
    assert cells.certificate.proven


def test_the_keys_of_two_compilations_differ_and_the_results_do_not() -> None:
    found = [enumerate_cells(cross_with([1, 2, 5]), BOX, workers=1) for _ in range(2)]
    assert not np.array_equal(other_keys(), other_keys())
    for name in ("cell_a", "cell_b", "side", "layer", "unit", "volume", "jump", "place"):
        assert np.array_equal(getattr(found[0].facets, name), getattr(found[1].facets, name), equal_nan=True)
