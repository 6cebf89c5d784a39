"""Brute force in exact arithmetic for networks with max units; like `naive`, it imports nothing of the
library.

A max unit takes the largest of consecutive rows of its layer. Every cell is cut down to where one row beats
all others, one halfspace after the other: no cut between rows that lose is ever made.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from naive import (
    Map,
    NaiveCell,
    NaiveComplex,
    Polytope,
    _apply,
    _dot,
    _integers,
    _split_by_units,
    _through,
)


def naive_max_complex(
    weights: Sequence[Any],
    biases: Sequence[Any],
    relu: Sequence[bool],
    maxima: Sequence[Sequence[int] | None],
    halfspaces: tuple[Any, Any],
    slopes: Sequence[Any] | None = None,
    origin: Any = None,
    basis: Any = None,
) -> NaiveComplex:
    """All cells of the network on {t : A t <= b}, as `naive_complex`.

    Parameters
    ----------
    maxima : one for each layer, None or the numbers of rows of its units in turn. A unit of k > 1 rows puts
    out
        the largest of their values; its part of the pattern has k entries, True for the first largest. One of
        a single row is as without `maxima`. The next layer has one column for each unit.

    Examples
    --------
    >>> found = naive_max_complex([[[1], [-1], [0]]], [[0, 0, 1]], [True], [[3]], ([[-1], [1]], [2, 2]))
    >>> [(cell.pattern, str(cell.volume)) for cell in found.cells]
    [((False, False, True), '2'), ((False, True, False), '1'), ((True, False, False), '1')]
    """
    A, b = halfspaces
    d = len(A[0])
    domain = Polytope.of_halfspaces(
        [_integers([Fraction(bound), *(-Fraction(x) for x in row)]) for row, bound in zip(A, b, strict=True)]
    )
    unit = [[Fraction(int(i == j)) for j in range(d)] for i in range(d)]
    columns = unit if basis is None else [[Fraction(x) for x in row] for row in basis]
    start = [Fraction(0)] * len(columns) if origin is None else [Fraction(x) for x in origin]
    state: Map = tuple((c, *row) for c, row in zip(start, columns, strict=True))
    parts: list[tuple[Polytope, tuple[bool, ...], Map]] = [(domain, (), state)]
    pairs = [None] * len(relu) if slopes is None else slopes
    for weight, bias, has_units, sizes, pair in zip(weights, biases, relu, maxima, pairs, strict=True):
        sides = [(Fraction(0), Fraction(1))] * len(weight)
        if pair is not None:
            sides = [(Fraction(a), Fraction(b)) for a, b in zip(*pair, strict=True)]
        exact = [[Fraction(x) for x in row] for row in weight]
        advanced = []
        for polytope, pattern, inputs in parts:
            z = _apply(exact, [Fraction(x) for x in bias], inputs, d)
            if not has_units:
                advanced.append((polytope, pattern, z))
                continue
            pieces: list[tuple[Polytope, tuple[bool, ...], Map]] = [(polytope, (), ())]
            at = 0
            for size in sizes if sizes is not None else [1] * len(z):
                rows, slope = z[at : at + size], sides[at]
                pieces = [
                    (piece, states + more, (*output, value))
                    for whole, states, output in pieces
                    for piece, more, value in _one_unit(whole, rows, slope)
                ]
                at += size
            advanced += [(piece, pattern + states, output) for piece, states, output in pieces]
        parts = advanced
    cells = sorted((NaiveCell(pattern, p, z) for p, pattern, z in parts), key=lambda c: c.pattern)
    return NaiveComplex(tuple(cells), domain)


def _one_unit(
    polytope: Polytope, rows: Map, slope: tuple[Fraction, Fraction]
) -> list[tuple[Polytope, tuple[bool, ...], tuple[Fraction, ...]]]:
    if len(rows) == 1:
        return [
            (piece, states, _through(rows, states, [slope])[0])
            for piece, states in _split_by_units(polytope, rows, [slope[0] != slope[1]])
        ]
    found = []
    for winner, row in enumerate(rows):
        part: Polytope | None = polytope
        for other, against in enumerate(rows):
            if other != winner and part is not None:
                part = _where_it_leads(part, row, against, first=winner < other)
        if part is not None:
            found.append((part, tuple(k == winner for k in range(len(rows))), row))
    return found


def _where_it_leads(
    polytope: Polytope, row: tuple[Fraction, ...], against: tuple[Fraction, ...], first: bool
) -> Polytope | None:
    """The part where one row is at least another, None where that has no inside; a tie is for the first."""
    lead = _integers([x - y for x, y in zip(row, against, strict=True)])
    if not any(lead):
        return polytope if first else None
    values = [_dot(lead, ray) for ray in polytope.vertices]
    if min(values) >= 0:
        return polytope
    if max(values) <= 0:
        return None
    return polytope.split(lead)[0]
