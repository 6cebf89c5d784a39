"""What an exploration found: cells around a point, how they touch, and what was left at the rim.

An exploration goes on by itself (`resume`); `explore` starts one, `exploration_files` stores one.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from regions.complexes import Arithmetic, Completeness, StoppedBy, check_arithmetic
from regions.enumeration.limits import Stop
from regions.errors import InvalidInputError
from regions.exploration.centered_cells import CenteredCells, with_row
from regions.exploration.exploration_files import read_exploration, write_exploration
from regions.exploration.local_search import ExplorationLimits, Points, Progress, Search, check_limits
from regions.exploration.recession import bounded_cells
from regions.exploration.search_frame import Frame
from regions.network.patterns import hex_names, row_keys, unit_place, unit_places, unpack
from regions.network.relu_network import Network
from regions.optimize import Norm
from regions.showing import Shown

__all__ = ["CellDistances", "Exploration", "NearestFacet", "SearchOrder"]

FloatArray = NDArray[np.float64]


class SearchOrder(StrEnum):
    """The order in which an exploration enters cells, and in which they are numbered."""

    HOPS = "hops"
    DISTANCE = "distance"


@dataclass(frozen=True, eq=False)
class CellDistances(Shown):
    """Distances of cells from the centre, in the order of the cells.

    Attributes
    ----------
    norm : float, 2.0 or inf
    values : (n,) float64, in input units; a point of the cell is as near, up to 1e-6 relative
    lower : (n,) float64, bounds from below by weak duality in floating point, at most 1e-6 relative less
    """

    norm: float
    values: FloatArray
    lower: FloatArray


@dataclass(frozen=True)
class NearestFacet(Shown):
    """Which facet of the centre's own cell is nearest to the centre, and how far it is.

    Attributes
    ----------
    distance : float, Euclidean, in input units
    layer, unit : int, the unit whose zero set it lies on
    """

    distance: float
    layer: int
    unit: int


@dataclass(frozen=True, eq=False)
class Exploration(Shown):
    """Cells around a centre; numbered from 0, the centre's own, in the order in which they were entered.

    The facets of those `n_cells` are known. Cells met beyond their facets and not entered are the
    frontier: they have the numbers from `n_cells` on.

    Attributes
    ----------
    network : Network
    frame : Frame, the domain explored and the centre in its coordinates
    center : (n0,) float64
    status : Completeness
        COMPLETE if no cell within the limits was left, no row is undecided, and nothing was cut off that is
        meant; else TRUNCATED, and `reasons` say why.
    order : SearchOrder, "hops" or "distance", of the numbers
    arithmetic : Arithmetic, "certified" or "float"
    max_hops, radius : the limits, None for none
    n_cells : int
    patterns : (n_met, ceil(n_units / 8)) uint8, packed as in `CellComplex`, frontier included
    points : (n_cells, d) float64, intrinsic, strictly inside; NaN where none is known
    hops : (n_met,) int64, facets to cross from the centre's cell, over cells entered
    undecided : (n_cells,) int64, rows of each cell that are neither proven facets nor proven not to be
    first, second : (n_facets,) int64, the two cells of each facet, first < n_cells
    flat_units : (n_facets,) int64, flat unit numbers
    rows, exact_rows : int, halfspaces decided, and those of them in rational arithmetic
    seconds : float
    stopped_by : "max_cells", "max_seconds" or "interrupt", what ended the search early; else ""
    """

    network: Network
    frame: Frame
    center: FloatArray
    status: Completeness
    order: SearchOrder
    arithmetic: Arithmetic
    max_hops: int | None
    radius: float | None
    n_cells: int
    patterns: NDArray[np.uint8]
    points: FloatArray
    hops: NDArray[np.int64]
    undecided: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    flat_units: NDArray[np.int64]
    rows: int
    exact_rows: int
    seconds: float
    stopped_by: StoppedBy = ""

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    @property
    def n_frontier(self) -> int:
        """Number of cells met and not entered."""
        return len(self.patterns) - self.n_cells

    @property
    def witnesses(self) -> FloatArray:
        """(n_cells, n0) float64: a point of each cell, in input coordinates, rounded."""
        return self.frame.domain.to_input(self.points)

    @property
    def layers(self) -> NDArray[np.int64]:
        """(n_facets,) ReLU layer of each facet's unit."""
        return unit_places(self.network.unit_offsets, self.flat_units)[0]

    @property
    def units(self) -> NDArray[np.int64]:
        """(n_facets,) unit of each facet, within its layer."""
        return unit_places(self.network.unit_offsets, self.flat_units)[1]

    def states(self, cells: slice | None = None) -> NDArray[np.bool_]:
        """Return the patterns, (n, n_units) bool, of the cells entered or of a slice of all cells met."""
        packed = self.patterns[slice(self.n_cells) if cells is None else cells]
        return unpack(packed, self.network.n_units)

    def distances(self, norm: float = 2, *, progress: Progress | None = None) -> CellDistances:
        """Return the distance of every cell entered from the centre, found when first asked for.

        Parameters
        ----------
        norm : 2 or inf
        progress : called with (cells, fraction)

        Notes
        -----
        Without a domain distances are to the cells themselves, not cut by the frame. On 784 inputs and
        96 units: a millisecond a cell in norm 2, a quarter of a second in norm inf. Halfspaces are rounded:
        of a cell thinner than rounding the value is that of the rounded one.

        Raises
        ------
        InvalidInputError
            If there is no such norm.
        SolverError
            If no solver gives an answer that passes the check.
        """
        measure = Norm.of(norm)
        kept = self._distances.get(measure)
        if kept is None:
            around = CenteredCells(self.network, self.frame, measure)
            values, lower = np.empty(self.n_cells), np.empty(self.n_cells)
            for cell, states in enumerate(self.states()):
                found = around.nearest(around.rows(states), f"cell {cell}")
                values[cell], lower[cell] = found.distance, found.lower
                if progress is not None:
                    progress(cell + 1, (cell + 1) / self.n_cells)
            kept = self._distances[measure] = CellDistances(measure.value, values, lower)
        return kept

    @cached_property
    def _distances(self) -> dict[Norm, CellDistances]:
        return {}

    @cached_property
    def bounded(self) -> NDArray[np.bool_]:
        """(n_cells,) bool: which cells entered are bounded, as sets of inputs; proven, when asked for.

        Without a domain none is where the first layer sees fewer directions than there are inputs.
        """
        return bounded_cells(self.network, self.frame, self.states())

    @cached_property
    def nearest_facet(self) -> NearestFacet | None:
        """The facet of the centre's cell that is nearest to the centre; None if it has no interior facet.

        The distance is that from the hyperplane, in closed form, where its nearest point is in the cell, and
        else that from the nearest point of the facet.
        """
        around = CenteredCells(self.network, self.frame)
        rows = around.rows(self.states(slice(1))[0])
        best: NearestFacet | None = None
        units = self._units_of_rows()
        is_facet = np.isin(rows.units, list(units))
        for k in np.flatnonzero(is_facet)[np.argsort(rows.b[is_facet], kind="stable")]:
            distance = max(float(rows.b[k]), 0.0)
            if best is not None and distance >= best.distance:
                break
            if not self.frame.free and (rows.A @ (rows.b[k] * rows.A[k]) > rows.b + 1e-12).any():
                distance = around.nearest(with_row(rows, -rows.A[k], -float(rows.b[k])), "facet").distance
            if best is None or distance < best.distance:
                unit = units[int(rows.units[k])]
                best = NearestFacet(distance, *unit_place(self.network.unit_offsets, unit))
        return best

    def _units_of_rows(self) -> dict[int, int]:
        """Return the units of the facets of the centre's cell, by the units of its rows."""
        own = np.flatnonzero((self.first == 0) | (self.second == 0))
        units, table = self.flat_units[own].tolist(), self.network.max_units
        if table is None:
            return dict(zip(units, units, strict=True))
        here, others = self.states(slice(1))[0], (self.first + self.second)[own].tolist()
        beyond = (self.states(slice(cell, cell + 1))[0] for cell in others)
        rows = [table.rival_at(unit, here, states) for unit, states in zip(units, beyond, strict=True)]
        return dict(zip(rows, units, strict=True))

    @cached_property
    def graph(self) -> nx.Graph:
        """The cells entered, with `hops` and `pattern` in hex; facets between them, with `layer`, `unit`."""
        graph = nx.Graph(status=self.status.name, network=self.network.describe(), n_frontier=self.n_frontier)
        names = hex_names(self.patterns[: self.n_cells])
        for cell, (hops, name) in enumerate(zip(self.hops.tolist(), names, strict=False)):
            graph.add_node(cell, hops=hops, pattern=name)
        inner = self.second < self.n_cells
        columns = (self.first, self.second, self.layers, self.units)
        for a, b, layer, unit in zip(*(column[inner].tolist() for column in columns), strict=True):
            graph.add_edge(a, b, layer=layer, unit=unit)
        return graph

    def resume(
        self,
        *,
        max_cells: int | None = None,
        max_seconds: float | None = None,
        max_hops: int | None = None,
        radius: float | None = None,
        progress: Progress | None = None,
    ) -> Exploration:
        """Go on from the frontier, as if the limits had been these from the start.

        Parameters
        ----------
        max_cells : int, cells in all, those found included; None for no limit
        max_seconds : float, from now on; None for no limit
        max_hops : int or None: as before
        radius : float or None: as before; a larger one only where the order is by distance
        progress : as in `explore`

        Raises
        ------
        InvalidInputError
            If a limit cannot be used, or is smaller than before, or changes the order of the search.
        """
        limits: ExplorationLimits = {"max_cells": max_cells, "max_seconds": max_seconds}
        check_limits("resume", {**limits, "max_hops": max_hops, "radius": radius})
        hops = self.max_hops if max_hops is None else max_hops
        farthest = self.radius if radius is None else radius
        self._check_growth(hops, farthest)
        with Stop(max_seconds) as stop:
            search = _reopened(self, hops, farthest)
            search.run(max_cells, progress, stop)
            found = packaged(search, self.center, self.seconds + stop.seconds)
            stop.deliver(found.stopped_by)
        return found

    def _check_growth(self, hops: int | None, radius: float | None) -> None:
        """Raise InvalidInputError unless new limits are of the kinds of the old ones, and no smaller."""
        if (self.radius is None) != (radius is None) or (self.max_hops is None) != (hops is None):
            raise InvalidInputError(
                "resume keeps the kinds of limits of the exploration; explore anew instead"
            )
        if (radius or 0.0) < (self.radius or 0.0) or (hops or 0) < (self.max_hops or 0):
            raise InvalidInputError("resume takes limits that are no smaller than before")
        if self.frame.beyond and (radius or 0.0) > self.frame.half_width:
            raise InvalidInputError(
                f"radius={radius}, but directions are explored up to {self.frame.half_width:g} only; "
                "explore anew"
            )
        if radius != self.radius and self.order is SearchOrder.HOPS:
            raise InvalidInputError("with max_hops the radius cannot grow: cells left out may be shortcuts")

    def statement(self) -> str:
        """Say what was found and what that means, in one or two sentences."""
        limits = [f"up to {self.max_hops} hops"] if self.max_hops is not None else []
        limits += [f"within distance {self.radius:g}"] if self.radius is not None else []
        rest = "the first met" if self.n_frontier else "all that can be reached"
        where = " ".join(limits) or rest
        left = f"{self.n_frontier:,} cells met beyond them are the frontier"
        text = f"{self.n_cells:,} cells around the center ({where}), {self.status.name}; {left}."
        if self.reasons:
            text += f" TRUNCATED: {', and '.join(self.reasons)}."
        if self.frame.beyond:
            far = f"farther than {self.frame.half_width:.3g} from the center in some direction"
            text += f" Facets {far} do not count."
        return text

    @property
    def reasons(self) -> list[str]:
        """Why the result is TRUNCATED, in words; empty if it is COMPLETE."""
        found = []
        if self.stopped_by:
            what = "Ctrl-C" if self.stopped_by == "interrupt" else self.stopped_by
            found.append(f"{what} ended the search")
        if _leaves_the_frame(self.frame, self.order):
            width = f"{self.frame.half_width:.3g}"
            found.append(
                f"only the box of {width} to either side of the center was searched, as there are so many "
                "rivals in max units: give a radius, a Box, or the WholeSpace, where a cell takes minutes"
            )
        if self.undecided.any():
            found.append(
                f"{int(self.undecided.sum()):,} rows of {np.count_nonzero(self.undecided):,} cells stayed "
                "undecided: facets, and cells behind them, may be missing"
            )
        return found

    def table(self) -> str:
        """Return the numbers of cells by hops as text, with distances where they were asked for."""
        known = self._distances.get(Norm.EUCLIDEAN) or self._distances.get(Norm.MAXIMUM)
        hops = self.hops[: self.n_cells]
        lines = [f"{'hops':>6}{'cells':>10}" + (f"{'nearest':>12}{'farthest':>12}" if known else "")]
        for k in range(int(hops.max(initial=-1)) + 1):
            here = hops == k
            line = f"{k:>6}{int(here.sum()):>10,}"
            if known and here.any():
                line += f"{known.values[here].min():>12.5g}{known.values[here].max():>12.5g}"
            lines.append(line)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, lists and strings: all but the network's weights and the frame's basis."""
        nearest = self.nearest_facet
        return {
            "network": self.network.describe(),
            "domain": self.frame.describe(),
            "status": self.status.name,
            "reasons": self.reasons,
            "stopped_by": self.stopped_by,
            "order": self.order.value,
            "arithmetic": self.arithmetic,
            "max_hops": self.max_hops,
            "radius": self.radius,
            "reach": self.frame.half_width if self.frame.beyond else None,
            "n_cells": self.n_cells,
            "n_frontier": self.n_frontier,
            "undecided_rows": int(self.undecided.sum()),
            "rows": self.rows,
            "exact_rows": self.exact_rows,
            "seconds": self.seconds,
            "hops": self.hops[: self.n_cells].tolist(),
            "patterns": hex_names(self.patterns[: self.n_cells]),
            "facets": np.stack([self.first, self.second, self.layers, self.units], axis=1).tolist(),
            "nearest_facet": None if nearest is None else vars(nearest),
            "distances": {
                norm.word: {
                    "values": found.values.tolist(),
                    "lower": found.lower.tolist(),
                }
                for norm, found in self._distances.items()
            },
        }

    def _headline(self) -> str:
        return (
            f"{self.n_cells:,} cells around a point in {len(self.center):,} inputs, "
            f"{self.n_frontier:,} at the rim, {self.status.value}"
        )

    def _notes(self) -> dict[str, Any]:
        return {"domain": self.frame.describe(), "facets": len(self.first), "reasons": self.reasons}

    def _facts(self) -> dict[str, Any]:
        return {
            "network": self.network.describe(),
            "domain": self.frame.describe(),
            "cells": f"{self.n_cells:,} entered ({self.status.value}), {self.n_frontier:,} met at the rim",
            "reasons": "\n".join(self.reasons) or "none",
            "facets": len(self.first),
            "order": f"{self.order.value}, {self.arithmetic} arithmetic",
            "seconds": self.seconds,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything, network and frontier included, to one compressed file; distances are left out.

        Raises
        ------
        InvalidInputError
            If the file cannot be written.
        """
        write_exploration(vars(self), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Exploration:
        """Read what `save` wrote.

        Raises
        ------
        InvalidInputError
            If the file is missing, damaged or not such a file.
        """
        fields = read_exploration(path)
        try:
            fields["order"] = SearchOrder(fields["order"])
            fields["status"] = Completeness(fields["status"])
        except ValueError as error:
            raise InvalidInputError(f"cannot read {str(path)!r} as an exploration: {error}") from error
        check_arithmetic(fields["arithmetic"])
        return cls(**fields)


def _leaves_the_frame(frame: Frame, order: SearchOrder) -> bool:
    """Tell whether cells within the limits may lie beyond the frame that was searched.

    A box that stands for the whole space holds the ball that a search by distance is limited to, and the
    way to each of its cells; a search by hops may have to leave it.
    """
    return frame.beyond and order is SearchOrder.HOPS


def packaged(search: Search, center: FloatArray, seconds: float) -> Exploration:
    """Make an exploration of a search: cells are renumbered in the order in which they were entered."""
    entered = set(search.entered)
    order = [*search.entered, *(cell for cell in range(len(search.patterns)) if cell not in entered)]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    pairs, units = search.facets()
    pairs = place[pairs]
    pairs.sort(axis=1)
    sequence = np.lexsort((pairs[:, 1], pairs[:, 0]))
    hops = search.recounted_hops()
    order_of_search = SearchOrder.DISTANCE if search.by_distance else SearchOrder.HOPS
    beyond = _leaves_the_frame(search.frame, order_of_search)
    clear = not (search.stopped_by or any(search.undecided) or beyond)
    packed = np.frombuffer(b"".join(search.patterns), np.uint8).reshape(len(order), -1)
    return Exploration(
        network=search.network,
        frame=search.frame,
        center=center,
        status=Completeness.COMPLETE if clear else Completeness.TRUNCATED,
        order=order_of_search,
        arithmetic="certified" if search.certified else "float",
        max_hops=search.max_hops,
        radius=None if search.radius == np.inf else search.radius,
        n_cells=len(search.entered),
        patterns=packed[order],
        points=search.points.all().copy(),
        hops=hops[order],
        undecided=np.array(search.undecided, np.int64),
        first=pairs[sequence, 0],
        second=pairs[sequence, 1],
        flat_units=units[sequence],
        rows=search.rows,
        exact_rows=search.exact,
        seconds=seconds,
        stopped_by=search.stopped_by,
    )


def _reopened(found: Exploration, max_hops: int | None, radius: float | None) -> Search:
    """Make a search that stands where an exploration ended, with new limits."""
    parents = np.full(len(found.patterns), -1, np.int64)
    parents[found.second[::-1]] = found.first[::-1]  # the first of several stays
    return Search(
        found.network,
        found.frame,
        found.arithmetic == "certified",
        max_hops,
        np.inf if radius is None else float(radius),
        found.order is SearchOrder.DISTANCE,
        CenteredCells(found.network, found.frame),
        patterns=row_keys(found.patterns),
        points=Points(found.points.copy()),
        parents=array("q", parents.tolist()),
        hops=array("q", found.hops.tolist()),
        entered=list(range(found.n_cells)),
        undecided=found.undecided.tolist(),
        edges=array("q", np.stack([found.first, found.second, found.flat_units], axis=1).ravel().tolist()),
        rows=found.rows,
        exact=found.exact_rows,
    )
