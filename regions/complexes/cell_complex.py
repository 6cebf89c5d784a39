"""The result of an enumeration: cells and facets as arrays, with what can be asked of them.

Finding the cells is left to `enumeration`, drawing to `plotting`, sums over facets to `analysis`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.complexes.cell import Cell
from regions.complexes.certificate import Arithmetic, Certificate, Completeness, Tolerances
from regions.complexes.complex_contents import content_problems
from regions.complexes.complex_files import read_complex, write_complex
from regions.complexes.complex_words import ComplexWords, problem_of, require_volumes
from regions.complexes.facet_table import FacetTable
from regions.complexes.geometry import CellGeometry, geometry_of
from regions.complexes.stored_complex import StoredComplex
from regions.complexes.unbounded_cells import INSIDE, unbounded_arrays, with_infinity
from regions.domain import Coordinates, Domain, check_coordinates
from regions.domain.intrinsic import lock_arrays
from regions.errors import InvalidInputError, check_choice
from regions.inputs import without_tensors
from regions.network import Network
from regions.network.patterns import hex_names, pack, row_keys, unpack
from regions.showing import Shown, Tabular, plotter
from regions.showing.svg_pictures import MOST_POLYGONS, cells_svg, lines_svg

__all__ = ["CellComplex"]


@dataclass(frozen=True, eq=False)
class CellComplex(Shown, Tabular):
    """The cells of a network on a domain, and the facets between them.

    `complex[i]` is the `Cell` of that number, and a loop over a complex goes over its cells. One without
    cells, which only a search has that was ended before its first, is false, as an empty list is.

    Attributes
    ----------
    network, domain : what was enumerated
    patterns : (n, ceil(n_units / 8)) uint8, packed little bit first in flat unit order
    volumes : (n,) float64, d-volumes in input units
    centroids, witnesses : (n, d) float64, intrinsic coordinates; a witness lies inside its cell
    n_vertices, n_facets : (n,) int32
    facets : FacetTable
    status : Completeness
    engine, engine_reason : str, which engine listed the cells, and why that one
    arithmetic : "certified" or "float"
    tolerances : Tolerances
    certificate : Certificate
    seconds : float, wall time of the enumeration
    rings : engine "planar" only: (K, 2) vertices of all cells, counterclockwise, cell after cell
    volume_kind : "vertices", from each cell's vertices; "sampled", by Monte Carlo; or "none"
        Where not "vertices" (engine "lp" in many dimensions), volumes of facets and what is not sampled
        are nan, numbers of vertices 0, centroids the witnesses.
    volume_errors : (n,) float64, standard errors of sampled volumes, else None
    clipped : CellComplex or None, of an unbounded domain only: the same cells, clipped to a box
        The box shows all cells and facets, and holds the bounded ones. What is unbounded has the volume inf
        and no centroid (nan); facets on the box are not listed; shapes are those of `clipped`.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> cells = enumerate_cells(absolute, Box([-1.0], [2.0]))
    >>> cells.n_cells, cells.status.value, sorted(cells.volumes.tolist())
    (2, 'COMPLETE', [1.0, 2.0])
    """

    network: Network
    domain: Domain
    patterns: NDArray[np.uint8]
    volumes: NDArray[np.float64]
    centroids: NDArray[np.float64]
    witnesses: NDArray[np.float64]
    n_vertices: NDArray[np.int32]
    n_facets: NDArray[np.int32]
    facets: FacetTable
    status: Completeness
    engine: str
    engine_reason: str
    arithmetic: Arithmetic
    tolerances: Tolerances
    certificate: Certificate
    seconds: float
    rings: NDArray[np.float64] | None = None
    volume_kind: str = "vertices"
    volume_errors: NDArray[np.float64] | None = None
    clipped: CellComplex | None = None

    def __post_init__(self) -> None:
        for part in (self, self.facets):
            lock_arrays(tuple(vars(part).values()))

    def __getstate__(self) -> dict[str, Any]:
        # what is computed on demand is left behind: a copy computes it again
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # copied and pickled arrays come back writable
        vars(self).update(state)
        self.__post_init__()

    def __len__(self) -> int:
        return self.n_cells

    def __iter__(self) -> Iterator[Cell]:
        return (Cell(self, i) for i in range(self.n_cells))

    @overload
    def __getitem__(self, i: int) -> Cell: ...
    @overload
    def __getitem__(self, i: slice) -> tuple[Cell, ...]: ...

    def __getitem__(self, i: int | slice) -> Cell | tuple[Cell, ...]:
        if isinstance(i, slice):
            return tuple(Cell(self, k) for k in range(self.n_cells)[i])
        whole = isinstance(i, int | np.integer) and not isinstance(i, bool)
        return Cell(self, self._index(i + self.n_cells if whole and -self.n_cells <= i < 0 else i))

    @property
    def n_cells(self) -> int:
        """Number of cells listed."""
        return int(self.patterns.shape[0])

    @property
    def dimension(self) -> int:
        """Intrinsic dimension d of the domain."""
        return self.domain.dimension

    @property
    def bounded(self) -> NDArray[np.bool_]:
        """Whether each cell is bounded: (n,) bool; all are where the domain is."""
        if self.clipped is None:
            return np.ones(self.n_cells, np.bool_)
        return np.isfinite(self.volumes)

    def rays(self, i: int) -> NDArray[np.float64]:
        """Return the directions that span the ways out of cell i, (k, d) float64 of length 1, rounded.

        The cell holds x + s r for each of its points x, each s >= 0 and each of these r, and no other
        direction but their sums with factors >= 0. None of a bounded cell; both directions of a line.
        """
        i = self._index(i)
        if self.clipped is None:
            return np.zeros((0, self.dimension))
        from regions.rational import ExactNetwork, cell_cone  # slow to import, and rarely needed

        cone = cell_cone(ExactNetwork(self.network, self.domain), self.pattern(i))
        backwards = [[-x for x in line] for line in cone.lines]
        rays = [[x / max(map(abs, ray)) for x in ray] for ray in (*cone.rays, *cone.lines, *backwards)]
        directions = np.array(rays).reshape(-1, self.dimension)
        return directions / np.linalg.norm(directions, axis=1, keepdims=True)

    @property
    def volume_sum(self) -> float:
        """Sum of the cells' volumes; nan where they are not known."""
        return float(self.volumes.sum())

    def require_volumes(self, what: str) -> None:
        """Raise InvalidInputError unless the volumes of cells and facets are known from vertices."""
        require_volumes(self, what)

    def _index(self, i: int) -> int:
        whole = isinstance(i, int | np.integer) and not isinstance(i, bool)
        if not (whole and 0 <= i < self.n_cells):
            raise InvalidInputError(f"cell {i!r} of {self.n_cells}; give a whole number, cells start at 0")
        return int(i)

    def pattern(self, i: int) -> NDArray[np.bool_]:
        """Return the activation pattern of cell i, (n_units,) bool in flat unit order."""
        return unpack(self.patterns[self._index(i)], self.network.n_units)

    def unpacked_patterns(self) -> NDArray[np.bool_]:
        """Return the activation patterns of all cells, (n, n_units) bool."""
        return unpack(self.patterns, self.network.n_units)

    def pattern_hex(self, i: int) -> str:
        """Return the packed pattern of cell i as hexadecimal digits, a name that is unique in the complex."""
        return hex_names(self.patterns[self._index(i)][None])[0]

    def affine_map(
        self, i: int, coordinates: Coordinates = "input"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the network's affine map on cell i.

        Parameters
        ----------
        i : cell number
        coordinates : "input" or "intrinsic"

        Returns
        -------
        A : (out, n0) or (out, d) float64
        c : (out,) float64
        """
        check_coordinates(coordinates)
        a, c = self.network.affine_map(self.pattern(i))
        return (a, c) if coordinates == "input" else (a @ self.domain.basis, a @ self.domain.origin + c)

    @cached_property
    def _ring_offsets(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.n_vertices)]).astype(np.int64)

    @cached_property
    def _geometry(self) -> CellGeometry:
        return geometry_of(self)

    def _shapes(self, what: str) -> CellComplex:
        """Return the complex itself; raise InvalidInputError where cells are unbounded."""
        if self.clipped is not None:
            raise InvalidInputError(
                f"{what} of unbounded cells are those of complex.clipped, in the box that clips them"
            )
        return self

    def polygons(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return all cells of a 2-D complex as polygons.

        Returns
        -------
        points : (K, 2) float64, intrinsic, counterclockwise within a cell
        offsets : (n + 1,) int64, cell i is `points[offsets[i]:offsets[i + 1]]`
        """
        self._shapes("polygons")
        if self.dimension != 2:
            raise InvalidInputError(f"polygons are for d = 2, this complex has d = {self.dimension}")
        return self._sorted_rings if self.rings is None else self.rings, self._ring_offsets

    @cached_property
    def _sorted_rings(self) -> NDArray[np.float64]:
        rings = [np.zeros((0, 2))]
        for i in range(self.n_cells):
            points = self._geometry.vertices(self.patterns[i])
            from_middle = points - points.mean(axis=0)
            rings.append(points[np.argsort(np.arctan2(from_middle[:, 1], from_middle[:, 0]))])
        return np.concatenate(rings)

    def vertices(self, i: int) -> NDArray[np.float64]:
        """Return the vertices of cell i, (nv, d) intrinsic; in ring order for d = 2.

        For d > 2 they are not stored, and the engine finds the cell again; an unbounded cell may have none.
        """
        i = self._index(i)
        if self.clipped is not None:
            points = self.clipped.vertices(i)
            return points[np.abs(points).max(axis=1) <= INSIDE * self.clipped.domain.extent().max()]
        if self.dimension == 2:
            return self.polygons()[0][self._ring_offsets[i] : self._ring_offsets[i + 1]]
        return self._geometry.vertices(self.patterns[i])

    @cached_property
    def _cell_of_pattern(self) -> dict[bytes, int]:
        return {key: i for i, key in enumerate(row_keys(self.patterns))}

    def locate(self, t: ArrayLike) -> Any:
        """Find the cells that hold intrinsic points: int of one point (d,), (N,) int64 of points (N, d).

        A point's cell is found by its activation pattern in floating point; -1 outside the domain, and where
        none is listed.
        """
        points = np.asarray(without_tensors(t), dtype=np.float64)
        if points.ndim < 2:
            return int(self.locate(points.reshape(1, -1))[0])
        if points.ndim != 2 or points.shape[1] != self.dimension:
            raise InvalidInputError(
                f"points have shape {points.shape}; give (N, {self.dimension}) in the domain's coordinates, "
                f"or ({self.dimension},) for one; domain.to_intrinsic turns inputs into them"
            )
        active = self.network.activation_pattern(self.domain.to_input(points))
        found = [self._cell_of_pattern.get(key, -1) for key in row_keys(pack(np.atleast_2d(active)))]
        inside = np.atleast_1d(self.domain.contains(points))
        return np.where(inside, np.array(found, dtype=np.int64), -1)

    @cached_property
    def _facets_by_cell(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the facet table, cell after cell, and where those of each cell begin."""
        a, b = self.facets.cell_a, self.facets.cell_b
        inner = np.flatnonzero(b >= 0)
        owners = np.concatenate([a, b[inner]])
        rows = np.concatenate([np.arange(len(a)), inner])
        order = np.lexsort((rows, owners))
        starts = np.searchsorted(owners[order], np.arange(self.n_cells + 1))
        return rows[order].astype(np.int64), starts.astype(np.int64)

    def facets_of(self, i: int) -> NDArray[np.int64]:
        """Return the rows of the facet table that are facets of cell i, rising."""
        i = self._index(i)
        rows, starts = self._facets_by_cell
        return rows[starts[i] : starts[i + 1]]

    def facet_simplices(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Cut every interior facet into simplices of dimension d - 1.

        Returns
        -------
        simplices : (K, d, d) float64, d vertices with d intrinsic coordinates each
        facet : (K,) int64, row of the facet table; the facet itself for d <= 2
        """
        self._shapes("simplices of facets")
        return self.some_facet_simplices(np.flatnonzero(self.facets.interior))

    def some_facet_simplices(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Cut the facets of some rows of the table into simplices, as `facet_simplices` does.

        Facets on the domain's boundary may be among them where d > 1.
        """
        a, place = self.facets.cell_a[rows], self.facets.place[rows]
        if self.rings is not None:
            start = self._ring_offsets[a]
            end = (place + 1) % self.n_vertices[a]
            return np.stack([self.rings[start + place], self.rings[start + end]], axis=1), rows
        if self.dimension == 1:
            b = self.facets.cell_b[rows]
            towards = np.sign(self.centroids[b, 0] - self.centroids[a, 0])
            points = self.centroids[a, 0] + 0.5 * towards * self.volumes[a]
            return points[:, None, None], rows
        return self._geometry.facet_simplices(self.patterns, rows, a, place)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything, network and domain included, to one compressed file.

        Raises
        ------
        InvalidInputError
            If the file cannot be written.
        """
        if self.clipped is None:
            write_complex(self, path)
        else:
            words = {"unbounded": self.domain.to_dict()}
            write_complex(self.clipped, path, words, unbounded_arrays(self))

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> StoredComplex:
        """Open a listing in a folder, by `enumerate_cells(..., output=FOLDER)`, without reading its cells.

        Raises
        ------
        InvalidInputError
            If the folder holds no finished listing.
        """
        return StoredComplex.open(folder)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CellComplex:
        """Read what `save` wrote, or all of a listing in a folder.

        Raises
        ------
        InvalidInputError
            If the file is missing, damaged, changed since it was saved or not such a file, or if its numbers
            cannot be those of a complex.

        Notes
        -----
        The file's digest is compared, and what can be read off the arrays is checked: see
        `complex_contents`. Whether the cells are those of the network, `verify` proves.
        """
        if Path(path).is_dir():
            return cls.open(path).load()
        attributes, unbounded = read_complex(path)
        cells = cls(**attributes)
        for problem in content_problems(cells):
            raise InvalidInputError(
                f"{str(path)!r} holds no sound cell complex: {problem}; enumerate again, or take another copy"
            )
        return cells if unbounded is None else with_infinity(cells, *unbounded)

    def plot(
        self,
        kind: Literal["cells", "graph", "interactive"] = "cells",
        *,
        path: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Any:
        """Draw the cells, their graph, or a figure to zoom and turn, and write it if there is a path.

        Parameters
        ----------
        kind : "cells", as `plotting.plot_cells` draws them, of one and two dimensions; "graph", as
            `plot_graph` does; "interactive", as `interactive_figure` does
        path : file to write, optional; its suffix names the format (png, pdf, svg; html of interactive ones)
        options : those of the function that draws, such as color="volume", points=..., ax=...

        Returns
        -------
        matplotlib Axes, or a plotly Figure
        """
        names = {"cells": "plot_cells", "graph": "plot_graph", "interactive": "interactive_figure"}
        check_choice("kind", kind, names)
        drawn = plotter(names[kind])(self, **options)
        if path is not None:
            plotter("save_interactive" if kind == "interactive" else "save_figure")(drawn, path)
        return drawn

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and strings, ready for JSON: the whole, without its cells one by one.

        Those are in `to_arrow`, `to_pandas` and `to_polars`, in `save`, and in `to_dict` of each cell.
        """
        return self._words.numbers()

    @property
    def _words(self) -> ComplexWords:
        inner = int(self.facets.interior.sum())
        unbounded = self.n_cells - int(np.count_nonzero(self.bounded))
        return ComplexWords(self, len(self.facets), inner, unbounded)

    def _columns(self) -> dict[str, Any]:
        columns = {
            "cell": np.arange(self.n_cells),
            "pattern": hex_names(self.patterns),
            "volume": self.volumes,
            "n_vertices": self.n_vertices,
            "n_facets": self.n_facets,
            "bounded": self.bounded,
            "centroid": self.centroids,
            "witness": self.witnesses,
        }
        return columns if self.volume_errors is None else columns | {"volume_error": self.volume_errors}

    def _headline(self) -> str:
        return self._words.headline()

    def _notes(self) -> dict[str, Any]:
        return problem_of(self)

    def _facts(self) -> dict[str, Any]:
        return self._words.facts()

    def _picture(self) -> str:
        if self.dimension != 2 or self.clipped is not None or not self.n_cells:
            return ""
        if self.n_cells <= MOST_POLYGONS:
            return cells_svg(*self.polygons())
        if self.rings is None:
            return ""
        segments = self.facet_simplices()[0]
        return lines_svg(segments, self.domain.vertices, "the longest facets")
