"""`UniformBallDensity`: constant on a Euclidean ball, and zero outside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from regions.density.densities import (
    EPS,
    FloatArray,
    as_count,
    as_floats,
    as_points,
    as_simplices,
    check_dimension,
    check_tolerance,
    listing,
    mass_by_simplices,
)
from regions.density.integrals.ball_integrals import volumes_in_ball
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.inputs import seeded
from regions.showing import Shown

__all__ = ["UniformBallDensity"]


@dataclass(frozen=True, eq=False, init=False)
class UniformBallDensity(Shown):
    """The constant density `1 / volume` on a closed Euclidean ball, zero outside, not renormalised.

    The ball need not lie in a domain, nor the domain in the ball: `mass` says how much is inside.

    Parameters
    ----------
    center : (d,) array, or a number for d = 1; intrinsic coordinates
    radius : float > 0, in the same units
    rtol : float in (0, 1), relative tolerance of the cubature (k >= 3 only); 1e-9 is soon reached for
        k = 3, for k = 4 give 1e-4, beyond 1e-3
    max_pieces : int, how many pieces the cubature may cut a block of 4,096 simplices into, beyond their faces

    Raises
    ------
    InvalidInputError : if the shape is wrong, a number is not finite or the radius is not positive

    Examples
    --------
    >>> density = UniformBallDensity([0.0, 0.0], 2.0)
    >>> density.pdf([[1.0, 1.0], [3.0, 0.0]])
    array([0.07957747, 0.        ])
    """

    center: FloatArray
    radius: float
    rtol: float
    max_pieces: int

    def __init__(
        self, center: ArrayLike, radius: float, *, rtol: float = 1e-9, max_pieces: int = 1 << 19
    ) -> None:
        middle, extent = np.atleast_1d(as_floats(center, "center")), as_floats(radius, "radius")
        if extent.size != 1:
            raise InvalidInputError(f"radius has shape {extent.shape}; give one number")
        length = float(extent.item())
        if middle.ndim != 1 or middle.size == 0 or not np.isfinite(middle).all():
            raise InvalidInputError(f"center has shape {middle.shape}; give (d,) finite numbers")
        if not (math.isfinite(length) and length > 0.0):
            raise InvalidInputError(f"radius is {radius!r}; give a positive number")
        check_tolerance(rtol, max_pieces)
        middle.setflags(write=False)
        values = {"center": middle, "radius": length, "rtol": float(rtol), "max_pieces": int(max_pieces)}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def dimension(self) -> int:
        """Number of intrinsic coordinates."""
        return int(self.center.size)

    @cached_property
    def height(self) -> float:
        """Value of the density in the ball; raises InvalidInputError if that is no finite float > 0."""
        half = 0.5 * self.dimension
        exponent = math.lgamma(half + 1.0) - half * math.log(math.pi) - self.dimension * math.log(self.radius)
        if not abs(exponent) < 700.0:
            raise InvalidInputError(
                f"a ball of radius {self.radius:.6g} in {self.dimension} dimensions has a volume beyond the "
                "range of floats; take `conditional` or `restricted` on a domain of few dimensions"
            )
        return math.exp(exponent)

    def pdf(self, t: ArrayLike) -> FloatArray:
        """Values at points: `1 / volume` in the closed ball, else 0.

        Shapes and errors are those of `Density.pdf`.

        Raises
        ------
        InvalidInputError : also if the volume of the ball is no float

        Examples
        --------
        >>> UniformBallDensity([0.0], 2.0).pdf([[1.0]])
        array([0.25])
        """
        points = as_points(t, self.dimension)
        inside = np.linalg.norm((points - self.center) / self.radius, axis=1) <= 1.0
        return np.where(inside, self.height, 0.0)

    @seeded
    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Independent uniform points `(n, d)` of the ball; raises InvalidInputError if n is negative.

        Examples
        --------
        >>> UniformBallDensity([0.0, 5.0], 2.0).sample(2, np.random.default_rng(0)).shape
        (2, 2)
        """
        count = as_count(n, rng)
        direction = rng.standard_normal((count, self.dimension))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        reach = self.radius * rng.random(n) ** (1.0 / self.dimension)
        return self.center + reach[:, None] * direction

    def mass(self, domain: Domain) -> tuple[float, float]:
        """Probability of a domain: 1 if it holds the ball, else as `integrate_simplices`.

        Arguments, result and errors are those of `Density.mass`.

        Examples
        --------
        >>> from regions.domain import Box
        >>> round(UniformBallDensity([0.0, 0.0], 1.0).mass(Box([0.0, -9.0], [9.0, 9.0]))[0], 12)
        0.5
        """
        check_dimension(self.dimension, domain)
        A, b = domain.halfspaces
        if np.all(A @ self.center + self.radius * np.linalg.norm(A, axis=1) <= b):
            return 1.0, 4.0 * EPS
        return mass_by_simplices(self, domain)

    def integrate_simplices(self, simplices: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """k-volumes of simplices inside the ball, over the volume of the ball.

        Closed forms for k <= 2, the chord of a segment and the part of a triangle in a disc; adaptive
        cubature for k >= 3, which stops when every error is at most rtol times the larger of the integral
        and the mean integral of its block.

        Parameters
        ----------
        simplices : (K, k+1, d) vertices in intrinsic coordinates, 0 <= k <= d

        Returns
        -------
        values : (K,) float64, in k-volume per d-volume (k = 0: the value of the density)
        errors : (K,) float64, rounding (k <= 2), and estimates of the cubature (k >= 3)

        Raises
        ------
        InvalidInputError : if the shape is wrong or a number is not finite
        BudgetExceededError : if the cubature does not reach rtol within max_pieces

        Examples
        --------
        >>> UniformBallDensity([0.0, 0.0], 1.0).integrate_simplices([[[0.0, 0.0], [3.0, 0.0]]])[0]
        array([0.31830989])
        """
        vertices = as_simplices(simplices, self.dimension)
        volumes, errors = volumes_in_ball(vertices, self.center, self.radius, self.rtol, self.max_pieces)
        rounding = 8.0 * (1.0 + self.dimension) * EPS * volumes
        return self.height * volumes, self.height * (errors + rounding)

    def describe(self) -> str:
        """One line for reports.

        Examples
        --------
        >>> UniformBallDensity([0.0, 1.0], 0.5).describe()
        'uniform on the ball of radius 0.5 around (0, 1)'
        """
        return f"uniform on the ball of radius {self.radius:.6g} around {listing(self.center)}"
