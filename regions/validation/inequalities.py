"""Both sides of the inequalities that bound local complexity, from exact sums over cells.

Enumerating each bias draw gives its locus and every other term; the only error is that of the average
over bias noise. The sums themselves are left to `cell_sums` and `locus`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from regions.complexes import StoppedBy
from regions.density import Density
from regions.density.frozen_distributions import with_distributions
from regions.density.reach import part_with_mass
from regions.domain import Domain
from regions.errors import InvalidInputError, InvalidNetworkError
from regions.estimators import Estimate
from regions.estimators.estimates import check_objects
from regions.estimators.spreads import Noise, check_noise_kind, spreads_of
from regions.inputs import seeded
from regions.network.relu_network import Network
from regions.reports import heading, save_json, truncation
from regions.showing import Shown
from regions.validation.draws import Deadline, EnumerationOptions, OutOfTime, Progress, finished_draws
from regions.validation.inequality_draws import DrawTerms, DrawWork, terms_of_draw
from regions.validation.local_complexity import with_bias_noise
from regions.validation.unit_scaling import over_spreads

__all__ = [
    "DrawTerms",
    "Inequality",
    "InequalityOptions",
    "InequalityReport",
    "check_inequalities",
    "compare_sides",
    "sides_of_draws",
]

FloatArray = NDArray[np.float64]

# an inequality of means counts as violated only beyond this many standard errors of its slack
_STANDARD_ERRORS = 4.0
_LOWER = "c_eta ({} - xi_eta) - C_bias E[B C_grad] <= LC"
_STATEMENTS = {
    "corollary 3, upper": "LC <= C_bias E sum_i ||grad z_i||",
    "corollary 3, lower": _LOWER.format("E sum_i ||grad z_i||"),
    "theorem 5": "LC <= C_bias E sum_l sqrt(n_l M (C_grad^2 LR_l + eps^2 n_l M))",
    "theorem 5, lower": _LOWER.format("eps E sum_l LR_l / sqrt(min(n_l, d))"),
    "theorem 7": _LOWER.format("E[L TV / max_l C_l]"),
}
# rounding of the sums themselves, relative to the sides
_ROUNDING = 1e-12


class InequalityOptions(EnumerationOptions, total=False):
    """The kind of noise, whether draws come in opposite pairs, and what is passed on to the enumerations."""

    noise: Noise
    antithetic: bool


@dataclass(frozen=True)
class Inequality(Shown):
    """One inequality `left <= right` between means over bias draws.

    Parameters
    ----------
    name, statement : str
    left, right : float
    slack : float, right - left
    stderr : float, standard error of the slack; both sides come from the same draws
    error : float, cubature and rounding in the slack
    holds : bool, False where the slack is below 0 by more than 4 stderr + error

    Examples
    --------
    >>> one = Inequality.compare("mine", "a <= b", np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    >>> one.left, one.right, one.slack, one.stderr, one.holds
    (1.5, 2.5, 1.0, 0.0, True)
    """

    name: str
    statement: str
    left: float
    right: float
    slack: float
    stderr: float
    error: float
    holds: bool

    @classmethod
    def compare(
        cls, name: str, statement: str, left: FloatArray, right: FloatArray, error: float = 0.0
    ) -> Inequality:
        """Compare two sides that were drawn together, `(n,)` each with n >= 2."""
        sides = [Estimate.from_draws(side).mean for side in (left, right)]
        slack = Estimate.from_draws(right - left)
        allowed = error + _ROUNDING * max(abs(side) for side in sides)
        holds = slack.mean >= -(_STANDARD_ERRORS * slack.stderr + allowed)
        return cls(name, statement, sides[0], sides[1], slack.mean, slack.stderr, allowed, holds)


@dataclass(frozen=True, eq=False)
class InequalityReport(Shown):
    """The inequalities of one network, with every term in them.

    Parameters
    ----------
    inequalities : tuple of Inequality
    sigma, eps, eta : float, as given
    c_bias, c_eta : float, the noise density's maximum 1/(sqrt(2 pi) sigma), and its value at eta
    n_bias : int, bias draws that were done
    terms : dict of Estimate, by the paper's names
    draws : DrawTerms, the same draw by draw
    seconds : float, wall time
    network, domain, density : str, one line each
    stopped_by : "interrupt" or "max_seconds", what left out some of the bias draws; else ""
    noise : "absolute" or "relative"; if relative, all terms are those of units over their spreads
    """

    inequalities: tuple[Inequality, ...]
    sigma: float
    eps: float
    eta: float
    c_bias: float
    c_eta: float
    n_bias: int
    terms: dict[str, Estimate]
    draws: DrawTerms = field(repr=False)
    seconds: float = 0.0
    network: str = ""
    domain: str = ""
    density: str = ""
    stopped_by: StoppedBy = ""
    noise: Noise = "absolute"

    @property
    def complete(self) -> bool:
        """Whether all bias draws were done."""
        return not self.stopped_by

    @property
    def holds(self) -> bool:
        """Whether none of the inequalities is violated beyond its error."""
        return all(one.holds for one in self.inequalities)

    def __getitem__(self, name: str) -> Inequality:
        for one in self.inequalities:
            if one.name == name:
                return one
        names = ", ".join(repr(one.name) for one in self.inequalities)
        raise InvalidInputError(f"no inequality {name!r}; there are {names}")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings, ready for JSON; draw by draw values are left out."""
        plain = {key: value for key, value in vars(self).items() if key != "draws"}
        plain["inequalities"] = [asdict(one) for one in self.inequalities]
        plain["terms"] = {name: one.to_dict() for name, one in self.terms.items()}
        return {**plain, "holds": self.holds, "status": "COMPLETE" if self.complete else "TRUNCATED"}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON; raises InvalidInputError if the file cannot be written."""
        save_json(self.to_dict(), path, "report")

    def table(self) -> str:
        """The report as a table in plain text, several lines."""
        of_spread = " of the spread" if self.noise == "relative" else ""
        rows = [
            f"inequalities of local complexity, sigma {self.sigma:g}{of_spread}, eps {self.eps:g}, "
            f"eta {self.eta:g}, {self.n_bias} bias draws",
            *heading(self.network, self.domain, self.density),
            *truncation(self.complete, f"{self.n_bias} bias draws", self.stopped_by),
            f"{'':<22}{'left':>12}{'right':>12}{'slack':>12}{'std. error':>12}  holds",
        ]
        rows += [
            f"{one.name:<22}{one.left:>12.5g}{one.right:>12.5g}{one.slack:>12.5g}{one.stderr:>12.2g}"
            f"  {'yes' if one.holds else 'NO'}"
            for one in self.inequalities
        ]
        rows += [
            f"{name:<22}{one.mean:>12.5g}{'':>24}{one.stderr:>12.2g}" for name, one in self.terms.items()
        ]
        return "\n".join(rows)


@with_distributions
@seeded
def check_inequalities(
    network: Network,
    domain: Domain,
    density: Density,
    sigma: float,
    *,
    eps: float,
    eta: float = 1.0,
    n_bias: int = 32,
    rng: np.random.Generator,
    **options: Unpack[InequalityOptions],
) -> InequalityReport:
    """Both sides of the paper's corollary 3, theorem 5 and theorem 7, with their slack.

    The published constants are ambiguous in places; what is compared is the form that is proven below.
    E is the integral over the domain against the density p, and the mean over bias noise; M the mass of p
    in the domain; rho the density of the noise N(0, sigma^2); C_bias = max rho, c_eta = rho(eta).

    - corollary 3, upper: LC <= C_bias E sum_i ||grad z_i||
    - corollary 3, lower: c_eta (E sum_i ||grad z_i|| - xi_eta) - C_bias E[B C_grad] <= LC
    - theorem 5: LC <= C_bias E sum_l sqrt(n_l M (C_grad^2 LR_l + eps^2 n_l M))
    - theorem 5, lower: c_eta (eps E sum_l LR_l / sqrt(min(n_l, d)) - xi_eta) - C_bias E[B C_grad] <= LC
    - theorem 7: c_eta (E[L TV / max_l C_l] - xi_eta) - C_bias E[B C_grad] <= LC

    Parameters
    ----------
    network : Network with at least one layer of units, all of which have two different slopes; no max units
    domain : Domain in its input space
    density : Density in the intrinsic coordinates of the domain; not renormalised to it
    sigma : float > 0, standard deviation of the bias noise
    eps : float > 0, singular values of layer Jacobians above it count towards the local rank LR
    eta : float >= 0, height up to which pre-activations count in the lower bounds (the paper: 1)
    n_bias : int >= 2, bias draws
    rng : seed or numpy Generator; the draws are those of `exact_local_complexity`, if not antithetic
    noise : "absolute" (default), of standard deviation sigma for every unit, or "relative", sigma times each
        unit's spread over the data; then eps and eta are in units of spreads too (see Notes)
    antithetic : bool, default False; whether every second draw has the noise of the one before it with the
        opposite sign, so that means over draws vary less; n_bias is even then, and at least 4
    **options : engine, arithmetic, max_cells, workers and progress, as for `enumerate_cells`;
        progress(draws_done, fraction_done); max_seconds, for all draws together

    Returns
    -------
    InequalityReport; cost for each draw: 1 enumeration, and 1 more for each unit that is active somewhere
        and not in the last ReLU layer (B needs them). After Ctrl-C or max_seconds it is that of the draws
        done, if there are two, and `stopped_by` says which.

    Raises
    ------
    InvalidInputError
        If a number is out of range, the network has linear units or none at all, the density does not fit, or
        max_cells truncates.
    KeyboardInterrupt : after Ctrl-C before two draws were done
    BudgetExceededError : if a cubature (Gaussian density, d >= 2) does not reach its tolerance

    Notes
    -----
    Theorem 2 says LC = E sum_i ||grad z_i|| rho(z_i) 1[i good]: z_i with unit i's own noise left out,
    goodness with its activation 0, so that neither depends on that noise.

    *Corollary 3.* Upper: rho <= C_bias. Lower: LC = E sum_i ||grad z_i|| rho(z_i) - E sum_i ||grad z_i||
    rho(z_i) 1[i not good]. As rho(z) >= c_eta where |z| <= eta, the first sum is at least c_eta times
    E sum_i ||grad z_i|| - xi_eta with xi_eta = E sum_i ||grad z_i|| 1[|z_i| > eta]. (By Chebyshev's
    inequality that is at most E sum_i ||grad z_i|| z_i^2 / eta^2, the paper's Theta(1/eta^2).) The second is
    at most C_bias C_grad B for each draw, with B = sum_i (measure where i is not good) and C_grad = max over
    layers and cells of ||J_l||, J_l the Jacobian of layer l's pre-activations, whose rows are grad z_i.
    B counts a point once for each unit that is not good there; the measure of their union would need the
    maximum of sum_i ||grad z_i|| in place of C_grad. For each unit, the network is enumerated with that
    unit silenced, as its own activation has to be 0.

    *Theorem 5.* For each draw, sum_i ||grad z_{l,i}|| <= sqrt(n_l) ||J_l||_F (Cauchy-Schwarz), the integral
    of ||J_l||_F is at most sqrt(M) times the root of that of ||J_l||_F^2, and ||J_l||_F^2 <= C_grad^2
    #{s > eps} + eps^2 n_l over its singular values s. The paper's prefactor, in the copy at hand unreadable,
    is this sqrt(n_l). Lower: sum_i ||grad z_{l,i}|| >= ||J_l||_F >= eps sqrt(r) >= eps r / sqrt(min(n_l, d))
    for the rank r = #{s > eps}, put into corollary 3.

    *Theorem 7.* On each cell grad N = G_l D_l J_l, G_l the Jacobian of the rest of the network after layer
    l's activations, D_l of the units' slopes, for ReLUs zeros and ones. So ||grad N||_F <= C_l ||J_l||_F <=
    C_l sum_i ||grad z_{l,i}||, C_l = s_l max ||G_l|| over the cells of the domain, s_l the largest |slope| of
    the layer, 1 for ReLUs. Integrated, and summed over the L ReLU layers, sum_l TV / C_l <= E sum_i ||grad
    z_i||, put into corollary 3. xi_eta stands inside the bracket: as printed it stands outside, which is the
    same up to calling c_eta xi_eta by that name.

    LC, C_grad, C_l and B differ from draw to draw; products and quotients are taken draw by draw.

    *Less noise.* Under uniform and Gaussian densities, and mixtures of the latter, the LC of a draw is not
    its locus but has the mean over units' own noise in it: the integral of sum_i ||grad z_i|| rho(z_i), less
    the part of the draw's activation locus that is not of the nonlinear one. It has the same mean over draws.
    As rho <= C_bias, the upper bounds of corollary 3 and theorem 5 then hold for each draw and not only in
    the mean.

    *Relative noise.* With noise of sigma times the spread s_i, theorem 2 reads LC = E sum_i ||grad u_i||
    rho(u_i) 1[i good] for u_i = z_i / s_i, rho as before, and the proofs hold word for word with u_i for z_i:
    those are the pre-activations of the same function with every unit over its spread (`over_spreads`), which
    is what is enumerated. So no rescaling of units, W1 -> s W1, b1 -> s b1, W2 -> W2 / s, changes any term.

    *Other slopes.* Where a unit has the slopes a != b, the gradient jumps at its zero set by (b - a) times
    what it does at a ReLU, which is 0 for the same units; its activation at the breakpoint is 0 too, so
    that theorem 2 and all of the above hold as they stand, with s_l in theorem 7. A linear unit has no
    breakpoint and no noise: it adds to ||J_l|| and its rank, and nothing to LC, so the lower bounds fail
    with it, and such networks (skip connections that pass a layer) are refused.

    References
    ----------
    Patel and Montufar, On the Local Complexity of Linear Regions in Deep ReLU Networks, arXiv 2412.18283.

    Examples
    --------
    >>> from regions import Box, Network, UniformDensity
    >>> network, box = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]]), Box([-1.0], [1.0])
    >>> rng = np.random.default_rng(0)
    >>> report = check_inequalities(network, box, UniformDensity(box), 0.5, eps=0.1, rng=rng)
    >>> report.holds, report["theorem 7"].left < report.terms["LC"].mean < report["theorem 5"].right
    (True, True)
    """
    enumeration = EnumerationOptions(**options)  # type: ignore[typeddict-item]
    kind: Noise = enumeration.pop("noise", "absolute")  # type: ignore[typeddict-item]
    check_noise_kind(kind)
    antithetic: bool = enumeration.pop("antithetic", False)  # type: ignore[typeddict-item]
    check_objects(network, density, domain, rng)
    domain = part_with_mass(domain, density)
    _check_arguments(network, sigma, eps, eta, n_bias)
    if antithetic and (n_bias < 4 or n_bias % 2):
        raise InvalidInputError(f"n_bias is {n_bias}; antithetic draws come in pairs, at least 2 of them")
    begin = time.perf_counter()
    deadline = Deadline(options.get("max_seconds"))
    spreads = spreads_of(kind, network, density, domain)
    measured = network if spreads is None else over_spreads(network, spreads)

    def draw(noise: FloatArray, part: Progress | None) -> dict[str, Any]:
        work = DrawWork(part, deadline, enumeration)
        given = (sigma, eps, eta, noise)
        return terms_of_draw(with_bias_noise(measured, noise), domain, density, given, work)

    noises = _noises(sigma, network.n_units, n_bias, antithetic, rng)
    rows, _ = finished_draws(draw, noises, n_bias, options.get("progress"), deadline)
    if antithetic:
        rows = _whole_pairs(rows)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    draws = DrawTerms(network.widths, domain.dimension, **columns, antithetic=antithetic)
    c_bias = 1.0 / (math.sqrt(2.0 * math.pi) * sigma)
    return InequalityReport(
        inequalities=compare_sides(draws, sigma, eps=eps, eta=eta),
        sigma=float(sigma),
        eps=float(eps),
        eta=float(eta),
        c_bias=c_bias,
        c_eta=c_bias * math.exp(-0.5 * (eta / sigma) ** 2),
        n_bias=len(rows),
        terms=draws.estimates(),
        draws=draws,
        seconds=time.perf_counter() - begin,
        network=network.describe(),
        domain=domain.describe(),
        density=density.describe(),
        stopped_by=deadline.stopped_by,
        noise=kind,
    )


def compare_sides(
    draws: DrawTerms, sigma: float, *, eps: float, eta: float, c_bias: float | None = None
) -> tuple[Inequality, ...]:
    """The inequalities of `check_inequalities`, from terms that are known already.

    Parameters
    ----------
    draws : DrawTerms, made with the same sigma, eps and eta
    sigma : float > 0
    eps, eta : float
    c_bias : float, another constant than 1/(sqrt(2 pi) sigma), to see whether it would do

    Returns
    -------
    tuple of Inequality

    Examples
    --------
    >>> from regions import Box, Network, UniformDensity
    >>> network, box = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]]), Box([-1.0], [1.0])
    >>> rng = np.random.default_rng(0)
    >>> report = check_inequalities(network, box, UniformDensity(box), 0.5, eps=0.1, rng=rng)
    >>> [one.holds for one in compare_sides(report.draws, 0.5, eps=0.1, eta=1.0, c_bias=0.1)][:2]
    [False, True]
    """
    peak = 1.0 / (math.sqrt(2.0 * math.pi) * sigma)
    error = draws.error(max(peak, peak if c_bias is None else c_bias))
    sides = sides_of_draws(draws, sigma, eps=eps, eta=eta, c_bias=c_bias)
    return tuple(
        Inequality.compare(name, _STATEMENTS[name], draws.independent(left), draws.independent(right), error)
        for name, (left, right) in sides.items()
    )


def sides_of_draws(
    draws: DrawTerms, sigma: float, *, eps: float, eta: float, c_bias: float | None = None
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Both sides of every inequality, draw by draw; `compare_sides` compares their means.

    Parameters
    ----------
    draws, sigma, eps, eta, c_bias : as for `compare_sides`

    Returns
    -------
    sides : dict of (left, right), (n,) float64 each, by name

    Examples
    --------
    >>> from regions import Box, Network, UniformDensity
    >>> network, box = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]]), Box([-1.0], [1.0])
    >>> report = check_inequalities(network, box, UniformDensity(box), 0.5, eps=0.1, n_bias=4, rng=0)
    >>> left, right = sides_of_draws(report.draws, 0.5, eps=0.1, eta=1.0)["corollary 3, upper"]
    >>> bool((left < right).all())
    True
    """
    peak = 1.0 / (math.sqrt(2.0 * math.pi) * sigma)
    at_eta = peak * math.exp(-0.5 * (eta / sigma) ** 2)
    bound = peak if c_bias is None else c_bias
    lc, mass = draws.sharper_local_complexity, draws.mass
    widths = np.array(draws.widths, dtype=np.float64)
    lost = at_eta * draws.tail + bound * draws.not_good * draws.c_grad
    squares = np.square(draws.c_grad)[:, None] * draws.local_rank + eps**2 * widths * mass[:, None]
    by_rank = np.sqrt(widths * mass[:, None] * squares).sum(axis=1)
    from_rank = eps * (draws.local_rank / np.sqrt(np.minimum(widths, draws.dimension))).sum(axis=1)
    steepest = draws.lipschitz.max(axis=1)
    # where the rest is constant on every cell, so is the network
    spread = len(widths) * draws.total_variation / np.where(steepest > 0.0, steepest, 1.0)
    return {
        "corollary 3, upper": (lc, bound * draws.gradient_sum),
        "corollary 3, lower": (at_eta * draws.gradient_sum - lost, lc),
        "theorem 5": (lc, bound * by_rank),
        "theorem 5, lower": (at_eta * from_rank - lost, lc),
        "theorem 7": (at_eta * spread - lost, lc),
    }


def _noises(
    sigma: float, n_units: int, n_bias: int, antithetic: bool, rng: np.random.Generator
) -> Iterator[FloatArray]:
    """Independent noises, or each followed by that of opposite sign."""
    if not antithetic:
        yield from (sigma * rng.standard_normal(n_units) for _ in range(n_bias))
        return
    for _ in range(n_bias // 2):
        noise = sigma * rng.standard_normal(n_units)
        yield noise
        yield -noise


def _whole_pairs(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without half a pair at the end, where draws were cut short."""
    whole = len(rows) - len(rows) % 2
    if whole < 4:
        raise OutOfTime("the draws were cut short before two antithetic pairs were done; give more time")
    return rows[:whole]


def _check_arguments(network: Network, sigma: float, eps: float, eta: float, n_bias: int) -> None:
    if network.max_units is not None:
        raise InvalidNetworkError(
            f"{network.describe()}: max units bend where two of their rows tie; nothing is proven for them"
        )
    if not network.n_units:
        raise InvalidInputError(f"{network.describe()} has no ReLU or other unit; there is nothing to bound")
    if not network.cutting.all():
        raise InvalidInputError(
            f"{network.describe()}: linear units, as skip connections need them, count in the Jacobians of "
            "the bounds and never bend, so the lower bounds are not proven for them"
        )
    if not (math.isfinite(sigma) and sigma > 0.0):
        raise InvalidInputError(f"sigma is {sigma!r}; the bounds need bias noise, a finite number above 0")
    if not (math.isfinite(eps) and eps > 0.0):
        raise InvalidInputError(f"eps is {eps!r}; give a finite number above 0")
    if not (math.isfinite(eta) and eta >= 0.0):
        raise InvalidInputError(f"eta is {eta!r}; give a finite number, at least 0")
    if n_bias < 2:
        raise InvalidInputError(f"n_bias is {n_bias}; a standard error needs at least 2 bias draws")
