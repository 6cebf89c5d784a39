"""One record: everything exact from one enumeration, estimates beside it, on one domain.

When to record is left to `tracker`; what a record holds, to `history`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.cell_sums import sum_over_cells
from regions.analysis.locus import locus_volume
from regions.complexes import CellComplex, Completeness
from regions.density import Density
from regions.domain import Domain
from regions.enumeration.enumerate import count_cells, enumerate_cells
from regions.enumeration.limits import interrupts_raised_after
from regions.errors import InvalidInputError
from regions.estimators import BudgetedEstimator, Coarea, CrossPolytope, Target
from regions.estimators.spreads import Noise, check_noise_kind, unit_spreads
from regions.network.relu_network import Network
from regions.validation.draws import EnumerationOptions, raise_if_truncated, raise_interruption
from regions.validation.local_complexity import exact_local_complexity
from regions.validation.tracking.data_distances import DISTANCES, checked_points, measure_distances
from regions.validation.tracking.history import EXACT, Record, check_free
from regions.validation.unit_scaling import over_spreads

__all__ = ["DEFAULT_QUANTITIES", "QUANTITIES", "Measurement", "TrackSettings", "measure"]

Progress = Callable[[int, float], None]

QUANTITIES = (*(name for name in EXACT if name not in DISTANCES), "estimates")
DEFAULT_QUANTITIES = tuple(name for name in QUANTITIES if name != "local_complexity")
_SUMS = frozenset(("local_rank", "total_variation", "c_grad", "lipschitz"))
_LOCI = frozenset(("locus", "activation_locus"))


class TrackSettings(TypedDict, total=False):
    """The settings of `track` that have defaults."""

    sigma: float
    noise: Noise
    eps: float
    radius: float
    points: ArrayLike
    estimators: Sequence[BudgetedEstimator] | Mapping[str, BudgetedEstimator]
    n_samples: int
    n_bias: int
    start: int
    max_cells: int | None
    engine: str
    arithmetic: str
    workers: int | None
    progress: Progress | None


@dataclass(frozen=True)
class Measurement:
    """What to measure and with how much effort, checked.

    Parameters
    ----------
    quantities : frozenset of names out of `QUANTITIES` and `DISTANCES`
    estimators : dict of estimators by label
    sigma, noise, eps, n_samples, n_bias : as for `track`
    points : (N, input_dim) float64 for the distances, None without these
    options : engine, arithmetic, max_cells and workers of the enumeration
    progress : called as progress(step, fraction of the record)
    """

    quantities: frozenset[str]
    estimators: Mapping[str, BudgetedEstimator]
    sigma: float
    noise: Noise
    eps: float
    n_samples: int
    n_bias: int
    points: NDArray[np.float64] | None
    options: EnumerationOptions
    progress: Progress | None

    @classmethod
    def of(cls, records: Iterable[str], settings: TrackSettings) -> Measurement:
        """The settings of `track`, checked.

        Raises
        ------
        InvalidInputError : if one is unknown or out of range
        """
        known = TrackSettings.__optional_keys__
        if unknown := sorted(settings.keys() - known):
            raise InvalidInputError(
                f"track does not know {', '.join(unknown)}; its settings are {', '.join(sorted(known))}"
            )
        points = checked_points(settings["points"]) if settings.get("points") is not None else None
        quantities = _quantities(records, points is not None)
        sigma, eps, radius = (
            settings.get("sigma", 0.05),
            settings.get("eps", 0.01),
            settings.get("radius", 0.05),
        )
        for name, value in (("sigma", sigma), ("eps", eps), ("radius", radius)):
            if not (math.isfinite(value) and value > 0.0):
                raise InvalidInputError(f"{name} is {value!r}; give a finite number above 0")
        noise = settings.get("noise", "absolute")
        check_noise_kind(noise)
        n_samples, n_bias = settings.get("n_samples", 2000), settings.get("n_bias", 32)
        for name, count in (("n_samples", n_samples), ("n_bias", n_bias)):
            if count < 2:
                raise InvalidInputError(f"{name} is {count}; a standard error needs at least 2")
        passed = ("engine", "arithmetic", "max_cells", "workers")
        options = EnumerationOptions(**{key: settings[key] for key in passed if key in settings})  # type: ignore
        usual: tuple[BudgetedEstimator, ...] = (Coarea(sigma, noise=noise),)
        if records == "all" or "radius" in settings:
            usual = (*usual, CrossPolytope(radius))
        estimators = _labelled(settings.get("estimators", usual))
        progress = settings.get("progress")
        return cls(
            quantities, estimators, sigma, noise, eps, n_samples, n_bias, points, options, progress
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Numbers and strings for the history."""
        return {
            "sigma": self.sigma,
            "noise": self.noise,
            "eps": self.eps,
            "n_samples": self.n_samples,
            "n_bias": self.n_bias,
            "max_cells": self.options.get("max_cells"),
            "points": 0 if self.points is None else len(self.points),
            "records": [name for name in (*QUANTITIES, *DISTANCES) if name in self.quantities],
            "estimators": {name: one.target.describe() for name, one in self.estimators.items()},
        }


def _quantities(records: str | Iterable[str], with_points: bool) -> frozenset[str]:
    """The names of what to record, checked; "all" is all that can be had, without points no distances."""
    known = (*QUANTITIES, *DISTANCES)
    if records == "all":
        return frozenset(known if with_points else QUANTITIES)
    quantities = frozenset([records] if isinstance(records, str) else records)
    if strange := sorted(map(str, quantities - set(known))):
        raise InvalidInputError(
            f"records cannot hold {', '.join(strange)}; choose among {', '.join(known)}, or 'all'"
        )
    if not with_points and (missing := [name for name in DISTANCES if name in quantities]):
        raise InvalidInputError(
            f"records ask for {', '.join(missing)}; give the points whose distances these are"
        )
    return quantities | frozenset(DISTANCES if with_points and quantities == set(DEFAULT_QUANTITIES) else ())


def measure(
    network: Network,
    domain: Domain,
    density: Density,
    what: Measurement,
    rng: np.random.Generator,
    place: tuple[int, str],
    progress: Callable[[float], None],
) -> Record:
    """Record a network on a domain.

    Parameters
    ----------
    network, domain, density : that fit one another
    what : Measurement
    rng : seed or numpy Generator, for the estimates and the bias noise of the exact local complexity
    place : step and name of the domain
    progress : called with the fraction done

    Raises
    ------
    KeyboardInterrupt : also where the enumeration took Ctrl-C for a reason to end TRUNCATED
    """
    start = time.perf_counter()
    step, name = place
    for_estimates, for_noise = rng.spawn(2)
    draws = what.n_bias if "local_complexity" in what.quantities else 0
    # Ctrl-C is meant for the training loop, which would go on
    limit = what.options.get("max_cells")
    options: dict[str, Any] = {**what.options}
    options["progress"] = lambda _, fraction: progress(fraction / (1 + draws))
    if what.quantities & (_SUMS | _LOCI):
        with interrupts_raised_after():
            found = enumerate_cells(network, domain, **options)
        record = Record(step, name, found.status.name, found.n_cells, 0.0)
        raise_interruption(found.status, found.n_cells, limit)
        if found.status is Completeness.COMPLETE:
            record = replace(record, **_from_cells(found, density, what))
    else:
        with interrupts_raised_after():
            count = count_cells(network, domain, **options)
        record = Record(step, name, count.status.name, count.n_cells, 0.0)
        raise_interruption(count.status, count.n_cells, limit)
    if draws and record.complete:
        options["progress"] = lambda _, fraction: progress((1 + draws * fraction) / (1 + draws))
        record = replace(record, local_complexity=_exact(network, domain, density, what, for_noise, options))
    if "estimates" in what.quantities:
        streams = for_estimates.spawn(len(what.estimators))
        estimates = {
            label: one.estimate(network, density, stream, what.n_samples, domain=domain)
            for (label, one), stream in zip(what.estimators.items(), streams, strict=True)
        }
        record = replace(record, estimates=estimates)
    if what.points is not None:
        distances: dict[str, Any] = {**measure_distances(network, what.points, what.quantities, progress)}
        record = replace(record, **distances)
    return replace(record, seconds=time.perf_counter() - start)


def _from_cells(cells: CellComplex, density: Density, what: Measurement) -> dict[str, Any]:
    """The fields of a record that come from the cells themselves."""
    found: dict[str, Any] = {}
    if "locus" in what.quantities:
        locus = locus_volume(cells, density)
        found |= {"locus": locus.total, "locus_by_layer": tuple(locus.by_layer.tolist())}
    if "activation_locus" in what.quantities:
        found["activation_locus"] = locus_volume(cells, density, "activation").total
    if what.quantities & _SUMS:
        if what.noise == "relative":
            spreads = unit_spreads(cells.network, density, cells.domain)
            cells = replace(cells, network=over_spreads(cells.network, spreads))
        sums = sum_over_cells(cells, density, eps=what.eps)
        if "total_variation" in what.quantities:
            found["total_variation"] = sums.total_variation
        for name in ("local_rank", "c_grad", "lipschitz"):
            if name in what.quantities:
                found[f"{name}_by_layer"] = tuple(getattr(sums, name).tolist())
    return found


def _exact(
    network: Network,
    domain: Domain,
    density: Density,
    what: Measurement,
    rng: np.random.Generator,
    options: dict[str, Any],
) -> Any:
    """Exact local complexity, or None if max_cells truncates under some draw of the noise."""
    try:
        found = exact_local_complexity(
            network, domain, density, what.sigma, what.n_bias, rng, noise=what.noise, **options
        )
    except InvalidInputError:
        if what.options.get("max_cells") is None:
            raise
        return None
    raise_if_truncated(found)
    return found


def _labelled(given: Sequence[BudgetedEstimator] | Mapping[str, BudgetedEstimator]) -> dict[str, Any]:
    """Estimators by label: the names given, or their own."""
    pairs = list(given.items()) if isinstance(given, Mapping) else [(None, one) for one in given]
    labelled: dict[str, Any] = {}
    for label, one in pairs:
        if isinstance(one, type) or not isinstance(one, BudgetedEstimator):
            raise InvalidInputError(
                f"{one!r} is no estimator: it needs name, target and estimate, as those of regions.estimators"
            )
        if not isinstance(one.target, Target):
            raise InvalidInputError(f"the target of {one.name} is a {type(one.target).__name__}, no Target")
        key = one.name if label is None else str(label)
        check_free(key, "an estimator")
        if key in labelled:
            raise InvalidInputError(f"two estimators are called {key!r}; give a dict of names and estimators")
        labelled[key] = one
    return labelled
