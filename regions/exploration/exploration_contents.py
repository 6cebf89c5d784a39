"""What the fields of an exploration must satisfy: types, ranges, and agreement with each other.

Everything here is read off the arrays, each time that a file is loaded. Whether the cells are those of the
network is left to whoever explores again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from regions.complexes import Arithmetic, StoppedBy
from regions.network.patterns import pack, packed_size, row_keys, unpack

__all__ = ["field_problems"]

# of each array: its type, and what its axes count
_SHAPES = {
    "patterns": (np.uint8, ("met", "bytes")),
    "points": (np.float64, ("entered", "d")),
    "hops": (np.int64, ("met",)),
    "undecided": (np.int64, ("entered",)),
    "first": (np.int64, ("facets",)),
    "second": (np.int64, ("facets",)),
    "flat_units": (np.int64, ("facets",)),
    "center": (np.float64, ("inputs",)),
}
_NO_WAY = np.iinfo(np.int64).max
_ROUNDING = 1e-9  # of the centre in the frame's coordinates, relative


def field_problems(fields: dict[str, Any]) -> Iterator[str]:
    """Tell what is wrong with the fields of an exploration, as `read_exploration` returns them.

    Numbers are possible; patterns are distinct and end with the last unit; facets are in order, and lie
    between cells that differ in the facet's unit; hops are one more than those of the nearest cell
    across a facet; the centre is that of the frame.

    Cost: some microseconds per cell.
    """
    wrong = [*_numbers(fields), *_shapes(fields)]
    yield from wrong
    if not wrong:  # the others compute with them
        yield from _frame(fields)
        yield from _patterns(fields)
        yield from _facets(fields)


def _numbers(fields: dict[str, Any]) -> Iterator[str]:
    counts = [fields[name] for name in ("n_cells", "rows", "exact_rows")]
    if not all(_whole(count) for count in counts) or counts[2] > counts[1]:
        yield f"it counts {counts[0]} cells, {counts[1]} rows and of them {counts[2]} exact ones"
    if fields["max_hops"] is not None and not _whole(fields["max_hops"]):
        yield f"max_hops is {fields['max_hops']!r}"
    if fields["radius"] is not None and not (_finite(fields["radius"]) and fields["radius"] > 0.0):
        yield f"radius is {fields['radius']!r}"
    if not (_finite(fields["seconds"]) and fields["seconds"] >= 0.0):
        yield f"seconds are {fields['seconds']!r}"
    for name, known in (("arithmetic", get_args(Arithmetic)), ("stopped_by", get_args(StoppedBy))):
        if fields[name] not in known:
            yield f"{name} is {fields[name]!r}; known: {', '.join(map(repr, known))}"


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shapes(fields: dict[str, Any]) -> Iterator[str]:
    network, frame = fields["network"], fields["frame"]
    sizes = {
        "entered": fields["n_cells"],
        "met": len(fields["patterns"]) if np.ndim(fields["patterns"]) else 0,
        "facets": np.size(fields["first"]),
        "bytes": packed_size(network.n_units),
        "inputs": network.input_dim,
        "d": frame.domain.dimension,
    }
    for name, (dtype, axes) in _SHAPES.items():
        expected = tuple(sizes[axis] for axis in axes)
        if fields[name].dtype != dtype or fields[name].shape != expected:
            yield (
                f"array {name!r} is {fields[name].dtype} of shape {fields[name].shape}, expected "
                f"{np.dtype(dtype)} of shape {expected}"
            )
    if sizes["met"] < sizes["entered"]:
        yield f"{sizes['entered']} cells were entered, and {sizes['met']} met"
    if frame.domain.input_dim != network.input_dim:
        yield f"the domain is in {frame.domain.input_dim} dimensions, the network takes {network.input_dim}"
    if frame.at.dtype != np.float64 or frame.at.shape != (sizes["d"],):
        yield f"array 'at' is {frame.at.dtype} of shape {frame.at.shape}, expected {sizes['d']} coordinates"
    if not isinstance(frame.free, bool) or (frame.endless and not _finite(frame.half_width)):
        yield f"free is {frame.free!r}, and the reach {frame.half_width!r}"


def _frame(fields: dict[str, Any]) -> Iterator[str]:
    center, frame = fields["center"], fields["frame"]
    if not (np.isfinite(center).all() and np.isfinite(frame.at).all()):
        yield "the center is not finite"
    else:
        away = np.abs(frame.domain.to_input(frame.at) - center).max()
        if away > _ROUNDING * max(1.0, np.abs(center).max(), np.abs(frame.at).max()):
            yield f"the center in the coordinates of the domain is another point, {away:.3g} away"
    if np.isinf(fields["points"]).any():
        yield "points are infinite"


def _patterns(fields: dict[str, Any]) -> Iterator[str]:
    patterns: NDArray[np.uint8] = fields["patterns"]
    if len(set(row_keys(np.ascontiguousarray(patterns)))) < len(patterns):
        yield "a pattern is listed twice"
    if not np.array_equal(pack(unpack(patterns, fields["network"].n_units)), patterns):
        yield "patterns have bits beyond the last unit"
    if (fields["undecided"] < 0).any():
        yield "there are negative numbers of undecided rows"
    if fields["status"] == "COMPLETE" and (fields["stopped_by"] or fields["undecided"].any()):
        yield "it is COMPLETE, though something ended the search or rows stayed undecided"


def _facets(fields: dict[str, Any]) -> Iterator[str]:
    first, second, units = (fields[name] for name in ("first", "second", "flat_units"))
    n_met, network = len(fields["patterns"]), fields["network"]
    inside = (first >= 0) & (first < fields["n_cells"]) & (first < second) & (second < n_met)
    if not (inside.all() and (units >= 0).all() and (units < network.n_units).all()):
        yield "facets name cells or units that are not there"
        return
    if not network.cutting[units].all():
        yield "facets are those of linear units"
    if (np.diff(first) < 0).any() or ((np.diff(first) == 0) & (np.diff(second) < 0)).any():
        yield "facets are not in order"
    byte, bit = units // 8, (units % 8).astype(np.uint8)
    differ = fields["patterns"][first, byte] ^ fields["patterns"][second, byte]
    if not (differ >> bit & 1).all():
        yield "a facet lies between cells that are on one side of its unit"
    yield from _hops(fields)


def _hops(fields: dict[str, Any]) -> Iterator[str]:
    """Tell of hops that are not one more than the least across a facet; a cell without a way has -1."""
    first, second, hops = fields["first"], fields["second"], fields["hops"]
    known = np.where(hops < 0, _NO_WAY, hops)
    nearest = np.full(len(hops), _NO_WAY)
    np.minimum.at(nearest, second, known[first])
    entered = second < fields["n_cells"]  # only over these a way goes on
    np.minimum.at(nearest, first[entered], known[second[entered]])
    expected = np.where(nearest == _NO_WAY, -1, nearest + 1)
    if hops[0] != 0 or not np.array_equal(hops[1:], expected[1:]):
        yield "hops are not those over the facets"
