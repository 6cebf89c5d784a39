"""The point of a convex hull that is nearest to the origin, by non-negative least squares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

__all__ = ["nearest_in_hull"]

HEAVY = 64.0  # weight of the sum of the shares beside the squares of coordinates of size 1


def nearest_in_hull(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a point of a convex hull that is about the nearest to the origin.

    Parameters
    ----------
    corners : (n, d) float64, n >= 1

    Returns
    -------
    (d,) float64, a point of the hull up to rounding, also where its distance is not the least

    Notes
    -----
    Cost O(n d min(n, d)) for each corner that has a share. Lawson and Hanson, Solving Least Squares
    Problems (1974), chapter 23.

    Examples
    --------
    >>> nearest_in_hull(np.array([[0.0, 2.0], [2.0, 0.0], [3.0, 3.0]])).round(6).tolist()
    [1.0, 1.0]
    """
    scale = float(np.abs(corners).max())
    if scale == 0.0:
        return corners[0]
    system = np.vstack([corners.T / scale, np.full(len(corners), HEAVY)])
    target = np.zeros(len(system))
    target[-1] = HEAVY
    try:
        shares = nnls(system, target)[0]
    except RuntimeError:  # more steps than it allows itself
        return np.asarray(corners[np.argmin(np.linalg.norm(corners, axis=1))])
    return np.asarray(shares @ corners / shares.sum())
