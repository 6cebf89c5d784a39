"""What is asked of cells without end: their faces, those at infinity, and enclosures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_whole_space import arrangement, deep, generic

from regions import (
    Box,
    GaussianDensity,
    Network,
    Polyhedron,
    UniformDensity,
    WholeSpace,
    enumerate_cells,
    face_lattice,
    locus_volume,
    volume_enclosures,
)
from regions.analysis.enclosures import locus_enclosure
from regions.complexes import CellComplex
from regions.complexes.unbounded_cells import clipping_facets, with_infinity
from regions.errors import CertificateError, InvalidInputError
from regions.rational import bounds

HALF = Polyhedron([[1.0, 0.5]], [0.25])


def faces_of_hyperplanes(d: int, m: int, k: int) -> int:
    """Faces of dimension k of m hyperplanes in general position: cells of an arrangement in each flat."""
    return math.comb(m, d - k) * sum(math.comb(m - d + k, i) for i in range(k + 1))


def at_infinity(d: int, m: int, k: int) -> int:
    """Faces of dimension k of m hyperplanes in general position through 0, as they divide the sphere."""
    flats, n, r = math.comb(m, d - 1 - k), m - (d - 1 - k), k + 1
    return flats * 2 * sum(math.comb(n - 1, i) for i in range(r))


@pytest.mark.parametrize(("d", "m"), [(1, 4), (2, 5), (3, 5)])
def test_faces_of_hyperplanes_in_general_position(d: int, m: int) -> None:
    lattice = face_lattice(enumerate_cells(generic(d, m), WholeSpace(d)))
    assert lattice.f_vector == tuple(faces_of_hyperplanes(d, m, k) for k in range(d + 1))
    assert [len(faces) for faces in lattice.at_infinity] == [at_infinity(d, m, k) for k in range(d)]
    assert lattice.euler_characteristic == (-1) ** d
    rows = generic(d, m).weights[0]
    for ray in lattice.rays:  # edges go on where d - 1 of the hyperplanes meet
        assert (np.abs(rows @ ray) < 1e-9).sum() == d - 1 and np.linalg.norm(ray) == pytest.approx(1.0)


def test_parallel_hyperplanes_have_no_vertices() -> None:
    strips = arrangement([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]], [0.0, 1.0, 0.0])
    lattice = face_lattice(enumerate_cells(strips, WholeSpace(3)))
    assert lattice.f_vector == (0, 2, 7, 6) and lattice.points.shape == (2, 3)
    assert [len(faces) for faces in lattice.at_infinity] == [0, 4, 4]
    assert len(lattice.rays) == 4 and lattice.n_activation_patterns == 6


def inner_faces(cells: CellComplex) -> list[int]:
    """Faces of the clipped complex, by dimension, that do not lie on the box that clips."""
    assert cells.clipped is not None
    lattice, width = face_lattice(cells.clipped), float(cells.clipped.domain.extent().max())
    counts = []
    for faces in lattice.faces:
        on_box = [(np.abs(lattice.points[list(face)]) == width).all(axis=0).any() for face in faces]
        counts.append(on_box.count(False))
    return counts


@pytest.mark.parametrize("domain", [WholeSpace(2), HALF, pytest.param(WholeSpace(3), marks=pytest.mark.slow)])
def test_faces_of_deep_networks_are_those_inside_of_the_box_that_clips(domain: WholeSpace) -> None:
    cells = enumerate_cells(deep(domain.dimension), domain)
    lattice = face_lattice(cells)
    assert list(lattice.f_vector) == inner_faces(cells) and lattice.f_vector[-2] == len(cells.facets)
    ends = [face for face in lattice.faces[1] if max(face) >= len(lattice.points)]
    assert len(ends) > 0 and all(min(face) < len(lattice.points) for face in ends)
    start, way = (lattice.points[ends[0][0]], lattice.rays[ends[0][1] - len(lattice.points)])
    zero = lattice.zero[1][lattice.faces[1].index(ends[0])]
    values = [cells.network.activation_pattern(start + t * way + 1e-6 * t * way[::-1]) for t in (1.0, 5.0)]
    assert np.array_equal(*values) and (zero or domain is HALF)
    assert lattice.n_activation_patterns >= cells.n_cells


@pytest.mark.parametrize("domain", [WholeSpace(1), WholeSpace(2), HALF])
def test_volumes_without_end_are_infinite_and_the_others_enclosed(domain: WholeSpace | Polyhedron) -> None:
    cells = enumerate_cells(deep(domain.dimension), domain)
    for volume, exact in zip(cells.volumes.tolist(), volume_enclosures(cells), strict=True):
        low, high = bounds(exact)
        assert low == pytest.approx(volume, rel=1e-7) and low <= high <= low * (1.0 + 1e-15)
    infinite = int(np.flatnonzero(~cells.bounded)[0])
    assert [bounds(one) for one in volume_enclosures(cells, [infinite])] == [(math.inf, math.inf)]


def test_a_gaussian_is_integrated_to_the_ends_of_rays() -> None:
    corner = Network.from_arrays(  # relu(x) + relu(y) + relu(y - relu(x))
        [[[1, 0], [0, 1], [0, -1]], [[1, 0, 0], [0, 1, -1], [-1, 1, -1]], [[1, 1, 1]]],
        [[0, 0, 0], [0, 0, 0], [0]],
    )
    normal, line = GaussianDensity(np.zeros(2), np.eye(2)), 1.0 / math.sqrt(2.0 * math.pi)
    found = locus_volume(enumerate_cells(corner, WholeSpace(2)), normal, enclosure=True)
    assert found.enclosure is not None
    low, high = found.enclosure.to_dict()["total"]
    assert low <= high <= low * (1.0 + 1e-15) and found.total == pytest.approx(low, rel=1e-9)
    # it bends on the half of x = 0 with y < 0, on y = 0, and on the half of x = y with x > 0
    shares = [low / line for low, _ in found.enclosure.to_dict()["by_unit"]]
    assert shares == pytest.approx([0.5, 1.0, 0.0, 0.0, 0.0, 0.5], abs=1e-15)


def test_lines_under_a_gaussian_have_their_closed_form_enclosed() -> None:
    network, mean = generic(2, 6), np.array([0.5, -1.0])
    normals, offsets = network.weights[0], network.biases[0]
    cov = np.array([[0.5, 0.2], [0.2, 1.5]])
    cells = enumerate_cells(network, WholeSpace(2))
    low, high = locus_enclosure(cells, GaussianDensity(mean, cov)).to_dict()["total"]
    variance = np.einsum("ij,jk,ik->i", normals, cov, normals)
    bells = np.exp(-0.5 * (offsets + normals @ mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)
    wanted = float((np.linalg.norm(normals, axis=1) * bells).sum())
    assert low == pytest.approx(wanted, rel=1e-14) and high <= low * (1.0 + 1e-15)
    square = UniformDensity(Box([-1.0, -1.0], [1.0, 2.0]))
    inside = enumerate_cells(network, square.domain)
    expected = locus_enclosure(inside, square).to_dict()
    by_parts = locus_volume(cells, square, enclosure=True).enclosure
    assert by_parts is not None and by_parts.to_dict() == expected
    with pytest.raises(InvalidInputError, match="enumerate on it"):
        locus_enclosure(cells, square)
    assert locus_enclosure(cells).to_dict()["total"] == [math.inf, math.inf]


def test_a_box_that_hides_an_end_gives_no_enclosure() -> None:
    space = WholeSpace(2)
    small = enumerate_cells(generic(2, 8), Box([-1.0, -1.0], [1.0, 1.0]))
    hidden = with_infinity(small, space, clipping_facets(small, space), small.n_vertices)
    with pytest.raises(CertificateError, match="hides the end of a cell"):
        volume_enclosures(hidden)
    with pytest.raises(CertificateError, match="hides the end of a facet"):
        locus_enclosure(hidden)
    with pytest.raises(CertificateError, match="Euler characteristic"):
        face_lattice(hidden)


def test_a_lattice_of_what_has_an_end_has_no_rays() -> None:
    lattice = face_lattice(enumerate_cells(generic(2, 3), Box([-1.0, -1.0], [1.0, 1.0])))
    assert lattice.rays.size == 0 and lattice.at_infinity == ()
