"""Intervals that several experiments state, of values that are independent of each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

__all__ = ["geometric_mean"]


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
