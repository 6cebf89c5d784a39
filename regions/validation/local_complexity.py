"""Judges an estimator of local complexity by the exact value, which it gets from the enumeration.

The one place where truth (`enumeration`, `locus`) and estimate (`estimators`) meet; both get random
numbers of their own, and neither sees what the other computes.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from regions.analysis.locus import locus_volume
from regions.complexes import StoppedBy
from regions.density import Density
from regions.density.frozen_distributions import with_distributions
from regions.density.reach import part_with_mass
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.estimators import Estimate, Estimator, LocusKind
from regions.estimators.estimates import check_noise, check_objects
from regions.estimators.spreads import Noise, check_noise_kind, spreads_of
from regions.inputs import seeded
from regions.network import check_kind
from regions.network.relu_network import Network
from regions.reports import finite, heading, read_as, save_json, truncation
from regions.showing import Shown, plotter
from regions.validation.draws import Deadline, EnumerationOptions, Progress, all_cells, finished_draws

__all__ = [
    "Effort",
    "ValidationReport",
    "ValidationSettings",
    "drawn_local_complexity",
    "exact_local_complexity",
    "read_estimate",
    "validate",
    "with_bias_noise",
    "z_score",
]

FloatArray = NDArray[np.float64]
_FORMAT = "regions validation 1"
# a difference of so many standard errors is taken for a bias
_SURE = 4.0


class Effort(TypedDict):
    """The settings that `validate` cannot do without."""

    sigma: float
    n_samples: int
    n_bias: int


class ValidationSettings(Effort, EnumerationOptions, total=False):
    """The settings of `validate`: noise and effort, kind of locus, and those of the enumeration."""

    kind: LocusKind
    noise: Noise


@dataclass(frozen=True)
class ValidationReport(Shown):
    """An estimate beside the exact value.

    Parameters
    ----------
    estimator, kind : str, name of the estimator and of the locus
    sigma : float, standard deviation of the bias noise
    exact, estimate : Estimate
    z : float, (estimate - exact) over both standard errors combined
    seconds_exact, seconds_estimate : float, wall time
    network, domain, density : str, one line each
    stopped_by : "interrupt" or "max_seconds", what left out some of the bias draws; else ""
    noise : "absolute" or "relative"

    Examples
    --------
    >>> exact, estimate = Estimate(1.0, 0.03, 100), Estimate(1.02, 0.04, 1000)
    >>> report = ValidationReport("mine", "gradient", 0.1, exact, estimate, 0.4, 2.0, 0.1)
    >>> report.to_dict()["exact"]
    {'mean': 1.0, 'stderr': 0.03, 'n': 100}
    """

    estimator: str
    kind: str
    sigma: float
    exact: Estimate
    estimate: Estimate
    z: float
    seconds_exact: float
    seconds_estimate: float
    network: str = ""
    domain: str = ""
    density: str = ""
    stopped_by: StoppedBy = ""
    noise: Noise = "absolute"

    @property
    def complete(self) -> bool:
        """False if Ctrl-C or max_seconds left out some of the bias draws of the exact value."""
        return self.exact.complete

    @property
    def smallest_visible_bias(self) -> float:
        """The bias of 4 standard errors of the difference: a smaller one may pass for chance."""
        return _SURE * math.hypot(self.exact.stderr, self.estimate.stderr)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON; what is not finite becomes None."""
        plain = {"format": _FORMAT, "status": "COMPLETE" if self.complete else "TRUNCATED", **asdict(self)}
        plain |= {"exact": self.exact.to_dict(), "estimate": self.estimate.to_dict()}
        plain["smallest_visible_bias"] = self.smallest_visible_bias
        plain["seconds"] = {"exact": plain.pop("seconds_exact"), "estimate": plain.pop("seconds_estimate")}
        return dict(finite(plain))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON; raises InvalidInputError if the file cannot be written."""
        save_json(self.to_dict(), path, "report")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ValidationReport:
        """Read what `save` wrote; raises InvalidInputError if it cannot be read or is damaged."""
        return read_as(cls._from_dict, path, "report", _FORMAT)

    @classmethod
    def _from_dict(cls, plain: dict[str, Any]) -> ValidationReport:
        exact, estimate = (read_estimate(plain[name]) for name in ("exact", "estimate"))
        words = {name: str(plain[name]) for name in ("estimator", "kind", "network", "domain", "density")}
        return cls(
            **words,
            sigma=float(plain["sigma"]),
            exact=exact,
            estimate=estimate,
            z=z_score(estimate, exact),
            seconds_exact=float(plain["seconds"]["exact"]),
            seconds_estimate=float(plain["seconds"]["estimate"]),
            # version 0.1 did not say it
            stopped_by=plain.get("stopped_by", "" if exact.complete else "interrupt"),
            noise=plain.get("noise", "absolute"),
        )

    def table(self) -> str:
        """The report as a table in plain text, several lines.

        Examples
        --------
        >>> exact, estimate = Estimate(1.0, 0.03, 100), Estimate(1.02, 0.04, 1000)
        >>> table = ValidationReport("mine", "gradient", 0.1, exact, estimate, 0.4, 2.0, 0.1).table()
        >>> table.splitlines()[-2].split()
        ['difference', '0.02', '0.05', 'z', '=', '+0.40']
        >>> table.splitlines()[-1]
        'smallest bias that could have been seen (4 std. errors): 0.2, 0.2 of the exact value'
        """
        rows = [
            f"local complexity, {self.kind} locus, {self._sigma}",
            *heading(self.network, self.domain, self.density),
            *truncation(self.complete, f"{self.exact.n} bias draws", self.stopped_by),
            f"{'':<12}{'mean':>12}{'std. error':>12}{'draws':>10}{'seconds':>10}",
        ]
        for name, value, seconds in (
            ("exact", self.exact, self.seconds_exact),
            ("estimate", self.estimate, self.seconds_estimate),
        ):
            rows.append(f"{name:<12}{value.mean:>12.6g}{value.stderr:>12.2g}{value.n:>10}{seconds:>10.2f}")
        gap = self.estimate.mean - self.exact.mean
        spread = math.hypot(self.exact.stderr, self.estimate.stderr)
        rows.append(f"{'difference':<12}{gap:>12.3g}{spread:>12.2g}{'':>10}{f'z = {self.z:+.2f}':>10}")
        visible = self.smallest_visible_bias
        part = f", {visible / abs(self.exact.mean):.2g} of the exact value" if self.exact.mean else ""
        rows.append(f"smallest bias that could have been seen ({_SURE:g} std. errors): {visible:.3g}{part}")
        return "\n".join(rows)

    def plot(self, *, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw estimate and exact value, as `plotting.plot_validation` does, and return the Figure."""
        return plotter("plot_validation")(self, path=path)

    @property
    def _sigma(self) -> str:
        return f"sigma {self.sigma:g}{' of the spread' if self.noise == 'relative' else ''}"

    def _headline(self) -> str:
        return f"{self.estimator}, z = {self.z:+.2f}" + ("" if self.complete else ", TRUNCATED")

    def _notes(self) -> dict[str, Any]:
        return {"exact": self.exact, "estimate": self.estimate}

    def _facts(self) -> dict[str, Any]:
        return {
            "estimator": f"{self.estimator}, {self.kind} locus, {self._sigma}",
            **{name: text for name in ("network", "domain", "density") if (text := getattr(self, name))},
            "exact": f"{self.exact.mean:.6g} ± {self.exact.stderr:.2g} ({self.exact.n:,} bias draws)",
            "estimate": f"{self.estimate.mean:.6g} ± {self.estimate.stderr:.2g} ({self.estimate.n:,} draws)",
            "z": f"{self.z:+.2f}",
            "smallest visible bias": self.smallest_visible_bias,
            "seconds": f"{self.seconds_exact:.3g} exact, {self.seconds_estimate:.3g} estimate",
        }


@with_distributions
@seeded
def exact_local_complexity(
    network: Network,
    domain: Domain,
    density: Density,
    sigma: float,
    n_bias: int,
    rng: np.random.Generator,
    *,
    kind: LocusKind = "gradient",
    noise: Noise = "absolute",
    **options: Unpack[EnumerationOptions],
) -> Estimate:
    """Local complexity with no error but that of the bias average: one enumeration per bias draw.

    Every unit's bias (output biases and linear units none) gets independent noise N(0, sigma^2), the noisy
    network is enumerated, and the density is integrated over its facets. With sigma = 0 it is the exact value
    for the stored biases, with standard error 0.

    Parameters
    ----------
    network : Network
    domain : Domain in its input space
    density : Density in the intrinsic coordinates of the domain; not renormalised to it
    sigma : float >= 0
    n_bias : int >= 2, number of bias draws (not used if sigma is 0)
    rng : seed or numpy Generator; draw k of the noise does not depend on n_bias
    kind : "gradient" (nonlinear locus) or "activation" (activation locus)
    noise : "absolute", of standard deviation sigma for every unit, or "relative", sigma times each unit's
        spread over the data (`regions.estimators.unit_spreads`), which no rescaling of units changes
    **options : engine, arithmetic, max_cells, workers and progress, as for `enumerate_cells`;
        progress(draws_done, fraction_done); max_seconds, for all draws together

    Returns
    -------
    Estimate, in (d-1)-volume per d-volume; cost n_bias enumerations. After Ctrl-C or max_seconds it is that
        of the draws that were done, if there are two, and `complete` is False.

    Raises
    ------
    InvalidInputError
        If sigma, n_bias, kind or noise is out of range, the density does not fit, max_cells truncates, or
        max_seconds ended before two draws were done.
    KeyboardInterrupt : after Ctrl-C before two draws were done
    BudgetExceededError : if the cubature over facets (d >= 3) does not reach its tolerance

    References
    ----------
    Patel and Montufar, arXiv 2412.18283, definition of local complexity; docs/mathematics.md,
    "Local complexity".

    Examples
    --------
    >>> from regions.density import UniformDensity
    >>> from regions.domain import Box
    >>> network = Network.from_arrays([[[1.0], [2.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]])
    >>> box = Box([-1.0], [1.0])
    >>> exact_local_complexity(network, box, UniformDensity(box), 0.0, 1, np.random.default_rng(0))
    Estimate(mean=1.0, stderr=0.0, n=1)
    """
    deadline = Deadline(options.get("max_seconds"))
    target = (sigma, kind, noise)
    return drawn_local_complexity((network, domain, density), target, n_bias, rng, deadline, options)


def drawn_local_complexity(
    problem: tuple[Network, Domain, Density],
    target: tuple[float, LocusKind, Noise],
    n_bias: int,
    rng: np.random.Generator,
    deadline: Deadline,
    options: EnumerationOptions,
) -> Estimate:
    """Return `exact_local_complexity` up to a deadline, which then says what ended it."""
    network, domain, density = problem
    sigma, kind, noise_kind = target
    check_kind(kind)
    check_noise_kind(noise_kind)
    check_objects(network, density, domain, rng)
    domain = part_with_mass(domain, density)
    check_noise(sigma)
    if sigma > 0.0 and n_bias < 2:
        raise InvalidInputError(f"n_bias is {n_bias}; a standard error needs at least 2 bias draws")
    progress = options.get("progress")
    if sigma == 0.0:
        cells = all_cells(network, domain, **deadline.options(options))
        deadline.counts(cells.seconds)
        total = locus_volume(cells, density, kind).total
        deadline.begin()
        if progress is not None:
            progress(1, 1.0)
        return Estimate(total, 0.0, 1)

    def draw(noise: FloatArray, part: Progress | None) -> float:
        own = deadline.options({**options, "progress": part})
        cells = all_cells(with_bias_noise(network, noise), domain, **own)
        deadline.counts(cells.seconds)
        return locus_volume(cells, density, kind).total

    spreads = spreads_of(noise_kind, network, density, domain)
    scale = sigma if spreads is None else sigma * spreads
    noises = (scale * rng.standard_normal(network.n_units) for _ in range(n_bias))
    draws, complete = finished_draws(draw, noises, n_bias, progress, deadline)
    return Estimate.from_draws(np.array(draws), complete)


@with_distributions
@seeded
def validate(
    estimator: Estimator,
    network: Network,
    domain: Domain,
    density: Density,
    *,
    rng: np.random.Generator,
    **settings: Unpack[ValidationSettings],
) -> ValidationReport:
    """Run an estimator and the exact computation on the same problem, and compare.

    Parameters
    ----------
    estimator : callable like `local_complexity`; a plain function will do
    network : Network
    domain : Domain in its input space
    density : Density in the intrinsic coordinates of the domain
    rng : seed or numpy Generator; estimate and exact value get independent streams spawned from it
    sigma : float >= 0, standard deviation of the bias noise (the shipped estimator needs > 0)
    n_samples : int, samples of the estimator
    n_bias : int, bias draws of the exact value
    kind : "gradient" (default) or "activation"
    noise : "absolute" (default) or "relative", as for `exact_local_complexity`; only "relative" is passed on
        to the estimator
    engine, arithmetic, max_cells, workers, progress : as for `exact_local_complexity`
    max_seconds : float, for the exact value: the time of all bias draws together

    Returns
    -------
    ValidationReport; after Ctrl-C or max_seconds that of the bias draws that were done, if there are two

    Raises
    ------
    InvalidInputError
        If a setting is missing, unknown or out of range, or the estimator returns no Estimate.

    Examples
    --------
    >>> from regions.density import UniformDensity
    >>> from regions.domain import Box
    >>> from regions.estimators import local_complexity
    >>> network, box = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]]), Box([-1.0], [1.0])
    >>> density, rng = UniformDensity(box), np.random.default_rng(0)
    >>> report = validate(
    ...     local_complexity, network, box, density, rng=rng, sigma=0.3, n_samples=1000, n_bias=20
    ... )
    >>> abs(report.z) < 4
    True
    """
    known = ValidationSettings.__required_keys__ | ValidationSettings.__optional_keys__
    missing = sorted(ValidationSettings.__required_keys__ - settings.keys())
    unknown = sorted(settings.keys() - known)
    if missing or unknown:
        said = [f"needs {', '.join(missing)}"] if missing else []
        said += [f"does not know {', '.join(unknown)}"] if unknown else []
        raise InvalidInputError(f"validate {' and '.join(said)}; its settings are {', '.join(sorted(known))}")
    if isinstance(estimator, type) or not callable(estimator):
        raise InvalidInputError(
            f"the estimator is {estimator!r}, and validate calls it as it calls local_complexity: give a "
            "function; compare_estimators judges objects with an estimate method"
        )
    check_objects(network, density, domain, rng)
    domain = part_with_mass(domain, density)
    sigma, kind, noise = (
        settings["sigma"],
        settings.get("kind", "gradient"),
        settings.get("noise", "absolute"),
    )
    how: dict[str, Any] = {"kind": kind} if noise == "absolute" else {"kind": kind, "noise": noise}
    for_estimate, for_exact = rng.spawn(2)
    start = time.perf_counter()
    estimate = estimator(network, density, sigma, settings["n_samples"], for_estimate, domain=domain, **how)
    middle = time.perf_counter()
    name = str(getattr(estimator, "name", getattr(estimator, "__name__", type(estimator).__name__)))
    if not isinstance(estimate, Estimate):
        raise InvalidInputError(f"{name} returned a {type(estimate).__name__}; it must return an Estimate")
    options = EnumerationOptions(
        **{key: settings[key] for key in EnumerationOptions.__optional_keys__ & settings.keys()}  # type: ignore
    )
    deadline = Deadline(options.get("max_seconds"))
    problem, target = (network, domain, density), (sigma, kind, noise)
    exact = drawn_local_complexity(problem, target, settings["n_bias"], for_exact, deadline, options)
    return ValidationReport(
        estimator=name,
        kind=kind,
        sigma=float(sigma),
        exact=exact,
        estimate=estimate,
        z=z_score(estimate, exact),
        seconds_exact=time.perf_counter() - middle,
        seconds_estimate=middle - start,
        network=network.describe(),
        domain=domain.describe(),
        density=density.describe(),
        stopped_by=deadline.stopped_by,
        noise=noise,
    )


def read_estimate(plain: Mapping[str, Any]) -> Estimate:
    """An Estimate from what its `to_dict` gave, None (not finite, to JSON) read as nan, inf for an error.

    Examples
    --------
    >>> read_estimate({"mean": 1.5, "stderr": None, "n": 1})
    Estimate(mean=1.5, stderr=inf, n=1)
    """
    mean, stderr = plain["mean"], plain["stderr"]
    return Estimate(
        math.nan if mean is None else float(mean),
        math.inf if stderr is None else float(stderr),
        int(plain["n"]),
        plain.get("status", "COMPLETE") == "COMPLETE",
    )


def z_score(estimate: Estimate, exact: Estimate) -> float:
    """Difference of two independent means over its standard error.

    Where both standard errors are 0, it is 0 if the means agree to 1e-9 relative, else infinite.

    Examples
    --------
    >>> z_score(Estimate(1.5, 0.3, 10), Estimate(1.0, 0.4, 10))
    1.0
    """
    difference = estimate.mean - exact.mean
    spread = math.hypot(estimate.stderr, exact.stderr)
    if spread > 0.0:
        return difference / spread
    if math.isclose(estimate.mean, exact.mean, rel_tol=1e-9, abs_tol=1e-300):
        return 0.0
    return math.copysign(math.inf, difference)


def with_bias_noise(network: Network, noise: FloatArray) -> Network:
    """The network with noise `(n_units,)`, in flat order, added to the biases of units that are not linear.

    Examples
    --------
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.5], [0.0]])
    >>> with_bias_noise(network, np.array([0.25])).biases
    (array([0.75]), array([0.]))
    """
    parts = iter(np.split(np.where(network.cutting, noise, 0.0), network.unit_offsets[1:-1]))
    biases = tuple(
        bias + next(parts) if relu else bias for bias, relu in zip(network.biases, network.relu, strict=True)
    )
    return Network(network.weights, biases, network.relu, network.name, network.slopes, network.maxima)
