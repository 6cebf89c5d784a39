"""Laws of the keys under which the two sides of a facet meet: no network can be built whose keys collide."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from regions import Box, CertificateError, Network, enumerate_cells
from regions.enumeration import compiled_network
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


def keys_of(network: Network, box: Box) -> bytes:
    net = compile_network(network, box, radius=0.0, certified=True, planar=True)
    return b"".join(net.arrays[name].tobytes() for name in ("unit_keys", "facet_keys"))


def test_keys_follow_from_network_and_domain_alone() -> None:
    first = keys_of(cross_with([1, 2, 5]), BOX)
    assert first == keys_of(cross_with([1, 2, 5]), Box([-1.0, -1.0], [1.0, 1.0]))
    others = keys_of(cross_with([1, 2]), BOX), keys_of(cross_with([1, 2, 5]), Box([-1.0, -1.0], [1.0, 2.0]))
    assert len({first, *others}) == 3


@pytest.mark.slow
def test_a_fresh_process_has_the_same_keys() -> None:
    code = (
        "from test_facet_keys import *; import hashlib;"
        "print(hashlib.sha256(keys_of(cross_with([1, 2, 5]), BOX)).hexdigest())"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(keys_of(cross_with([1, 2, 5]), BOX)).hexdigest()


@pytest.mark.parametrize("max_cells", [None, 3])
def test_facets_whose_keys_collide_are_refused(
    monkeypatch: pytest.MonkeyPatch, max_cells: int | None
) -> None:
    """With all words 0 the keys of all facets of a unit are the same."""

    def no_words(network: Network, domain: Box, n_units: int) -> dict[str, np.ndarray]:
        return {name: np.zeros(n_units + 1, np.uint64) for name in ("unit_keys", "facet_keys")}

    monkeypatch.setattr(compiled_network, "facet_words", no_words)
    grid = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [[1.0] * 3]], [[0.0, 0.1, 0.3], [0.0]])
    with pytest.raises(CertificateError):
        enumerate_cells(grid, BOX, engine="planar", max_cells=max_cells)
