"""The mean over units' own noise, exactly: what the co-area sum of an enumerated draw integrates to.

So bounds on the density of the noise hold draw by draw. The draws themselves are left to their callers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.cell_sums.jacobians import forward_maps, unpack_states
from regions.analysis.cell_sums.simplex_pieces import cell_pieces
from regions.analysis.locus import locus_volume
from regions.complexes import CellComplex
from regions.density import Density, UniformDensity
from regions.density.integrals.simplex_integrals import simplex_volumes
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.estimators import Estimate, LocusKind
from regions.estimators.estimates import check_above_zero
from regions.inputs import seeded
from regions.network import check_kind
from regions.network.relu_network import Network
from regions.validation.bells_under_gaussians import is_gaussian, weighted_bells
from regions.validation.draws import Deadline, EnumerationOptions, Progress, all_cells, finished_draws
from regions.validation.local_complexity import with_bias_noise

__all__ = [
    "conditioned_activation_locus",
    "conditioned_under_gaussians",
    "mean_bell",
    "sharp_local_complexity",
]

FloatArray = NDArray[np.float64]

# a bell is nothing beyond so many standard deviations
_REACH = 9.0
# of the widest piece that one rule integrates over, in standard deviations, and its nodes
_PIECE, _NODES = 2.0, 12
# values that spread by less than this part of a standard deviation are one value
_LEVEL = 1e-6
# pairs of simplices and units whose bells are averaged at once
_TOGETHER = 1 << 14
# float64 entries of the heights of all units at the corners of one batch of simplices
_WORKING_SET = 1 << 20


def conditioned_activation_locus(
    cells: CellComplex, sigma: float, noise: ArrayLike, density: Density | None = None
) -> float:
    """Return a noisy network's activation locus in the mean over units' own noise, weighted by a density.

    For one draw of the noises s that is the integral over the domain, against the density, of sum_i
    |grad z_i| rho(z_i - s_i): z_i - s_i is the pre-activation with unit i's own noise left out, and rho the
    density of N(0, sigma^2). Its mean over draws is that of the activation locus, by the co-area formula,
    and for each draw it is at most max rho times the integral of sum_i |grad z_i|.

    Parameters
    ----------
    cells : CellComplex, COMPLETE, of the network with noise s on its biases; of a bounded domain
    sigma : float > 0
    noise : (n_units,) array s, in flat order
    density : uniform, Gaussian or a mixture of Gaussians; None for the uniform one on the domain

    Raises
    ------
    InvalidInputError : if the density is of another kind, or the domain is unbounded
    BudgetExceededError : if a cubature (Gaussian densities, d >= 2) does not reach the density's tolerance

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> cells = enumerate_cells(Network.from_arrays([[[2.0]], [[1.0]]], [[0.0], [0.0]]), Box([-1.0], [1.0]))
    >>> round(conditioned_activation_locus(cells, 1.0, [0.0]), 9)  # (Phi(2) - Phi(-2)) / 2
    0.477249868
    """
    if density is None or isinstance(density, UniformDensity):
        whole = (cells.domain if density is None else density.domain).volume
        return _uniform(cells, sigma, noise) / whole
    return conditioned_under_gaussians(cells, sigma, noise, density)[0]


def _uniform(cells: CellComplex, sigma: float, noise: ArrayLike) -> float:
    """The integral over the domain, by volume."""
    totals = []
    for simplices, heights, gradients in _layers(cells, noise):
        volumes, slopes = simplex_volumes(simplices)[0], np.linalg.norm(gradients, axis=2)
        simplex, unit = np.nonzero(slopes > 0.0)
        for start in range(0, len(unit), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            own, which = simplex[part], unit[part]
            bells = mean_bell(heights[own, :, which], sigma)
            totals.append(float((volumes[own] * slopes[own, which] * bells).sum()))
    return math.fsum(totals)


def conditioned_under_gaussians(
    cells: CellComplex, sigma: float, noise: ArrayLike, density: Density
) -> tuple[float, float]:
    """Return `conditioned_activation_locus` under a Gaussian or a mixture of them, and the cubature's error.

    Raises
    ------
    InvalidInputError : if the density is of another kind, or the domain is unbounded
    BudgetExceededError : if a cubature does not reach the density's tolerance
    """
    if not is_gaussian(density):
        raise InvalidInputError(
            f"the mean over own noise is not known under {density.describe()}; give a uniform density, a "
            "Gaussian one or a mixture of these"
        )
    parts = [weighted_bells(*layer, sigma, density) for layer in _layers(cells, noise)]
    value, error = (math.fsum(numbers) for numbers in zip(*parts, strict=True))
    return value, error


@seeded
def sharp_local_complexity(
    network: Network,
    domain: Domain,
    sigma: float,
    n_pairs: int,
    rng: np.random.Generator,
    *,
    kind: LocusKind = "gradient",
    **options: Unpack[EnumerationOptions],
) -> Estimate:
    """Local complexity under the uniform density, as `exact_local_complexity` but with less error.

    Noises come in pairs of opposite sign, and of each draw the mean over units' own noise is taken. The mean
    over draws is the same; how much the variance falls is in the evidence.

    Parameters
    ----------
    network : Network without max units
    domain : Domain in its input space
    sigma : float > 0
    n_pairs : int >= 2, pairs of draws, two enumerations each
    rng : seed or numpy Generator
    kind : "gradient" (nonlinear locus) or "activation" (activation locus)
    **options : as for `exact_local_complexity`

    Returns
    -------
    Estimate, whose draws are the pairs

    Raises
    ------
    InvalidInputError : if an argument is out of range, or the enumeration is cut short
    InvalidNetworkError : if there are max units

    Examples
    --------
    >>> from regions import Box
    >>> network = Network.from_arrays([[[2.0]], [[1.0]]], [[0.0], [0.0]])
    >>> sharp_local_complexity(network, Box([-1.0], [1.0]), 1.0, 3, rng=0).stderr < 1e-12  # of one unit
    True
    """
    check_above_zero("sigma", sigma)
    check_kind(kind)
    network.refuse_max_units("sharp_local_complexity")
    if n_pairs < 2:
        raise InvalidInputError(f"n_pairs is {n_pairs}; a standard error needs at least 2 pairs")
    density = UniformDensity(domain)
    deadline = Deadline(options.get("max_seconds"))

    def draw(noise: FloatArray, part: Progress | None) -> float:
        own = deadline.options({**options, "progress": part})
        sides = []
        for signed in (noise, -noise):
            cells = all_cells(with_bias_noise(network, signed), domain, **own)
            deadline.counts(cells.seconds)
            value = conditioned_activation_locus(cells, sigma, signed)
            if kind == "gradient":
                loci = (locus_volume(cells, density, one).total for one in ("activation", "gradient"))
                value -= next(loci) - next(loci)
            sides.append(value)
        return 0.5 * math.fsum(sides)

    noises = (sigma * rng.standard_normal(network.n_units) for _ in range(n_pairs))
    draws, complete = finished_draws(draw, noises, n_pairs, options.get("progress"), deadline)
    return Estimate.from_draws(np.array(draws), complete)


def _layers(cells: CellComplex, noise: ArrayLike) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Simplices `(K, d+1, d)`, heights at corners `(K, d+1, n)` and gradients `(K, n, d)`, layer by layer.

    Heights are without units' own noise; the gradients of units without a bend are 0.
    """
    if cells.clipped is not None:
        raise InvalidInputError(
            f"{cells.domain.describe()} is unbounded; give the part of it that has the density's mass"
        )
    shift = np.broadcast_to(np.asarray(noise, dtype=np.float64), cells.network.n_units)
    offsets = cells.network.unit_offsets
    batch = max(1, _WORKING_SET // (max(cells.network.n_units, 1) * (cells.dimension + 1)))
    pieces = (
        (whole[start : start + batch], owners[start : start + batch])
        for whole, owners, _ in cell_pieces(cells)
        for start in range(0, len(owners), batch)
    )
    for simplices, owner in pieces:
        unique, place = np.unique(owner, return_inverse=True)
        maps = forward_maps(cells.network, cells.domain, unpack_states(cells, unique))
        for layer, (A, c) in enumerate(zip(maps.jacobians, maps.offsets, strict=True)):
            row = place if len(A) == len(unique) else np.zeros_like(place)
            own = shift[offsets[layer] : offsets[layer + 1]]
            heights = simplices @ A.transpose(0, 2, 1)[row] + (c[row] - own)[:, None]
            cutting = cells.network.cutting[offsets[layer] : offsets[layer + 1]]
            yield simplices, heights, np.where(cutting[:, None], A[row], 0.0)


def mean_bell(heights: FloatArray, sigma: float) -> FloatArray:
    """Return the means over simplices of the density of N(0, sigma^2) at an affine function.

    Parameters
    ----------
    heights : (P, d+1) float64, the function at the corners
    sigma : float > 0

    Returns
    -------
    means : (P,) float64, right to some 1e-12 of the density's largest value

    Notes
    -----
    The values of an affine function on a simplex have the B-spline with knots at the corners' values as
    their density (Hermite and Genocchi, Curry and Schoenberg), a polynomial of degree d - 1 between these, so
    a rule of Gauss on each interval does it. The spline is made by convex combinations alone.

    Examples
    --------
    >>> mean_bell(np.array([[-1.0, 1.0], [0.0, 0.0]]), 1.0).round(6).tolist()
    [0.341345, 0.398942]
    """
    knots = np.sort(heights, axis=1) / sigma
    means = _bell(knots.mean(axis=1))
    wide = np.flatnonzero(knots[:, -1] - knots[:, 0] > _LEVEL)
    means[wide] = 0.0
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    for interval in range(heights.shape[1] - 1):
        low = np.clip(knots[wide, interval], -_REACH, _REACH)
        length = np.clip(knots[wide, interval + 1], -_REACH, _REACH) - low
        used = np.flatnonzero(length > 0.0)
        if not used.size:
            continue
        pieces = math.ceil(float(length[used].max()) / _PIECE)
        step = length[used] / pieces
        for piece in range(pieces):
            at = low[used, None] + step[:, None] * (piece + 0.5 * (nodes + 1.0))
            values = _spline(knots[wide[used]], interval, at) * _bell(at)
            means[wide[used]] += 0.5 * step * (values @ weights)
    return means / sigma


def _bell(values: FloatArray) -> FloatArray:
    """Return the density of N(0, 1)."""
    return np.asarray(np.exp(-0.5 * np.square(values)) / math.sqrt(2.0 * math.pi))


def _spline(knots: FloatArray, interval: int, at: FloatArray) -> FloatArray:
    """Return the B-spline of integral 1 with those knots, `(P, d+1)`, at values `(P, Q)` in one interval."""
    P, last = knots.shape[0], knots.shape[1] - 1
    lengths = knots[:, interval + 1] - knots[:, interval]
    basis = [np.zeros_like(at) for _ in range(last)]
    basis[interval] = np.broadcast_to((1.0 / lengths)[:, None], at.shape)
    for order in range(2, last + 1):
        for k in range(last + 1 - order):
            span = (knots[:, k + order] - knots[:, k])[:, None]
            ahead = (at - knots[:, k, None]) * basis[k] + (knots[:, k + order, None] - at) * basis[k + 1]
            scale = order / (order - 1.0) / np.where(span > 0.0, span, 1.0)
            basis[k] = np.where(span > 0.0, scale * ahead, 0.0)
    return basis[0].reshape(P, -1)
