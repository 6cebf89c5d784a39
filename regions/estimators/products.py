"""Matrices of layers, dense or by their non-zeros, multiplied out between one layer of units and the next."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from regions.estimators.exact_passes import exact_zeros
from regions.network.layer_matrices import Matrix, is_sparse, most_terms, values_of, with_values

__all__ = [
    "any_in_rows",
    "dense",
    "support_of",
    "terms_of",
    "transposed",
    "without_false_entries",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def dense(matrix: Matrix) -> FloatArray:
    """Return all entries of a matrix, or of some of its rows."""
    return np.asarray(matrix.toarray() if is_sparse(matrix) else matrix)


def transposed(matrix: Matrix) -> Matrix:
    """Return the transpose, stored row by row."""
    return matrix.T.tocsr() if is_sparse(matrix) else np.ascontiguousarray(matrix.T)


def any_in_rows(matrix: Matrix) -> BoolArray:
    """Say in which rows there is an entry other than 0."""
    return np.asarray((abs(matrix) > 0.0).sum(axis=1) > 0).ravel()


def support_of(matrix: Matrix) -> Matrix | None:
    """Return 1 for each entry other than 0 and 0 for the others; None where all are other than 0."""
    values = (values_of(matrix) != 0.0).astype(np.float32)
    if not is_sparse(matrix) and values.all():
        return None
    return with_values(matrix, values)  # type: ignore[arg-type]


def terms_of(matrix: Matrix) -> int:
    """Return how many products the sum of an output has at most."""
    return most_terms(matrix) if is_sparse(matrix) else int(matrix.shape[1])


def without_false_entries(product: Matrix, steps: list[Matrix], size: Matrix) -> Matrix:
    """The product of affine steps with exact zeros for what is one, where rounding may have left an entry.

    Parameters
    ----------
    product : of the steps, each applied after the one before
    steps : matrices
    size : product of their absolute values

    Examples
    --------
    >>> steps = [np.array([[0.1], [0.3]]), np.array([[3.0, -1.0]])]  # 3 * 0.1 > 0.3
    >>> without_false_entries(steps[1] @ steps[0], steps, abs(steps[1]) @ steps[0]).tolist()
    [[5.551115123125783e-17]]
    """
    if len(steps) == 1:
        return product
    if not is_sparse(product):
        return np.where(exact_zeros([dense(step) for step in steps]), 0.0, product)
    product.sum_duplicates()
    row, column = product.nonzero()
    values, sizes = product[row, column], size[row, column]
    terms = sum(map(terms_of, steps)) + len(steps)
    found: dict[int, dict[int, Fraction]] = {}
    for k in np.flatnonzero(np.abs(values) <= terms * 2.0**-52 * sizes).tolist():
        i, j = int(row[k]), int(column[k])
        if i not in found:
            found[i] = _exact_row(steps, i)
        if not found[i].get(j):
            product[i, j] = 0.0
    product.eliminate_zeros()
    return product


def _exact_row(steps: list[Matrix], row: int) -> dict[int, Fraction]:
    """Return a row of the product of matrices, by columns."""
    found = {row: Fraction(1)}
    for step in reversed(steps):
        sums: dict[int, Fraction] = {}
        for k, factor in found.items():
            own = dense(step[[k]])[0]
            for j in np.flatnonzero(own).tolist():
                sums[j] = sums.get(j, Fraction(0)) + factor * Fraction(float(own[j]))
        found = sums
    return found
