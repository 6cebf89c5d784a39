"""Intervals contain the true volumes: closed forms, an oracle in fractions, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from judging import complex_of
from naive import naive_complex
from networks import box_of, network_on_box
from strategies import (
    CONCURRENT_LINES,
    Case,
    examples,
    float_networks,
    folding,
    random_case,
    rational_networks,
)
from test_verification import without_cell

from regions import LocusEnclosure, locus_volume, volume_enclosures
from regions.analysis.enclosures import locus_enclosure
from regions.complexes.cell_complex import CellComplex
from regions.density import GaussianDensity, UniformDensity
from regions.domain import Box, Segment, Slice
from regions.enumeration.enumerate import enumerate_cells
from regions.errors import CertificateError, InvalidDomainError, InvalidInputError
from regions.network.relu_network import Network


def enclosure_of(cells: CellComplex, *arguments: Any, **options: Any) -> LocusEnclosure:
    found = locus_volume(cells, *arguments, enclosure=True, **options).enclosure
    assert found is not None
    return found


def dyadic(x: arb) -> Fraction:
    mantissa, exponent = x.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def ends(interval: arb) -> tuple[Fraction, Fraction]:
    """The exact ends of an interval."""
    middle, radius = dyadic(interval.mid()), dyadic(interval.rad())
    return middle - radius, middle + radius


def around_root(square: Fraction, bits: int = 240) -> tuple[Fraction, Fraction]:
    """Rationals around a square root, by integer arithmetic."""
    root = isqrt(square.numerator * square.denominator << 2 * bits)
    scale = square.denominator << bits
    exact = root * root == square.numerator * square.denominator << 2 * bits
    return Fraction(root, scale), Fraction(root if exact else root + 1, scale)


def assert_contains(interval: arb, low: Fraction, high: Fraction | None = None) -> None:
    """The interval is narrow and meets [low, high], which holds the true value and is narrower by far."""
    a, b = ends(interval)
    assert a <= (low if high is None else high) and low <= b
    assert b - a <= Fraction(1, 10**30) * max(abs(low), Fraction(1, 10**30))


def line(a: float, b: float, c: float) -> Network:
    """One unit that vanishes on a x + b y + c = 0."""
    return Network.from_arrays([[[a, b]], [[1.0]]], [[c], [0.0]])


SQUARE = Box([-1.0, -1.0], [1.0, 1.0])
SEGMENTS = [  # lines in the square and the exact square of the length there
    (line(1, 1, 0), Fraction(8)),
    (line(1, 2, 0), Fraction(5)),
    (line(3, 1, 1), Fraction(40, 9)),
    (line(0, 7, 2), Fraction(4)),
    (line(1, -1, -1.5), Fraction(1, 2)),
    (line(1, 0, 0.1), Fraction(4)),
]


@pytest.mark.parametrize(("network", "square"), SEGMENTS)
def test_the_length_of_a_line_in_a_square_is_the_root_of_a_rational(
    network: Network, square: Fraction
) -> None:
    cells = enumerate_cells(network, SQUARE)
    found = enclosure_of(cells)
    low, high = around_root(square)
    for interval in (found.total, *found.by_layer, *found.by_unit):
        assert_contains(interval, low, high)
    assert_contains(enclosure_of(cells, UniformDensity(SQUARE)).total, low / 4, high / 4)


def test_a_plane_through_a_cube_has_the_hexagon_of_its_closed_form() -> None:
    network = Network.from_arrays([[[1.0, 1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
    cells = enumerate_cells(network, Box(-np.ones(3), np.ones(3)))
    assert_contains(enclosure_of(cells).total, *around_root(Fraction(27)))
    assert sorted(map(ends, volume_enclosures(cells))) == [(4, 4), (4, 4)]


def test_breakpoints_on_a_segment_are_counted_exactly() -> None:
    network, _ = network_on_box(3, (8, 8), seed=2)
    cells = enumerate_cells(network, Segment([-3.0, -4.0, 2.0], [3.0, 3.0, -2.0]))
    assert cells.n_cells > 4
    assert ends(enclosure_of(cells, kind="activation").total) == (cells.n_cells - 1, cells.n_cells - 1)


def assert_volumes_are_those_of_the_oracle(case: Case, *, by_unit: bool) -> None:
    truth = naive_complex(case.weights, case.biases, case.relu, box_of(case).halfspaces)
    cells = complex_of(case)
    volume_of = {cell.pattern: cell.volume for cell in truth.cells}
    for pattern, volume in zip(cells.unpacked_patterns(), volume_enclosures(cells), strict=True):
        assert_contains(volume, volume_of[tuple(bool(x) for x in pattern)])
    for kind in ("activation", "gradient"):
        found = enclosure_of(cells, kind=kind)
        facets = [facet for facet in truth.facets if kind == "activation" or facet.squared_jump != 0]
        assert found.n_facets == len(facets)
        roots = [around_root(facet.squared_volume) for facet in facets]
        assert_contains(
            found.total, *(sum(column, Fraction(0)) for column in zip(*roots, (0, 0), strict=True))
        )
        for unit in range(cells.network.n_units) if by_unit else ():
            own = [root for root, facet in zip(roots, facets, strict=True) if facet.flipped == {unit}]
            sums = [sum(column, Fraction(0)) for column in zip(*own, (0, 0), strict=True)]
            assert_contains(found.by_unit[unit], *sums)


@examples(80)
@given(rational_networks())
def test_degenerate_networks_have_the_volumes_of_the_oracle(case: Case) -> None:
    assert_volumes_are_those_of_the_oracle(case, by_unit=False)


@examples(25)
@given(float_networks(max_layers=2))
def test_generic_networks_have_the_volumes_of_the_oracle_unit_by_unit(case: Case) -> None:
    assert_volumes_are_those_of_the_oracle(case, by_unit=True)


@examples(40)
@given(rational_networks(max_dimension=2))
def test_unit_intervals_follow_the_floats_even_where_several_units_vanish(case: Case) -> None:
    cells = complex_of(case)
    for kind in ("activation", "gradient"):
        locus = locus_volume(cells, kind=kind, enclosure=True)
        assert locus.enclosure is not None
        for value, interval in zip(locus.by_unit, locus.enclosure.by_unit, strict=True):
            low, high = ends(interval)
            assert low - Fraction(1e-9) <= Fraction(float(value)) <= high + Fraction(1e-9)


@pytest.mark.parametrize(
    ("weights", "bends"), [([0.1, 0.2, -0.3], True), ([0.125, 0.25, -0.375], False), ([1e-300, 0, 0], True)]
)
def test_a_jump_is_zero_only_if_it_is_exactly(weights: list[float], bends: bool) -> None:
    # 0.1 + 0.2 - 0.3 is 2.8e-17 for the stored numbers
    network = Network.from_arrays([[[1.0, 0.0]] * 3, [weights]], [[0.0] * 3, [0.0]])
    found = enclosure_of(enumerate_cells(network, SQUARE))
    assert ends(found.total) == ((2, 2) if bends else (0, 0))
    assert found.n_facets == int(bends)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("kind", ["gradient", "activation"])
@pytest.mark.parametrize(("d", "widths"), [(1, (9, 9)), (2, (12, 12)), (3, (8, 6)), (4, (5, 3))])
def test_floats_lie_within_their_error_of_the_enclosure(d: int, widths: tuple[int, ...], kind: str) -> None:
    cells = complex_of(random_case(d, widths, seed=d))
    bell = GaussianDensity(0.2 * np.ones(d), np.diag(np.arange(1.0, d + 1)) / 4 + 0.1)
    for density in [None, UniformDensity(cells.domain)] + [bell] * (d <= 2):
        locus = locus_volume(cells, density, kind, enclosure=True)
        assert locus.enclosure is not None
        low, high = ends(locus.enclosure.total)
        slack = Fraction(locus.error) + Fraction(1e-12) * high  # the error leaves out that of the vertices
        assert low - slack <= Fraction(locus.total) <= high + slack
        assert locus.enclosure.n_facets == locus.n_facets
        assert float(high - low) < 1e-30
    for value, interval in zip(cells.volumes.tolist(), volume_enclosures(cells), strict=True):
        low, high = ends(interval)
        assert low - Fraction(1e-12) <= Fraction(value) <= high + Fraction(1e-12)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_halves_of_a_box_add_up(d: int) -> None:
    network, whole = network_on_box(d, (5, 4), seed=d + 10)
    parts = [enumerate_cells(network, box) for box in (whole, *whole.split(0, 0.1))]
    densities = [None, UniformDensity(whole)] + [GaussianDensity(np.zeros(d), 0.5)] * (d <= 2)
    for density in densities:
        total, first, second = (enclosure_of(cells, density) for cells in parts)
        with ctx.workprec(200):
            assert total.total.overlaps(first.total + second.total)
            for a, b, c in zip(total.by_unit, first.by_unit, second.by_unit, strict=True):
                assert a.overlaps(b + c)


def test_a_normal_density_on_the_axes_is_a_product_of_normal_integrals() -> None:
    cells = enumerate_cells(line(1, 0, -0.25), SQUARE)
    found = enclosure_of(cells, GaussianDensity([0.125, -0.5], [0.25, 4.0])).total
    with ctx.workprec(300):  # x = 1/4 is 1/4 sigma from the mean; y goes from -1/4 to 3/4 sigma
        across = (arb(-1) / 32).exp() / (arb(1) / 4 * 2 * arb.pi()).sqrt()
        root = arb(2).sqrt()
        along = ((arb(3) / 4 / root).erf() + (arb(1) / 4 / root).erf()) / 2
        assert found.overlaps(across * along)
    assert float(found.rad()) < 1e-35


@pytest.mark.parametrize("mean", [(-1.0, -1.0), (0.0, 30.0), (0.0, -30.0), (30.0, 1.0)])
@pytest.mark.parametrize("std", [0.02, 0.5])
def test_far_tails_keep_their_relative_width(mean: tuple[float, float], std: float) -> None:
    # across the line and along it, in both directions
    cells = enumerate_cells(line(1, 0, -0.5), SQUARE)
    found = enclosure_of(cells, GaussianDensity(mean, std**2)).total
    assert found > 0
    assert float(found.rel_accuracy_bits()) > 90


class OtherDensity:
    """A density that the library does not know, though it has all that a density must have."""

    def __init__(self, domain: Box) -> None:
        self._as = UniformDensity(domain)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._as, name)


def test_densities_without_closed_forms_are_refused() -> None:
    cells = complex_of(random_case(3, (3,), seed=0))
    with pytest.raises(InvalidInputError, match="d <= 2"):
        locus_volume(cells, GaussianDensity(np.zeros(3), 1.0), enclosure=True)
    plane = enumerate_cells(line(1, 1, 0), SQUARE)
    with pytest.raises(InvalidInputError, match="kind"):
        locus_enclosure(plane, kind="both")
    with pytest.raises(InvalidInputError, match="OtherDensity"):
        locus_volume(plane, OtherDensity(SQUARE), enclosure=True)
    with pytest.raises(InvalidInputError, match="normalise"):
        locus_volume(plane, GaussianDensity(np.zeros(2), 1.0), normalise=True, enclosure=True)


def test_a_uniform_density_may_live_on_a_larger_domain() -> None:
    cells = enumerate_cells(line(1, 1, 0), SQUARE)
    large = Box([-1.0, -1.0], [1.0, 2.0])
    low, high = around_root(Fraction(8))
    assert_contains(enclosure_of(cells, UniformDensity(large)).total, low / 6, high / 6)
    normalised = enclosure_of(cells, UniformDensity(large), normalise=True)
    assert_contains(normalised.total, low / 4, high / 4)
    smaller = Box([-1.0, -1.0], [1.0, np.nextafter(1.0, 0.0)])
    with pytest.raises(InvalidDomainError, match="exactly"):
        enclosure_of(cells, UniformDensity(smaller))


def test_intrinsic_coordinates_are_measured_not_input_ones() -> None:
    # the stored basis is longer than 1 by 2**-31: the enclosure is that of the polygon in the t plane
    basis = (1 + 2.0**-31) * np.eye(2)
    tilted = Slice([0.0, 0.0], basis, SQUARE.halfspaces)
    cells = enumerate_cells(line(1, 1, 0), tilted)
    assert_contains(enclosure_of(cells).total, *around_root(Fraction(8)))


@pytest.fixture(scope="module", params=["generic", "degenerate"])
def cells(request: pytest.FixtureRequest) -> CellComplex:
    if request.param == "generic":
        return complex_of(random_case(2, (8, 8), seed=1))
    weights, biases, relu = folding(2, 2, CONCURRENT_LINES)
    return enumerate_cells(Network.from_arrays(weights, biases, relu), Box([0, 0], [1, 1]))


def test_a_list_that_lacks_a_cell_has_no_enclosure(cells: CellComplex) -> None:
    for gone in (0, cells.n_cells // 2, cells.n_cells - 1):
        for facets_too in (True, False):
            less = without_cell(cells, gone, facets_too=facets_too)
            with pytest.raises(CertificateError, match="missing"):
                volume_enclosures(less)
            with pytest.raises(CertificateError, match="not listed"):
                enclosure_of(less)


def test_cells_thinner_than_rounding_are_proven_or_missed_in_public() -> None:
    # four lines through 0 that differ by 1e-14: float arithmetic takes them for one
    network = Network.from_arrays([[[1e14, float(k)] for k in range(4)], [[1.0] * 4]], [[0.0] * 4, [0.0]])
    rounded = enumerate_cells(network, SQUARE, arithmetic="float")
    with pytest.raises(CertificateError, match="missing"):
        volume_enclosures(rounded)
    proven = enumerate_cells(network, SQUARE, arithmetic="certified")
    wedges = sorted(ends(volume)[1] for volume in volume_enclosures(proven))[:-2]
    assert len(wedges) == 6 and all(Fraction(0) < wedge < Fraction(1e-13) for wedge in wedges)
    # every line has length 2 sqrt(1 + (k / 1e14)^2) in the square
    roots = [around_root(4 + Fraction(2 * k, 10**14) ** 2) for k in range(4)]
    assert_contains(enclosure_of(proven).total, *map(sum, zip(*roots, strict=True)))


def test_patterns_of_no_cell_and_patterns_listed_twice_are_refused(cells: CellComplex) -> None:
    twice, flipped = cells.patterns.copy(), cells.patterns.copy()
    twice[1] = twice[0]
    flipped[0] ^= 1
    for patterns, reason in ((twice, "twice"), (flipped, "cell|twice")):
        for compute in (volume_enclosures, enclosure_of):
            with pytest.raises(CertificateError, match=reason):
                compute(replace(cells, patterns=patterns))


def test_a_facet_named_after_the_wrong_unit_is_refused() -> None:
    cells = complex_of(random_case(2, (8, 8), seed=1))
    table = cells.facets
    unit = table.unit.copy()
    row = int(np.flatnonzero(table.interior)[0])
    unit[row] = (unit[row] + 1) % 8
    with pytest.raises(CertificateError, match="names units"):
        enclosure_of(replace(cells, facets=replace(table, unit=unit)), kind="activation")


def test_a_truncated_complex_gives_a_lower_bound() -> None:
    case = random_case(2, (8, 8), seed=1)
    part, whole = complex_of(case, max_cells=12), complex_of(case)
    with pytest.raises(InvalidInputError, match="TRUNCATED"):
        locus_volume(part, enclosure=True)
    locus = locus_volume(part, enclosure=True, allow_truncated=True)
    assert locus.is_lower_bound and locus.enclosure is not None
    assert 0 < locus.enclosure.total < enclosure_of(whole).total
    assert abs(locus.total - float(locus.enclosure.total.mid())) < 1e-12
    assert sum(volume_enclosures(part), arb(0)) < 4


def test_chosen_cells_come_in_the_order_asked_for(cells: CellComplex) -> None:
    everything = volume_enclosures(cells)
    chosen = volume_enclosures(cells, [3, 0, 3])
    assert list(map(ends, chosen)) == [ends(everything[k]) for k in (3, 0, 3)]
    assert ends(volume_enclosures(cells, 2)[0]) == ends(everything[2])
    assert volume_enclosures(cells, []) == []
    for wrong in ([cells.n_cells], [-1], [0.5], [[0]], ["a"]):
        with pytest.raises(InvalidInputError, match="whole numbers"):
            volume_enclosures(cells, wrong)


def test_progress_rises_to_one(cells: CellComplex) -> None:
    seen: list[tuple[int, float]] = []
    volume_enclosures(cells, progress=lambda n, fraction: seen.append((n, fraction)))
    locus_volume(cells, enclosure=True, progress=lambda n, fraction: seen.append((n, fraction)))
    assert seen.count((cells.n_cells, 1.0)) >= 2
    assert all(0 < fraction <= 1 for _, fraction in seen)


def test_an_interrupt_comes_through_and_leaves_the_precision_alone(cells: CellComplex) -> None:
    def interrupt(done: int, fraction: float) -> None:
        raise KeyboardInterrupt

    before = ctx.prec
    with pytest.raises(KeyboardInterrupt):
        locus_volume(cells, enclosure=True, progress=interrupt)
    assert ctx.prec == before


def test_the_dictionary_holds_floats_around_the_intervals(cells: CellComplex) -> None:
    locus = locus_volume(cells, enclosure=True)
    assert locus.enclosure is not None
    stored = locus.to_dict()["enclosure"]
    assert locus_volume(cells).to_dict()["enclosure"] is None
    for name in ("by_layer", "by_unit"):
        for (low, high), interval in zip(stored[name], getattr(locus.enclosure, name), strict=True):
            a, b = ends(interval)
            assert Fraction(low) <= a <= b <= Fraction(high)
    low, high = stored["total"]
    assert low <= locus.total + 1e-12 and locus.total - 1e-12 <= high and high - low < 1e-13
