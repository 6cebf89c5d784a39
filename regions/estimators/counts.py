"""Counts from samples: units that change sign in a neighbourhood, distinct activation patterns.

Both are published as measures of how dense the regions are; neither is a locus integral.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from regions.density import Density
from regions.errors import InvalidInputError
from regions.estimators.estimates import Estimate, Target
from regions.estimators.forward_passes import Chain, forward, sampled_blocks, working_rows
from regions.estimators.sampling import SamplingEstimator
from regions.network.patterns import pack, packed_size

__all__ = ["CrossPolytope", "DistinctPatterns", "random_frames"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class CrossPolytope(SamplingEstimator):
    """Cross-polytope sign changes: units whose sign differs among the vertices x +- r v_p.

    Mean over points x of the density and random orthonormal directions v_1, ..., v_P of the number of
    units that are active at some but not all of the 2 P vertices; a max unit counts once, where not the same
    candidate wins at all of them.

    Notes
    -----
    Estimates the number of units whose zero set meets the neighbourhood, the convex hull of the vertices:
    without bias for the units of the first ReLU layer, whose zero sets are hyperplanes, and for the
    others from below, since a zero set that bends may enter the hull and leave it again without parting
    the vertices. Never from above: a unit that changes sign is 0 somewhere between. The neighbourhood
    is not clipped to the domain. No bias noise, no gradients; it is no locus integral.
    Each draw costs 2 P forward passes.

    Parameters
    ----------
    radius : float > 0, in input units
    n_directions : int >= 1, at most the intrinsic dimension; 0 for all

    Raises
    ------
    InvalidInputError : if radius or n_directions is out of range

    References
    ----------
    Humayun, Balestriero and Baraniuk, Deep Networks Always Grok, arXiv 2402.15555, section 2.

    Examples
    --------
    >>> from regions.density import UniformDensity
    >>> from regions.domain import Box
    >>> from regions.network import Network
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> density = UniformDensity(Box([-1.0], [1.0]))
    >>> estimate = CrossPolytope(0.25).estimate(network, density, np.random.default_rng(0), 10_000)
    >>> abs(estimate.mean - 0.25) < 4 * estimate.stderr
    True
    """

    radius: float
    n_directions: int = 0
    name: ClassVar[str] = "cross-polytope sign changes"

    def __post_init__(self) -> None:
        _ = self.target  # checks both

    @property
    def target(self) -> Target:
        """The number of units whose zero set meets the neighbourhood."""
        return Target(
            "number of units that change sign in a neighbourhood",
            radius=self.radius,
            n_directions=self.n_directions,
        )

    def _estimate(self, chain: Chain, density: Density, rng: np.random.Generator, budget: int) -> Estimate:
        count = directions_of(self.n_directions, density.dimension)
        draws = np.zeros(budget)
        for places, t in sampled_blocks(chain, density, budget, rng):
            frames = random_frames(len(t), density.dimension, count, rng)
            draws[places] = sign_changes(chain, t, self.radius * frames)
        return Estimate.from_samples(draws, int(chain.offsets[-1]))


@dataclass(frozen=True)
class DistinctPatterns(SamplingEstimator):
    """Distinct patterns: how many activation patterns n random points of the domain have.

    Notes
    -----
    Estimates the number of cells, from below: a cell of mass q is missed with probability (1 - q)^n, so
    the mean is the sum over cells of 1 - (1 - q)^n, and small cells stay unseen until n is of the
    order of 1 / q. The standard error is the jackknife's: with f patterns seen once, the square root of
    (n - 1) / n f (1 - f / n), by Efron and Stein on average not below the true spread of the count.
    It says nothing of the bias, so that intervals around it do not cover the number of cells: its
    known failure.

    References
    ----------
    Efron and Stein, The jackknife estimate of variance, Annals of Statistics 9 (1981).

    Examples
    --------
    >>> from regions.density import UniformDensity
    >>> from regions.domain import Box
    >>> from regions.network import Network
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> density = UniformDensity(Box([-1.0], [1.0]))
    >>> DistinctPatterns().estimate(network, density, np.random.default_rng(0), 100)
    Estimate(mean=2.0, stderr=0.0, n=100)
    """

    name: ClassVar[str] = "distinct patterns"

    @property
    def target(self) -> Target:
        """The number of cells of the domain."""
        return Target("number of cells")

    def _estimate(self, chain: Chain, density: Density, rng: np.random.Generator, budget: int) -> Estimate:
        n_units = int(chain.offsets[-1])
        seen = [np.zeros((0, packed_size(n_units)), dtype=np.uint8)]
        for _, t in sampled_blocks(chain, density, budget, rng):
            seen.append(pack(_patterns(chain, t[chain.inside(t)])))
        packed = np.concatenate(seen)
        if n_units == 0 or not len(packed):
            return Estimate(float(min(len(packed), 1)), 0.0, budget)
        _, times = np.unique(packed, axis=0, return_counts=True)
        once = int(np.count_nonzero(times == 1))
        spread = (budget - 1) / budget * once * (1.0 - once / budget)
        return Estimate(float(len(times)), math.sqrt(spread), budget)


def random_frames(n: int, dimension: int, count: int, rng: np.random.Generator) -> FloatArray:
    """`count` orthonormal vectors `(n, count, dimension)`, uniform among all such frames.

    Examples
    --------
    >>> frames = random_frames(5, 3, 2, np.random.default_rng(0))
    >>> bool(np.allclose(frames @ frames.transpose(0, 2, 1), np.eye(2)))
    True
    """
    q, r = np.linalg.qr(rng.standard_normal((n, dimension, count)))
    # the signs that make the factorisation unique, and the frame uniform
    signs = np.where(np.einsum("npp->np", r) < 0.0, -1.0, 1.0)
    return np.asarray((q * signs[:, None, :]).transpose(0, 2, 1))


def directions_of(n_directions: int, dimension: int) -> int:
    """Return how many directions are meant in that many dimensions; raises InvalidInputError if too many."""
    if n_directions > dimension:
        raise InvalidInputError(f"n_directions is {n_directions}; there are only {dimension} dimensions")
    return n_directions or dimension


def sign_changes(chain: Chain, t: FloatArray, arms: FloatArray) -> FloatArray:
    """Numbers `(S,)` of units that are active at some but not all of t +- arms, arms `(S, P, d)`.

    Max units count where candidates of theirs are.
    """
    n, count, dimension = arms.shape
    changes = np.zeros(n)
    rows = working_rows(2 * count * max(chain.widest, dimension))
    for start in range(0, n, rows):
        part = slice(start, start + rows)
        vertices = np.concatenate([t[part, None] + arms[part], t[part, None] - arms[part]], axis=1)
        active = _patterns(chain, vertices.reshape(-1, dimension))
        active = active.reshape(-1, 2 * count, active.shape[1])
        changed = active.any(axis=1) & ~active.all(axis=1)
        changes[part] = np.logical_or.reduceat(changed, chain.unit_starts, axis=1).sum(axis=1)
    return changes


def _patterns(chain: Chain, t: FloatArray) -> BoolArray:
    """Return the activation patterns `(S, n_units)`."""
    patterns = np.zeros((len(t), int(chain.offsets[-1])), dtype=bool)
    if patterns.size:
        silence = np.zeros((1, patterns.shape[1]))
        rows = working_rows(patterns.shape[1])
        for start in range(0, len(t), rows):
            part = slice(start, start + rows)
            state = forward(chain, t[part], silence)
            patterns[part] = np.concatenate(state.active, axis=1)
    return patterns
