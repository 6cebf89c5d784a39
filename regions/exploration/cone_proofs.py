"""Proofs that a row of a cone follows from others: it is their sum with factors that are all above 0.

In floating point by a verified solution of linear equations (Rump 2010, section 10), in integers where that
is too coarse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flint import fmpz_mat
from numpy.typing import NDArray
from scipy.linalg import qr

from regions.enumeration.compiled_network import rounding

FloatArray = NDArray[np.float64]

ROUNDED = 2.0**-51  # relative error of the entries of rows: rounded once, and scaled to length 1


def surely_positive(rows: FloatArray, x: FloatArray) -> NDArray[np.bool_]:
    """Tell of which rows the value at a point is above 0, whatever the rounding of rows and point.

    Parameters
    ----------
    rows : (m, n) float64, or one row; each entry off by up to `ROUNDED`, relative
    x : (n,) float64, as well

    Examples
    --------
    >>> surely_positive(np.array([[1.0, -1.0], [1.0, -0.5], [-1.0, 0.5]]), np.ones(2)).tolist()
    [False, True, False]
    """
    doubt = (2.0 * ROUNDED + rounding(x.size + 4)) * (np.abs(rows) @ np.abs(x))
    return np.asarray(rows @ x > 1.001 * doubt)


def follows(rows: FloatArray, target: FloatArray) -> bool:
    """Prove in floating point that a row is the sum of others with factors above 0.

    Parameters
    ----------
    rows : (r, n) float64, r <= n, with the errors of `ROUNDED`
        Of a space of r dimensions that the target belongs to as well; so if they are independent the target
        is a sum of them, and some r columns tell the factors.
    target : (n,) float64

    Returns
    -------
    bool, False also if it cannot be told

    Examples
    --------
    >>> follows(np.eye(2), np.array([0.5, 2.0])), follows(np.eye(2), np.array([0.5, 0.0]))
    (True, False)
    """
    r = len(rows)
    columns = qr(rows, mode="r", pivoting=True)[1][:r]
    M, a = rows[:, columns].T, target[columns]
    try:
        inverse = np.linalg.inv(M)
    except np.linalg.LinAlgError:
        return False
    factors = inverse @ a
    doubt = ROUNDED + 2.0 * rounding(r + 4)
    C, size = np.abs(inverse), np.abs(M)
    with np.errstate(all="ignore"):  # of a matrix that is singular but for rounding
        off = np.abs(np.eye(r) - inverse @ M) + doubt * (C @ size)
        contraction = 1.001 * float(off.sum(axis=1).max())
        residual = np.abs(a - M @ factors) + doubt * (size @ np.abs(factors) + np.abs(a))
        error = 1.001 * float((C @ residual).max()) / (1.0 - contraction)
    return bool(contraction < 0.5 and factors.min() > error)


def follows_exactly(rows: Sequence[Sequence[int]], target: Sequence[int]) -> bool:
    """Decide in integers whether a row is the sum of independent others with factors above 0.

    Examples
    --------
    >>> follows_exactly([(1, 1, 0), (0, 0, 3)], (2, 2, 1)), follows_exactly([(1, 1, 0)], (2, 1, 0))
    (True, False)
    """
    r, n = len(rows), len(target)
    columns = [*rows, target]
    reduced, common, rank = fmpz_mat([[column[i] for column in columns] for i in range(n)]).rref()
    if rank != r or any(reduced[k, k] == 0 for k in range(r)):
        return False
    return all((reduced[k, r] > 0) == (common > 0) and reduced[k, r] != 0 for k in range(r))
