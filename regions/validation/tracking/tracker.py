"""The callback of a training loop: counts steps, and records the model at the chosen ones.

It reads models by the loaders and leaves them as they are; one record is the business of `records`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from regions.density import Density, UniformDensity
from regions.density.frozen_distributions import with_distributions
from regions.domain import Domain
from regions.errors import InvalidInputError, RegionsError
from regions.inputs import seeded
from regions.network.loaders import from_sklearn, from_torch
from regions.network.relu_network import Network
from regions.validation.tracking.data_distances import DISTANCES
from regions.validation.tracking.history import History, Record, check_free
from regions.validation.tracking.records import DEFAULT_QUANTITIES, Measurement, TrackSettings, measure

__all__ = ["Tracker", "log_steps", "track"]


def log_steps(total: int, n: int = 20) -> tuple[int, ...]:
    """Steps for `every`: 0, and up to n more to `total`, evenly spaced on a logarithmic scale.

    Parameters
    ----------
    total : int >= 1, the last step
    n : int >= 2, how many steps after 0; fewer where the spacing would be below 1

    Examples
    --------
    >>> log_steps(1000, 7)
    (0, 1, 3, 10, 32, 100, 316, 1000)
    """
    if total < 1 or n < 2:
        raise InvalidInputError(f"total is {total}, n is {n}; give at least 1 step in all, and 2 of them")
    spaced = np.rint(np.geomspace(1.0, total, n)).astype(np.int64)
    return (0, *dict.fromkeys(spaced.tolist()))


@with_distributions
@seeded
def track(
    model: Any,
    domains: Domain | Mapping[str, Domain],
    *,
    every: int | Sequence[int],
    rng: np.random.Generator,
    density: Density | Mapping[str, Density] | None = None,
    records: str | Iterable[str] = DEFAULT_QUANTITIES,
    **settings: Unpack[TrackSettings],
) -> Tracker:
    """Follow the cells of a network while it is trained: call `step()` after each optimizer step.

    The model is recorded at once, before training, and then at every chosen step; `tracker.history` has
    the numbers. It works in a plain PyTorch loop, around scikit-learn's `partial_fit` and around anything
    that gives a `Network`. Training is the same with it and without: neither weights and gradients nor
    torch's random numbers are touched, and modules get their training mode back (records are made in
    evaluation mode, without Dropout).

    Parameters
    ----------
    model : torch.nn.Module that `from_torch` reads; MLPClassifier or MLPRegressor of scikit-learn; Network;
        or a function without arguments that gives one of these. An MLP that is not fitted yet is recorded
        after its first step instead of before.
    domains : Domain in the model's input space, or a dict of them by name (one alone is called "domain")
    every : int k for the steps 0, k, 2k, ..., or a sequence of steps, such as `log_steps(total)`
    rng : seed or numpy Generator, for estimates; the tracker spawns its own from it
    density : Density in the intrinsic coordinates of the domain, or a dict of them by the domains' names;
        default: uniform on each domain
    records : names of what to record: cells (always), locus, activation_locus, local_rank,
        total_variation, c_grad, lipschitz (see `Record`), estimates, and local_complexity, which is not in
        the default as it costs `n_bias` enumerations; with points cell_distance and boundary_distance; or
        "all" of these, with both published local complexities among the estimates
    sigma : float > 0, bias noise of local complexity (default 0.05)
    noise : "absolute" (default), or "relative", sigma times each unit's spread over the data; then local
        rank, c_grad and lipschitz are those of units over their spreads too, and no record changes where
        units are rescaled without changing the function
    eps : float > 0, singular values above it count towards a local rank (default 0.01)
    radius : float > 0, of the neighbourhoods of Humayun's local complexity (default 0.05)
    points : (N, input_dim) numbers, N >= 2, such as test data, for the mean distances from the ends of cells
        and from the boundary where the prediction changes (`minimal_perturbation` for each point)
    estimators : sequence of estimators of `regions.estimators`, or dict of them by name; default
        Coarea(sigma), and CrossPolytope(radius) if records is "all" or a radius is given
    n_samples : int >= 2, samples of each estimate (default 2000)
    n_bias : int >= 2, bias draws of the exact local complexity (default 32)
    start : int, number of the step that the model is at (default 0), to go on with a training
    max_cells : int; a record with more cells is TRUNCATED: it has the estimates, and of the exact numbers
        only that there are at least so many cells
    engine, arithmetic, workers : as for `enumerate_cells`
    progress : called while a record is made, as progress(step, fraction_done)

    Returns
    -------
    Tracker; each record costs an enumeration and the estimates, and only a count if `records=("cells",)`

    Raises
    ------
    InvalidInputError, InvalidDomainError, InvalidNetworkError
        If an argument cannot be used, or the model cannot be read; errors of records name the step.

    Examples
    --------
    >>> from regions import Box
    >>> weights = [np.array([[1.0], [2.0]]), np.array([[1.0, 1.0]])]
    >>> biases = [np.array([0.0, 0.5]), np.array([0.0])]
    >>> tracker = track(
    ...     lambda: Network.from_arrays(weights, biases),
    ...     Box([-1.0], [1.0]),
    ...     every=2,
    ...     rng=np.random.default_rng(0),
    ... )
    >>> for _ in range(4):
    ...     biases[0] += 0.5  # one step of a training
    ...     recorded = tracker.step(loss=1.0)
    >>> tracker.history.series("cells").values
    array([3., 2., 1.])
    """
    what = Measurement.of(records, settings)
    named = {"domain": domains} if isinstance(domains, Domain) else domains
    if not isinstance(named, Mapping) or not named:
        raise InvalidInputError(f"domains is {domains!r}; give a Domain, or a dict of them by name")
    for name, domain in named.items():
        if not isinstance(domain, Domain):
            raise InvalidInputError(f"the domain {name!r} is a {type(domain).__name__}; give a Domain")
    weights = _densities(density, named)
    if not isinstance(rng, np.random.Generator):
        raise InvalidInputError(f"rng is a {type(rng).__name__}; give a seed or a numpy Generator")
    problem = {str(name): (domain, weights[name]) for name, domain in named.items()}
    return Tracker(model, problem, _Schedule.of(every), what, rng.spawn(1)[0], settings.get("start", 0))


class Tracker:
    """Counts the steps of a training and records the model at the chosen ones; made by `track`.

    What was recorded stays in `history`, also after Ctrl-C or an error in the training loop.
    """

    def __init__(
        self,
        model: Any,
        problem: Mapping[str, tuple[Domain, Density]],
        schedule: _Schedule,
        what: Measurement,
        rng: np.random.Generator,
        start: int = 0,
    ) -> None:
        self._model = model
        self._problem = dict(problem)
        self._schedule = schedule
        self._what = what
        self._rng = rng
        self._step = int(start)
        self._described = ""
        self._records: list[Record] = []
        # a model without weights yet owes its first record to the first step that gives it some
        self._looked = schedule.before(self._step)
        if self._step < 0:
            raise InvalidInputError(f"start is {start}; a step is at least 0")
        if not _is_unfitted(model):
            self._check_domains(self._network())
            if schedule.due(self._looked, self._step):
                self.record()
            self._looked = self._step

    @property
    def history(self) -> History:
        """All records so far, frozen."""
        return History(
            tuple(self._records),
            self._described,
            {name: domain.describe() for name, (domain, _) in self._problem.items()},
            {name: density.describe() for name, (_, density) in self._problem.items()},
            self._what.to_dict(),
        )

    @property
    def current_step(self) -> int:
        """Steps done."""
        return self._step

    def step(self, step: int | None = None, **scalars: Any) -> tuple[Record, ...]:
        """Say that one more step of the training is done, and record it if it is a chosen one.

        Parameters
        ----------
        step : int, how many steps are done in all, if the tracker shall not count itself. Steps may be
            skipped; a chosen one among them is made up for now.
        **scalars : numbers (or tensors of one) to keep with the record: loss, accuracy, learning rate

        Returns
        -------
        tuple of Record, one for each domain, empty if the step is not a chosen one

        Raises
        ------
        InvalidInputError : if the step is not after the last one, or a scalar is no number
        InvalidNetworkError : if the model cannot be read, naming the step
        """
        now = self._step + 1 if step is None else int(step)
        if now <= self._step:
            raise InvalidInputError(
                f"step is {now}, but the tracker is at step {self._step} already (0 is before training): "
                "count from 1, or leave the number out"
            )
        numbers = _numbers(scalars)
        self._step = now
        if not self._schedule.due(self._looked, now):
            self._looked = now
            return ()
        recorded = self._record(numbers)
        self._looked = now
        return recorded

    __call__ = step

    def record(self, **scalars: Any) -> tuple[Record, ...]:
        """Record the model now, chosen step or not; nothing is done if this step is recorded already.

        Returns
        -------
        tuple of Record, one for each domain, empty if the step is recorded already
        """
        numbers = _numbers(scalars)
        if self._records and self._records[-1].step == self._step:
            return ()
        return self._record(numbers)

    def _record(self, scalars: dict[str, float]) -> tuple[Record, ...]:
        network = self._network()
        self._check_domains(network)
        count = len(self._problem)
        found: list[Record] = []
        for place, (name, (domain, density)) in enumerate(self._problem.items()):
            # distances are those of the whole input space, the same for all domains
            what = replace(self._what, points=None) if place else self._what
            with _named(f"step {self._step}, {name}"):
                one = measure(
                    network,
                    domain,
                    density,
                    what,
                    self._rng.spawn(1)[0],
                    (self._step, name),
                    self._progress(place, count),
                )
            distances = {name: getattr(found[0], name) for name in DISTANCES} if place else {}
            found.append(replace(one, scalars=dict(scalars), **distances))
        self._described = self._described or network.describe()
        # all domains or none, so that a step that was interrupted leaves no half of itself
        self._records.extend(found)
        return tuple(found)

    def _network(self) -> Network:
        with _named(f"step {self._step}"):
            return read_model(self._model)

    def _check_domains(self, network: Network) -> None:
        for name, (domain, _) in self._problem.items():
            if domain.input_dim != network.input_dim:
                raise InvalidInputError(
                    f"step {self._step}: the domain {name!r} lies in {domain.input_dim} dimensions, the "
                    f"network has {network.input_dim} inputs; give a domain in its input space"
                )

    def _progress(self, place: int, count: int) -> Callable[[float], None]:
        progress, step = self._what.progress, self._step
        if progress is None:
            return lambda _: None
        return lambda fraction: progress(step, (place + fraction) / count)


class _Schedule:
    """The chosen steps: multiples of a number, or a list."""

    def __init__(self, period: int, steps: NDArray[np.int64] | None) -> None:
        self._period, self._steps = period, steps

    @classmethod
    def of(cls, every: int | Sequence[int]) -> _Schedule:
        """Checked: a number above 0, or numbers from 0."""
        wanted = f"every is {every!r}; give a number of steps above 0, or a sequence of steps"
        if isinstance(every, bool | str):
            raise InvalidInputError(wanted)
        if isinstance(every, int | np.integer):
            if every < 1:
                raise InvalidInputError(wanted)
            return cls(int(every), None)
        try:
            numbers = np.array(list(every))
        except TypeError:
            raise InvalidInputError(wanted) from None
        if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iu" or numbers.min() < 0:
            raise InvalidInputError(f"{wanted}, whole numbers from 0")
        return cls(0, np.unique(numbers).astype(np.int64))

    def before(self, start: int) -> int:
        """The step to have looked at last before the first look; with a period, that is always a record."""
        return -1 if self._steps is None else start - 1

    def due(self, last: int, now: int) -> bool:
        """Whether a chosen step is among last + 1, ..., now."""
        if self._steps is None:
            return now // self._period > last // self._period
        return bool(np.searchsorted(self._steps, now, "right") > np.searchsorted(self._steps, last, "right"))


def read_model(model: Any) -> Network:
    """The network that a model is now; the model stays as it is.

    Raises
    ------
    InvalidInputError, InvalidNetworkError : if it cannot be read
    """
    if isinstance(model, Network):
        return model
    if _is_torch(model):
        with _evaluation_mode(model):
            return from_torch(model)
    if _is_sklearn(model):
        return from_sklearn(model)
    if not callable(model) or isinstance(model, type):
        raise InvalidInputError(
            f"cannot track a {type(model).__module__}.{type(model).__name__}; give a torch.nn.Module, an MLP "
            "of scikit-learn, a Network, or a function without arguments that gives one of these"
        )
    made = model()
    if callable(made) and not (isinstance(made, Network) or _is_torch(made)):
        raise InvalidInputError(f"the function to track gave a {type(made).__name__}, no model")
    return read_model(made)


@contextmanager
def _evaluation_mode(model: Any) -> Iterator[None]:
    """All modules out of training mode, and each back to its own afterwards."""
    modules = list(model.modules()) if hasattr(model, "modules") else []
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Errors inside say where they happened."""
    try:
        yield
    except RegionsError as error:
        raise type(error)(f"{place}: {error}") from error


def _is_torch(model: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module | torch.export.ExportedProgram)


def _is_sklearn(model: Any) -> bool:
    return any(base.__module__.partition(".")[0] == "sklearn" for base in type(model).__mro__)


def _is_unfitted(model: Any) -> bool:
    return _is_sklearn(model) and not hasattr(model, "coefs_")


def _densities(
    density: Density | Mapping[str, Density] | None, domains: Mapping[str, Domain]
) -> dict[str, Density]:
    if isinstance(density, Mapping):
        if density.keys() != domains.keys():
            raise InvalidInputError(
                f"density has the names {', '.join(map(str, density)) or 'of nothing'}, domains "
                f"{', '.join(map(str, domains))}; give one for each"
            )
        found: dict[str, Density] = dict(density)
    else:
        found = {
            name: UniformDensity(domain) if density is None else density for name, domain in domains.items()
        }
    for name, one in found.items():
        if not isinstance(one, Density):
            raise InvalidInputError(f"the density for {name!r} is a {type(one).__name__}; give a Density")
        if one.dimension != domains[name].dimension:
            raise InvalidInputError(
                f"the density for {name!r} has {one.dimension} coordinates, the domain "
                f"{domains[name].dimension}; give a density in its intrinsic coordinates"
            )
    return found


def _numbers(scalars: Mapping[str, Any]) -> dict[str, float]:
    """Scalars of a training loop as floats; tensors of one number included."""
    found = {}
    for name, value in scalars.items():
        check_free(name, "a scalar")
        try:
            found[name] = float(value.item() if hasattr(value, "item") else value)
        except (TypeError, ValueError, RuntimeError):
            raise InvalidInputError(
                f"{name} is a {type(value).__name__}; scalars kept with a record are single numbers"
            ) from None
    return found
