"""Effects that several sections state: intervals over independent networks, and corrected verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from validation.experiments.long_training_effects import holm, mean_and_reach
from validation.forest import Line, draw_forest
from validation.framework import Folder, markdown_table

__all__ = [
    "Effect",
    "difference_effect",
    "draw_effects",
    "effect_table",
    "judged",
    "ratio_effect",
    "slope_of_each",
    "told_effect",
]

FloatArray = NDArray[np.float64]

_LEVEL = 0.05


@dataclass(frozen=True)
class Effect:
    """A mean over independent networks with its 95 % interval, and whether it differs from what nothing does.

    Parameters
    ----------
    name : str
    middle, low, high : float
        The geometric mean where it is of ratios, else the mean; by Student's t.
    p : float, of `nothing`
    count : int, networks
    nothing : 1 for ratios, 0 for differences
    adjusted : float, p after Holm's correction over the family; NaN before
    """

    name: str
    middle: float
    low: float
    high: float
    p: float
    count: int
    nothing: float
    adjusted: float = math.nan

    @property
    def verdict(self) -> str:
        """Whether it is higher or lower after the correction, or undecided."""
        if not self.adjusted < _LEVEL:
            return "undecided"
        return "higher" if self.middle > self.nothing else "lower"

    @property
    def numbers(self) -> str:
        """The mean and its interval."""
        return f"{self.middle:.3g} ({self.low:.3g} to {self.high:.3g})"


def ratio_effect(name: str, ratios: ArrayLike) -> Effect:
    """Return the geometric mean of positive ratios, one for each independent network.

    Examples
    --------
    >>> effect = ratio_effect("mine", [2.0, 2.0, 2.0])
    >>> effect.numbers, effect.nothing, effect.p
    ('2 (2 to 2)', 1.0, 0.25)
    """
    logs = np.log(np.asarray(ratios, dtype=np.float64))
    mean, reach = mean_and_reach(logs)
    ends = (math.exp(mean), math.exp(mean - reach), math.exp(mean + reach))
    return Effect(name, *ends, _p_of_nothing(logs), len(logs), 1.0)


def difference_effect(name: str, values: ArrayLike) -> Effect:
    """Return the mean of differences, slopes or correlations, one for each independent network.

    Examples
    --------
    >>> effect = difference_effect("mine", [-1.0, 1.0])
    >>> effect.middle, effect.p
    (0.0, 1.0)
    """
    found = np.asarray(values, dtype=np.float64)
    mean, reach = mean_and_reach(found)
    return Effect(name, mean, mean - reach, mean + reach, _p_of_nothing(found), len(found), 0.0)


def _p_of_nothing(values: FloatArray) -> float:
    """Return the p-value of a mean of 0, by Student's t; by signs where the values do not vary."""
    mean, count = float(values.mean()), len(values)
    error = float(values.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
    if not math.isfinite(mean) or mean == 0.0:
        return 1.0
    if error == 0.0:
        return float(2.0 ** (1 - count))
    return float(2.0 * t.sf(abs(mean) / error, count - 1)) if count > 1 else 1.0


def judged(effects: Sequence[Effect]) -> list[Effect]:
    """Return the same effects with their p-values corrected together, by Holm.

    Examples
    --------
    >>> family = [ratio_effect("a", [2.0, 2.1, 2.2]), ratio_effect("b", [0.5, 1.0, 2.0])]
    >>> [effect.verdict for effect in judged(family)]
    ['higher', 'undecided']
    """
    adjusted = holm([effect.p for effect in effects])
    return [replace(effect, adjusted=own) for effect, own in zip(effects, adjusted, strict=True)]


def effect_table(title: str, effects: Sequence[Effect]) -> str:
    """Return effects as a table: mean, interval, p, verdict."""
    rows = [
        [
            effect.name,
            f"{effect.middle:.3g}",
            f"{effect.low:.3g} to {effect.high:.3g}",
            str(effect.count),
            f"{effect.adjusted:.2g}",
            effect.verdict,
        ]
        for effect in effects
    ]
    return markdown_table([title, "mean", "95 % interval", "networks", "p, corrected", "verdict"], rows)


def told_effect(effect: Effect) -> str:
    """Return the mean and its interval, and that it is undecided where it is.

    Examples
    --------
    >>> one, = judged([ratio_effect("mine", [0.5, 1.0, 2.5])])
    >>> told_effect(one)
    '1.08 (0.145 to 8, undecided)'
    """
    if effect.verdict != "undecided":
        return effect.numbers
    return f"{effect.numbers[:-1]}, undecided)"


def _stands(effect: Effect) -> bool:
    """Whether nothing is undecided: a verdict, or none that was asked for."""
    return math.isnan(effect.adjusted) or effect.verdict != "undecided"


def draw_effects(folder: Folder, effects: Sequence[Effect]) -> None:
    """Draw effects as the figure "forest": ratios on the left, differences on the right."""
    from matplotlib import pyplot as plt

    sides = [
        [effect for effect in effects if effect.nothing == nothing and math.isfinite(effect.high)]
        for nothing in (1.0, 0.0)
    ]
    shown = [own for own in sides if own]
    longest = max(map(len, shown), default=1)
    figure, axes = plt.subplots(
        1, max(len(shown), 1), squeeze=False, layout="constrained",
        figsize=(6.2 * max(len(shown), 1), 0.9 + 0.19 * longest),
    )  # fmt: skip
    for axis, own in zip(axes[0], shown, strict=False):
        lines = [Line(one.name, one.middle, one.low, one.high, decided=_stands(one)) for one in own]
        of_ratios = own[0].nothing == 1.0
        label = "ratio" if of_ratios else "slope, exponent or correlation"
        draw_forest(axis, lines, own[0].nothing, label, scale="log" if of_ratios else "linear")
    folder.save_figure("forest", figure)


def slope_of_each(x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return the slope of each row of y on x, by least squares.

    Examples
    --------
    >>> slope_of_each([0.0, 1.0, 2.0], [[0.0, 1.0, 2.0], [0.0, -2.0, -4.0]]).tolist()
    [1.0, -2.0]
    """
    places = np.asarray(x, dtype=np.float64) - np.mean(x)
    slopes: FloatArray = np.asarray(y, dtype=np.float64) @ places / (places @ places)
    return slopes
