"""The terms of the published bounds from enumerated draws of the biases, draw by draw.

What they are compared in is left to `inequalities`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.analysis.cell_sums import CellSums, gradient_tail, sum_over_cells
from regions.analysis.locus import locus_volume
from regions.complexes import CellComplex
from regions.density import Density, UniformDensity
from regions.domain import Domain
from regions.estimators import Estimate
from regions.network.patterns import unpack
from regions.network.relu_network import Network
from regions.validation.bells_under_gaussians import is_gaussian
from regions.validation.conditioned import conditioned_activation_locus, conditioned_under_gaussians
from regions.validation.draws import Deadline, EnumerationOptions, Progress, all_cells
from regions.validation.silenced_units import silenced, steepest_slopes

__all__ = ["DrawTerms", "DrawWork", "terms_of_draw"]

FloatArray = NDArray[np.float64]

# of the means of bells, relative to their largest values
_QUADRATURE = 1e-11


@dataclass(frozen=True, eq=False)
class DrawTerms:
    """What each draw of the biases gives, one entry per draw; integrals are against the density.

    Parameters
    ----------
    widths, dimension : of the ReLU layers, and of the domain
    local_complexity : (n,) float64, integral over the nonlinear locus
    activation_locus : (n,) float64, integral over the activation locus
    conditioned : (n,) float64, the latter's mean over units' own noise, all else as drawn; nan where that is
        not found: under densities that are neither uniform nor Gaussian nor mixtures of Gaussians
    gradient_sum : (n,) float64, integral of sum_i ||grad z_i||
    tail : (n,) float64, the same over where |z_i| > eta, unit i's own noise left out
    total_variation : (n,) float64, integral of ||grad N|| (Frobenius)
    local_rank : (n, n_relu_layers) float64, integral of #{singular values of J_l > eps}
    c_grad : (n,) float64, max ||J_l|| over cells and layers
    lipschitz : (n, n_relu_layers) float64, max ||d N / d h_l|| over cells
    not_good : (n,) float64, sum over units of the measure where they are not good, their activation 0
    mass : (n,) float64, of the density in the domain
    locus_error, mass_error, tail_error : (n,) float64, cubature and rounding
    antithetic : bool, whether the draws come in pairs of opposite noise
    """

    widths: tuple[int, ...]
    dimension: int
    local_complexity: FloatArray
    activation_locus: FloatArray
    conditioned: FloatArray
    gradient_sum: FloatArray
    tail: FloatArray
    total_variation: FloatArray
    local_rank: FloatArray
    c_grad: FloatArray
    lipschitz: FloatArray
    not_good: FloatArray
    mass: FloatArray
    locus_error: FloatArray
    mass_error: FloatArray
    tail_error: FloatArray
    antithetic: bool = False

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    @property
    def sharper_local_complexity(self) -> FloatArray:
        """Draws of the same mean as `local_complexity` and less spread, where there are such.

        What is not of the nonlinear locus is taken from the conditioned activation locus. It is never below 0
        and the bound C_bias never below the latter, so that upper bounds hold draw by draw.
        """
        sharper = self.conditioned - (self.activation_locus - self.local_complexity)
        return np.where(np.isnan(sharper), self.local_complexity, sharper)

    def independent(self, values: FloatArray) -> FloatArray:
        """Return what draws give as values that are independent: means of pairs if they are antithetic."""
        return values.reshape(-1, 2).mean(axis=1) if self.antithetic else values

    def error(self, c_bias: float) -> float:
        """Cubature and rounding in a slack: mean over draws, every term at its largest."""
        slopes = (math.fsum(math.sqrt(width) for width in self.widths) + sum(self.widths)) * self.c_grad
        each = self.locus_error + c_bias * (slopes * self.mass_error + self.tail_error)
        return float(each.mean()) + _QUADRATURE * c_bias * float(self.gradient_sum.mean())

    def estimates(self) -> dict[str, Estimate]:
        """Mean and standard error over the draws of every term, ranks and constants layer by layer."""
        named = {
            "LC": self.local_complexity,
            "LC, conditioned": self.sharper_local_complexity,
            "E sum ||grad z_i||": self.gradient_sum,
            "xi_eta": self.tail,
            "TV": self.total_variation,
            "C_grad": self.c_grad,
            "B": self.not_good,
        }
        for layer in range(len(self.widths)):
            named[f"LR_{layer}"] = self.local_rank[:, layer]
            named[f"C_{layer}"] = self.lipschitz[:, layer]
        return {name: Estimate.from_draws(self.independent(draws)) for name, draws in named.items()}


@dataclass(frozen=True)
class DrawWork:
    """The enumerations of one draw: its progress, the end of its time, and their options."""

    progress: Progress | None
    deadline: Deadline
    options: EnumerationOptions

    def part(self, step: int, steps: int) -> EnumerationOptions:
        """Return the options of one enumeration out of several."""
        whole = self.progress
        own = None if whole is None else lambda cells, fraction: whole(cells, (step + fraction) / steps)
        return self.deadline.options({**self.options, "progress": own})


def terms_of_draw(
    noisy: Network,
    domain: Domain,
    density: Density,
    settings: tuple[float, float, float, FloatArray],
    work: DrawWork,
) -> dict[str, Any]:
    """One row of `DrawTerms`."""
    sigma, eps, eta, noise = settings
    steps = 1 + int(noisy.unit_offsets[-2])
    cells = all_cells(noisy, domain, **work.part(0, steps))
    work.deadline.counts(cells.seconds)
    locus = locus_volume(cells, density)
    sums = sum_over_cells(cells, density, eps=eps)
    tail = gradient_tail(cells, density, eta=eta, shift=noise)
    activation, conditioned, error = locus.total, math.nan, locus.error
    if isinstance(density, UniformDensity) or is_gaussian(density):
        whole = locus_volume(cells, density, "activation")
        activation, error = whole.total, error + whole.error
    if isinstance(density, UniformDensity):
        conditioned = conditioned_activation_locus(cells, sigma, noise, density)
    elif is_gaussian(density):
        conditioned, cubature = conditioned_under_gaussians(cells, sigma, noise, density)
        error += cubature
    return {
        "local_complexity": locus.total,
        "activation_locus": activation,
        "conditioned": conditioned,
        "gradient_sum": sums.gradient_sum,
        "tail": tail.total,
        "total_variation": sums.total_variation,
        "local_rank": sums.local_rank,
        "c_grad": sums.c_bound,
        "lipschitz": sums.lipschitz * steepest_slopes(noisy),
        "not_good": _measure_not_good(cells, sums, density, work),
        "mass": sums.mass,
        "locus_error": error,
        "mass_error": sums.mass_error,
        "tail_error": tail.error,
    }


def _measure_not_good(cells: CellComplex, sums: CellSums, density: Density, work: DrawWork) -> float:
    """Sum over units of the measure where they are not good, the unit's own activation being 0."""
    network = cells.network
    before_last = int(network.unit_offsets[-2])
    packed = np.bitwise_or.reduce(cells.patterns, axis=0)
    # a unit that puts out 0 everywhere is silent already, and no state depends on the last layer's units
    speaks = unpack(packed, network.n_units) | (network.unit_slopes[0] != 0.0)
    measures = sums.not_good.tolist()
    for step, unit in enumerate(np.flatnonzero(speaks[:before_last])):
        own = work.part(1 + step, 1 + before_last)
        silent = all_cells(silenced(network, int(unit)), cells.domain, **own)
        work.deadline.counts(silent.seconds)
        measures[unit] = float(sum_over_cells(silent, density, eps=sums.eps).not_good[unit])
    return math.fsum(measures)
