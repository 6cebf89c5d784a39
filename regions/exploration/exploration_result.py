"""What an exploration found: cells around a point, how they touch, and what was left at the rim."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from array import array
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from regions.complexes import Arithmetic, Completeness
from regions.domain import domain_from_dict
from regions.errors import InvalidInputError, RegionsError
from regions.exploration.local_search import Points, Progress, Search, check_limits
from regions.exploration.nearest import Geometry, with_row
from regions.exploration.search_frame import Frame
from regions.network.patterns import hex_names, row_keys, unit_place, unit_places, unpack
from regions.network.relu_network import Network

__all__ = ["CellDistances", "Exploration", "NearestFacet"]

FloatArray = NDArray[np.float64]
FILE_FORMAT = "regions.exploration 1"
_ARRAYS = ("patterns", "points", "hops", "undecided", "first", "second", "flat_units")


@dataclass(frozen=True, eq=False)
class CellDistances:
    """Distances of cells from the centre, in the order of the cells.

    Attributes
    ----------
    norm : 2.0 or inf
    values : (n,) float64, in input units, reached by a point of the cell up to 1e-6 relative
    lower : (n,) float64, bounds from below by weak duality in floating point, at most 1e-6 relative less
    """

    norm: float
    values: FloatArray
    lower: FloatArray


@dataclass(frozen=True)
class NearestFacet:
    """The facet of the centre's own cell that is nearest to the centre.

    Attributes
    ----------
    distance : float, Euclidean, in input units
    layer, unit : int, the unit whose zero set it lies on
    """

    distance: float
    layer: int
    unit: int


@dataclass(frozen=True, eq=False)
class Exploration:
    """Cells around a centre; numbered from 0, the centre's own, in the order in which they were entered.

    The facets of those `n_cells` are known. Cells met beyond their facets and not entered are the
    frontier: they have the numbers from `n_cells` on.

    Attributes
    ----------
    network : Network
    frame : Frame, the domain explored and the centre in its coordinates
    center : (n0,) float64
    status : Completeness; COMPLETE if no cell within the limits was left and no row undecided
    order : "hops" or "distance", of the numbers
    arithmetic : "certified" or "float"
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
    """

    network: Network
    frame: Frame
    center: FloatArray
    status: Completeness
    order: str
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
        """Activation patterns, (n, n_units) bool: of the cells entered, or of a slice of all cells met."""
        packed = self.patterns[slice(self.n_cells) if cells is None else cells]
        return unpack(packed, self.network.n_units)

    def distances(self, norm: float = 2, *, progress: Progress | None = None) -> CellDistances:
        """Distance of every cell entered from the centre, found when first asked for.

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
        if norm not in (2, np.inf):
            raise InvalidInputError(f"norm {norm!r}; choose 2 or inf")
        kept = self._distances.get(float(norm))
        if kept is None:
            geometry = Geometry(self.network, self.frame, float(norm))
            found = []
            for cell, states in enumerate(self.states()):
                found.append(geometry.nearest(geometry.rows(states), f"cell {cell}"))
                if progress is not None:
                    progress(cell + 1, (cell + 1) / self.n_cells)
            values, lower = (np.array(column) for column in list(zip(*found, strict=True))[1:])
            kept = self._distances[float(norm)] = CellDistances(float(norm), values, lower)
        return kept

    @cached_property
    def _distances(self) -> dict[float, CellDistances]:
        return {}

    @cached_property
    def nearest_facet(self) -> NearestFacet | None:
        """The facet of the centre's cell that is nearest to the centre; None if it has no interior facet.

        The distance from a hyperplane, in closed form, where its nearest point is in the domain; else to the
        nearest point of the facet.
        """
        geometry = Geometry(self.network, self.frame)
        rows = geometry.rows(self.states(slice(1))[0])
        best: NearestFacet | None = None
        is_facet = np.isin(rows.units, self.flat_units[(self.first == 0) | (self.second == 0)])
        for k in np.flatnonzero(is_facet)[np.argsort(rows.b[is_facet], kind="stable")]:
            clear = max(float(rows.b[k]), 0.0)
            if best is not None and clear >= best.distance:
                break
            if not self.frame.free and (rows.A @ (rows.b[k] * rows.A[k]) > rows.b + 1e-12).any():
                clear = geometry.nearest(with_row(rows, -rows.A[k], -float(rows.b[k])), "facet").distance
            if best is None or clear < best.distance:
                best = NearestFacet(clear, *unit_place(self.network.unit_offsets, int(rows.units[k])))
        return best

    @cached_property
    def graph(self) -> nx.Graph:
        """Cells entered, with `hops` and `pattern` in hex; facets between them, with `layer`, `unit`."""
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
        max_hops: int | None = None,
        radius: float | None = None,
        progress: Progress | None = None,
    ) -> Exploration:
        """Go on from the frontier, as if the limits had been these from the start.

        Parameters
        ----------
        max_cells : int, cells in all, those found included; None for no limit
        max_hops : int or None: as before
        radius : float or None: as before; a larger one only where the order is by distance
        progress : as in `explore`

        Raises
        ------
        InvalidInputError
            If a limit cannot be used, or is smaller than before, or changes the order of the search.
        """
        check_limits(max_cells, max_hops, radius)
        hops = self.max_hops if max_hops is None else max_hops
        reach = self.radius if radius is None else radius
        if (self.radius is None) != (reach is None) or (self.max_hops is None) != (hops is None):
            raise InvalidInputError(
                "resume keeps the kinds of limits of the exploration; explore anew instead"
            )
        if (reach or 0.0) < (self.radius or 0.0) or (hops or 0) < (self.max_hops or 0):
            raise InvalidInputError("resume takes limits that are no smaller than before")
        if (reach or 0.0) > self.frame.reach:
            raise InvalidInputError(
                f"radius={reach}, but directions are explored up to {self.frame.reach:g} only; explore anew"
            )
        if reach != self.radius and self.order == "hops":
            raise InvalidInputError("with max_hops the radius cannot grow: cells left out may be shortcuts")
        from regions.exploration.explorer import continued

        return continued(self, max_cells, hops, reach, progress)

    def statement(self) -> str:
        """What was found and what that means, in one or two sentences."""
        limits = [f"up to {self.max_hops} hops"] if self.max_hops is not None else []
        limits += [f"within distance {self.radius:g}"] if self.radius is not None else []
        rest = "the first met" if self.n_frontier else "all that can be reached"
        where = " ".join(limits) or rest
        left = f"{self.n_frontier:,} cells met beyond them are the frontier"
        text = f"{self.n_cells:,} cells around the center ({where}), {self.status.name}; {left}."
        if self.frame.free:
            text += (
                f" Facets farther than {self.frame.reach:.3g} from the center in some direction do not count."
            )
        if self.undecided.any():
            text += (
                f" {int(self.undecided.sum()):,} rows of {np.count_nonzero(self.undecided):,} cells stayed "
                "undecided: facets, and cells behind them, may be missing."
            )
        return text

    def table(self) -> str:
        """Cells by hops, as text; with distances where they were asked for."""
        known = self._distances.get(2.0) or self._distances.get(np.inf)
        hops = self.hops[: self.n_cells]
        lines = [f"{'hops':>6}{'cells':>10}" + (f"{'nearest':>12}{'farthest':>12}" if known else "")]
        for k in range(int(hops.max()) + 1):
            here = hops == k
            line = f"{k:>6}{int(here.sum()):>10,}"
            if known and here.any():
                line += f"{known.values[here].min():>12.5g}{known.values[here].max():>12.5g}"
            lines.append(line)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings: everything but the network's weights and the frame's basis."""
        nearest = self.nearest_facet
        return {
            "network": self.network.describe(),
            "domain": self.frame.domain.describe(),
            "status": self.status.name,
            "order": self.order,
            "arithmetic": self.arithmetic,
            "max_hops": self.max_hops,
            "radius": self.radius,
            "reach": self.frame.reach if self.frame.free else None,
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
                "2" if norm == 2.0 else "inf": {
                    "values": found.values.tolist(),
                    "lower": found.lower.tolist(),
                }
                for norm, found in self._distances.items()
            },
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything, network and frontier included, to one compressed file; distances are left out.

        Raises
        ------
        InvalidInputError
            If the file cannot be written.
        """
        header = {name: getattr(self, name) for name in _SCALARS}
        header |= {"format": FILE_FORMAT, "status": self.status.value, "domain": self.frame.domain.to_dict()}
        header |= {"free": self.frame.free, "reach": self.frame.reach if self.frame.free else None}
        header |= {"network_name": self.network.name, "relu": list(self.network.relu)}
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {"header": np.array(json.dumps(header)), "center": self.center, "at": self.frame.at}
        for k, (w, b) in enumerate(zip(self.network.weights, self.network.biases, strict=True)):
            arrays[f"W{k}"], arrays[f"b{k}"] = w, b
        try:
            # an open file, because given a path numpy appends ".npz" to names without it
            with Path(path).open("wb") as stream:
                np.savez_compressed(stream, **arrays)
        except OSError as error:
            raise InvalidInputError(f"cannot write the exploration to {str(path)!r}: {error}") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Exploration:
        """Read what `save` wrote.

        Raises
        ------
        InvalidInputError
            If the file is missing, damaged or not such a file.
        """
        broken = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile)
        try:
            with np.load(Path(path), allow_pickle=False) as file:
                stored = dict(file)
            header = json.loads(str(stored["header"]))
            if header["format"] != FILE_FORMAT:
                raise ValueError(f"its format is {header['format']!r}, expected {FILE_FORMAT!r}")
            n_layers = len(header["relu"])
            weights, biases = ([stored[f"{kind}{k}"] for k in range(n_layers)] for kind in "Wb")
            network = Network.from_arrays(weights, biases, header["relu"], name=header["network_name"])
            reach = header["reach"] if header["free"] else np.inf
            frame = Frame(domain_from_dict(header["domain"]), stored["at"], header["free"], reach)
            scalars = {name: header[name] for name in _SCALARS}
            arrays = {name: stored[name] for name in _ARRAYS}
            arrays["points"] = arrays["points"][: header["n_cells"]]  # earlier files kept the frontier's too
        except (*broken, RegionsError, zlib.error, NotImplementedError) as error:
            raise InvalidInputError(f"cannot read {str(path)!r} as an exploration: {error}") from error
        status = Completeness(header["status"])
        return cls(network=network, frame=frame, center=stored["center"], status=status, **scalars, **arrays)


_SCALARS = ("order", "arithmetic", "max_hops", "radius", "n_cells", "rows", "exact_rows", "seconds")


def packaged(search: Search, center: FloatArray, complete: bool, seconds: float) -> Exploration:
    """The outcome of a search: cells renumbered in the order in which they were entered."""
    entered = set(search.entered)
    order = [*search.entered, *(cell for cell in range(len(search.patterns)) if cell not in entered)]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    pairs, units = search.facets()
    pairs = place[pairs]
    pairs.sort(axis=1)
    sequence = np.lexsort((pairs[:, 1], pairs[:, 0]))
    hops = search.recounted_hops()
    clear = complete and not any(search.undecided)
    packed = np.frombuffer(b"".join(search.patterns), np.uint8).reshape(len(order), -1)
    return Exploration(
        network=search.network,
        frame=search.frame,
        center=center,
        status=Completeness.COMPLETE if clear else Completeness.TRUNCATED,
        order="distance" if search.by_distance else "hops",
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
    )


def reopened(found: Exploration, max_hops: int | None, radius: float | None) -> Search:
    """A search that stands where an exploration ended, with new limits."""
    parents = np.full(len(found.patterns), -1, np.int64)
    parents[found.second[::-1]] = found.first[::-1]  # the first of several stays
    return Search(
        found.network,
        found.frame,
        found.arithmetic == "certified",
        max_hops,
        np.inf if radius is None else float(radius),
        found.order == "distance",
        Geometry(found.network, found.frame),
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
