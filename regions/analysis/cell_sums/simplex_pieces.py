"""Cells as simplices, the probability of each cell, and simplices cut by a hyperplane.

Which density and which hyperplane is left to the caller; the vertices come from the complex, or from the
cell geometry, which finds a cell again, where the complex does not store them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from regions.analysis.arguments import check_complex
from regions.analysis.unbounded_parts import where_mass_is
from regions.complexes import CellComplex, StoredComplex
from regions.density import Density, UniformDensity
from regions.density.densities import check_density
from regions.density.frozen_distributions import with_distributions
from regions.density.integrals.simplex_integrals import simplex_volumes
from regions.enumeration.vertices.cell_geometry import VertexGeometry
from regions.errors import CertificateError, InvalidInputError
from regions.network.patterns import row_keys

__all__ = ["cell_masses", "cell_pieces", "check_complete", "positive_parts"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Progress = Callable[[int, float], None]

_EPS = float(np.finfo(np.float64).eps)
# cells, or facets, whose simplices are made at once
_BLOCK = 4096


def check_complete(cells: CellComplex | StoredComplex, density: Density | None) -> None:
    """Raise unless a sum over these cells is one over the domain, and the density fits it.

    Raises
    ------
    InvalidInputError : if the complex is TRUNCATED or the density has another dimension
    InvalidDomainError : if a uniform density does not contain the domain

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> check_complete(enumerate_cells(network, Box([-1.0], [2.0])), None)
    """
    if not isinstance(cells, StoredComplex):
        check_complex(cells)
    if density is not None:
        check_density(density)
    cells.require_volumes("a sum over cells")
    if cells.status.name != "COMPLETE":
        raise InvalidInputError(
            f"the complex is {cells.status.name}, cells are missing; enumerate it to the end"
        )
    if density is None:
        return
    if density.dimension != cells.dimension:
        raise InvalidInputError(
            f"the density has {density.dimension} coordinates, the complex {cells.dimension}; "
            "give a density in the intrinsic coordinates of its domain"
        )
    if isinstance(density, UniformDensity) and cells.clipped is None:
        density.mass(cells.domain)


@with_distributions
def cell_masses(
    cells: CellComplex, density: Density | None = None, *, progress: Progress | None = None
) -> tuple[FloatArray, FloatArray]:
    """Probability of every cell.

    Uniform densities divide the cells' volumes. Others are integrated over the simplices of each cell:
    in closed form for d = 1, by adaptive cubature beyond.

    Parameters
    ----------
    cells : CellComplex, COMPLETE
    density : Density in the intrinsic coordinates of the domain; None for the uniform one on it
    progress : called with the highest cell reached and the fraction done, after each block

    Returns
    -------
    masses : (n,) float64; they sum to the mass of the domain, which may be below 1
    errors : (n,) float64, rounding and cubature; not that of the cells' volumes and vertices

    Raises
    ------
    InvalidInputError, InvalidDomainError : if the complex is TRUNCATED or the density does not fit
    BudgetExceededError : if the cubature does not reach the density's tolerance
    CertificateError : if the simplices do not fill the cells

    Examples
    --------
    >>> from regions import Box, GaussianDensity, Network, enumerate_cells
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> cells = enumerate_cells(network, Box([-1.0], [1.0]))
    >>> cell_masses(cells)[0], cell_masses(cells, GaussianDensity([0.0], 1.0))[0].round(9)
    (array([0.5, 0.5]), array([0.34134475, 0.34134475]))
    """
    check_complete(cells, density)
    shown = where_mass_is(cells, density)
    if shown is not cells:
        found = CellsFound(shown, *cell_masses(shown, density, progress=progress))
        masses = found.of(cells)
        found.check()
        return masses
    return masses_of_part(cells, density, progress)


def masses_of_part(
    cells: CellComplex, density: Density | None, progress: Progress | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return the masses of cells that may be a part of a complex, of a bounded domain, and their errors.

    If the density is not uniform, their facets must be listed where d > 2.

    Raises
    ------
    BudgetExceededError : if the cubature does not reach the density's tolerance
    CertificateError : if the simplices do not fill the cells
    """
    if density is None or isinstance(density, UniformDensity):
        whole = (cells.domain if density is None else density.domain).volume
        uniform = cells.volumes / whole
        return uniform, 4.0 * _EPS * uniform
    masses, errors, filled = np.zeros((3, cells.n_cells))
    for simplices, owner, fraction in cell_pieces(cells):
        values, spread = density.integrate_simplices(simplices)
        for total, part in ((masses, values), (errors, spread), (filled, simplex_volumes(simplices)[0])):
            total += np.bincount(owner, part, cells.n_cells)
        if progress is not None:
            progress(int(owner.max(initial=0)) + 1, fraction)
    check_filled(float(np.abs(filled - cells.volumes).sum()), cells)
    return masses, errors + 8.0 * _EPS * masses


def check_filled(gap: float, cells: CellComplex | StoredComplex) -> None:
    """Raise CertificateError if the simplices of cells miss their volumes by more than rounding does."""
    if not gap <= 1e-9 * cells.domain.volume:
        raise CertificateError(
            f"the simplices of the cells miss their volumes by {gap:.3g} of {cells.domain.volume:.6g}; "
            "enumerate on a better scaled domain"
        )


class CellsFound:
    """Masses, and their errors, of the cells of a part of an unbounded domain, for those of the whole."""

    def __init__(self, part: CellComplex, masses: FloatArray, errors: FloatArray) -> None:
        self._values = masses, errors
        self._place = {key: i for i, key in enumerate(row_keys(part.patterns))}
        self._left = part.n_cells

    def of(self, cells: CellComplex) -> tuple[FloatArray, FloatArray]:
        """Return the masses of some cells, 0 of those that do not show in the part, and the errors."""
        found = np.array([self._place.get(key, -1) for key in row_keys(cells.patterns)], np.int64)
        self._left -= int(np.count_nonzero(found >= 0))
        masses, errors = (np.where(found >= 0, values[found], 0.0) for values in self._values)
        return masses, errors

    def check(self) -> None:
        """Raise CertificateError unless all cells of the part were found."""
        if self._left > 0:
            raise CertificateError(
                "a part of the domain has cells that the domain has not; please report this"
            )


def cell_pieces(cells: CellComplex) -> Iterator[tuple[FloatArray, IntArray, float]]:
    """All cells cut into d-simplices, in blocks; the simplices of one cell may come in several blocks.

    Polygons are cut into fans. Beyond, every facet (the domain's included) is cut as the complex does it,
    and joined to the centroids of the cells on its two sides.

    Yields
    ------
    simplices : (K, d+1, d) float64, intrinsic
    owner : (K,) int64, the cell of each
    fraction : float, how much is done

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> network = Network.from_arrays([[[1.0, 0.0]], [[1.0]]], [[0.0], [0.0]])
    >>> cells = enumerate_cells(network, Box([-1.0, -1.0], [1.0, 1.0]))
    >>> [(part[0].shape, sorted(part[1].tolist())) for part in cell_pieces(cells)]
    [((4, 3, 2), [0, 0, 1, 1])]
    """
    if cells.dimension == 1:
        half = 0.5 * cells.volumes[:, None] * np.array([-1.0, 1.0])
        yield (cells.centroids + half)[:, :, None], np.arange(cells.n_cells), 1.0
    elif cells.rings is not None:
        yield from _fans(cells, cells.rings)
    else:
        yield from _cones(cells)


def _fans(cells: CellComplex, points: FloatArray) -> Iterator[tuple[FloatArray, IntArray, float]]:
    corners = cells.n_vertices.astype(np.int64)
    first = np.cumsum(corners) - corners
    for start in range(0, cells.n_cells, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, cells.n_cells))
        count = corners[block] - 2
        owner = np.repeat(block, count)
        step = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        base = first[owner]
        yield points[np.stack([base, base + step + 1, base + step + 2], axis=1)], owner, _done(block, cells)


def _done(block: IntArray, cells: CellComplex) -> float:
    return float((block[-1] + 1) / cells.n_cells)


def _cones(cells: CellComplex) -> Iterator[tuple[FloatArray, IntArray, float]]:
    facets = cells.facets
    geometry = VertexGeometry(
        cells.network,
        cells.domain,
        cells.tolerances.vertex_radius,
        planar=False,
        certified=cells.arithmetic == "certified",
    )
    # all facets of a cell together, so that the search goes there once
    order = np.argsort(facets.cell_a, kind="stable")
    for start in range(0, len(order), _BLOCK):
        rows = order[start : start + _BLOCK]
        bases, row = geometry.facet_simplices(cells.patterns, rows, facets.cell_a[rows], facets.place[rows])
        sides = [(bases, facets.cell_a[row])]
        shared = facets.interior[row]
        sides.append((bases[shared], facets.cell_b[row][shared]))
        owner = np.concatenate([cell for _, cell in sides])
        base = np.concatenate([part for part, _ in sides])
        simplices = np.concatenate([base, cells.centroids[owner][:, None]], axis=1)
        yield simplices, owner, (start + len(rows)) / len(order)


def positive_parts(simplices: FloatArray, heights: FloatArray) -> tuple[FloatArray, IntArray]:
    """The part of each simplex where an affine function is positive, cut into simplices.

    With p positive vertices and q others the part is combinatorially a product of simplices of p and
    q + 1 vertices; each monotone path through that grid gives one simplex of its staircase triangulation.

    Parameters
    ----------
    simplices : (K, d+1, d) float64
    heights : (K, d+1) float64, the function at the vertices, some of them positive

    Returns
    -------
    parts : (M, d+1, d) float64, at most binomial(d, d // 2) for each simplex
    owner : (M,) int64, number of the simplex that each is a part of

    References
    ----------
    De Loera, Rambau and Santos, Triangulations (2010), section 6.2.

    Examples
    --------
    >>> triangle = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    >>> parts, owner = positive_parts(triangle, np.array([[-1.0, 1.0, 1.0]]))
    >>> simplex_volumes(parts)[0].sum(), owner
    (np.float64(0.375), array([0, 0]))
    """
    corners = heights.shape[1]
    order = np.argsort(-heights, axis=1, kind="stable")
    sorted_heights = np.take_along_axis(heights, order, axis=1)
    sorted_corners = np.take_along_axis(simplices, order[:, :, None], axis=1)
    above = np.count_nonzero(heights > 0.0, axis=1)
    parts, owners = [sorted_corners[above == corners]], [np.flatnonzero(above == corners)]
    for p in range(1, corners):
        chosen = np.flatnonzero(above == p)
        if not chosen.size:
            continue
        high, low = sorted_heights[chosen, :p], sorted_heights[chosen, p:]
        top, bottom = sorted_corners[chosen, :p], sorted_corners[chosen, p:]
        share = high[:, :, None] / (high[:, :, None] - low[:, None])
        cuts = top[:, :, None] + share[..., None] * (bottom[:, None] - top[:, :, None])
        grid = np.concatenate([top[:, :, None], cuts], axis=2)
        paths = _staircases(p, corners - p + 1)
        parts.append(grid[:, paths[:, 0], paths[:, 1]].reshape(-1, corners, corners - 1))
        owners.append(np.repeat(chosen, len(paths)))
    return np.concatenate(parts), np.concatenate(owners)


def _staircases(rows: int, columns: int) -> IntArray:
    """Monotone paths from one corner of a grid to the other: (paths, 2, rows + columns - 1)."""
    steps = rows + columns - 2
    paths = []
    for downs in itertools.combinations(range(steps), rows - 1):
        row = np.concatenate([[0], np.cumsum(np.isin(np.arange(steps), downs))])
        paths.append([row, np.arange(steps + 1) - row])
    return np.array(paths, dtype=np.int64)
