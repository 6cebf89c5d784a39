"""Densities named by text, for the command line."""

from __future__ import annotations

import numpy as np

from regions.density.base import Density, FloatArray
from regions.density.gaussian import GaussianDensity
from regions.density.uniform import UniformDensity
from regions.domain import Domain
from regions.errors import InvalidInputError

__all__ = ["from_spec"]


def from_spec(spec: str, domain: Domain) -> Density:
    """Density named by a command line: `uniform`, or `gaussian:mean=0,0;std=1`, or `gaussian:cov=1,0,0,2`.

    Parameters
    ----------
    spec : str; keys of a gaussian are `mean` (default 0), and `std` (one or d numbers) or `cov`
        (one, d or d*d numbers, row by row); a single mean holds for every coordinate
    domain : Domain whose intrinsic coordinates, and support if uniform, are meant

    Raises
    ------
    InvalidInputError : if the text is none of these, or its numbers do not fit the domain

    Examples
    --------
    >>> from regions.domain import Box
    >>> from_spec("gaussian:mean=0;std=2", Box([0.0, 0.0], [1.0, 1.0])).describe()
    'gaussian, mean (0, 0), std 2'
    """
    kind, _, rest = spec.strip().partition(":")
    if kind == "uniform" and not rest:
        return UniformDensity(domain)
    if kind != "gaussian":
        raise InvalidInputError(f"density {spec!r}; expected 'uniform' or 'gaussian:mean=0,0;std=1'")
    numbers: dict[str, FloatArray] = {}
    for part in filter(None, rest.split(";")):
        key, _, text = part.partition("=")
        key = key.strip()
        if key not in ("mean", "std", "cov") or key in numbers:
            raise InvalidInputError(f"density {spec!r}: {part!r}; give each of mean=, std= or cov= once")
        try:
            numbers[key] = np.array([float(word) for word in text.split(",")])
        except ValueError as error:
            raise InvalidInputError(f"density {spec!r}: {part!r} is not a list of numbers") from error
    if ("std" in numbers) == ("cov" in numbers):
        raise InvalidInputError(f"density {spec!r}; give either std= or cov=")
    d = domain.dimension
    mean = _one_per_coordinate(spec, "mean", numbers.get("mean", np.zeros(1)), d)
    if "std" in numbers:
        std = _one_per_coordinate(spec, "std", numbers["std"], d)
        if not np.all(std > 0.0):
            raise InvalidInputError(f"density {spec!r}; every std must be positive")
        return GaussianDensity(mean, std * std)
    cov = numbers["cov"]
    matrix = cov.reshape(d, d) if cov.size == d * d else np.diag(_one_per_coordinate(spec, "cov", cov, d))
    return GaussianDensity(mean, matrix)


def _one_per_coordinate(spec: str, key: str, numbers: FloatArray, d: int) -> FloatArray:
    if numbers.size not in (1, d):
        raise InvalidInputError(f"density {spec!r}: {key} has {numbers.size} numbers; expected 1 or {d}")
    return np.array(np.broadcast_to(numbers, d))
