"""What every estimator takes and gives: arguments that fit, an estimate with its standard error, its target.

The targets are named here, so that an estimator can say what it estimates; their exact values are found in
`comparison`, out of an estimator's sight.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from regions.density import Density
from regions.density.densities import check_density, check_domain, check_generator
from regions.density.frozen_distributions import with_distributions
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.estimators.spreads import Noise, check_noise_kind
from regions.inputs import seeded
from regions.network import LocusKind, check_kind
from regions.network.relu_network import Network
from regions.showing import Shown

__all__ = [
    "BudgetedEstimator",
    "Estimate",
    "Estimator",
    "FunctionEstimator",
    "LocusKind",
    "Quantity",
    "Target",
]

FloatArray = NDArray[np.float64]
Quantity = Literal[
    "locus integral at fixed biases",
    "bias-averaged locus integral",
    "number of units that change sign in a neighbourhood",
    "number of cells",
]


@dataclass(frozen=True)
class Estimate(Shown):
    """A Monte Carlo mean with its standard error.

    Parameters
    ----------
    mean : float
    stderr : float, standard error of the mean; 0 for a value that was not sampled
    n : int, number of independent draws
    complete : bool, False if Ctrl-C left out some of the draws that were asked for

    Examples
    --------
    >>> Estimate(1.5, 0.1, 100).to_dict()
    {'mean': 1.5, 'stderr': 0.1, 'n': 100}
    >>> Estimate(1.5, 0.1, 7, complete=False)
    Estimate(mean=1.5, stderr=0.1, n=7, TRUNCATED)
    """

    mean: float
    stderr: float
    n: int
    complete: bool = True

    def __repr__(self) -> str:
        end = "" if self.complete else ", TRUNCATED"
        return f"Estimate(mean={self.mean!r}, stderr={self.stderr!r}, n={self.n!r}{end})"

    @classmethod
    def from_draws(cls, draws: FloatArray, complete: bool = True) -> Estimate:
        """Return the mean and standard error of independent draws `(n,)`, n >= 1 (one draw: stderr infinite).

        Examples
        --------
        >>> Estimate.from_draws(np.array([1.0, 3.0]))
        Estimate(mean=2.0, stderr=1.0, n=2)
        """
        n = draws.size
        mean = math.fsum(draws.tolist()) / n
        squares = math.fsum(np.square(draws - mean).tolist())
        return cls(mean, math.sqrt(squares / (n - 1) / n) if n > 1 else math.inf, n, complete)

    @classmethod
    def from_samples(cls, draws: FloatArray, n_visible: int) -> Estimate:
        """As `from_draws`, but with an infinite error where no sample contributed.

        Draws that are all 0 have no spread, but they are no estimate of 0 either: what is to be seen may
        be rarer than one in n, or underflow. Only without units that may contribute is 0 a value.

        Examples
        --------
        >>> Estimate.from_samples(np.zeros(100), 3)
        Estimate(mean=0.0, stderr=inf, n=100)
        """
        if n_visible and not draws.any():
            return cls(0.0, math.inf, draws.size)
        return cls.from_draws(draws)

    def pooled(self, other: Estimate) -> Estimate:
        """Return the estimate from the draws of both, which are independent and of the same law.

        Examples
        --------
        >>> two, three = (Estimate.from_draws(np.array(draws)) for draws in ([1.0, 3.0], [2.0, 4.0, 9.0]))
        >>> two.pooled(three), Estimate.from_draws(np.array([1.0, 3.0, 2.0, 4.0, 9.0])).stderr
        (Estimate(mean=3.8, stderr=1.3928388277184118, n=5), 1.392838827718412)
        """
        n = self.n + other.n
        mean = (self.n * self.mean + other.n * other.mean) / n
        gap = other.mean - self.mean
        squares = sum(one.stderr**2 * one.n * (one.n - 1) for one in (self, other))
        squares += gap * gap * self.n * other.n / n
        return Estimate(mean, math.sqrt(squares / (n - 1) / n), n, self.complete and other.complete)

    def to_dict(self) -> dict[str, float | int | str]:
        """Return the three numbers as a plain dictionary, and a status if draws are missing."""
        status = {} if self.complete else {"status": "TRUNCATED"}
        return {"mean": self.mean, "stderr": self.stderr, "n": self.n, **status}


@dataclass(frozen=True)
class Target(Shown):
    """What an estimator estimates: a quantity, and the parameters that its exact value depends on.

    Parameters
    ----------
    quantity : one of the four of `Quantity`
    kind : "gradient" or "activation", for the locus integrals
    sigma : float >= 0, standard deviation of the bias noise; above 0 for the bias average, else 0
    radius : float > 0 of the neighbourhood, else 0
    n_directions : int, directions of the neighbourhood; 0 for all of them
    noise : "absolute", sigma for every unit, or "relative", sigma times each unit's spread (`unit_spreads`)

    Raises
    ------
    InvalidInputError : if the quantity is unknown or the parameters do not belong to it

    Examples
    --------
    >>> Target("bias-averaged locus integral", sigma=0.1).describe()
    'bias-averaged locus integral, gradient locus, sigma 0.1'
    """

    quantity: Quantity
    kind: LocusKind = "gradient"
    sigma: float = 0.0
    radius: float = 0.0
    n_directions: int = 0
    noise: Noise = "absolute"

    def __post_init__(self) -> None:
        if self.quantity not in get_args(Quantity):
            raise InvalidInputError(f"quantity is {self.quantity!r}; expected one of {get_args(Quantity)}")
        check_kind(self.kind)
        if self.quantity.startswith("bias-averaged"):
            check_above_zero("sigma", self.sigma)
        elif self.sigma != 0.0:
            raise InvalidInputError(f"sigma is {self.sigma!r}; {self.quantity} has no bias noise, give 0")
        check_noise_kind(self.noise)
        if self.sigma == 0.0 and self.noise != "absolute":
            raise InvalidInputError(f"noise is {self.noise!r}; {self.quantity} has none, leave it out")
        if "neighbourhood" in self.quantity:
            check_above_zero("radius", self.radius)
        elif self.radius != 0.0 or self.n_directions:
            raise InvalidInputError(f"radius is {self.radius!r}; {self.quantity} has no neighbourhood")
        if self.n_directions < 0:
            raise InvalidInputError(f"n_directions is {self.n_directions}; give 0 for all, or a number above")

    @classmethod
    def locus(cls, sigma: float = 0.0, kind: LocusKind = "gradient", noise: Noise = "absolute") -> Target:
        """Return the locus integral: averaged over bias noise if sigma > 0, else at the stored biases.

        Examples
        --------
        >>> Target.locus().quantity
        'locus integral at fixed biases'
        """
        if sigma == 0.0:
            return cls("locus integral at fixed biases", kind)
        return cls("bias-averaged locus integral", kind, sigma, noise=noise)

    def describe(self) -> str:
        """One line for reports."""
        parts: list[str] = [self.quantity]
        if "locus" in self.quantity:
            parts.append(f"{self.kind} locus")
        if self.sigma:
            parts.append(f"sigma {self.sigma:g}{' of the spread' if self.noise == 'relative' else ''}")
        if self.radius:
            plural = "" if self.n_directions == 1 else "s"
            parts.append(f"radius {self.radius:g}, {self.n_directions or 'all'} direction{plural}")
        return ", ".join(parts)


class Estimator(Protocol):
    """Anything that can be called like `local_complexity`, a plain function included."""

    def __call__(
        self,
        network: Network,
        density: Density,
        sigma: float,
        n_samples: int,
        rng: np.random.Generator,
        *,
        domain: Domain | None = None,
        kind: LocusKind = "gradient",
    ) -> Estimate:
        """Estimate the local complexity of that kind at bias noise sigma."""


@runtime_checkable
class BudgetedEstimator(Protocol):
    """An estimator that says what it estimates; the shipped ones, and a user's own class, are such."""

    @property
    def name(self) -> str:
        """A name for tables."""

    @property
    def target(self) -> Target:
        """What is estimated."""

    def estimate(
        self,
        network: Network,
        density: Density,
        rng: np.random.Generator,
        budget: int,
        *,
        domain: Domain | None = None,
    ) -> Estimate:
        """Estimate the target from `budget` independent draws."""


class BudgetedFunction(Protocol):
    """A plain function that estimates something; `FunctionEstimator` gives it a target."""

    def __call__(
        self,
        network: Network,
        density: Density,
        rng: np.random.Generator,
        budget: int,
        *,
        domain: Domain | None = None,
    ) -> Estimate:
        """Estimate from `budget` independent draws."""


@dataclass(frozen=True)
class FunctionEstimator:
    """A plain function as an estimator, with what it estimates.

    Parameters
    ----------
    function : called as function(network, density, rng, budget, domain=domain), gives an Estimate
    target : Target
    label : str, name for tables; by default that of the function

    Examples
    --------
    >>> def guess(network, density, rng, budget, *, domain=None):
    ...     return Estimate(1.0, 0.5, budget)
    >>> FunctionEstimator(guess, Target("number of cells")).name
    'guess'
    """

    function: BudgetedFunction
    target: Target
    label: str = ""

    @property
    def name(self) -> str:
        """The label, or the name of the function."""
        return self.label or str(getattr(self.function, "__name__", type(self.function).__name__))

    @with_distributions
    @seeded
    def estimate(
        self,
        network: Network,
        density: Density,
        rng: np.random.Generator,
        budget: int,
        *,
        domain: Domain | None = None,
    ) -> Estimate:
        """Return what the function gives."""
        return self.function(network, density, rng, budget, domain=domain)


def check_problem(
    network: Network, density: Density, n_samples: int, domain: Domain | None, rng: np.random.Generator
) -> None:
    """Raise InvalidInputError unless network, density and domain fit and there are at least 2 samples."""
    check_objects(network, density, domain, rng)
    if isinstance(n_samples, bool) or not isinstance(n_samples, numbers.Integral) or n_samples < 2:
        raise InvalidInputError(
            f"n_samples is {n_samples!r}; a standard error needs at least 2, give a whole number"
        )
    if domain is not None and domain.input_dim != network.input_dim:
        raise InvalidInputError(
            f"{domain.describe()} lies in {domain.input_dim} dimensions, the network has "
            f"{network.input_dim} inputs; give a domain in its input space"
        )
    wanted = network.input_dim if domain is None else domain.dimension
    if density.dimension != wanted:
        raise InvalidInputError(
            f"the density has {density.dimension} coordinates, the points {wanted}; "
            "give a density in the intrinsic coordinates of the domain (none: of the input space)"
        )


def check_objects(network: object, density: object, domain: object, rng: object) -> None:
    """Raise InvalidInputError unless a problem is made of a Network, a density, a Domain and a Generator.

    Parameters
    ----------
    network, density, rng : object
    domain : object, or None for the whole input space

    Examples
    --------
    >>> try:
    ...     check_objects([[1.0]], None, None, None)
    ... except InvalidInputError as error:
    ...     print(str(error)[:18])
    network is a list;
    """
    if not isinstance(network, Network):
        raise InvalidInputError(
            f"network is a {type(network).__name__}; make a Network with from_arrays, from_torch, from_onnx, "
            "from_sklearn or load_network"
        )
    check_density(density)
    if domain is not None:
        check_domain(domain)
    check_generator(rng)


def check_above_zero(name: str, value: float) -> None:
    """Raise InvalidInputError unless the value is a finite number above 0."""
    if not (math.isfinite(value) and value > 0.0):
        raise InvalidInputError(f"{name} is {value!r}; give a finite number above 0")


def check_noise(sigma: float) -> None:
    """Raise InvalidInputError unless sigma is a finite number, at least 0."""
    if not (math.isfinite(sigma) and sigma >= 0.0):
        raise InvalidInputError(f"sigma is {sigma!r}; give a finite number, at least 0")
