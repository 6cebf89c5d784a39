"""Proves that a saved list of cells is complete, by Python's standard library alone: for whoever doubts us.

It imports nothing of this package or of any other, and runs as `python independent.py FILE.regions`. Of the
file it believes the network, the domain and the activation patterns, whose floats are the dyadic rationals
that they are, and nothing else. All numbers below are integers or fractions, and nothing is rounded.

The cell of a pattern is P = {t in the domain: z_u(t) >= 0 for active units u, z_u(t) <= 0 for the others},
where z_u is affine, as the pattern fixes the layers before. Each P is computed with its exact vertices.
A unit that is no ReLU goes on as z_u times the slope of its side, and one whose two slopes are equal cuts
nothing: it counts as active in every pattern. Of the candidates u of a max unit one is active, w, with
z_w(t) >= z_u(t) for the others, and z_w goes on. Inside of a full-dimensional P the network has this very
pattern (where z_u is 0 on all of P, u counts as inactive; of candidates that tie there the first one wins),
so the interiors of different cells are disjoint. No cell is missing for one of two reasons:

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
import re
import struct
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, product
from math import factorial, gcd, prod
from operator import mul
from typing import Any

LARGEST_BY_VOLUMES, LARGEST_DIMENSION = 3, 6
MOST_CELLS = 100_000  # of some milliseconds each
MOST_BYTES = 1 << 28  # of all arrays that are read
FAR = 1 << 5000  # beyond the corners of any domain that is made of floats
NEEDED = re.compile(r"(header|patterns|domain_basis|domain_b|(W|b|slopes|maxima)\d+)\.npy")
TYPES = {"patterns": "|u1", "maxima": "<i8"}  # of arrays that are no floats
CODES = {"|u1": "B", "<i8": "q", "<f8": "d"}

Row = tuple[int, ...]  # (a_1, ..., a_d, c): the affine function a.t + c, but for a positive factor
Vertex = tuple[Row, int]  # (x_1, ..., x_d, w), w > 0: the point x / w; and which rows vanish there, as bits
Polytope = list[Vertex]
State = tuple[list[Row], int, Polytope]  # what a layer acts on, over this integer; where in the domain
# [W | b], what its products are over, slopes left and right of 0 and how many rows each unit has, if any
Layer = tuple[list[Row], int, Row, Row, Row]
Progress = Callable[[int, float], None]


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


def prove(path: str, *, limit: int = MOST_CELLS, progress: Progress | None = None) -> Proof:
    """Prove or refute that a file lists all cells of its network on its domain.

    Raises NotDecided if it cannot be read, has more than `limit` cells, or a domain of over 6 dimensions;
    progress is called at every cell with cells done and fraction done.
    """
    try:
        header, arrays = read_file(path)
        sides, inputs, unit = domain_of(header["domain"], arrays)
        layers, digest = network_of(arrays, header["relu"], len(inputs) - 1)
        (count, width), packed = arrays["patterns"]
        complete = header["status"] == "COMPLETE"
    except NotDecided:
        raise
    except Exception as error:  # what a damaged file raises is open-ended
        raise NotDecided(f"{path} is no readable file of cells: {type(error).__name__}: {error}") from error
    d, n_units = len(sides[0]) - 1, sum(len(left) for _, _, left, _, _ in layers)
    if count > limit or d > LARGEST_DIMENSION:
        raise NotDecided(
            f"{count:,} cells in {d} dimensions are too many for this check, which takes {limit:,} cells "
            f"(raise that by --max-cells, or a second argument) and {LARGEST_DIMENSION} dimensions: take a "
            "smaller domain or a slice, or `regions verify` without --independent"
        )
    numbers = [int.from_bytes(packed[k * width : (k + 1) * width], "little") for k in range(count)]
    lines = [f"network: sha256 {digest}", f"domain: {json.dumps(header['domain'])[:300]}"]
    try:
        if any(number >> n_units for number in numbers) or len(set(numbers)) < count:
            raise Refuted("a pattern is listed twice or has more bits than there are units")
        patterns = sorted(bytes(number >> unit & 1 for unit in range(n_units)) for number in numbers)
        domain = bounded(sides, d)
        cells = listed_cells(patterns, (inputs, unit, domain), layers, len(sides), progress)
        judge = by_volumes if d <= LARGEST_BY_VOLUMES else by_facets
        reason, lack = judge(cells, domain, len(sides), d) if count else ("", "none is listed")
        if complete and lack:
            raise Refuted(f"cells are missing: {lack}")
    except Refuted as error:
        return Proof(False, count, (*lines, f"REFUTED: {error}"))
    if lack:
        lines.append(
            f"PROVEN: the {count:,} patterns are those of full-dimensional cells, which are disjoint"
        )
        lines.append(f"not proven: completeness, which the file does not claim: {lack}")
    else:
        lines.append(f"PROVEN: the network has exactly these {count:,} cells: {reason}")
    return Proof(True, count, tuple(lines))


def by_volumes(cells: Iterator[Polytope], domain: Polytope, n_sides: int, d: int) -> tuple[str, str]:
    """Compare the sum of the volumes with the domain's: why nothing is missing, or what is."""
    sums = [volume(cell, d).as_integer_ratio() for cell in cells]
    while len(sums) > 1:  # in pairs and never reduced, as denominators become long
        odd = sums[len(sums) & ~1 :]
        sums = [(a * q + b * p, p * q) for (a, p), (b, q) in zip(sums[::2], sums[1::2])] + odd
    (total, p), (whole, q) = sums[0], volume(domain, d).as_integer_ratio()
    total, whole = total * q, whole * p
    part = f"their exact volumes sum to {total / whole:.17g} times the domain's"
    if total > whole:
        raise Refuted(f"cells overlap: {part}")
    return "their exact volumes sum to the domain's", part if total < whole else ""


def by_facets(cells: Iterator[Polytope], domain: Polytope, n_sides: int, d: int) -> tuple[str, str]:
    """Match the facets of all cells: why nothing is missing, or what is."""
    times: Counter[tuple[Row, ...]] = Counter()
    for cell in cells:
        for rows, facet in facets(cell, d):
            if not rows & ((1 << n_sides) - 1):  # on no side of the domain
                times[tuple(sorted(cell[i][0] for i in facet))] += 1
    if max(times.values(), default=0) > 2:
        raise Refuted("three cells share a facet")
    alone = sum(number == 1 for number in times.values())
    lack = f"{alone:,} facets inside the domain have one listed cell only" if alone else ""
    return f"each of their {len(times):,} facets inside the domain is one of two of them", lack


def listed_cells(
    patterns: list[bytes], start: State, layers: list[Layer], n_sides: int, progress: Progress | None
) -> Iterator[Polytope]:
    """Compute the cells of sorted patterns; what one shares with the one before is not computed again."""
    ends = list(accumulate((len(left) for _, _, left, _, _ in layers), initial=0))
    states, before = [start], b""
    for done, pattern in enumerate(patterns):
        if progress is not None:
            progress(done, done / len(patterns))
        del states[1 + (sum(pattern[:end] == before[:end] for end in ends[1:]) if done else 0) :]
        for k in range(len(states) - 1, len(layers)):
            states.append(behind(layers[k], states[k], pattern[ends[k] : ends[k + 1]], n_sides + ends[k]))
        before = pattern
        yield states[-1][2]


def behind(layer: Layer, state: State, bits: bytes, first: int) -> State:
    """Return what comes behind a layer whose units have these bits; its rows are numbered from `first` on."""
    (matrix, scale, left, right, sizes), (inputs, unit, polytope) = layer, state
    columns = list(zip(*inputs))
    rows = [tuple(sum(map(mul, weights, column)) for column in columns) for weights in matrix]
    polytope, alone = won(polytope, rows, bits, sizes, first)
    for i, active in enumerate(bits):
        row, slope = rows[i], right[i] if active else left[i]
        rows[i] = tuple(slope * x for x in row)
        if i not in alone:
            continue
        if left[i] == right[i] and not active:
            raise Refuted("a pattern has a unit as inactive that is linear, so active everywhere")
        if left[i] != right[i] and (active or any(row)):
            polytope = cut(polytope, row if active else tuple(-x for x in row), first + i)
    unit *= scale
    return [*rows, (*[0] * (len(columns) - 1), unit)], unit, polytope


def won(
    polytope: Polytope, rows: list[Row], bits: bytes, sizes: Row, first: int
) -> tuple[Polytope, set[int]]:
    """Return the part where the active candidates of max units win, and which rows are no candidates."""
    alone, start = set(), 0
    for size in sizes:
        candidates = range(start, start + size)
        start += size
        if size == 1:
            alone.add(candidates[0])
            continue
        winner, *more = [i for i in candidates if bits[i]] or [-1]
        if winner < 0 or more:
            raise Refuted("a pattern has no winner of a max unit, or several")
        for i in candidates:
            lead = tuple(a - b for a, b in zip(rows[winner], rows[i]))
            if any(lead):
                polytope = cut(polytope, lead, first + i)
            elif i < winner:
                raise Refuted("a pattern has a winner that is tied everywhere with one before it")
    return polytope, alone


def cut(polytope: Polytope, row: Row, number: int) -> Polytope:
    """Return the part where a row is >= 0, on whose vertices bit `number` says whether the row is 0.

    New vertices are on edges that go from a positive to a negative vertex. Two vertices are the ends of an
    edge if no third one lies on all rows that vanish at both.
    """
    values = [sum(map(mul, row, x)) for x, _ in polytope]
    if max(values) <= 0:
        raise Refuted("the domain, or the cell of a listed pattern, has no interior")
    if min(values) > 0:
        return polytope
    polytope = [(x, m if v else m | 1 << number) for (x, m), v in zip(polytope, values)]
    part = [vertex for vertex, v in zip(polytope, values) if v >= 0]
    below = [(y, n, q) for (y, n), q in zip(polytope, values) if q < 0]
    for (x, m), p in zip(polytope, values):
        for y, n, q in below if p > 0 else ():
            both = m & n
            if both.bit_count() >= len(row) - 2 and sum(k & both == both for _, k in polytope) == 2:
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

    points = [[polytope[i][0] for i in simplex] for simplex in simplices(frozenset(range(len(polytope))))]
    parts = (Fraction(abs(determinant(x)), prod(row[-1] for row in x)) for x in points)
    return sum(parts, Fraction(0)) / factorial(d)


def determinant(rows: list[Row]) -> int:
    """Return the determinant, by its first row."""
    minors = ([(*row[:k], *row[k + 1 :]) for row in rows[1:]] for k in range(len(rows)))
    return sum((-1) ** k * x * determinant(m) for k, (x, m) in enumerate(zip(rows[0], minors))) if rows else 1


def bounded(sides: list[Row], d: int) -> Polytope:
    """Return the domain: a box beyond all floats, cut by the sides, of whose own faces none may be left."""
    own = len(sides)
    corners = product((-FAR, FAR), repeat=d)
    polytope = [((*x, 1), sum(1 << (own + 2 * j + (x[j] > 0)) for j in range(d))) for x in corners]
    for number, side in enumerate(sides):
        polytope = cut(polytope, side, number)
    if any(m >> own for _, m in polytope):
        raise Refuted("the domain is not bounded")
    return polytope


def to_integers(rows: Any) -> tuple[list[Row], int]:
    """Return rows of floats as integers over one power of two, and that power."""
    ratios = [[float(x).as_integer_ratio() for x in row] for row in rows]
    unit = max(q for row in ratios for _, q in row)
    return [tuple(p * (unit // q) for p, q in row) for row in ratios], unit


def domain_of(given: dict[str, Any], arrays: dict[str, Any]) -> tuple[list[Row], list[Row], int]:
    """Return the sides (a, c), where a.t + c >= 0 holds, and the inputs as rows over one power of two."""
    kind = given["kind"]
    if kind in ("polytope", "slice"):
        A, b = (given["A"], given["b"]) if kind == "polytope" else given["polygon"]
    elif kind in ("box", "frame_box"):
        n = len(given["low"])
        A = [[sign * (i == j) for j in range(n)] for sign in (1.0, -1.0) for i in range(n)]
        b = [*given["high"], *(-x for x in given["low"])]
    elif kind == "segment":  # its direction is rounded, and saved as it was rounded; no old file has it
        length, direction = arrays["domain_b"][1][1], arrays["domain_basis"][1]
        ends = [p + length * x - q for p, x, q in zip(given["a"], direction, given["b"])]
        if max(map(abs, ends)) > 1e-9 * length + 1e-12 * max(map(abs, (*given["a"], *given["b"]))):
            raise ValueError("the saved direction does not lead from one end of the segment to the other")
        A, b = [[-1.0], [1.0]], [0.0, length]
        given = {"origin": given["a"], "basis": [[x] for x in direction]}
    else:
        raise ValueError(f"unknown kind of domain {kind!r}")
    d = len(A[0])
    basis = given.get("basis", [[float(i == j) for j in range(d)] for i in range(d)])
    inputs, unit = to_integers([(*row, c) for row, c in zip(basis, given.get("origin", [0.0] * d))])
    sides, _ = to_integers([(*(-x for x in row), c) for row, c in zip(A, b)])
    return sides, [*inputs, (*[0] * d, unit)], unit


def network_of(arrays: dict[str, Any], flags: list[int], width: int) -> tuple[list[Layer], str]:
    """Return the layers, and what `Network.digest()` returns, by which the network can be told.

    The flag of a layer is 3 for max units, 2 where slopes are saved, 1 for ReLUs, 0 if it has no units.
    """
    layers, state = [], hashlib.sha256()
    before: list[range] = []  # candidates of one max unit each
    for k, flag in enumerate(flags):
        (shape, weights), (length, biases) = arrays[f"W{k}"], arrays[f"b{k}"]
        n, m = shape
        steps, slopes = arrays.get(f"slopes{k}", ((2, n), [0.0] * n + [1.0] * n))
        saved, (_, sizes) = f"slopes{k}" in arrays, arrays.get(f"maxima{k}", ((), [1] * n))
        kind = 3 if f"maxima{k}" in arrays else 2 if saved else bool(flag)
        if m != width or length != (n,) or steps != (2, n) or flag != kind or min(sizes, default=1) < 1:
            raise ValueError(f"the arrays and the flag of layer {k} do not fit")
        rivals = [range(end - size, end) for size, end in zip(sizes, accumulate(sizes)) if size > 1]
        if sum(sizes) != n or any((slopes[i], slopes[n + i]) != (0.0, 1.0) for own in rivals for i in own):
            raise ValueError(f"the max units of layer {k} do not fit")
        pairs = [(own[0], j) for own in before for j in own]
        if any(weights[i * m + a] != weights[i * m + b] for a, b in pairs for i in range(n)):
            raise ValueError(f"the columns of layer {k} differ for candidates of one max unit")
        before = rivals
        state.update(f"{shape} {bool(flag)};".encode() + struct.pack(f"<{n * m + n}d", *weights, *biases))
        if saved:
            state.update(b"slopes;" + struct.pack(f"<{2 * n}d", *slopes))
        if flag == 3:
            state.update(b"maxima;" + struct.pack(f"<{len(sizes)}q", *sizes))
        matrix, scale = to_integers([(*weights[i * m : i * m + m], biases[i]) for i in range(n)])
        (left, right), unit = to_integers([slopes[:n], slopes[n:]]) if flag else (((), ()), 1)
        layers.append((matrix, scale * unit, left, right, tuple(sizes)))
        width = n
    return layers, state.hexdigest()


def read_file(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header, and shape and numbers of those arrays that are needed: numpy's format in a zip."""
    arrays: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        kept = [member for member in archive.infolist() if NEEDED.fullmatch(member.filename)]
        if sum(member.file_size for member in kept) > MOST_BYTES:
            raise ValueError(f"it would expand to more than {MOST_BYTES:,} bytes")
        for member in kept:
            content = archive.open(member).read(member.file_size)
            start = 10 + int.from_bytes(content[8:10], "little")
            head, content = ast.literal_eval(content[10:start].decode()), content[start:]
            name, kind, shape = member.filename.removesuffix(".npy"), head["descr"], head["shape"]
            if name == "header":
                header = json.loads(content.decode("utf-32-le").rstrip("\0"))
            elif head["fortran_order"] or kind != TYPES.get(name.rstrip("0123456789"), "<f8"):
                raise ValueError(f"array {name} is {kind}, in an order or of a type that is not read")
            else:
                arrays[name] = shape, struct.unpack(f"<{prod(shape)}{CODES[kind]}", content)
    return header, arrays


if __name__ == "__main__":
    try:
        result = prove(sys.argv[1], limit=int(sys.argv[2]) if len(sys.argv) > 2 else MOST_CELLS)
    except (NotDecided, IndexError) as failure:
        sys.exit(f"NOT DECIDED: {failure}; usage: python independent.py FILE.regions [most cells]")
    sys.stdout.write("\n".join(result.lines) + "\n")
    sys.exit(0 if result.proven else 1)
