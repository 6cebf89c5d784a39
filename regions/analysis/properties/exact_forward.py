"""The outputs of a network at a rational point, exactly, and at floats in either precision.

A counterexample is judged by these, whatever found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.property_spec import Case
from regions.domain import Domain
from regions.network.max_units import output_of_layer
from regions.network.relu_network import Network
from regions.rational import dyadic_integers


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
    denominator = lcm(*(v.denominator for v in x))
    values = [v.numerator * (denominator // v.denominator) for v in x]  # all over one denominator
    layers = zip(network.operators, network.biases, network.relu, network.slopes, network.maxima, strict=True)
    for matrix, bias, relu, slopes, sizes in layers:
        rows, offsets, shift = _integers(matrix, bias)
        values = [
            sum((w * values[k] for k, w in row), offset * denominator)
            for row, offset in zip(rows, offsets, strict=True)
        ]
        denominator <<= shift
        if relu:
            values, shift = _activated(values, slopes, sizes)
            denominator <<= shift
    return tuple(Fraction(value, denominator) for value in values)


def _integers(matrix: Any, bias: NDArray[np.float64]) -> tuple[list[list[tuple[int, int]]], list[int], int]:
    """Return the non-zeros of each row and the biases as integers over one power of two."""
    if hasattr(matrix, "indptr"):
        starts, places, entries = matrix.indptr.tolist(), matrix.indices.tolist(), matrix.data
    else:
        row_of, column_of = np.nonzero(matrix)
        starts = np.searchsorted(row_of, np.arange(len(bias) + 1)).tolist()
        places, entries = column_of.tolist(), matrix[row_of, column_of]
    numbers, shift = dyadic_integers(np.concatenate([entries, bias]))
    rows = [list(zip(places[a:b], numbers[a:b], strict=True)) for a, b in pairwise(starts)]
    return rows, numbers[len(entries) :], shift


def _activated(values: list[int], slopes: Any, sizes: Any) -> tuple[list[int], int]:
    """Return what units make of integers, over so much larger a power of two."""
    counts = [1] * len(values) if sizes is None else sizes.tolist()
    left, right, shift = [0] * len(values), [1] * len(values), 0
    if slopes is not None:
        numbers, shift = dyadic_integers(slopes)
        left, right = numbers[: len(values)], numbers[len(values) :]
    found: list[int] = []
    for count in counts:
        first = len(found)
        if count == 1:
            found.append(values[first] * (right[first] if values[first] > 0 else left[first]))
        else:
            rivals = values[first : first + count]
            best = rivals.index(max(rivals))
            found += [v << shift if k == best else 0 for k, v in enumerate(rivals)]
    return found, shift


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
