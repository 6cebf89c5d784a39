"""The outputs of a network at a rational point, exactly, and at floats in either precision.

A counterexample is judged by these, whatever found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.property_spec import Case
from regions.domain import Domain
from regions.network.max_units import output_of_layer
from regions.network.relu_network import Network


def exact_outputs(network: Network, x: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Return the outputs of the stored weights at a rational point.

    Parameters
    ----------
    network : Network
    x : input_dim Fractions

    Examples
    --------
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.5]])
    >>> exact_outputs(absolute, [Fraction(-1, 3)])
    (Fraction(5, 6),)
    """
    values = list(x)
    layers = zip(network.operators, network.biases, network.relu, network.slopes, network.maxima, strict=True)
    for matrix, bias, relu, slopes, sizes in layers:
        rows = _rows(matrix)
        values = [
            sum((Fraction(w) * values[k] for k, w in row), Fraction(b))
            for row, b in zip(rows, bias.tolist(), strict=True)
        ]
        if not relu:
            continue
        counts = [1] * len(values) if sizes is None else sizes.tolist()
        first = 0
        for count in counts:
            if count == 1:
                left, right = (0.0, 1.0) if slopes is None else slopes[:, first].tolist()
                values[first] *= Fraction(right if values[first] > 0 else left)
            else:
                rivals = values[first : first + count]
                best = rivals.index(max(rivals))
                values[first : first + count] = [
                    v if k == best else Fraction(0) for k, v in enumerate(rivals)
                ]
            first += count
    return tuple(values)


def _rows(matrix: object) -> list[list[tuple[int, float]]]:
    """Return the non-zeros of each row of a matrix, dense or sparse."""
    if hasattr(matrix, "indptr"):
        return [
            list(zip(matrix.indices[a:b].tolist(), matrix.data[a:b].tolist(), strict=True))  # type: ignore[attr-defined]
            for a, b in zip(matrix.indptr[:-1].tolist(), matrix.indptr[1:].tolist(), strict=True)
        ]
    return [[(k, w) for k, w in enumerate(row) if w] for row in np.asarray(matrix).tolist()]


def to_inputs(domain: Domain, t: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Return origin + basis @ t, exactly."""
    if domain.is_identity:
        return tuple(t)
    rows = zip(domain.basis.tolist(), domain.origin.tolist(), strict=True)
    return tuple(
        sum((Fraction(w) * x for w, x in zip(row, t, strict=True) if w), Fraction(start))
        for row, start in rows
    )


def is_inside(domain: Domain, t: Sequence[Fraction]) -> bool:
    """Tell whether a rational intrinsic point lies in a domain, border included, exactly."""
    A, b = domain.halfspaces
    return all(
        sum((Fraction(a) * x for a, x in zip(row, t, strict=True) if a), Fraction(0)) <= Fraction(bound)
        for row, bound in zip(A.tolist(), b.tolist(), strict=True)
    )


def violated_disjunct(case: Case, outputs: Sequence[Fraction]) -> int | None:
    """Return the first set of unsafe outputs that rational outputs are in, None if there is none."""
    for disjunct, (A, b) in enumerate(case.unsafe):
        if all(
            sum((Fraction(a) * y for a, y in zip(row, outputs, strict=True) if a), Fraction(0))
            <= Fraction(bound)
            for row, bound in zip(A.tolist(), b.tolist(), strict=True)
        ):
            return disjunct
    return None


def float_outputs(network: Network, x: NDArray[np.float64], dtype: type) -> NDArray[np.float64]:
    """Return the outputs of a forward pass whose weights, inputs and sums are of a float type."""
    value: NDArray[Any] = np.asarray(x, dtype)
    layers = zip(network.operators, network.biases, network.relu, network.slopes, network.maxima, strict=True)
    for matrix, bias, relu, slopes, sizes in layers:
        value = matrix.astype(dtype) @ value + bias.astype(dtype)
        if relu:
            value = output_of_layer(value, None if slopes is None else slopes.astype(dtype), sizes)
            value = value.astype(dtype)
    return value.astype(np.float64)


def is_unsafe(case: Case, outputs: NDArray[np.float64]) -> bool:
    """Tell whether float outputs are in a set of unsafe ones, as floats compare."""
    return any(bool((A @ outputs <= b).all()) for A, b in case.unsafe)
