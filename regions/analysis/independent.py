"""Proves that a saved list of cells is complete, by Python's standard library alone: for whoever doubts us.

It imports nothing of this package or of any other, and runs as `python independent.py FILE.regions`. Of the
file it believes the network, the domain and the activation patterns, whose floats are the dyadic rationals
that they are, and nothing else. All numbers below are integers or fractions, and nothing is rounded.

The cell of a pattern is P = {t in the domain: z_u(t) >= 0 for active units u, z_u(t) <= 0 for the others},
where z_u is affine, as the pattern fixes the layers before. Each P is computed with its exact vertices.
A unit that is no ReLU goes on as z_u times the slope of its side, and one whose two slopes are equal cuts
nothing: it counts as active in every pattern. Inside of a full-dimensional P the network has this very
pattern (where z_u is 0 on all of P, u counts as inactive), so the interiors of different cells are
disjoint. No cell is missing for one of two reasons:

- volumes (d <= 3): the exact volumes sum to the domain's, and a further cell would need room of its own;
- facets (d >= 4): every facet of a listed cell lies on the domain's boundary, or is a facet of exactly one
  other listed cell, which then lies on its other side. A straight way from a listed cell to any point of the
  domain, moved a little so that it meets no face of d - 2 dimensions, never leaves the listed cells.
"""

# ruff: noqa: B905
from __future__ import annotations

import ast
import hashlib
import json
import struct
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import factorial, gcd, prod
from operator import mul
from typing import Any

LARGEST_BY_VOLUMES, LARGEST_DIMENSION = 3, 6
MOST_CELLS = 100_000  # of some milliseconds each
MOST_BYTES = 1 << 28  # of all arrays that are read
FAR = 1 << 5000  # beyond the corners of any domain that is made of floats

Row = tuple[int, ...]  # (a_1, ..., a_d, c): the affine function a.t + c, but for a positive factor
Vertex = tuple[Row, int]  # (x_1, ..., x_d, w), w > 0: the point x / w; and which rows vanish there, as bits
Polytope = list[Vertex]


class NotDecided(Exception):
    """The file cannot be read or is too large for this check: nothing is claimed of it."""


class Refuted(Exception):
    """The list is not that of all cells."""


@dataclass(frozen=True)
class Proof:
    """Whether the list is proven (to be complete, where it claims to be), and what that says, in lines."""

    proven: bool
    cells: int
    lines: tuple[str, ...]


def prove(
    path: str, *, limit: int = MOST_CELLS, progress: Callable[[int, float], None] | None = None
) -> Proof:
    """Prove or refute that a file lists all cells of its network on its domain.

    Raises NotDecided if it cannot be read, has more than `limit` cells, or a domain of over 6 dimensions;
    progress is called about ten times a second with cells done and fraction done.
    """
    try:
        header, arrays = read_file(path)
        relu, (count, width) = header["relu"], arrays["patterns"][0]
        origin, basis, sides = domain_of(header["domain"], arrays)
        layers = [(*matrix_of(arrays, k), slopes_of(arrays, k, flag)) for k, flag in enumerate(relu)]
        complete = header["status"] == "COMPLETE"
    except NotDecided:
        raise
    except Exception as error:  # what a damaged file raises is open-ended
        raise NotDecided(f"{path} is no readable file of cells: {type(error).__name__}: {error}") from error
    d, n_units = len(sides[0]) - 1, sum(len(rows) for (rows, _, _), flag in zip(layers, relu) if flag)
    if count > limit or d > LARGEST_DIMENSION:
        raise NotDecided(
            f"{count:,} cells in {d} dimensions are too many for this check, which takes {limit:,} cells "
            f"(raise that by --max-cells, or a second argument) and {LARGEST_DIMENSION} dimensions: take a "
            "smaller domain or a slice, or `regions verify` without --independent"
        )
    packed = arrays["patterns"][1]
    numbers = [int.from_bytes(packed[k * width : (k + 1) * width], "little") for k in range(count)]
    known = [
        f"network: sha256 {network_digest(arrays, relu)}",
        f"domain: {json.dumps(header['domain'])[:300]}",
    ]
    try:
        if any(number >> n_units for number in numbers) or len(set(numbers)) < count:
            raise Refuted("a pattern is listed twice or has more bits than there are units")
        domain = bounded(sides, d)
        patterns = sorted(bytes(number >> unit & 1 for unit in range(n_units)) for number in numbers)
        cells = reported(
            listed_cells(patterns, origin, basis, layers, relu, domain, len(sides)), count, progress
        )
        judge = by_volumes if d <= LARGEST_BY_VOLUMES else by_facets
        reason, lack = judge(cells, domain, len(sides), d)
        if complete and lack:
            raise Refuted(f"cells are missing: {lack}")
    except Refuted as error:
        return Proof(False, count, (*known, f"REFUTED: {error}"))
    if lack:
        known.append(
            f"PROVEN: the {count:,} patterns are those of full-dimensional cells, which are disjoint"
        )
        return Proof(
            True, count, (*known, f"not proven: completeness, which the file does not claim: {lack}")
        )
    return Proof(True, count, (*known, f"PROVEN: the network has exactly these {count:,} cells: {reason}"))


def by_volumes(cells: Iterator[Polytope], domain: Polytope, n_sides: int, d: int) -> tuple[str, str]:
    """Compare the sum of the volumes with the domain's: why nothing is missing, or what is."""
    sums = [(v.numerator, v.denominator) for v in (volume(cell, d) for cell in cells)] or [(0, 1)]
    while len(sums) > 1:  # in pairs and never reduced, as denominators become long
        odd = sums[len(sums) & ~1 :]
        sums = [(a * q + b * p, p * q) for (a, p), (b, q) in zip(sums[::2], sums[1::2])] + odd
    whole = volume(domain, d)
    total, expected = sums[0][0] * whole.denominator, sums[0][1] * whole.numerator
    if total > expected:
        raise Refuted(f"the exact volumes sum to {total / expected:.17g} times the domain's")
    lack = f"their exact volumes sum to {total / expected:.17g} of the domain's" if total < expected else ""
    return "their exact volumes sum to the domain's", lack


def by_facets(cells: Iterator[Polytope], domain: Polytope, n_sides: int, d: int) -> tuple[str, str]:
    """Match the facets of all cells: why nothing is missing, or what is."""
    seen: dict[tuple[Row, ...], int] = {}
    listed = 0
    for listed, cell in enumerate(cells, 1):  # noqa: B007
        for rows, facet in facets(cell, d):
            if not rows & ((1 << n_sides) - 1):  # on no side of the domain
                key = tuple(sorted(cell[i][0] for i in facet))
                seen[key] = seen.get(key, 0) + 1
    if any(times > 2 for times in seen.values()):
        raise Refuted("three cells share a facet")
    alone = sum(times == 1 for times in seen.values())
    lack = f"{alone:,} facets inside the domain have one listed cell only" if alone else ""
    lack = lack if listed else "none is listed"
    return f"each of their {len(seen):,} facets inside the domain is one of two of them", lack


def listed_cells(
    patterns: list[bytes], origin: Any, basis: Any, layers: Any, relu: Any, domain: Polytope, n_sides: int
) -> Iterator[Polytope]:
    """Compute the cells of sorted patterns; what one shares with the one before is not computed again."""
    ends = list(accumulate(len(rows) if flag else 0 for (rows, _, _), flag in zip(layers, relu)))
    d = len(basis[0])
    integers, unit = to_integers([x for row, c in zip(basis, origin) for x in (*row, c)])
    inputs = [tuple(integers[k : k + d + 1]) for k in range(0, len(integers), d + 1)]
    # for each layer: the rows that it acts on, the power of two that they are over, the polytope so far
    states = [([*inputs, (*[0] * d, unit)], unit, domain)]
    before = b""
    for pattern in patterns:
        del states[1 + (sum(pattern[:end] == before[:end] for end in ends) if before else 0) :]
        for k in range(len(states) - 1, len(layers)):
            (matrix, scale, slopes), (inputs, unit, polytope) = layers[k], states[-1]
            left, right, steps = slopes or ([0] * len(matrix), [1] * len(matrix), 1)
            columns = list(zip(*inputs))
            rows = [tuple(sum(map(mul, weights, column)) for column in columns) for weights in matrix]
            if relu[k]:
                first = ends[k] - len(rows)
                for u, row in enumerate(rows, first):
                    if left[u - first] != right[u - first]:
                        polytope = on_side(polytope, row, pattern[u], n_sides + u, d)
                    elif not pattern[u]:
                        raise Refuted("a pattern has a unit as inactive that is linear, so active everywhere")
                factors = [(right if pattern[first + i] else left)[i] for i in range(len(rows))]
                rows = [tuple(factor * x for x in row) for factor, row in zip(factors, rows)]
                scale *= steps
            states.append(([*rows, (*[0] * d, unit * scale)], unit * scale, polytope))
        before = pattern
        yield states[-1][2]


def on_side(polytope: Polytope, row: Row, active: int, number: int, d: int) -> Polytope:
    """Return the part of a polytope where a unit with this row is active, or inactive."""
    if not any(row) and not active:
        return polytope
    part = cut(polytope, row if active else tuple(-x for x in row), number, d)
    if part is None:
        raise Refuted("a listed pattern is that of no full-dimensional cell")
    return part


def cut(polytope: Polytope, row: Row, number: int, d: int) -> Polytope | None:
    """Return the part where a row is >= 0, None if that has no interior; there, bit `number` is the row's.

    New vertices are on edges that go from a positive to a negative vertex. Two vertices are the ends of an
    edge if no third one lies on all rows that vanish at both.
    """
    values = [sum(map(mul, row, x)) for x, _ in polytope]
    if max(values) <= 0:
        return None
    if min(values) > 0:
        return polytope
    polytope = [(x, m if v else m | 1 << number) for (x, m), v in zip(polytope, values)]
    part = [vertex for vertex, v in zip(polytope, values) if v >= 0]
    below = [(y, n, q) for (y, n), q in zip(polytope, values) if q < 0]
    for (x, m), p in zip(polytope, values):
        for y, n, q in below if p > 0 else ():
            both = m & n
            if both.bit_count() >= d - 1 and sum(k & both == both for _, k in polytope) == 2:
                point = [p * b - q * a for a, b in zip(x, y)]
                divisor = gcd(*point)
                part.append((tuple(a // divisor for a in point), both | 1 << number))
    return part


def facets(polytope: Polytope, d: int) -> list[tuple[int, frozenset[int]]]:
    """Return the facets as the numbers of their vertices, each with the rows that vanish on it, as bits."""
    rows: dict[frozenset[int], int] = {}
    for number in range(max(m for _, m in polytope).bit_length()):
        on = frozenset(i for i, (_, m) in enumerate(polytope) if m >> number & 1)
        if len(on) >= d:
            rows[on] = rows.get(on, 0) | 1 << number
    return [(bits, on) for on, bits in rows.items() if not any(on < other for other in rows)]


def volume(polytope: Polytope, d: int) -> Fraction:
    """Return the volume: simplices from the first vertex of each face over the facets that lack it."""
    sets = [on for _, on in facets(polytope, d)]

    def simplices(face: frozenset[int]) -> Iterator[tuple[int, ...]]:
        apex, parts = min(face), {face & other for other in sets} - {face, frozenset()}
        if len(face) == 1:
            yield (apex,)
        for part in parts:
            if apex not in part and not any(part < other for other in parts):
                yield from ((apex, *rest) for rest in simplices(part))

    total = Fraction(0)
    for simplex in simplices(frozenset(range(len(polytope)))):
        points = [polytope[i][0] for i in simplex]
        total += Fraction(abs(determinant(points)), prod(x[-1] for x in points))
    return total / factorial(d)


def determinant(rows: list[Row]) -> int:
    """Return the determinant, by its first row."""
    minors = ([(*row[:k], *row[k + 1 :]) for row in rows[1:]] for k in range(len(rows)))
    return sum((-1) ** k * x * determinant(m) for k, (x, m) in enumerate(zip(rows[0], minors))) if rows else 1


def bounded(sides: list[Row], d: int) -> Polytope:
    """Return the domain: a box beyond all floats, cut by the sides, of whose own faces none may be left."""
    own = len(sides)
    corners = [[FAR if k >> j & 1 else -FAR for j in range(d)] for k in range(1 << d)]
    far = [((*x, 1), sum(1 << (own + 2 * j + (x[j] > 0)) for j in range(d))) for x in corners]
    polytope: Polytope | None = far
    for number, side in enumerate(sides):
        polytope = cut(polytope, side, number, d) if polytope else None
    if not polytope or any(m >> own for _, m in polytope):
        raise Refuted("the domain is empty, flat or not bounded")
    return polytope


def reported(cells: Iterator[Polytope], count: int, progress: Any) -> Iterator[Polytope]:
    """Pass cells on, and tell some ten times a second how many."""
    last = time.monotonic()
    for done, cell in enumerate(cells):
        if progress is not None and time.monotonic() > last + 0.1:
            last = time.monotonic()
            progress(done, done / count)
        yield cell


def to_integers(values: Any) -> tuple[list[int], int]:
    """Return floats as integers over one power of two, and that power."""
    ratios = [float(value).as_integer_ratio() for value in values]
    unit = max(q for _, q in ratios)
    return [p * (unit // q) for p, q in ratios], unit


def matrix_of(arrays: dict[str, Any], k: int) -> tuple[list[list[int]], int]:
    """Return the rows [W | b] of a layer as integers over one power of two."""
    (n, m), weights = arrays[f"W{k}"]
    biases = arrays[f"b{k}"][1]
    integers, unit = to_integers([x for i in range(n) for x in (*weights[i * m : (i + 1) * m], biases[i])])
    return [integers[i * (m + 1) : (i + 1) * (m + 1)] for i in range(n)], unit


def slopes_of(arrays: dict[str, Any], k: int, flag: int) -> tuple[list[int], list[int], int] | None:
    """Return the slopes of a layer, left and right, as integers over one power of two, if it has any."""
    if flag == 3:
        raise NotDecided(f"layer {k} has max units: the independent check takes no max units yet")
    if flag not in (0, 1, 2) or (flag == 2) != (f"slopes{k}" in arrays):
        raise ValueError(f"layer {k} has the flag {flag}; it is 2 where slopes are saved, else true or false")
    if flag != 2:
        return None
    (_, n), values = arrays[f"slopes{k}"]
    integers, unit = to_integers(values)
    return integers[:n], integers[n:], unit


def domain_of(given: dict[str, Any], arrays: dict[str, Any]) -> tuple[Any, Any, list[Row]]:
    """Return origin, basis and sides of x = origin + basis t, where a.t + c >= 0 for each side (a, c)."""
    kind = given["kind"]
    if kind == "polytope" or kind == "slice":
        A, b = (given["A"], given["b"]) if kind == "polytope" else given["polygon"]
    elif kind == "box" or kind == "frame_box":
        unit = [[float(i == j) for j in range(len(given["low"]))] for i in range(len(given["low"]))]
        A, b = [*unit, *([-x for x in row] for row in unit)], [*given["high"], *(-x for x in given["low"])]
    elif kind == "segment":  # its direction is rounded, and saved as it was rounded; no old file has it
        length, direction = arrays["domain_b"][1][1], arrays["domain_basis"][1]
        ends = [p + length * x - q for p, x, q in zip(given["a"], direction, given["b"])]
        if max(map(abs, ends)) > 1e-9 * length + 1e-12 * max(map(abs, (*given["a"], *given["b"]))):
            raise ValueError(
                "the saved direction and length do not lead from one end of the segment to the other"
            )
        return given["a"], [[x] for x in direction], [(1, 0), tuple(to_integers([-1.0, length])[0])]
    else:
        raise ValueError(f"unknown kind of domain {kind!r}")
    d = len(A[0])
    origin = given.get("origin", [0.0] * d)
    basis = given.get("basis", [[float(i == j) for j in range(d)] for i in range(d)])
    return origin, basis, [tuple(to_integers([*(-x for x in row), bound])[0]) for row, bound in zip(A, b)]


def network_digest(arrays: dict[str, Any], relu: list[bool]) -> str:
    """Return what `Network.digest()` returns, by which the network can be told."""
    state = hashlib.sha256()
    for k, flag in enumerate(relu):
        (shape, weights), (_, biases) = arrays[f"W{k}"], arrays[f"b{k}"]
        state.update(
            f"{shape} {bool(flag)};".encode()
            + struct.pack(f"<{len(weights) + len(biases)}d", *weights, *biases)
        )
        if flag == 2:
            slopes = arrays[f"slopes{k}"][1]
            state.update(b"slopes;" + struct.pack(f"<{len(slopes)}d", *slopes))
    return state.hexdigest()


def read_file(path: str) -> tuple[dict[str, Any], dict[str, tuple[tuple[int, ...], Any]]]:
    """Return the header, and shape and numbers of those arrays that are needed: numpy's format in a zip."""
    arrays: dict[str, tuple[tuple[int, ...], Any]] = {}
    with zipfile.ZipFile(path) as archive:
        kept = [
            m for m in archive.infolist() if m.filename[0] in "Wbdp" or m.filename[:6] in ("header", "slopes")
        ]
        if sum(member.file_size for member in kept) > MOST_BYTES:
            raise ValueError(f"it would expand to more than {MOST_BYTES:,} bytes")
        for member in kept:
            content: Any = archive.open(member).read(member.file_size)
            start = 10 + int.from_bytes(content[8:10], "little")
            head, content = ast.literal_eval(content[10:start].decode()), content[start:]
            kind, shape = head["descr"], head["shape"]
            if head["fortran_order"] or (kind not in ("<f8", "|u1") and not kind.startswith("<U")):
                raise ValueError(
                    f"array {member.filename} is {kind}, in an order or of a type that is not read"
                )
            if kind == "<f8":
                content = struct.unpack(f"<{prod(shape)}d", content)
            arrays[member.filename.removesuffix(".npy")] = (shape, content)
    return json.loads(arrays["header"][1].decode("utf-32-le").rstrip("\0")), arrays


if __name__ == "__main__":
    started = said = time.monotonic()

    def say(done: int, part: float) -> None:
        """Write a line every two seconds."""
        global said
        if time.monotonic() > said + 2.0:
            said = time.monotonic()
            sys.stderr.write(f"{done:,} cells, {part:.0%}, {said - started:.0f} s\n")

    try:
        result = prove(sys.argv[1], limit=int(sys.argv[2]) if len(sys.argv) > 2 else MOST_CELLS, progress=say)
    except (NotDecided, IndexError) as failure:
        sys.exit(f"NOT DECIDED: {failure}; usage: python independent.py FILE.regions [most cells]")
    sys.stdout.write("\n".join(result.lines) + "\n")
    sys.exit(0 if result.proven else 1)
