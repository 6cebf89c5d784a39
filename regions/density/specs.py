"""Densities named by text, for the command line."""

from __future__ import annotations

from typing import Any

import numpy as np

from regions.density.ambient import conditional, restricted
from regions.density.ball_density import UniformBallDensity
from regions.density.densities import Density, FloatArray
from regions.density.gaussian import GaussianDensity
from regions.density.mixture import GaussianMixtureDensity
from regions.density.restriction import RestrictedDensity
from regions.density.uniform import UniformDensity
from regions.domain import Domain
from regions.errors import InvalidInputError

__all__ = ["from_spec"]


_KEYS = {
    "uniform": (),
    "gaussian": ("mean", "std", "cov", "on"),
    "ball": ("center", "radius", "on"),
    "kde": ("bandwidth", "on"),
}
_FORMS = "'uniform', 'gaussian:mean=0,0;std=1', 'ball:center=0,0;radius=1' or 'kde:FILE.npy;bandwidth=scott'"


def from_spec(spec: str, domain: Domain) -> Density:
    """Density named by a command line.

    The forms are `uniform`, `gaussian:mean=0,0;std=1` or `gaussian:cov=1,0,0,2`, `ball:center=0,0;radius=1`
    and `kde:FILE.npy;bandwidth=scott`, the last a kernel density estimate of the rows of an array. Adding
    `;on=restricted` normalises over the domain.

    Parameters
    ----------
    spec : str; keys of a gaussian are `mean` (default 0), and `std` (one or d numbers) or `cov`
        (one, d or d*d numbers, row by row), those of a ball `center` (default 0) and `radius`; a single
        mean or center holds for every coordinate. `bandwidth` (default scott) is scott, silverman or a
        number. Rows of FILE.npy are points in intrinsic or in input coordinates; on a Slice or Segment the
        latter need `on=conditional` (normalised over its plane) or `on=restricted` (over the domain)
    domain : Domain whose intrinsic coordinates, and support if uniform, are meant

    Raises
    ------
    InvalidInputError : if the text is none of these, its numbers do not fit the domain, or the file cannot
        be read
    InvalidDomainError : if there is no mass to normalise by

    Examples
    --------
    >>> from regions.domain import Box
    >>> from_spec("gaussian:mean=0;std=2", Box([0.0, 0.0], [1.0, 1.0])).describe()
    'gaussian, mean (0, 0), std 2'
    """
    if not isinstance(spec, str):
        raise InvalidInputError(f"density is a {type(spec).__name__}; expected {_FORMS}")
    kind, _, rest = spec.strip().partition(":")
    if kind not in _KEYS or (kind == "uniform" and rest):
        raise InvalidInputError(f"density {spec!r}; expected {_FORMS}")
    file, _, rest = rest.partition(";") if kind == "kde" else ("", "", rest)
    words = _words(spec, kind, rest)
    on = words.pop("on", None)
    if on not in (None, "conditional", "restricted"):
        raise InvalidInputError(f"density {spec!r}: on={on}; expected on=conditional or on=restricted")
    density: Density
    match kind:
        case "uniform":
            return UniformDensity(domain)
        case "gaussian":
            density = _gaussian(spec, words, domain.dimension)
        case "ball":
            density = _ball(spec, words, domain.dimension)
        case _:
            return _kernels(spec, file, words.get("bandwidth", "scott"), on, domain)
    if on == "conditional":
        raise InvalidInputError(
            f"density {spec!r}: its numbers are intrinsic coordinates, so on=conditional changes nothing; "
            "leave it out, or give on=restricted"
        )
    return density if on is None else RestrictedDensity(density, domain)


def _words(spec: str, kind: str, rest: str) -> dict[str, str]:
    """The key=value parts of a spec."""
    words: dict[str, str] = {}
    for part in filter(None, rest.split(";")):
        key, _, text = part.partition("=")
        key = key.strip()
        if key not in _KEYS[kind] or key in words:
            known = ", ".join(f"{name}=" for name in _KEYS[kind])
            raise InvalidInputError(f"density {spec!r}: {part!r}; give each of {known} at most once")
        words[key] = text.strip()
    return words


def _numbers(spec: str, words: dict[str, str], key: str) -> FloatArray:
    try:
        return np.array([float(word) for word in words[key].split(",")])
    except ValueError as error:
        raise InvalidInputError(f"density {spec!r}: '{key}={words[key]}' is not a list of numbers") from error


def _gaussian(spec: str, words: dict[str, str], d: int) -> GaussianDensity:
    if ("std" in words) == ("cov" in words):
        raise InvalidInputError(f"density {spec!r}; give either std= or cov=")
    mean = _one_per_coordinate(spec, "mean", _numbers(spec, {"mean": "0", **words}, "mean"), d)
    if "std" in words:
        std = _one_per_coordinate(spec, "std", _numbers(spec, words, "std"), d)
        if not np.all(std > 0.0):
            raise InvalidInputError(f"density {spec!r}; every std must be positive")
        return GaussianDensity(mean, std * std)
    cov = _numbers(spec, words, "cov")
    matrix = cov.reshape(d, d) if cov.size == d * d else np.diag(_one_per_coordinate(spec, "cov", cov, d))
    return GaussianDensity(mean, matrix)


def _ball(spec: str, words: dict[str, str], d: int) -> UniformBallDensity:
    if "radius" not in words:
        raise InvalidInputError(f"density {spec!r}; give radius=")
    center = _one_per_coordinate(spec, "center", _numbers(spec, {"center": "0", **words}, "center"), d)
    radius = _numbers(spec, words, "radius")
    if radius.size != 1 or not radius[0] > 0.0:
        raise InvalidInputError(f"density {spec!r}; radius must be one positive number")
    # beyond three dimensions the cubature does not reach the usual tolerance
    return UniformBallDensity(center, float(radius[0]), rtol={4: 1e-4}.get(d, 1e-9 if d < 4 else 1e-3))


def _kernels(spec: str, file: str, bandwidth: str, on: str | None, domain: Domain) -> Density:
    if not file:
        raise InvalidInputError(f"density {spec!r}; name the file of points, as in 'kde:points.npy'")
    try:
        data = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidInputError(f"density {spec!r}: cannot read {file} as an .npy array: {error}") from error
    d, n = domain.dimension, domain.input_dim
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] not in (d, n):
        shape = data.shape if isinstance(data, np.ndarray) else "no single array"
        raise InvalidInputError(
            f"density {spec!r}: {file} holds {shape}; expected (N, {d}) intrinsic"
            + (f" or (N, {n}) input" if n != d else "")
            + " coordinates"
        )
    try:
        rule: Any = bandwidth if bandwidth in ("scott", "silverman") else float(bandwidth)
    except ValueError as error:
        raise InvalidInputError(
            f"density {spec!r}: bandwidth={bandwidth}; expected scott, silverman or a number"
        ) from error
    density = GaussianMixtureDensity.from_data(data, rule)
    if on == "conditional":
        return conditional(density, domain)
    if on == "restricted":
        return restricted(density, domain)
    if data.shape[1] != d:
        raise InvalidInputError(
            f"density {spec!r}: {file} holds input coordinates; add on=conditional (normalised over the "
            "domain's plane) or on=restricted (over the domain itself)"
        )
    return density


def _one_per_coordinate(spec: str, key: str, numbers: FloatArray, d: int) -> FloatArray:
    if numbers.size not in (1, d):
        raise InvalidInputError(f"density {spec!r}: {key} has {numbers.size} numbers; expected 1 or {d}")
    return np.array(np.broadcast_to(numbers, d))
