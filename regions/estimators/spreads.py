"""How far the pre-activations of units spread over the data: the measure of relative bias noise.

A definition, not an estimate: estimators and exact values take the same numbers from here.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from regions.density import Density
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.network.relu_network import Network

__all__ = ["Noise", "check_noise_kind", "spreads_of", "unit_spreads"]

FloatArray = NDArray[np.float64]
Noise = Literal["absolute", "relative"]

# points of the density that spreads are taken over, the same in every call
_POINTS = 4096
# a spread below this part of the largest value may be rounding alone
_ROUNDING = 1e-12


def check_noise_kind(noise: str) -> None:
    """Raise InvalidInputError unless the noise is of a kind that is known."""
    if noise not in get_args(Noise):
        raise InvalidInputError(f"noise is {noise!r}; give 'absolute' or 'relative'")


def spreads_of(noise: Noise, network: Network, density: Density, domain: Domain | None) -> FloatArray | None:
    """Return what each unit's noise is a multiple of, `(n_units,)`; None for absolute noise."""
    return None if noise == "absolute" else unit_spreads(network, density, domain)


def unit_spreads(network: Network, density: Density, domain: Domain | None = None) -> FloatArray:
    """Return each unit's spread: the standard deviation of its pre-activation over the data.

    A factor s > 0 on a unit's weights and bias, undone in the next layer, leaves the function as it is and
    multiplies the unit's spread by s. So noise of `sigma` times the spread moves the unit's zero set as far
    as before, and local complexity under such noise (`noise="relative"`) does not change, where that under
    noise of one size for all units does.

    Parameters
    ----------
    network : Network
    density : Density in the intrinsic coordinates of the domain
    domain : Domain, default the whole input space

    Returns
    -------
    spreads : (n_units,) float64, above 0, in flat order, at the stored biases; the rows of a max unit share
        that of its largest value

    Raises
    ------
    InvalidInputError : if fewer than two points of the density lie in the domain

    Notes
    -----
    The mean is over those of 4,096 points of the density, drawn with a fixed seed, that lie in the domain: a
    definition that estimator and exact value can share, within some 2 % of the density's own. A unit whose
    value is the same at all points has the absolute value of that as its spread, and one that is 0 at all of
    them has 1, so that only units that vanish identically feel a rescaling.

    Examples
    --------
    >>> from regions.density import UniformDensity
    >>> from regions.domain import Box
    >>> box = Box([-1.0], [1.0])
    >>> network = Network.from_arrays([[[3.0], [0.0]], [[1.0, 1.0]]], [[5.0, -2.0], [0.0]])
    >>> unit_spreads(network, UniformDensity(box), box).round(2).tolist()  # 3 / sqrt(3), 2
    [1.73, 2.0]
    """
    points = density.sample(_POINTS, np.random.default_rng(0))
    if domain is not None:
        points = domain.to_input(points[domain.contains(points)])
    if len(points) < 2:
        raise InvalidInputError(
            f"{len(points)} of {_POINTS:,} points of the density lie in the domain; relative noise needs the "
            "spread of units over such points: take noise='absolute', or a domain where the density is"
        )
    maxima = [sizes for sizes, relu in zip(network.maxima, network.relu, strict=True) if relu]
    parts = [_spreads(*layer) for layer in zip(network.pre_activations(points), maxima, strict=True)]
    return np.concatenate([np.zeros(0), *parts])


def _spreads(values: FloatArray, sizes: NDArray[np.int64] | None) -> FloatArray:
    """Return the spreads of the rows of one layer over the values `(N, n)` of these."""
    if sizes is not None:
        values = np.maximum.reduceat(values, np.cumsum(sizes) - sizes, axis=1)
    largest = np.abs(values).max(axis=0)
    spread = values.std(axis=0)
    spread = np.where(spread > _ROUNDING * largest, spread, np.where(largest > 0.0, largest, 1.0))
    return spread if sizes is None else np.repeat(spread, sizes)
