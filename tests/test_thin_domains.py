"""Laws of domains that are thin, or far from 0: rounded vertices do not tell their volumes, exact ones do."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from regions import Box, CellComplex, Network, Polytope, count_cells, enumerate_cells, volume_enclosures
from regions.domain import Domain
from regions.enumeration import self_checks
from regions.enumeration.self_checks import Listed, check_samples, checked_measures
from regions.errors import CertificateError
from regions.rational import bounds

pytestmark = [pytest.mark.small, pytest.mark.kernels]


def strip(d: int, width: float) -> Polytope:
    """Points of [-1, 1]^d whose first two coordinates differ by at most a width."""
    eye = np.eye(d)
    sides = [eye[0] - eye[1], eye[1] - eye[0], *eye, *-eye]
    return Polytope(np.array(sides), [width, width, *[1.0] * (2 * d)])


def far(d: int, exponent: int, ulps: int) -> Box:
    """A cube so many units in the last place wide."""
    low = 2.0**exponent
    return Box([low] * d, [low + ulps * 2.0 ** (exponent - 52)] * d)


DOMAINS: dict[str, Domain] = {
    "strip in the plane": strip(2, 1e-8),
    "strip in space": strip(3, 1e-8),
    "narrow strip": strip(2, 1e-15),
    "flat": Box([0.0, -1.0], [1e-12, 1.0]),
    "flat in space": Box([0.0, -1.0, -1.0], [1e-12, 1.0, 1.0]),
    "flat beyond rounding": Box([0.0, -1.0], [1e-100, 1.0]),
    "four floats": far(1, 53, 4),
    "far in the plane": far(2, 53, 4),
    "far in space": far(3, 54, 64),
    "very far": far(2, 300, 1 << 12),
    "far in one coordinate": Box([2.0**53, -1.0], [2.0**53 + 8.0, 1.0]),
    "huge interval": Box([-1e160], [1e160]),
    "huge and tiny": Box([-1e160, -1e-160], [1e160, 1e-160]),
    "huge": Box([-1e150, -1e150], [1e150, 1e150]),
}


def crossing(domain: Domain, seed: int) -> Network:
    """A network with hyperplanes through points of the domain, as near as floats have them."""
    rng = np.random.default_rng(seed)
    d = domain.dimension
    first = rng.integers(-3, 4, size=(5, d)).astype(float) if seed % 2 else rng.normal(size=(5, d))
    bias = -(first * domain.sample(5, rng)).sum(axis=1)
    second = rng.normal(size=(3, 5))
    below = np.maximum(first @ domain.sample(3, rng).T + bias[:, None], 0.0)
    return Network.from_arrays(
        [first, second, np.ones((1, 3))], [bias, -(second * below.T).sum(axis=1), [0.0]]
    )


def engines(domain: Domain) -> list[str]:
    return ["planar", "cells", "lp"] if domain.dimension == 2 else ["cells", "lp"]


def names(cells: CellComplex) -> set[str]:
    return {cells.pattern_hex(i) for i in range(cells.n_cells)}


@pytest.mark.sweep(14, 21)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", DOMAINS)
def test_all_engines_list_the_cells_with_their_volumes(name: str, seed: int) -> None:
    domain = DOMAINS[name]
    network = crossing(domain, seed)
    warnings.simplefilter("ignore")  # products of such numbers overflow where nothing depends on it
    found = {engine: enumerate_cells(network, domain, engine=engine, workers=1) for engine in engines(domain)}
    first = found["cells"]
    true = [bounds(volume) for volume in volume_enclosures(first)]  # proves that the list is complete
    for engine, cells in found.items():
        assert cells.certificate.proven and cells.certificate.unchecked == ""
        assert names(cells) == names(first)
        assert cells.volume_sum == pytest.approx(domain.volume, rel=1e-9)
        counted = count_cells(network, domain, engine=engine, workers=1)
        assert counted.cells == cells.n_cells and counted.certificate.unchecked == ""
    assert np.abs(first.volumes - [low for low, _ in true]).sum() <= 1e-9 * domain.volume


@pytest.mark.parametrize("engine", ["planar", "cells", "lp"])
def test_facets_of_a_far_box_have_their_exact_lengths(engine: str) -> None:
    """The diagonal of a square of four floats, and a line between floats, rounded to where none is."""
    low = 2.0**53
    network = Network.from_arrays([[[1.0, -1.0], [3.0, 0.0]], [[1.0, 1.0]]], [[0.0, -3.0 * low - 4.0], [0.0]])
    cells = enumerate_cells(network, far(2, 53, 4), engine=engine)
    assert cells.n_cells == 4
    assert 3.0 * low + 4.0 == 3 * int(low) + 4  # the line is 4/3 from the left side
    root = 2.0**0.5
    lengths = sorted(cells.facets.volume[cells.facets.interior].tolist())
    assert lengths == pytest.approx([4 / 3, root * 4 / 3, 8 - 4 / 3, root * (8 - 4 / 3)], rel=1e-12)
    assert sorted(cells.volumes.tolist()) == pytest.approx([8 / 9, 88 / 9, 200 / 9, 280 / 9], rel=1e-12)


def measures(cells: CellComplex, rows: np.ndarray, table, volumes: np.ndarray) -> tuple:
    listed = Listed(cells.network, cells.domain, np.ascontiguousarray(cells.patterns[rows]), True)
    return checked_measures(volumes, table, "", listed, cells.tolerances)


@pytest.mark.parametrize("name", ["strip in space", "flat", "far in the plane"])
def test_a_missing_cell_a_doubled_one_and_a_false_one_are_found(name: str) -> None:
    domain = DOMAINS[name]
    cells = enumerate_cells(crossing(domain, 1), domain, engine="cells")
    n = cells.n_cells
    table = replace(
        cells.facets, **{field: value[:0] for field, value in vars(cells.facets).items() if value is not None}
    )
    wrong = 1.1 * cells.volumes
    assert np.array_equal(measures(cells, np.arange(n), table, wrong)[0], cells.volumes)
    for rows in (np.arange(1, n), np.append(np.arange(n), 0)):
        with pytest.raises(CertificateError):
            measures(cells, rows, table, wrong[rows])
    cells.patterns.flags.writeable = True
    cells.patterns[0] ^= 1
    with pytest.raises(CertificateError):
        measures(cells, np.arange(n), table, wrong)


def test_facets_that_are_none_are_found() -> None:
    domain = DOMAINS["far in the plane"]
    cells = enumerate_cells(crossing(domain, 1), domain)
    inner = np.flatnonzero(cells.facets.interior)
    b = cells.facets.cell_b.copy()
    b[inner[0]] = (set(range(cells.n_cells)) - {int(cells.facets.cell_a[inner[0]]), int(b[inner[0]])}).pop()
    with pytest.raises(CertificateError, match="same facet"):
        measures(cells, np.arange(cells.n_cells), replace(cells.facets, cell_b=b), 1.1 * cells.volumes)


@pytest.mark.parametrize("engine", ["planar", "cells", "lp"])
def test_what_is_too_much_to_check_is_said_of_thin_domains_only(
    monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setattr(self_checks, "MOST_EXACT", 0)
    domain = DOMAINS["strip in the plane"]
    cells = enumerate_cells(crossing(domain, 0), domain, engine=engine)
    assert "not checked" in cells.certificate.unchecked
    assert cells.certificate.unchecked in cells.certificate.statement
    if engine != "lp":
        counted = count_cells(crossing(domain, 0), domain, engine=engine)
        assert counted.cells == cells.n_cells and counted.volume_sum is None
        assert "not checked" in counted.certificate.statement
    plain = enumerate_cells(crossing(strip(2, 0.5), 0), strip(2, 0.5), engine=engine)
    assert plain.certificate.unchecked == ""
    with pytest.raises(CertificateError, match="do not cover the domain"):
        measures(plain, np.arange(plain.n_cells), plain.facets, 1.1 * plain.volumes)


@pytest.mark.parametrize("name", ["far in the plane", "flat beyond rounding", "strip in the plane", "huge"])
def test_a_sample_in_an_unlisted_cell_is_found_and_one_on_a_border_is_not(name: str) -> None:
    domain = DOMAINS[name]
    cells = enumerate_cells(crossing(domain, 1), domain)
    check_samples(cells)
    largest = int(np.argmax(cells.volumes))
    rest = np.delete(np.arange(cells.n_cells), largest)
    with pytest.raises(CertificateError, match="no listed cell"):
        check_samples(replace(cells, patterns=np.ascontiguousarray(cells.patterns[rest])))
