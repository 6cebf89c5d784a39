"""Frozen distributions of scipy as densities, where every integral over a cell stays what it is for ours.

scipy is not imported here: who has its distributions has imported it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import numpy as np

from regions.density.densities import Density, FloatArray
from regions.density.gaussian import GaussianDensity
from regions.density.mixture import GaussianMixtureDensity
from regions.density.uniform import UniformDensity
from regions.domain import Box
from regions.errors import InvalidInputError, RegionsError

__all__ = ["as_density", "with_distributions"]

Function = TypeVar("Function", bound=Callable[..., Any])

_OTHERWISE = "give it other numbers, or a density such as GaussianDensity(mean, cov)"
_GIVE = (
    "give multivariate_normal, norm, truncnorm, uniform or gaussian_kde of scipy, a Mixture of Normals, or a "
    "density such as GaussianDensity(mean, cov)"
)


def with_distributions(function: Function) -> Function:
    """Let a function with an argument `density` take a frozen distribution of scipy in its place.

    Where it takes a mapping of densities, each may be one.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> @with_distributions
    ... def told(cells, density=None):
    ...     return density.describe()
    >>> told(None, norm(1.0, 2.0)), told(None, density=norm([0.0, 1.0]))
    ('gaussian, mean (1), std 2', 'gaussian, mean (0, 1), std 1')
    """
    place = list(inspect.signature(function).parameters).index("density")

    @functools.wraps(function)
    def run(*words: Any, **named: Any) -> Any:
        if "density" in named:
            named["density"] = as_density(named["density"])
        elif len(words) > place:
            words = (*words[:place], as_density(words[place]), *words[place + 1 :])
        return function(*words, **named)

    return cast(Function, run)


def as_density(value: Any) -> Any:
    """Return the density that a distribution of scipy is; anything else is returned as it is.

    Arrays of numbers in `norm`, `truncnorm`, `uniform`, `Normal` and `Uniform` are those of independent
    coordinates, as scipy draws them.

    Raises
    ------
    InvalidInputError
        If it is one of scipy whose integrals over cells are not known, or its numbers make none.

    Examples
    --------
    >>> from scipy.stats import multivariate_normal, uniform
    >>> as_density(multivariate_normal([0.0, 1.0], 4.0)).describe()
    'gaussian, mean (0, 1), std 2'
    >>> as_density(uniform([-1.0, 0.0], [2.0, 3.0])).describe()
    'uniform on Box [-1, 1] x [0, 3]'
    """
    if isinstance(value, Mapping):
        return {name: as_density(one) for name, one in value.items()}
    kind = type(value)
    if not kind.__module__.startswith("scipy.stats"):
        return value
    name = str(getattr(getattr(value, "dist", None), "name", kind.__name__)).removesuffix("_frozen")
    if name.endswith("_gen"):
        name = name.removesuffix("_gen")
        raise InvalidInputError(f"density is {name} of scipy without its numbers: give {name}(...) with them")
    make = _MAKERS.get(name)
    if make is None:
        raise InvalidInputError(
            f"density is {name} of scipy, whose integrals over cells are not known here; {_GIVE}"
        )
    try:
        return make(value)
    except (RegionsError, ValueError, TypeError, np.linalg.LinAlgError) as error:
        raise InvalidInputError(f"density is {name} of scipy, and {error}; {_OTHERWISE}") from error


def _multivariate_normal(frozen: Any) -> GaussianDensity:
    return GaussianDensity(frozen.mean, np.asarray(frozen.cov, dtype=np.float64))


def _norm(frozen: Any) -> GaussianDensity:
    _, loc, scale = _numbers(frozen)
    return GaussianDensity(loc, scale * scale)


def _truncnorm(frozen: Any) -> Density:
    from regions.density.restriction import RestrictedDensity  # which takes what becomes a density here

    (low, high), loc, scale = _numbers(frozen)
    box = Box(loc + scale * low, loc + scale * high)
    return RestrictedDensity(GaussianDensity(loc, scale * scale), box)


def _uniform(frozen: Any) -> UniformDensity:
    _, loc, scale = _numbers(frozen)
    return UniformDensity(Box(loc, loc + scale))


def _gaussian_kde(estimate: Any) -> GaussianMixtureDensity:
    points = np.asarray(estimate.dataset, dtype=np.float64).T
    label = f"kernel density of {len(points)} points"
    kept = estimate.weights > 0.0
    return GaussianMixtureDensity(estimate.weights[kept], points[kept], estimate.covariance, label=label)


def _normal(variable: Any) -> GaussianDensity:
    mean, sigma = _coordinates(variable.mu, variable.sigma)
    return GaussianDensity(mean, sigma * sigma)


def _uniform_variable(variable: Any) -> UniformDensity:
    return UniformDensity(Box(*_coordinates(variable.a, variable.b)))


def _mixture(mixture: Any) -> GaussianMixtureDensity:
    parts = [as_density(part) for part in mixture.components]
    if not all(isinstance(part, GaussianDensity) and part.dimension == 1 for part in parts):
        raise InvalidInputError("not all of its components are Normals of one coordinate")
    weights = np.asarray(mixture.weights, dtype=np.float64)
    shares, kept = weights[weights > 0.0], [part for part, w in zip(parts, weights, strict=True) if w > 0.0]
    return GaussianMixtureDensity(shares, [part.mean for part in kept], [part.cov for part in kept])


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "multivariate_normal": _multivariate_normal,
    "norm": _norm,
    "truncnorm": _truncnorm,
    "uniform": _uniform,
    "gaussian_kde": _gaussian_kde,
    "Normal": _normal,
    "StandardNormal": _normal,
    "Uniform": _uniform_variable,
    "Mixture": _mixture,
}


def _numbers(frozen: Any) -> tuple[list[FloatArray], FloatArray, FloatArray]:
    """Return shapes, loc and scale of a frozen distribution, each (d,)."""
    shapes, loc, scale = frozen.dist._parse_args(*frozen.args, **frozen.kwds)
    *own, loc, scale = _coordinates(*shapes, loc, scale)
    if not (scale > 0.0).all():
        raise ValueError(f"its lowest scale is {scale.min():.6g} and must be positive")
    return own, loc, scale


def _coordinates(*numbers: Any) -> list[FloatArray]:
    """Return numbers of coordinates, each (d,); single numbers are of all, or of the one that there is."""
    given = np.broadcast_arrays(*(np.atleast_1d(np.asarray(number, np.float64)) for number in numbers))
    if given[0].ndim != 1:
        raise ValueError(f"its numbers have shape {given[0].shape}, where (d,) is one for each coordinate")
    return [part.copy() for part in given]
