"""Intervals that several experiments state, of values that are independent of each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

__all__ = ["bootstrap_t", "difference", "geometric_mean", "ratio_of_means", "ratio_of_variances", "student"]


def geometric_mean(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the geometric mean of independent values and its 95 % interval by Student's t; infinite for one.

    Examples
    --------
    >>> [round(value, 3) for value in geometric_mean([1.0, 4.0, 2.0])]
    [2.0, 0.357, 11.19]
    """
    logs = np.log(values)
    middle = float(logs.mean())
    if len(logs) < 2:
        return math.exp(middle), 0.0, math.inf
    half = float(stdtrit(len(logs) - 1, 0.975)) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def student(means: Sequence[float]) -> tuple[float, float]:
    """Return a 95 % interval of the mean of independent batches' means, by Student's t.

    Examples
    --------
    >>> [round(value, 3) for value in student([1.0, 2.0, 3.0])]
    [-0.484, 4.484]
    """
    values = np.asarray(means, dtype=np.float64)
    n, mean = len(values), float(values.mean())
    half = float(stdtrit(n - 1, 0.975)) * float(values.std(ddof=1)) / math.sqrt(n)
    return mean - half, mean + half


def bootstrap_t(
    draws: Sequence[float], rng: np.random.Generator, resamples: int = 1000
) -> tuple[float, float]:
    """Return a 95 % interval of the mean of independent draws by the studentised bootstrap.

    It does not suppose that the mean is normal, nor that its standard error is known: where draws have heavy
    or lopsided tails it is wider on that side.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 12.5.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> draws = rng.standard_exponential(400)
    >>> low, high = bootstrap_t(draws, rng)
    >>> bool(high - draws.mean() > draws.mean() - low)  # the long tail is above
    True
    """
    values = np.asarray(draws, dtype=np.float64)
    n, mean = values.size, float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(n)
    studentised = np.empty(resamples)
    for k in range(resamples):
        own = values[rng.integers(n, size=n)]
        spread = float(own.std(ddof=1)) / math.sqrt(n)
        studentised[k] = (float(own.mean()) - mean) / spread if spread > 0.0 else 0.0
    low, high = (float(one) for one in np.quantile(studentised, [0.025, 0.975]))
    return mean - high * error, mean - low * error


def ratio_of_means(top: Sequence[float], bottom: Sequence[float]) -> tuple[float, float, float]:
    """Return the ratio of the means of values drawn together, and its 95 % interval by Student's t.

    To first order the logarithm of the ratio varies as the mean of top / mean(top) - bottom / mean(bottom);
    both means are above 0.

    Examples
    --------
    >>> [round(value, 3) for value in ratio_of_means([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])]
    [2.0, 2.0, 2.0]
    """
    above, below = (np.asarray(values, dtype=np.float64) for values in (top, bottom))
    ratio, n = float(above.mean() / below.mean()), len(above)
    parts = above / above.mean() - below / below.mean()
    half = float(stdtrit(n - 1, 0.975)) * float(parts.std(ddof=1)) / math.sqrt(n)
    return ratio, ratio * math.exp(-half), ratio * math.exp(half)


def ratio_of_variances(
    top: Sequence[float], bottom: Sequence[float], factor: float = 1.0
) -> tuple[float, float, float]:
    """Return the ratio of two mean variances times a factor, and its 95 % interval by Welch's t.

    Each value is the variance within one of several independent batches. What a heavy tail does to a variance
    shows in how these differ from batch to batch, so no law of the draws is supposed.

    Parameters
    ----------
    top, bottom : at least two variances each, independent
    factor : float > 0

    Examples
    --------
    >>> middle, low, high = ratio_of_variances([2.0, 2.2, 1.8], [1.0, 1.1, 0.9], 3.0)
    >>> round(middle, 9), low < 6.0 < high
    (6.0, True)
    """
    logs, parts, freedom = [], [], []
    for values in (top, bottom):
        own = np.asarray(values, dtype=np.float64)
        mean = float(own.mean())
        logs.append(math.log(mean))
        parts.append(float(own.var(ddof=1)) / len(own) / mean**2)
        freedom.append(len(own) - 1)
    squares = sum(parts)
    used = squares**2 / sum(p**2 / f for p, f in zip(parts, freedom, strict=True)) if squares else 1.0
    half = float(stdtrit(used, 0.975)) * math.sqrt(squares)
    middle = factor * math.exp(logs[0] - logs[1])
    return middle, middle * math.exp(-half), middle * math.exp(half)


def difference(
    one: tuple[float, float, float], other: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Return the difference of two independent means, with an interval from theirs: (middle, low, high) each.

    Their intervals need not be symmetric: variances are recovered from each side by itself.

    References
    ----------
    Zou and Donner, Construction of confidence limits about effect measures, Statistics in Medicine 27 (2008).

    Examples
    --------
    >>> difference((5.0, 2.0, 9.0), (1.0, -2.0, 5.0))
    (4.0, -1.0, 9.0)
    """
    (a, a_low, a_high), (b, b_low, b_high) = one, other
    middle = a - b
    return middle, middle - math.hypot(a - a_low, b_high - b), middle + math.hypot(a_high - a, b - b_low)
