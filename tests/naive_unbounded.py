"""Brute force without a box: every cell of a tiny network on the whole space, by rational linear programs.

Independent of the library, and of `naive`, by design: imports nothing from either, and does everything the
plainest way. Floats are dyadic rationals and are read as such.

A halfspace is a row (a1, ..., ad, c) of fractions and means a.x + c >= 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

Row = tuple[Fraction, ...]
Pattern = tuple[bool, ...]
ZERO, ONE = Fraction(0), Fraction(1)


@dataclass(frozen=True)
class EndlessCell:
    """A cell of the whole space: its pattern, the rows of its units, whether it is bounded."""

    pattern: Pattern
    rows: tuple[Row, ...]
    bounded: bool


@dataclass(frozen=True)
class EndlessFacet:
    """A facet between two cells, by their patterns, and whether it is bounded."""

    first: Pattern
    second: Pattern
    bounded: bool


def endless_cells(weights: Sequence[Any], biases: Sequence[Any], relu: Sequence[bool]) -> list[EndlessCell]:
    """All cells of a network of ReLUs on the whole space.

    Examples
    --------
    >>> cells = endless_cells([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]], [True, False])
    >>> [(cell.pattern, cell.bounded) for cell in cells]
    [((False, False), False), ((True, False), True), ((True, True), False)]
    """
    d = len(weights[0][0])
    start = [tuple(Fraction(int(i == j)) for j in range(d)) + (ZERO,) for i in range(d)]
    parts: list[tuple[Pattern, tuple[Row, ...], list[Row]]] = [((), (), start)]
    for weight, bias, followed in zip(weights, biases, relu, strict=True):
        parts = [(pattern, rows, _affine(weight, bias, values)) for pattern, rows, values in parts]
        if followed:
            parts = [part for before in parts for part in _split(*before, d)]
    return [EndlessCell(pattern, rows, _is_bounded(rows, d)) for pattern, rows, _ in sorted(parts)]


def endless_facets(
    cells: Sequence[EndlessCell], weights: Sequence[Any], biases: Sequence[Any], relu: Sequence[bool]
) -> set[EndlessFacet]:
    """All facets between cells, each once, the smaller pattern first."""
    found = set()
    for cell in cells:
        d = len(cell.rows[0]) - 1 if cell.rows else 0
        for row in cell.rows:
            others = [other for other in cell.rows if not _same_plane(row, other)]
            inside = _inner_point([*others], d, on=row) if any(row[:-1]) else None
            if inside is None:
                continue
            beyond = _pattern_beyond(inside, [-x for x in row[:-1]], weights, biases, relu)
            pair = sorted((cell.pattern, beyond))
            ends = [*cell.rows, tuple(-x for x in row)]
            found.add(EndlessFacet(pair[0], pair[1], _is_bounded(ends, d)))
    return found


def _affine(weight: Any, bias: Any, values: list[Row]) -> list[Row]:
    out = []
    for factors, constant in zip(weight, bias, strict=True):
        terms = [[Fraction(float(w)) * x for x in value] for w, value in zip(factors, values, strict=True)]
        sums = [sum(column, ZERO) for column in zip(*terms, strict=True)]
        sums[-1] += Fraction(float(constant))
        out.append(tuple(sums))
    return out


def _split(
    pattern: Pattern, rows: tuple[Row, ...], values: list[Row], d: int
) -> Iterator[tuple[Pattern, tuple[Row, ...], list[Row]]]:
    """The parts of a cell with one pattern of a layer of ReLUs, unit after unit."""
    parts: list[tuple[Pattern, tuple[Row, ...]]] = [(pattern, rows)]
    for value in values:
        grown = []
        for states, sides in parts:
            if not any(value[:-1]):
                grown.append(((*states, value[-1] > 0), sides))
                continue
            for active in (False, True):
                side = value if active else tuple(-x for x in value)
                if _inner_point([*sides, side], d) is not None:
                    grown.append(((*states, active), (*sides, side)))
        parts = grown
    n = len(values)
    dead = tuple([ZERO] * (d + 1))
    for states, sides in parts:
        yield states, sides, [v if on else dead for v, on in zip(values, states[-n:], strict=True)]


def _same_plane(first: Row, second: Row) -> bool:
    """Whether one row is a multiple of the other, of either sign."""
    pairs = list(zip(first, second, strict=True))
    return all(a * d == b * c for (a, b), (c, d) in product(pairs, pairs))


def _inner_point(rows: Sequence[Row], d: int, on: Row | None = None) -> tuple[Fraction, ...] | None:
    """A point with all rows > 0, on a hyperplane if one is given; None if there is none."""
    # maximise s subject to row(x) >= s, s <= 1, and on(x) = 0
    A = [[-x for x in row[:-1]] + [ONE] for row in rows]
    b = [row[-1] for row in rows]
    A.append([ZERO] * d + [ONE])
    b.append(ONE)
    if on is not None:
        A += [[*on[:-1], ZERO], [*(-x for x in on[:-1]), ZERO]]
        b += [-on[-1], on[-1]]
    best = maximise([ZERO] * d + [ONE], A, b)
    assert best is not None  # s may be as low as it likes
    return tuple(best[:-1]) if best[-1] > 0 else None


def _is_bounded(rows: Sequence[Row], d: int) -> bool:
    """Whether no direction but 0 leads out of a nonempty {x : rows >= 0}."""
    A = [[-x for x in row[:-1]] for row in rows]
    b = [ZERO] * len(rows)
    for j, sign in product(range(d), (ONE, -ONE)):
        A += [[sign * Fraction(int(i == j)) for i in range(d)]]
        b += [ONE]
    for j, sign in product(range(d), (ONE, -ONE)):
        objective = [sign * Fraction(int(i == j)) for i in range(d)]
        best = maximise(objective, A, b)
        assert best is not None  # 0 is feasible, and the box bounds it
        if sign * best[j] > 0:
            return False
    return True


def _pattern_beyond(
    point: Sequence[Fraction], direction: Sequence[Fraction], weights: Any, biases: Any, relu: Any
) -> Pattern:
    """The pattern just beyond a point in a direction: signs of values, or of slopes where these are 0."""
    values = list(zip(point, direction, strict=True))
    states: list[bool] = []
    for weight, bias, followed in zip(weights, biases, relu, strict=True):
        new = []
        for factors, constant in zip(weight, bias, strict=True):
            numbers = [Fraction(float(w)) for w in factors]
            value = sum((w * v for w, (v, _) in zip(numbers, values, strict=True)), Fraction(float(constant)))
            slope = sum((w * s for w, (_, s) in zip(numbers, values, strict=True)), ZERO)
            active = value > 0 or (value == 0 and slope > 0)
            if followed:
                states.append(active)
            new.append((value, slope) if active or not followed else (ZERO, ZERO))
        values = new
    return tuple(states)


def maximise(
    c: Sequence[Fraction], A: Sequence[Sequence[Fraction]], b: Sequence[Fraction]
) -> list[Fraction] | None:
    """A maximiser of c.x subject to A x <= b, x free; None if infeasible. The maximum must exist.

    Bland's rule on a dense tableau, with one artificial variable to begin with.

    Examples
    --------
    >>> one = Fraction(1)
    >>> maximise([one], [[one], [-one]], [Fraction(3), Fraction(-2)])
    [Fraction(3, 1)]
    >>> maximise([one], [[one], [-one]], [Fraction(1), Fraction(-2)]) is None
    True
    """
    m, n = len(A), len(c)
    # x = p - q with p, q >= 0, slacks, and the artificial variable w in A x - w <= b
    width = 2 * n + m + 1
    rows = []
    for i in range(m):
        slack = [Fraction(int(i == k)) for k in range(m)]
        rows.append([*A[i], *(-x for x in A[i]), *slack, -ONE, b[i]])
    basis = [2 * n + i for i in range(m)]
    worst = min(range(m), key=lambda i: b[i])
    if b[worst] < 0:
        _pivot(rows, basis, worst, width - 1)
        _climb([ZERO] * (width - 1) + [-ONE], rows, basis)
        if any(k == width - 1 and row[-1] > 0 for k, row in zip(basis, rows, strict=True)):
            return None
        for i, k in enumerate(basis):
            if k == width - 1:
                _pivot(rows, basis, i, next(j for j in range(width - 1) if rows[i][j] != 0))
    for row in rows:
        row[width - 1] = ZERO  # the artificial variable stays 0
    _climb([*c, *(-x for x in c), *([ZERO] * (m + 1))], rows, basis)
    values = [ZERO] * width
    for k, row in zip(basis, rows, strict=True):
        values[k] = row[-1]
    return [values[j] - values[n + j] for j in range(n)]


def _climb(costs: Sequence[Fraction], rows: list[list[Fraction]], basis: list[int]) -> None:
    while True:
        prices = [costs[k] for k in basis]
        for j in range(len(costs)):
            gain = costs[j] - sum((p * row[j] for p, row in zip(prices, rows, strict=True)), ZERO)
            if j not in basis and gain > 0:
                break
        else:
            return
        steps = [(row[-1] / row[j], basis[i], i) for i, row in enumerate(rows) if row[j] > 0]
        assert steps  # the maximum exists
        _pivot(rows, basis, min(steps)[2], j)


def _pivot(rows: list[list[Fraction]], basis: list[int], i: int, j: int) -> None:
    divisor = rows[i][j]
    rows[i] = [x / divisor for x in rows[i]]
    for k, row in enumerate(rows):
        if k != i and row[j] != 0:
            factor = row[j]
            rows[k] = [x - factor * y for x, y in zip(row, rows[i], strict=True)]
    basis[i] = j
