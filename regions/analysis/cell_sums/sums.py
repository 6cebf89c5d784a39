"""Sums over the cells of a complete complex: what papers sample, without sampling.

Masses of cells come from `simplex_pieces`, Jacobians from `jacobians`. One sum needs more than a cell at
a time: the tail of the pre-activations, for which cells are cut at the heights in question.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.cell_sums.jacobians import blocks_of_cells, forward_maps, rest_maps, unpack_states
from regions.analysis.cell_sums.simplex_pieces import (
    Progress,
    cell_masses,
    cell_pieces,
    check_complete,
    positive_parts,
)
from regions.analysis.cell_sums.stored_pieces import masses_in_blocks, pieces_in_blocks
from regions.analysis.exact_sums import ExactSums
from regions.analysis.unbounded_parts import where_mass_is
from regions.complexes import CellComplex, StoredComplex
from regions.density import Density, UniformDensity
from regions.density.densities import as_floats
from regions.density.frozen_distributions import with_distributions
from regions.errors import InvalidInputError, check_choice
from regions.network.relu_network import Network
from regions.showing import Shown, Tabular

__all__ = ["CellSums", "GradientTail", "MatrixNorm", "gradient_tail", "sum_over_cells"]

FloatArray = NDArray[np.float64]
MatrixNorm = Literal["frobenius", "spectral"]

# float64 entries of the heights of all units at the vertices of one batch of simplices
_WORKING_SET = 1 << 20


@dataclass(frozen=True, eq=False)
class CellSums(Shown, Tabular):
    """Integrals against the density, and maxima, over the cells of a complex.

    Integrals are over the domain and not divided by the density's mass in it. Jacobians are those in
    intrinsic coordinates; that of layer l is the one of its *pre-activations*.

    Parameters
    ----------
    eps : float, singular values above it count towards a rank
    norm : "frobenius" or "spectral", of the network's Jacobian in `total_variation`
    mass, mass_error : float
        Of the density in the domain. An integral of something between 0 and c is off by at most c times
        the error, beside the rounding of the Jacobians.
    total_variation : float, integral of ||grad N||
    local_rank : (n_relu_layers,) float64, integral of #{singular values of J_l > eps}
    unit_gradients : (n_units,) float64, integral of ||grad z_i||
    c_grad : (n_relu_layers,) float64, max ||J_l|| (spectral) over the cells
    lipschitz : (n_relu_layers,) float64
        Max over the cells of the spectral norm of the Jacobian of the rest of the network with respect to
        layer l's activations: the Lipschitz constant of the rest along what the domain's images visit,
        not over the whole of the layer's space.
    not_good : (n_units,) float64
        Measure of the cells where the output does not depend on the unit's activation, the states of the
        later layers being those of the cell (also where the unit itself is active).
    not_good_anywhere : float, measure of the cells where some unit is not good
    cell_mass : (n,) float64; of a StoredComplex empty
    cell_ranks : (n, n_relu_layers) int32, the ranks on each cell; of a StoredComplex empty
    density : str, describing it

    Notes
    -----
    Candidates of max units are rows like others in Jacobians, gradients and ranks. A max unit puts out one
    number: that is what `lipschitz` refers to, and what all its candidates are silent with.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> network = Network.from_arrays([[[2.0]], [[1.0]]], [[0.0], [0.0]])
    >>> sums = sum_over_cells(enumerate_cells(network, Box([-1.0], [3.0])), eps=0.01)
    >>> sums.c_bound, sums.gradient_sum
    (2.0, 2.0)
    """

    eps: float
    norm: str
    mass: float
    mass_error: float
    total_variation: float
    local_rank: FloatArray
    unit_gradients: FloatArray
    c_grad: FloatArray
    lipschitz: FloatArray
    not_good: FloatArray
    not_good_anywhere: float
    cell_mass: FloatArray
    cell_ranks: NDArray[np.int32]
    density: str

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def _columns(self) -> dict[str, Any]:
        ranks = {f"rank_{layer}": part for layer, part in enumerate(self.cell_ranks.T)}
        return {"cell": np.arange(len(self.cell_mass)), "mass": self.cell_mass, **ranks}

    def _headline(self) -> str:
        return f"sums over {len(self.cell_mass):,} cells, density {self.density}"

    def _notes(self) -> dict[str, Any]:
        return self._facts()

    def _facts(self) -> dict[str, Any]:
        return {
            "mass": self.mass,
            "total variation": f"{self.total_variation:.9g} ({self.norm} norm)",
            "local rank": self.local_rank,
            "c_grad": self.c_grad,
            "lipschitz": self.lipschitz,
            "not good": f"{self.not_good_anywhere:.6g} (some unit does not influence the output)",
        }

    @property
    def gradient_sum(self) -> float:
        """Integral of the sum of all units' ||grad z_i||."""
        return math.fsum(self.unit_gradients.tolist())

    @property
    def c_bound(self) -> float:
        """C_grad of the paper: the largest ||J_l|| of any layer on any cell; 0 without a layer."""
        return float(self.c_grad.max(initial=0.0))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings, ready for JSON; without what is known cell by cell.

        Examples
        --------
        >>> from regions import Box, Network, enumerate_cells
        >>> network = Network.from_arrays([[[2.0]], [[1.0]]], [[0.0], [0.0]])
        >>> sum_over_cells(enumerate_cells(network, Box([-1.0], [3.0])), eps=0.01).to_dict()["local_rank"]
        [1.0]
        """
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
            if name not in ("cell_mass", "cell_ranks")
        }


@dataclass(frozen=True, eq=False)
class GradientTail(Shown):
    """Integral of ||grad z_i|| where |z_i| exceeds a height.

    Parameters
    ----------
    total, error : float, over all units; rounding and cubature
    by_unit : (n_units,) float64
    """

    total: float
    error: float
    by_unit: FloatArray


@with_distributions
def sum_over_cells(
    cells: CellComplex | StoredComplex,
    density: Density | None = None,
    *,
    eps: float,
    norm: MatrixNorm = "frobenius",
    progress: Progress | None = None,
) -> CellSums:
    """Local ranks, total variation, gradients and goodness of units, summed over all cells.

    On a cell every layer is affine, so each of these is constant there, and its expectation is a sum over
    cells with their probabilities. Ranks are those of the *pre-activations*, as in the paper's
    LR_l = E_x #{singular values of J_x z_l > eps} (its public code takes eps = 0.01).

    Parameters
    ----------
    cells : CellComplex or StoredComplex, COMPLETE
        Of the second, cells are read in blocks.
    density : Density in the intrinsic coordinates of the domain; None for the uniform one on it
    eps : float >= 0
    norm : "frobenius" or "spectral", for the total variation
    progress : called with cells done and the fraction done

    Returns
    -------
    CellSums; cost O(n_cells n_units width (d + outputs)) and one SVD per layer and cell, in blocks of
        bounded memory: 0.05 ms per cell for 32 x 3 units, 0.25 ms for 128 x 4 (d = 2 and 3)

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If the complex is TRUNCATED, the density does not fit, or eps or norm is out of range.
    BudgetExceededError, CertificateError : as for `cell_masses`

    References
    ----------
    Patel and Montufar, arXiv 2412.18283, section 4; docs/mathematics.md, "Sums over cells".

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> network = Network.from_arrays([[[2.0]], [[3.0]]], [[0.0], [0.0]])
    >>> sums = sum_over_cells(enumerate_cells(network, Box([-1.0], [3.0])), eps=0.01)
    >>> sums.total_variation, sums.local_rank, sums.c_grad, sums.lipschitz
    (4.5, array([1.]), array([2.]), array([3.]))
    """
    if not (math.isfinite(eps) and eps >= 0.0):
        raise InvalidInputError(f"eps is {eps!r}; give a finite number, at least 0")
    check_choice("norm", norm, get_args(MatrixNorm))
    check_complete(cells, density)
    totals = _Totals(cells.network, eps, norm)
    kept: list[tuple[FloatArray, NDArray[np.int32]]] = []
    done = 0
    for part, masses, errors in _parts(cells, density):
        totals.mass(masses, errors)
        ranks = np.zeros((part.n_cells, len(cells.network.widths)), np.int32)
        for block in blocks_of_cells(part):
            ranks[block] = totals.add(part, block, masses[block])
            if progress is not None:
                progress(done + block.stop, (done + block.stop) / cells.n_cells)
        done += part.n_cells
        if part is cells:
            kept.append((masses, ranks))
    masses, ranks = kept[0] if kept else (np.zeros(0), np.zeros((0, len(cells.network.widths)), np.int32))
    density_used = UniformDensity(cells.domain) if density is None else density
    return totals.result(masses, ranks, density_used.describe())


def _parts(
    cells: CellComplex | StoredComplex, density: Density | None
) -> Iterator[tuple[CellComplex, FloatArray, FloatArray]]:
    """Return all cells in parts that are in memory, with their masses and the errors of these."""
    if isinstance(cells, StoredComplex):
        yield from masses_in_blocks(cells, density)
    else:
        yield cells, *cell_masses(cells, density)


class _Totals:
    """Sums over cells and maxima, while the cells come in."""

    def __init__(self, network: Network, eps: float, norm: MatrixNorm) -> None:
        self.network, self.eps, self.norm = network, float(eps), norm
        self.layers = len(network.widths)
        self.sums = ExactSums(
            4 + self.layers
        )  # mass, its error, variation, cells with a unit not good, ranks
        self.gradients, self.not_good = np.zeros((2, network.n_units))
        self.c_grad, self.lipschitz = np.zeros((2, self.layers))
        pairs = zip(network.maxima, network.relu, strict=True)
        # of a max unit one column, for it puts out one number
        self.columns = [None if rows is None else np.cumsum(rows) - rows for rows, relu in pairs if relu]

    def mass(self, masses: FloatArray, errors: FloatArray) -> None:
        """Take the masses of cells."""
        self._take(0, masses)
        self._take(1, errors)

    def add(self, cells: CellComplex, block: slice, weights: FloatArray) -> NDArray[np.int32]:
        """Take a block of cells with their masses; returns the ranks on them."""
        states = unpack_states(cells, block)
        maps, rest = forward_maps(self.network, cells.domain, states), rest_maps(self.network, states)
        silent = _side_by_side(rest.silent, len(states))
        slopes = _side_by_side([np.linalg.norm(A, axis=2) for A in maps.jacobians], len(states))
        self._take(2, weights * _norms(maps.output, self.norm))
        self._take(3, weights * silent.any(axis=1))
        self.gradients += (weights[:, None] * slopes).sum(axis=0)
        self.not_good += (weights[:, None] * silent).sum(axis=0)
        ranks = np.zeros((len(states), self.layers), np.int32)
        for layer, (A, G) in enumerate(zip(maps.jacobians, rest.jacobians, strict=True)):
            singular = np.linalg.svd(A, compute_uv=False)
            ranks[:, layer] = np.count_nonzero(singular > self.eps, axis=1)
            self._take(4 + layer, weights * ranks[:, layer])
            self.c_grad[layer] = max(self.c_grad[layer], float(singular.max()))
            columns = self.columns[layer]
            own = G if columns is None else G[:, :, columns]
            self.lipschitz[layer] = max(self.lipschitz[layer], float(_norms(own, "spectral").max()))
        return ranks

    def _take(self, key: int, values: FloatArray) -> None:
        self.sums.add(np.full(len(values), key), values)

    def result(self, masses: FloatArray, ranks: NDArray[np.int32], density: str) -> CellSums:
        """Return the sums."""
        sums = self.sums.values()
        return CellSums(
            eps=self.eps,
            norm=self.norm,
            mass=float(sums[0]),
            mass_error=float(sums[1]),
            total_variation=float(sums[2]),
            local_rank=sums[4:].copy(),
            unit_gradients=self.gradients,
            c_grad=self.c_grad,
            lipschitz=self.lipschitz,
            not_good=self.not_good,
            not_good_anywhere=float(sums[3]),
            cell_mass=masses,
            cell_ranks=ranks,
            density=density,
        )


@with_distributions
def gradient_tail(
    cells: CellComplex | StoredComplex,
    density: Density | None = None,
    *,
    eta: float,
    shift: ArrayLike = 0.0,
    progress: Progress | None = None,
) -> GradientTail:
    """Integral of sum_i ||grad z_i|| over where |z_i - shift_i| > eta.

    Cells in which a unit passes eta are cut there, so the value is exact up to rounding and the density's
    cubature. With the units' own bias noise as shift this is a draw of the paper's tail term xi_eta.

    Parameters
    ----------
    cells : CellComplex or StoredComplex, COMPLETE; of the second, cells are read in blocks
    density : Density in the intrinsic coordinates of the domain; None for the uniform one on it
    eta : float >= 0
    shift : number, or (n_units,) in flat unit order
    progress : called with the highest cell reached and the fraction done

    Returns
    -------
    GradientTail; cost O(pieces n_units d) and an integral for each piece that a unit cuts:
        0.1 ms per cell for 96 units in the plane, 1 ms (Gaussian: 2 ms) for d = 3, where a cell has some
        tens of pieces, 4 ms for 32 units and d = 4

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If the complex is TRUNCATED, the density does not fit, or eta or shift is out of range.
    BudgetExceededError : if the cubature does not reach the density's tolerance

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> network = Network.from_arrays([[[2.0]], [[3.0]]], [[0.0], [0.0]])
    >>> gradient_tail(enumerate_cells(network, Box([-1.0], [3.0])), eta=1.0).total
    1.5
    """
    if not (math.isfinite(eta) and eta >= 0.0):
        raise InvalidInputError(f"eta is {eta!r}; give a finite number, at least 0")
    check_complete(cells, density)
    cells.network.refuse_max_units("gradient_tail, which asks how far pre-activations are from 0,")
    cells = where_mass_is(cells, density)
    count = cells.network.n_units
    centre = as_floats(shift, "shift")
    if centre.shape not in ((), (count,)) or not np.isfinite(centre).all():
        raise InvalidInputError(f"shift has shape {centre.shape}; give a finite number or one for each unit")
    p: Density = UniformDensity(cells.domain) if density is None else density
    totals, spreads = np.zeros((2, count))
    batch = max(1, _WORKING_SET // (max(count, 1) * (cells.dimension + 2) ** 2))
    for part, simplices, owner, highest, fraction in _pieces(cells):
        for start in range(0, len(owner), batch):
            some = slice(start, start + batch)
            heights, slopes = _heights(part, simplices[some], owner[some])
            heights -= centre
            values, errors = p.integrate_simplices(simplices[some])
            for sign in (1.0, -1.0):
                mass, spread = _mass_above(p, simplices[some], sign * heights - eta, (values, errors))
                totals += (mass * slopes).sum(axis=0)
                spreads += (spread * slopes).sum(axis=0)
        if progress is not None:
            progress(highest + 1, fraction)
    totals.setflags(write=False)
    return GradientTail(math.fsum(totals.tolist()), math.fsum(spreads.tolist()), totals)


def _pieces(
    cells: CellComplex | StoredComplex,
) -> Iterator[tuple[CellComplex, FloatArray, NDArray[np.int64], int, float]]:
    """Return parts with simplices, the cell in the part of each, the highest cell, and how much is done."""
    if isinstance(cells, StoredComplex):
        for numbers, part, simplices, owner, fraction in pieces_in_blocks(cells):
            yield part, simplices, owner, int(numbers[owner].max(initial=0)), fraction
        return
    for simplices, owner, fraction in cell_pieces(cells):
        yield cells, simplices, owner, int(owner.max(initial=0)), fraction


def _heights(
    cells: CellComplex, simplices: FloatArray, owner: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Pre-activations (K, d+1, n_units) at the vertices, and the units' slopes (K, n_units)."""
    unique, place = np.unique(owner, return_inverse=True)
    maps = forward_maps(cells.network, cells.domain, unpack_states(cells, unique))
    heights, slopes = [], []
    for A, c in zip(maps.jacobians, maps.offsets, strict=True):
        row = place if len(A) == len(unique) else np.zeros_like(place)
        heights.append(simplices @ A.transpose(0, 2, 1)[row] + c[row][:, None])
        slopes.append(np.linalg.norm(A, axis=2)[row])
    return np.concatenate(heights, axis=2), np.concatenate(slopes, axis=1)


def _mass_above(
    density: Density, simplices: FloatArray, heights: FloatArray, whole: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Mass of each simplex where each unit's height is positive, (K, n_units), and its error."""
    highest, lowest = heights.max(axis=1), heights.min(axis=1)
    inside = lowest > 0.0
    mass, spread = (np.where(inside, part[:, None], 0.0) for part in whole)
    simplex, unit = np.nonzero((highest > 0.0) & ~inside)
    if simplex.size:
        parts, owner = positive_parts(simplices[simplex], heights[simplex, :, unit])
        values, errors = density.integrate_simplices(parts)
        mass[simplex, unit] = np.bincount(owner, values, len(simplex))
        spread[simplex, unit] = np.bincount(owner, errors, len(simplex))
    return mass, spread


def _norms(matrices: FloatArray, norm: MatrixNorm) -> FloatArray:
    """Norms of (k, a, b) matrices."""
    if norm == "frobenius":
        return np.asarray(np.linalg.norm(matrices, axis=(1, 2)))
    return np.asarray(np.linalg.svd(matrices, compute_uv=False).max(axis=1))


def _side_by_side(parts: list[Any], rows: int) -> NDArray[Any]:
    """Arrays per layer as one (rows, n_units); those of one row hold for all."""
    if not parts:
        return np.zeros((rows, 0))
    return np.concatenate([np.broadcast_to(part, (rows, part.shape[1])) for part in parts], axis=1)
