"""Effects in the table of long trainings: ratios paired by seed, with intervals and corrected verdicts.

Functions of the table's rows; what they mean is told by `long_training`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from validation.experiments.training_findings import mean_rank

__all__ = [
    "JUDGED",
    "LC",
    "QUANTITIES",
    "RANK",
    "Apart",
    "Effect",
    "Quantity",
    "Table",
    "effects_of",
    "find_effect",
    "holm",
    "log_slope",
    "mean_and_reach",
    "named",
    "pooled",
    "ratio_of",
    "rank_and_complexity",
    "sign_flip_p",
    "single_over_double",
]

FloatArray = NDArray[np.float64]
Row = dict[str, Any]

# of intervals, and of verdicts after Holm's correction
_LEVEL = 0.05
# what counts as a fall or a rise of a single run
_BY = 0.1


@dataclass(frozen=True)
class Quantity:
    """What is compared; positive.

    Parameters
    ----------
    name, title : str, for code and for tables
    value : of a row
    """

    name: str
    title: str
    value: Callable[[Row], float]


def _relative_rank(row: Row) -> float:
    ranks = [own for key, own in row.items() if key.startswith("relative_rank_") and own is not None]
    return float(np.mean(ranks))


QUANTITIES = (
    Quantity("lc", "LC", lambda row: float(row["lc"])),
    Quantity("near_lc", "LC, small noise", lambda row: float(row["near_lc"])),
    Quantity("relative_lc", "LC, relative noise", lambda row: float(row["relative_lc"])),
    Quantity("rank", "local rank", mean_rank),
    Quantity("relative_rank", "relative rank", _relative_rank),
    Quantity("cells", "cells on the plane", lambda row: float(row["cells"])),
    Quantity("locus", "locus on the plane", lambda row: float(row["locus"])),
)

LC, RANK = QUANTITIES[0], QUANTITIES[3]
# these have verdicts, the others are controls
JUDGED = ("lc", "rank")


class Table:
    """The rows by architecture, weight decay, seed and step.

    Parameters
    ----------
    rows : of the stored table

    Attributes
    ----------
    architectures : names, such as 48x3 and 48x3:float32; double precision first
    decays, seeds, steps : ascending
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = {(_name(row), row["decay"], row["seed"], row["step"]): row for row in rows}
        kinds = {(row["precision"] != "float64", row["width"], row["depth"], _name(row)) for row in self.rows}
        self.architectures = tuple(kind[-1] for kind in sorted(kinds))
        self.decays, self.seeds, self.steps = (
            tuple(sorted({row[key] for row in self.rows})) for key in ("decay", "seed", "step")
        )

    @property
    def rows(self) -> list[Row]:
        """All of them."""
        return list(self._rows.values())

    @property
    def doubles(self) -> tuple[str, ...]:
        """The architectures that were trained in double precision."""
        return tuple(name for name in self.architectures if ":" not in name)

    @property
    def singles(self) -> tuple[str, ...]:
        """The others."""
        return tuple(name for name in self.architectures if ":" in name)

    def at(self, architecture: str, decay: float, step: int) -> list[Row]:
        """One row for each seed."""
        return [self._rows[architecture, decay, seed, step] for seed in self.seeds]

    def values(self, quantity: Quantity, architecture: str, decay: float, step: int) -> FloatArray:
        """Of all seeds."""
        return np.array([quantity.value(row) for row in self.at(architecture, decay, step)])


def _name(row: Row) -> str:
    return f"{row['width']}x{row['depth']}" + (
        "" if row["precision"] == "float64" else f":{row['precision']}"
    )


@dataclass(frozen=True)
class Effect:
    """A ratio between networks of equal seeds, the geometric mean over seeds, and its verdict.

    Parameters
    ----------
    kind : "late change", "weight decay" or "precision"
    quantity, architecture : str
    decay : float
    ratio, low, high : float, with a 95 % interval (Student's t of the logarithms)
    p : float, of a ratio of 1 (the same t)
    agreeing : int, seeds on the side of the mean
    adjusted : float, p after Holm's correction over the family; NaN for controls
    """

    kind: str
    quantity: str
    architecture: str
    decay: float
    ratio: float
    low: float
    high: float
    p: float
    agreeing: int
    adjusted: float = math.nan

    @property
    def verdict(self) -> str:
        """Whether it is higher or lower, where that stands after the correction."""
        if math.isnan(self.adjusted):
            return "control"
        if not self.adjusted < _LEVEL:
            return "undecided"
        return "higher" if self.ratio > 1.0 else "lower"


def ratio_of(logs: FloatArray) -> tuple[float, float, float, float]:
    """Geometric mean, its 95 % interval, and the p-value of 1, from the logarithms of ratios.

    Examples
    --------
    >>> ratio, low, high, p = ratio_of(np.log([2.0, 2.0, 2.0]))
    >>> round(ratio, 12), round(low, 12), p < 1e-9
    (2.0, 2.0, True)
    >>> ratio_of(np.zeros(4))
    (1.0, 1.0, 1.0, 1.0)
    """
    mean, reach = mean_and_reach(logs)
    if reach > 0.0:
        spread = reach / float(t.ppf(1.0 - _LEVEL / 2.0, len(logs) - 1))
        p = float(2.0 * t.sf(abs(mean) / spread, len(logs) - 1))
    else:
        p = float(mean == 0.0)
    return math.exp(mean), math.exp(mean - reach), math.exp(mean + reach), p


def mean_and_reach(values: FloatArray) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval by Student's t.

    Examples
    --------
    >>> mean_and_reach(np.array([1.0, 1.0]))
    (1.0, 0.0)
    """
    count = len(values)
    if count < 2:
        return float(values.mean()), math.inf
    error = float(values.std(ddof=1)) / math.sqrt(count)
    return float(values.mean()), float(t.ppf(1.0 - _LEVEL / 2.0, count - 1)) * error


def holm(p: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction, in their own order.

    Examples
    --------
    >>> holm([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.04]
    """
    adjusted, largest = [0.0] * len(p), 0.0
    for place, index in enumerate(np.argsort(p, kind="stable")):
        largest = max(largest, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = largest
    return adjusted


def sign_flip_p(values: FloatArray) -> float:
    """Exact p-value of a mean of 0 when every sign is as likely; at least 2 / 2^n.

    Examples
    --------
    >>> sign_flip_p(np.array([1.0, 2.0, 3.0]))
    0.25
    """
    signs = np.array(list(product((-1.0, 1.0), repeat=len(values))))
    sums = np.abs(signs @ values)
    return float(np.mean(sums >= abs(values.sum()) * (1.0 - 1e-12)))


def effects_of(table: Table, late: int) -> list[Effect]:
    """All effects; those on local complexity and local rank have verdicts, corrected together.

    Late changes divide the last record by the one at step `late`, for each weight decay. Effects of weight
    decay divide the last record by that without decay. Those of precision divide the last record of single
    precision by that of double precision. The other quantities are controls of the same ratios.
    """
    end, least = table.steps[-1], table.decays[0]
    found = []
    for quantity, name, decay in product(QUANTITIES, table.architectures, table.decays):
        own = table.values(quantity, name, decay, end)
        others = {"late change": table.values(quantity, name, decay, late)}
        if decay > least:
            others["weight decay"] = table.values(quantity, name, least, end)
        double = name.partition(":")[0]
        if name != double and double in table.doubles:
            others["precision"] = table.values(quantity, double, decay, end)
        found += [_effect(kind, quantity, name, decay, np.log(own / other)) for kind, other in others.items()]
    judged = [place for place, effect in enumerate(found) if effect.quantity in JUDGED]
    for place, own_p in zip(judged, holm([found[place].p for place in judged]), strict=True):
        found[place] = replace(found[place], adjusted=own_p)
    return found


def _effect(kind: str, quantity: Quantity, name: str, decay: float, logs: FloatArray) -> Effect:
    agreeing = int(np.count_nonzero(np.sign(logs) == np.sign(logs.mean())))
    return Effect(kind, quantity.name, name, decay, *ratio_of(logs), agreeing)


def pooled(
    table: Table, quantity: Quantity, decay: float, before: int | None = None, at: int | None = None
) -> FloatArray:
    """For each seed the logarithm of a ratio, the mean over the architectures in double precision.

    Networks of one seed share their minibatches, so seeds are what is independent.

    Parameters
    ----------
    table : Table
    quantity : Quantity
    decay : float
    before : int, the step by which a record is divided; default: it is divided by that without decay
    at : int, the step of the record; default the last one
    """
    end, least = table.steps[-1] if at is None else at, table.decays[0]
    other = (least, end) if before is None else (decay, before)
    gaps = [
        np.log(table.values(quantity, name, decay, end) / table.values(quantity, name, *other))
        for name in table.doubles
    ]
    mean: FloatArray = np.mean(gaps, axis=0)
    return mean


def log_slope(table: Table, quantity: Quantity, name: str) -> FloatArray:
    """For each seed the slope of log(quantity) at the end over log10 of the weight decay, where there is any.

    Examples
    --------
    A factor of ten in decay here means a factor of e.

    >>> row = {"width": 4, "depth": 1, "precision": "float64", "seed": 0, "step": 9}
    >>> table = Table(row | {"decay": d, "lc": d ** (1 / math.log(10))} for d in (0.0, 0.1, 1.0))
    >>> log_slope(table, QUANTITIES[0], "4x1").round(12)
    array([1.])
    """
    decays = [decay for decay in table.decays if decay > 0.0]
    x = np.log10(decays) - np.mean(np.log10(decays))
    y = np.log([table.values(quantity, name, decay, table.steps[-1]) for decay in decays])
    slopes: FloatArray = x @ y / (x @ x)
    return slopes


@dataclass(frozen=True)
class Apart:
    """How local complexity and local rank change in the runs of one weight decay, between two records.

    Parameters
    ----------
    decay : float
    begin, end : int, steps
    lc, rank : mean ratio over seeds and architectures with its 95 % interval over seeds
    runs : int
    falls, rises, still : int, of those whose rank falls by a tenth, the runs in which local complexity falls
        by a tenth, rises by a tenth, or does neither
    """

    decay: float
    begin: int
    end: int
    lc: tuple[float, float, float, float]
    rank: tuple[float, float, float, float]
    runs: int
    falls: int
    rises: int
    still: int

    @property
    def fallen(self) -> int:
        """Runs whose rank falls by a tenth."""
        return self.falls + self.rises + self.still


def rank_and_complexity(table: Table, decay: float, begin: int, end: int) -> Apart:
    """Both changes, over all architectures of double precision."""
    lc, rank = (
        np.array(
            [
                table.values(quantity, name, decay, end) / table.values(quantity, name, decay, begin)
                for name in table.doubles
            ]
        )
        for quantity in (LC, RANK)
    )
    fallen = rank <= 1.0 - _BY
    return Apart(
        decay,
        begin,
        end,
        ratio_of(np.log(lc).mean(axis=0)),
        ratio_of(np.log(rank).mean(axis=0)),
        rank.size,
        int(np.count_nonzero(fallen & (lc <= 1.0 - _BY))),
        int(np.count_nonzero(fallen & (lc >= 1.0 + _BY))),
        int(np.count_nonzero(fallen & (np.abs(lc - 1.0) < _BY))),
    )


def named(name: str) -> Quantity:
    """A quantity by its name."""
    return next(own for own in QUANTITIES if own.name == name)


def find_effect(effects: list[Effect], kind: str, quantity: str, name: str, decay: float) -> Effect | None:
    """One of them by what it is; None where there is none."""
    key = (kind, quantity, name, decay)
    return next(
        (one for one in effects if (one.kind, one.quantity, one.architecture, one.decay) == key), None
    )


def single_over_double(table: Table, single: str, decay: float, step: int) -> FloatArray:
    """For each seed the logarithm of LC in single precision over that in double precision."""
    own, other = (table.values(LC, name, decay, step) for name in (single, single.partition(":")[0]))
    logs: FloatArray = np.log(own / other)
    return logs
