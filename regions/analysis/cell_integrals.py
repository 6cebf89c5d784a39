"""`integrate`: integrals of functions of a network's outputs, cell by cell.

On a cell the outputs are affine, so a polynomial of them is one of the coordinates, for which some rule is
exact; what is smooth in them is smooth there. Simplices come from `cell_sums`, rules from `density`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.cell_sums.simplex_pieces import Progress, cell_pieces, check_complete
from regions.analysis.moment_rules import (
    MOST_DIMENSIONS,
    NormalMoments,
    cut_to_bell,
    normal_parts,
    powers,
    rule_of_degree,
)
from regions.analysis.unbounded_parts import where_mass_is
from regions.complexes import CellComplex
from regions.density import (
    Density,
    GaussianDensity,
    GaussianMixtureDensity,
    RestrictedDensity,
    UniformDensity,
)
from regions.density.frozen_distributions import with_distributions
from regions.density.integrals.simplex_integrals import bisect_longest_edges, embedded_rules, simplex_volumes
from regions.domain.intrinsic import lock_arrays
from regions.errors import BudgetExceededError, InvalidInputError
from regions.rational import ExactNetwork, exact_cell, simplex_volume, to_fraction
from regions.showing import Shown

__all__ = ["CellIntegral", "Integrand", "integrate"]

FloatArray = NDArray[np.float64]
Integrand = Callable[[FloatArray, FloatArray], ArrayLike]

_EPS = float(np.finfo(np.float64).eps)
_TOGETHER = 1 << 20  # values of the function that are asked for at once
LARGEST_DEGREE = 40


@dataclass(frozen=True, eq=False)
class CellIntegral(Shown):
    """Integrals over the cells of a complex, against a density.

    Attributes
    ----------
    values, errors : (m,) float64
        Values are over the domain and not divided by the density's mass in it. Errors are estimates of
        rounding; of the moments of normal densities and their mixtures also bounds of what the rules leave
        out; of a cubature the difference from a rule of lower degree.
    exact : tuple of m Fraction, the same without any rounding, where that was asked for; else empty
    density : str, describing it
    method : str, how it was found
    """

    values: FloatArray
    errors: FloatArray
    exact: tuple[Fraction, ...]
    density: str
    method: str

    def __post_init__(self) -> None:
        lock_arrays(tuple(vars(self).values()))

    def to_dict(self) -> dict[str, Any]:
        """Return numbers, lists and strings, ready for JSON."""
        return {
            "values": self.values.tolist(),
            "errors": self.errors.tolist(),
            "exact": [str(value) for value in self.exact],
            "density": self.density,
            "method": self.method,
        }


@with_distributions
def integrate(
    cells: CellComplex,
    function: Integrand | ArrayLike,
    density: Density | None = None,
    *,
    exact: bool = False,
    rtol: float = 1e-9,
    max_pieces: int = 1 << 19,
    progress: Progress | None = None,
) -> CellIntegral:
    """Integrate functions of a network's outputs over its domain, against a density.

    Parameters
    ----------
    cells : CellComplex, COMPLETE
    function : exponents (m, outputs) of whole numbers, or a function
        Exponents (2, 1) mean y_0^2 y_1, so that the integral is a moment of the outputs. A function takes the
        outputs (n, outputs) and the points (n, d), intrinsic, and returns (n,) or (n, m); it is to be smooth
        on each cell.
    density : Density in the intrinsic coordinates of the domain; None for the uniform one on it
    exact : bool, whether moments under the uniform density are to be fractions, in rational arithmetic
    rtol : float, tolerance of a cubature, relative to the integral of the function's size
    max_pieces : int, how many simplices the cubature may add by cutting
    progress : called with the highest cell reached and the fraction done

    Returns
    -------
    CellIntegral
        Moments under a uniform density are rounded only, and under a normal one of at most three dimensions,
        or a mixture of such, their errors are bounds; all others have the error that a cubature estimates.
        Simplices are first cut to the width of normal densities and of each one in a mixture; of any other
        density, the cubature must find the mass.

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If the complex is TRUNCATED, the density does not fit, or an argument cannot be used.
    BudgetExceededError
        If the cubature does not reach its tolerance, or misses a part of the density's mass.

    References
    ----------
    Grundmann and Moeller, SIAM J. Numer. Anal. 15 (1978), for the cubature; Stroud, Approximate calculation
    of multiple integrals (1971), section 2.4, for rules of any degree.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> bend = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> cells = enumerate_cells(bend, Box([-1.0], [2.0]))
    >>> integrate(cells, [[1], [2]]).values.round(12), integrate(cells, [[1], [2]], exact=True).exact
    (array([0.66666667, 0.88888889]), (Fraction(2, 3), Fraction(8, 9)))
    >>> float(integrate(cells, lambda y, t: np.exp(-y[:, 0])).values[0].round(9))  # (2 - exp(-2)) / 3
    0.621554906
    """
    check_complete(cells, density)
    _check_options(rtol, max_pieces)
    exponents = None if callable(function) else _checked_exponents(function, cells.network.output_dim)
    uniform = density is None or isinstance(density, UniformDensity)
    if exact and (exponents is None or not uniform):
        raise InvalidInputError("exact=True is for exponents, of moments under a uniform density")
    cells = where_mass_is(cells, density)
    p: Density = UniformDensity(cells.domain) if density is None else density
    if exact and exponents is not None and isinstance(p, UniformDensity):
        return _exactly(cells, exponents, p)
    if exponents is not None and uniform:
        values, errors = _by_exact_rule(cells, exponents, p, progress)
        method = f"a rule that is exact up to degree {int(exponents.sum(axis=1).max(initial=0))}"
    elif exponents is not None and _is_normal(p, cells) and p.dimension <= MOST_DIMENSIONS:
        values, errors = _by_normal_rule(cells, exponents, p, max_pieces, progress)
        method = "Gauss's rules for normal densities, with proven remainders"
    else:
        integrand = _checked(function) if callable(function) else powers(exponents)  # type: ignore[arg-type]
        values, errors = _by_cubature(cells, integrand, p, (rtol, max_pieces), progress)
        method = f"cubature to {rtol:g}"
    return CellIntegral(values, errors, (), p.describe(), method)


def _is_normal(density: Density, cells: CellComplex) -> bool:
    """Tell whether a density is a sum of normal ones on all of the cells."""
    if isinstance(density, RestrictedDensity):
        return density.domain == cells.domain and _is_normal(density.base, cells)
    return isinstance(density, GaussianDensity | GaussianMixtureDensity)


def _check_options(rtol: float, max_pieces: int) -> None:
    if not (isinstance(rtol, float | int) and 0.0 < rtol < 1.0):
        raise InvalidInputError(f"rtol is {rtol!r}; give a number between 0 and 1")
    if not (isinstance(max_pieces, int) and not isinstance(max_pieces, bool) and max_pieces >= 0):
        raise InvalidInputError(f"max_pieces is {max_pieces!r}; give a whole number from 0")


def _checked_exponents(given: Any, outputs: int) -> NDArray[np.int64]:
    """Return exponents as (m, outputs) int64."""
    try:
        array = np.atleast_2d(np.asarray(given))
    except ValueError:
        array = np.zeros((0, 0, 0))
    whole = array.dtype.kind in "iu"
    if not whole or array.ndim != 2 or array.shape[1] != outputs or not array.size or (array < 0).any():
        raise InvalidInputError(
            f"function is neither a function nor exponents (m, {outputs}) of whole numbers from 0: {given!r}"
        )
    if array.sum(axis=1).max() > LARGEST_DEGREE:
        raise InvalidInputError(
            f"moments are of degree up to {LARGEST_DEGREE}, not {array.sum(axis=1).max()}"
        )
    return array.astype(np.int64)


def _checked(function: Integrand) -> Integrand:
    """Return a function whose values are (n, m) and finite, or whose fault is named."""

    def values(outputs: FloatArray, points: FloatArray) -> FloatArray:
        try:
            found = np.asarray(function(outputs, points), np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"function(outputs {outputs.shape}, points {points.shape}) fails: {error}"
            ) from error
        if found.ndim not in (1, 2) or len(found) != len(outputs) or not np.isfinite(found).all():
            raise InvalidInputError(
                f"function returns shape {found.shape} for {len(outputs)} points, or numbers that are not "
                "finite; give (n,) or (n, m)"
            )
        return found.reshape(len(outputs), -1)

    return values


def _lifted(cells: CellComplex) -> Iterator[tuple[FloatArray, NDArray[np.int64], float]]:
    """Cells as simplices whose corners have the outputs behind their coordinates: (K, d+1, d + outputs)."""
    for simplices, owner, fraction in cell_pieces(cells):
        corners = simplices.reshape(-1, cells.dimension)
        outputs = cells.network.forward(cells.domain.to_input(corners))
        yield np.concatenate([corners, outputs], axis=1).reshape(*simplices.shape[:2], -1), owner, fraction


def _by_exact_rule(
    cells: CellComplex, exponents: NDArray[np.int64], density: Density, progress: Progress | None
) -> tuple[FloatArray, FloatArray]:
    """Integrate monomials of the outputs by a rule of their degree."""
    d, degree = cells.dimension, int(exponents.sum(axis=1).max(initial=0))
    nodes, weights = rule_of_degree(d, degree)
    monomials, totals, sizes = powers(exponents), [], []
    for lifted, owner, fraction in _lifted(cells):
        step = max(1, _TOGETHER // (len(nodes) * lifted.shape[2]))
        for start in range(0, len(lifted), step):
            part = lifted[start : start + step]
            volumes = simplex_volumes(part[:, :, :d])[0]
            at = (nodes @ part).reshape(-1, part.shape[2])
            found = np.asarray(monomials(at[:, d:], at[:, :d])).reshape(len(part), len(nodes), -1)
            averages = np.einsum("p,kpm->km", weights, found)
            totals.append(volumes @ averages)
            sizes.append(volumes @ np.einsum("p,kpm->km", weights, np.abs(found)))
        if progress is not None:
            progress(int(owner.max(initial=0)) + 1, fraction)
    height = float(density.pdf(cells.domain.vertices.mean(axis=0)[None])[0])
    values = height * np.array([math.fsum(column) for column in np.array(totals).T])
    spread = height * np.array([math.fsum(column) for column in np.array(sizes).T])
    roundings = 2 * (degree + 1) * (sum(cells.network.widths) + d + 8)
    return values, roundings * _EPS * spread


def _by_normal_rule(
    cells: CellComplex,
    exponents: NDArray[np.int64],
    density: Density,
    max_pieces: int,
    progress: Progress | None,
) -> tuple[FloatArray, FloatArray]:
    """Integrate monomials of the outputs under normal densities and their sums, with proven remainders."""
    parts = [(weight, NormalMoments(exponents, one, max_pieces)) for weight, one in normal_parts(density)]
    found = []
    for lifted, owner, fraction in _lifted(cells):
        for weight, moments in parts:
            found.append(weight * np.array(moments.integrate(lifted)))
        if progress is not None:
            progress(int(owner.max(initial=0)) + 1, fraction)
    values, errors = np.array(found).transpose(1, 2, 0)
    sums = np.array([math.fsum(row) for row in values])
    roundings = 2 * (sum(cells.network.widths) + cells.dimension + 8)  # of outputs at corners
    spread = np.array([math.fsum(row) for row in errors]) * (1.0 + roundings / 48.0)
    if isinstance(density, RestrictedDensity):
        off = density.base_mass_error / (density.base_mass - density.base_mass_error)
        spread += off * np.array([math.fsum(np.abs(row)) for row in values])
    return sums, spread


def _by_cubature(
    cells: CellComplex,
    integrand: Integrand,
    density: Density,
    limits: tuple[float, int],
    progress: Progress | None,
) -> tuple[FloatArray, FloatArray]:
    """Integrate a function by cutting the simplices on which two rules differ, block by block."""
    bells = [one for _, one in normal_parts(density)]
    known = bool(bells) or isinstance(density, UniformDensity)

    def with_mass(outputs: FloatArray, points: FloatArray) -> FloatArray:
        return np.column_stack([np.asarray(integrand(outputs, points)), np.ones(len(points))])

    values, errors = [], []
    budget = limits[1]
    for lifted, owner, fraction in _lifted(cells):
        for bell in bells:
            whole = len(lifted)
            lifted = cut_to_bell(lifted, bell, budget)
            budget -= len(lifted) - whole
        chosen = integrand if known else with_mass
        value, error, used = _adaptively(lifted, cells.dimension, chosen, density, (limits[0], budget))
        values.append(value)
        errors.append(error)
        budget -= used
        if progress is not None:
            progress(int(owner.max(initial=0)) + 1, fraction)
    sums, spread = (np.array([math.fsum(row) for row in np.array(found).T]) for found in (values, errors))
    if known:
        return sums, spread
    mass, mass_error = density.mass(cells.domain)
    if abs(mass - sums[-1]) > mass_error + spread[-1] + 4.0 * limits[0] * mass:
        raise BudgetExceededError(
            f"the cubature finds a mass of {sums[-1]:.6g}, the density has {mass:.6g} on the domain: it is "
            "narrow beside the cells; integrate over a smaller domain around it"
        )
    return sums[:-1], spread[:-1]


def _adaptively(
    pieces: FloatArray, d: int, integrand: Integrand, density: Density, limits: tuple[float, int]
) -> tuple[FloatArray, FloatArray, int]:
    """Return the sums of integrals over simplices and of their errors, and how many simplices were added."""
    rtol, most = limits
    start = len(pieces)
    values, errors, sizes = _apply(pieces, d, integrand, density)
    while True:
        whole, spread = sizes.sum(axis=0), errors.sum(axis=0)
        target = rtol * whole + 64.0 * _EPS * whole + 1e-300
        if (spread <= target).all():
            rounding = 16.0 * _EPS * float(np.abs(embedded_rules(d)[-1][1]).sum())
            return values.sum(axis=0), spread + rounding * whole, len(pieces) - start
        # some piece is above its even part, so every round makes progress
        cut = (errors > 0.5 * target / len(pieces)).any(axis=1)
        if len(pieces) + int(cut.sum()) > start + most:
            worst = float((spread / np.maximum(whole, 1e-300)).max())
            raise BudgetExceededError(
                f"the cubature reached a relative error of {worst:.1e}, not {rtol:.1e}, within the simplices "
                "that it may add; raise max_pieces or rtol, or check that the function is smooth on cells"
            )
        children = bisect_longest_edges(pieces[cut])
        new = _apply(children, d, integrand, density)
        pieces = np.concatenate([pieces[~cut], children])
        values, errors, sizes = (
            np.concatenate([old[~cut], found])
            for old, found in zip((values, errors, sizes), new, strict=True)
        )


def _apply(
    pieces: FloatArray, d: int, integrand: Integrand, density: Density
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return integrals over simplices, the differences of two rules, integrals of the size: (K, m) each."""
    nodes, high, low = embedded_rules(d)[-1]
    values, errors, sizes = [], [], []
    step = max(1, _TOGETHER // (len(nodes) * pieces.shape[2]))
    for start in range(0, len(pieces), step):
        part = pieces[start : start + step]
        volumes = simplex_volumes(part[:, :, :d])[0][:, None]
        at = (nodes @ part).reshape(-1, part.shape[2])
        found = np.asarray(integrand(at[:, d:], at[:, :d])) * density.pdf(at[:, :d])[:, None]
        found = found.reshape(len(part), len(nodes), -1)
        values.append(volumes * np.einsum("p,kpm->km", high, found))
        errors.append(volumes * np.abs(np.einsum("p,kpm->km", high - low, found)))
        sizes.append(volumes * np.abs(found).mean(axis=1))
    return np.concatenate(values), np.concatenate(errors), np.concatenate(sizes)


def _exactly(cells: CellComplex, exponents: NDArray[np.int64], density: UniformDensity) -> CellIntegral:
    """Return moments under a uniform density as fractions; some milliseconds for each cell."""
    domain = cells.domain
    exact = ExactNetwork(cells.network, domain)
    sums = [Fraction(0)] * len(exponents)
    for i in range(cells.n_cells):
        pattern = cells.pattern(i)
        polytope = exact_cell(exact, pattern).polytope
        matrix, offsets = exact.output_map(pattern)
        rows = [
            [*(to_fraction(matrix[k, j]) for j in range(domain.dimension)), to_fraction(offset)]
            for k, offset in enumerate(offsets)
        ]
        outputs = [
            [
                sum((Fraction(int(x), int(v[-1])) * a for a, x in zip(row, v[:-1], strict=False)), row[-1])
                for row in rows
            ]
            for v in polytope.vertices
        ]
        for simplex in polytope.simplices():
            volume = to_fraction(simplex_volume([polytope.vertices[v] for v in simplex]))
            corners = [outputs[v] for v in simplex]
            for k, row in enumerate(exponents.tolist()):
                sums[k] += volume * _average_monomial(corners, row)
    whole = ExactNetwork(cells.network, density.domain).domain_polytope
    volumes = [simplex_volume([whole.vertices[v] for v in simplex]) for simplex in whole.simplices()]
    total = sum(map(to_fraction, volumes), Fraction(0))
    found = tuple(value / total for value in sums)
    values = np.array([float(value) for value in found])
    return CellIntegral(values, np.abs(values) * 2.0**-53, found, density.describe(), "rational arithmetic")


def _average_monomial(corners: list[list[Fraction]], exponents: list[int]) -> Fraction:
    """Return the average over a simplex of a product of affine functions, which are given at its corners.

    In barycentric coordinates it is a form, and the average of a monomial of these is
    k! alpha! / (k + |alpha|)!.
    """
    k = len(corners) - 1
    form: dict[tuple[int, ...], Fraction] = {(0,) * (k + 1): Fraction(1)}
    for output, power in enumerate(exponents):
        for _ in range(power):
            longer: dict[tuple[int, ...], Fraction] = {}
            for alpha, factor in form.items():
                for i, corner in enumerate(corners):
                    if corner[output]:
                        name = (*alpha[:i], alpha[i] + 1, *alpha[i + 1 :])
                        longer[name] = longer.get(name, Fraction(0)) + factor * corner[output]
            form = longer
    degree = sum(exponents)
    scale = Fraction(math.factorial(k), math.factorial(k + degree))
    return scale * sum(
        (factor * math.prod(map(math.factorial, alpha)) for alpha, factor in form.items()), Fraction(0)
    )
