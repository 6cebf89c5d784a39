"""One-layer networks without bias cut a box around 0 into the chambers of a central arrangement.

How many there are is Zaslavsky's theorem: (-1)^n chi(-1), with the characteristic polynomial chi found
here by deletion and restriction on integer normals. Nothing of the library takes part in that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, product
from math import comb, factorial, gcd

import numpy as np
import pytest

from regions.domain import Box
from regions.enumeration.enumerate import count_cells
from regions.network.relu_network import Network

pytestmark = pytest.mark.kernels

Normal = tuple[int, ...]

ARITHMETICS = ["float", "certified"]

# what float arithmetic miscounts: chambers of width 1e-14 are within its vertex radius of 2**-44
THIN = "some chambers are thinner than the vertex radius of float arithmetic"
WRONG_IN_FLOAT = dict.fromkeys(
    ["one line to rounding", *(f"coincident to rounding {n}" for n in (2, 3, 4))], THIN
)


def hyperplanes(normals: Iterable[Sequence[int]]) -> list[Normal]:
    """The different hyperplanes of normals: coprime, first entry that is not 0 positive, none zero."""
    found: dict[Normal, None] = {}
    for normal in normals:
        divisor = gcd(*normal)
        if divisor:
            first = next(x for x in normal if x)
            sign = 1 if first > 0 else -1
            found[tuple(sign * x // divisor for x in normal)] = None
    return list(found)


def characteristic_polynomial(planes: Sequence[Normal], n: int) -> list[int]:
    """Coefficients of chi(t), constant first, of different hyperplanes through 0 in n dimensions.

    chi(A) = chi(A without H) - chi(A restricted to H), one H after the other (Stanley, An Introduction to
    Hyperplane Arrangements, lemma 2.2); without hyperplanes it is t^n.
    """
    polynomial = [0] * n + [1]
    for k, plane in enumerate(planes):
        restricted = hyperplanes(restrict(other, plane) for other in planes[:k])
        for power, coefficient in enumerate(characteristic_polynomial(restricted, n - 1)):
            polynomial[power] -= coefficient
    return polynomial


def restrict(normal: Normal, plane: Normal) -> list[int]:
    """A linear form on a hyperplane, in all coordinates but the first that the hyperplane's normal has."""
    pivot = next(j for j, x in enumerate(plane) if x)
    return [
        plane[pivot] * x - normal[pivot] * y
        for j, (x, y) in enumerate(zip(normal, plane, strict=True))
        if j != pivot
    ]


def chambers(normals: Iterable[Sequence[int]], n: int) -> int:
    """Zaslavsky 1975: the number of chambers is (-1)^n chi(-1)."""
    polynomial = characteristic_polynomial(hyperplanes(normals), n)
    return (-1) ** n * sum(c * (-1) ** power for power, c in enumerate(polynomial))


def zero_one(n: int) -> list[Normal]:
    return [v for v in product((0, 1), repeat=n) if any(v)]


def signed(n: int) -> list[Normal]:
    return [v for v in product((-1, 0, 1), repeat=n) if any(v)]


def braid(n: int) -> list[Normal]:
    """e_i - e_j in n coordinates; all meet in the line of equal coordinates."""
    return [tuple(int(k == i) - int(k == j) for k in range(n)) for i, j in combinations(range(n), 2)]


def essential_braid(n: int) -> list[Normal]:
    """The braid arrangement of n + 1 coordinates where the last one is 0."""
    return [normal[:n] for normal in braid(n + 1)]


def coxeter_b(n: int) -> list[Normal]:
    """e_i and e_i +- e_j: 2^n n! chambers."""
    plus = [tuple(abs(x) for x in normal) for normal in braid(n)]
    return [tuple(int(k == i) for k in range(n)) for i in range(n)] + braid(n) + plus


def one_of_each_line(vectors: Iterable[Normal]) -> list[Normal]:
    return [v for v in vectors if next(x for x in v if x) > 0]


def with_repeats(normals: Sequence[Normal]) -> list[Normal]:
    """Every hyperplane several times: as it is, opposite, tripled; and a zero row."""
    zero = tuple(0 for _ in normals[0])
    return [tuple(factor * x for x in v) for factor in (1, -1, 3) for v in normals] + [zero]


def skewed(normals: Sequence[Normal], size: int, seed: int) -> list[Normal]:
    """The same arrangement in other coordinates, where its rays meet the box in no dyadic points."""
    n = len(normals[0])
    matrix = np.random.default_rng(seed).integers(-size, size, size=(n, n), endpoint=True).tolist()
    return [
        tuple(sum(x * row[j] for x, row in zip(v, matrix, strict=True)) for j in range(n)) for v in normals
    ]


def nearly(normals: Sequence[Normal], size: int) -> list[Normal]:
    """Every hyperplane turned by some 1 / size, each by another angle: chambers of that width open up."""
    return [(*(size * x for x in v[:-1]), size * v[-1] + k) for k, v in enumerate(normals)]


CASES: dict[str, list[Normal]] = {
    **{f"zero-one {n}": zero_one(n) for n in (2, 3, 4, 5)},
    **{f"braid {n}": braid(n) for n in (2, 3, 4, 5)},
    **{f"essential braid {n}": essential_braid(n) for n in (2, 3, 4, 5, 6)},
    **{f"signed {n}": one_of_each_line(signed(n)) for n in (2, 3, 4)},
    **{f"signed, both ways {n}": signed(n) for n in (2, 3)},
    **{f"coxeter B {n}": coxeter_b(n) for n in (2, 3, 4, 5)},
    **{f"repeated zero-one {n}": with_repeats(zero_one(n)) for n in (2, 3, 4)},
    "repeated coxeter B 4": with_repeats(coxeter_b(4)),
    **{f"skewed zero-one {n}": skewed(zero_one(n), 9, n) for n in (2, 3, 4, 5)},
    **{f"skewed essential braid {n}": skewed(essential_braid(n), 10**6, n) for n in (3, 4, 5, 6)},
    **{f"skewed signed {n}": skewed(one_of_each_line(signed(n)), 100, n) for n in (2, 3, 4)},
    **{f"nearly coincident {n}": nearly(2 * zero_one(n), 10**12) for n in (2, 3, 4)},
    **{f"coincident to rounding {n}": nearly(2 * zero_one(n), 10**15) for n in (2, 3, 4)},
    "one line to rounding": nearly([(1, 0)] * 4, 10**14),
    "graph of a 5-cycle": [v for v in braid(5) if v.index(1) + 1 == v.index(-1) or v == (1, 0, 0, 0, -1)],
}

KNOWN = {  # closed forms and published values
    **{f"braid {n}": factorial(n) for n in (2, 3, 4, 5)},
    **{f"essential braid {n}": factorial(n + 1) for n in (2, 3, 4, 5, 6)},
    **{f"skewed essential braid {n}": factorial(n + 1) for n in (3, 4, 5, 6)},
    **{f"coxeter B {n}": 2**n * factorial(n) for n in (2, 3, 4, 5)},
    "repeated coxeter B 4": 384,
    "one line to rounding": 8,
    "graph of a 5-cycle": 2**5 - 2,  # acyclic orientations
    # the resonance arrangement, OEIS A034997
    **{f"zero-one {n}": count for n, count in ((2, 6), (3, 32), (4, 370), (5, 11292))},
    **{f"repeated zero-one {n}": count for n, count in ((2, 6), (3, 32), (4, 370))},
}


def one_layer(normals: Sequence[Normal]) -> Network:
    return Network.from_arrays(
        [np.array(normals, dtype=np.float64), np.ones((1, len(normals)))], [np.zeros(len(normals)), [0.0]]
    )


@pytest.mark.parametrize("name", KNOWN)
def test_deletion_and_restriction_gives_the_known_number_of_chambers(name: str) -> None:
    normals = CASES[name]
    assert chambers(normals, len(normals[0])) == KNOWN[name]


def test_generic_arrangements_have_the_binomial_number_of_chambers() -> None:
    # on the moment curve any n of the normals are independent: 2 sum_{k<n} C(m-1, k)
    for n, m in ((2, 5), (3, 6), (4, 7)):
        normals = [tuple(x**k for k in range(n)) for x in range(1, m + 1)]
        assert chambers(normals, n) == 2 * sum(comb(m - 1, k) for k in range(n))


@pytest.mark.sweep(24, 36)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.small) if name[-1] in "23" else name for name in CASES]
)
def test_a_network_without_bias_has_a_cell_for_every_chamber(name: str, arithmetic: str) -> None:
    if arithmetic == "float" and name in WRONG_IN_FLOAT:
        pytest.skip(f"float arithmetic miscounts: {WRONG_IN_FLOAT[name]}")
    normals = CASES[name]
    n = len(normals[0])
    found = count_cells(one_layer(normals), Box([-1.0] * n, [1.0] * n), arithmetic=arithmetic)
    assert found.status.name == "COMPLETE"
    assert found.cells == chambers(normals, n)


@pytest.mark.parametrize("name", WRONG_IN_FLOAT)
def test_what_is_skipped_for_float_is_what_float_misses(name: str) -> None:
    normals = CASES[name]
    n = len(normals[0])
    found = int(count_cells(one_layer(normals), Box([-1.0] * n, [1.0] * n), arithmetic="float"))
    assert found < chambers(normals, n)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("name", ["zero-one 4", "essential braid 4", "signed 3", "coxeter B 4"])
def test_neither_the_box_nor_the_order_of_the_units_changes_the_count(name: str, arithmetic: str) -> None:
    rng = np.random.default_rng(0)
    normals = CASES[name]
    n = len(normals[0])
    shuffled = [normals[k] for k in rng.permutation(len(normals))]
    uneven = Box(-rng.uniform(0.1, 3.0, n), rng.uniform(0.1, 3.0, n))
    assert int(count_cells(one_layer(shuffled), uneven, arithmetic=arithmetic)) == chambers(normals, n)
