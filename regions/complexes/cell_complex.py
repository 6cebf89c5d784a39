"""The result of an enumeration: cells and facets as arrays, with what can be asked of them.

Finding the cells is left to `enumeration`, drawing to `plotting`, sums over facets to `locus`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.complexes.complex_arrays import CELL_ARRAYS, FACET_ARRAYS, check_arrays, read_entries
from regions.complexes.geometry import CellGeometry, geometry_of
from regions.domain import Domain, domain_from_dict
from regions.errors import InvalidInputError, RegionsError
from regions.network.relu_network import Network
from regions.reports import replacing

__all__ = ["CellComplex", "Certificate", "Completeness", "FacetTable", "Tolerances"]

FILE_FORMAT = "regions cell complex 2"


class Completeness(StrEnum):
    """Whether an enumeration ended by itself."""

    COMPLETE = "COMPLETE"
    TRUNCATED = "TRUNCATED"


@dataclass(frozen=True)
class Tolerances:
    """What float arithmetic took for zero, and what the checks of a result allow.

    Attributes
    ----------
    vertex_radius : float, in input units
        Position error assumed for every vertex; a unit's sign at a vertex reads as zero within the
        running error bound of its pre-activation plus this radius times the row's 1-norm.
    volume_sum : float
        Allowed relative difference between the cells' volumes and the domain's.
    facet_relative, facet_absolute : float
        Allowed difference of a facet's volume seen from its two sides: relative to the volume, and
        absolute as a fraction of the domain's diameter to the power d - 1.
    """

    vertex_radius: float
    volume_sum: float = 1e-9
    facet_relative: float = 1e-9
    facet_absolute: float = 1e-11


@dataclass(frozen=True)
class Certificate:
    """How the signs of an enumeration were decided, and what that proves.

    Attributes
    ----------
    arithmetic : "certified" or "float"
    complete : bool, whether the enumeration ended by itself
    decisions : int, signs of units at vertices that were decided
    exact_signs : int
        How many of them the error bounds left open: decided in rational arithmetic if certified,
        taken for zero in float arithmetic.
    exact_positions : int, vertices that were placed by rational arithmetic

    Examples
    --------
    >>> Certificate("certified", True, 100, 2, 0).proven
    True
    """

    arithmetic: str
    complete: bool
    decisions: int
    exact_signs: int
    exact_positions: int

    @property
    def proven(self) -> bool:
        """Whether the list of cells is a theorem about the stored weights."""
        return self.arithmetic == "certified" and self.complete

    @property
    def statement(self) -> str:
        """What is proven, in words."""
        if self.arithmetic != "certified":
            return (
                f"nothing is proven: floating point, {self.exact_signs} of {self.decisions} signs within "
                "their error bounds were taken for zero"
            )
        what = (
            "complete and disjoint" if self.complete else "disjoint, none of them empty; others are missing"
        )
        return f"cells {what} for the stored weights on this domain; volumes are floating point"


@dataclass(frozen=True, eq=False)
class FacetTable:
    """All facets, one row each: interior ones first come first listed among the domain's.

    Attributes
    ----------
    cell_a, cell_b : (m,) int64
        The two cells; `cell_a` is on the active side of the unit. `cell_b` is -1 on the domain's
        boundary and -2 where a TRUNCATED result lacks the neighbour.
    side : (m,) int32, the domain's side (row of its halfspaces), -1 for others
    layer, unit : (m,) int32, the ReLU layer and unit whose hyperplane it lies on, -1 on the boundary
    volume : (m,) float64, (d-1)-volume in input units
    jump : (m,) float64
        Frobenius norm of the difference of the two intrinsic Jacobians; 0.0 where the two affine
        maps agree, nan where there is no second cell.
    place : (m,) int32, the facet's position among the facets of `cell_a`
    witness : engine "lp" only: (m, d) float64, a point inside each facet; nan where no float was found
    """

    cell_a: NDArray[np.int64]
    cell_b: NDArray[np.int64]
    side: NDArray[np.int32]
    layer: NDArray[np.int32]
    unit: NDArray[np.int32]
    volume: NDArray[np.float64]
    jump: NDArray[np.float64]
    place: NDArray[np.int32]
    witness: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return int(self.cell_a.shape[0])

    @cached_property
    def interior(self) -> NDArray[np.bool_]:
        """Mask of the facets between two listed cells."""
        return np.asarray(self.cell_b >= 0)


@dataclass(frozen=True, eq=False)
class CellComplex:
    """The cells of a network on a domain, and the facets between them.

    Attributes
    ----------
    network, domain : what was enumerated
    patterns : (n, ceil(n_units / 8)) uint8, packed little bit first in flat unit order
    volumes : (n,) float64, d-volumes in input units
    centroids, witnesses : (n, d) float64, intrinsic coordinates; a witness lies inside its cell
    n_vertices, n_facets : (n,) int32
    facets : FacetTable
    status : Completeness
    engine, engine_reason, arithmetic : str
    tolerances : Tolerances
    certificate : Certificate
    seconds : float, wall time of the enumeration
    rings : engine "planar" only: (K, 2) vertices of all cells, counterclockwise, cell after cell
    volume_kind : "vertices", from each cell's vertices; "sampled", by Monte Carlo; or "none"
        Where not "vertices" (engine "lp" in many dimensions), volumes of facets and what is not sampled
        are nan, numbers of vertices 0, centroids the witnesses.
    volume_errors : (n,) float64, standard errors of sampled volumes, else None

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
    arithmetic: str
    tolerances: Tolerances
    certificate: Certificate
    seconds: float
    rings: NDArray[np.float64] | None = None
    volume_kind: str = "vertices"
    volume_errors: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for value in (*vars(self).values(), *vars(self.facets).values()):
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def __repr__(self) -> str:
        return (
            f"<CellComplex: {self.n_cells} cells in {self.dimension}-D, {len(self.facets)} facets, "
            f"{self.status.value}, engine {self.engine}, {self.arithmetic} arithmetic>"
        )

    @property
    def n_cells(self) -> int:
        """Number of cells listed."""
        return int(self.patterns.shape[0])

    @property
    def dimension(self) -> int:
        """Intrinsic dimension d of the domain."""
        return self.domain.dimension

    @property
    def volume_sum(self) -> float:
        """Sum of the cells' volumes; nan where they are not known."""
        return float(self.volumes.sum())

    def require_volumes(self, what: str) -> None:
        """Raise InvalidInputError unless the volumes of cells and facets are known from vertices."""
        if self.volume_kind != "vertices":
            raise InvalidInputError(
                f"{what} needs the volumes of cells and facets, and these cells (engine {self.engine!r}, "
                f"d = {self.dimension}) have none from vertices (volume_kind {self.volume_kind!r}): "
                "enumerate with engine='cells', or on a slice"
            )

    def _index(self, i: int) -> int:
        whole = isinstance(i, int | np.integer) and not isinstance(i, bool)
        if not (whole and 0 <= i < self.n_cells):
            raise InvalidInputError(f"cell {i!r} of {self.n_cells}; give a whole number, cells start at 0")
        return int(i)

    def pattern(self, i: int) -> NDArray[np.bool_]:
        """Activation pattern of cell i: (n_units,) bool, in flat unit order."""
        bits = np.unpackbits(self.patterns[self._index(i)], count=self.network.n_units, bitorder="little")
        return bits.astype(bool)

    def unpacked_patterns(self) -> NDArray[np.bool_]:
        """Activation patterns of all cells: (n, n_units) bool."""
        return np.unpackbits(self.patterns, axis=1, count=self.network.n_units, bitorder="little").astype(
            bool
        )

    def pattern_hex(self, i: int) -> str:
        """Packed pattern of cell i as hexadecimal digits, a name that is unique in the complex."""
        return self.patterns[self._index(i)].tobytes().hex()

    def affine_map(
        self, i: int, coordinates: str = "input"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The network's affine map on cell i.

        Parameters
        ----------
        i : cell number
        coordinates : "input" or "intrinsic"

        Returns
        -------
        A : (out, n0) or (out, d) float64
        c : (out,) float64
        """
        a, c = self.network.affine_map(self.pattern(i))
        if coordinates == "input":
            return a, c
        if coordinates == "intrinsic":
            return a @ self.domain.basis, a @ self.domain.origin + c
        raise InvalidInputError(f"coordinates {coordinates!r}; choose 'input' or 'intrinsic'")

    @cached_property
    def _ring_offsets(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.n_vertices)]).astype(np.int64)

    @cached_property
    def _geometry(self) -> CellGeometry:
        return geometry_of(self)

    def polygons(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """All cells of a 2-D complex as polygons.

        Returns
        -------
        points : (K, 2) float64, intrinsic, counterclockwise within a cell
        offsets : (n + 1,) int64, cell i is `points[offsets[i]:offsets[i + 1]]`
        """
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
        """Vertices of cell i, (nv, d) intrinsic; in ring order for d = 2. Replays the cell for d > 2."""
        i = self._index(i)
        if self.dimension == 2:
            return self.polygons()[0][self._ring_offsets[i] : self._ring_offsets[i + 1]]
        return self._geometry.vertices(self.patterns[i])

    @cached_property
    def _cell_of_pattern(self) -> dict[bytes, int]:
        width = self.patterns.shape[1]
        data = self.patterns.tobytes()
        return {data[i * width : (i + 1) * width]: i for i in range(self.n_cells)}

    def locate(self, t: ArrayLike) -> NDArray[np.int64]:
        """Cells that hold the given intrinsic points: (N,) int64, -1 where none is listed.

        A point's cell is found by its activation pattern in floating point; outside the domain -1.
        """
        points = np.atleast_2d(np.asarray(t, dtype=np.float64))
        if points.shape[1] != self.dimension:
            raise InvalidInputError(f"points have {points.shape[1]} coordinates, the domain {self.dimension}")
        active = self.network.activation_pattern(self.domain.to_input(points))
        packed = np.packbits(np.atleast_2d(active), axis=1, bitorder="little")
        found = [self._cell_of_pattern.get(row.tobytes(), -1) for row in packed]
        inside = np.atleast_1d(self.domain.contains(points))
        return np.where(inside, np.array(found, dtype=np.int64), -1)

    def facet_simplices(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Every interior facet cut into simplices of dimension d - 1.

        Returns
        -------
        simplices : (K, d, d) float64, d vertices with d intrinsic coordinates each
        facet : (K,) int64, row of the facet table; the facet itself for d <= 2
        """
        rows = np.flatnonzero(self.facets.interior)
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
        header = {
            "format": FILE_FORMAT,
            "status": self.status.value,
            "engine": self.engine,
            "engine_reason": self.engine_reason,
            "arithmetic": self.arithmetic,
            "tolerances": asdict(self.tolerances),
            "certificate": asdict(self.certificate),
            "seconds": self.seconds,
            "domain": self.domain.to_dict(),
            "network_name": self.network.name,
            "relu": [bool(flag) for flag in self.network.relu],
            "volume_kind": self.volume_kind,
        }
        arrays: dict[str, Any] = {"header": np.array(json.dumps(header))}
        for k, (w, b) in enumerate(zip(self.network.weights, self.network.biases, strict=True)):
            arrays[f"W{k}"], arrays[f"b{k}"] = w, b
        for name in CELL_ARRAYS:
            arrays[name] = getattr(self, name)
        for name in FACET_ARRAYS:
            arrays[f"facet_{name}"] = getattr(self.facets, name)
        if self.rings is not None:
            arrays["rings"] = self.rings
        if self.volume_errors is not None:
            arrays["volume_errors"] = self.volume_errors
        if self.facets.witness is not None:
            arrays["facet_witness"] = self.facets.witness
        # an open file, because given a path numpy appends ".npz" to names without it
        with replacing(path, "cells") as stream:
            np.savez_compressed(stream, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CellComplex:
        """Read what `save` wrote.

        Raises
        ------
        InvalidInputError
            If the file is missing, damaged or not such a file.
        """
        file = Path(path)
        if not file.is_file():
            raise InvalidInputError(
                f"no file {str(file)!r}; make one with `regions enumerate NET ... -o FILE`"
            )
        try:
            return _from_arrays(read_entries(file))
        except RegionsError as error:
            raise InvalidInputError(f"{str(file)!r} holds no cell complex: {error}") from error
        except Exception as error:  # what a damaged file makes numpy and zipfile raise is open-ended
            raise InvalidInputError(
                f"{str(file)!r} is no readable cell complex ({type(error).__name__}: {error}); "
                "it may be damaged or of another kind"
            ) from error


def _from_arrays(data: dict[str, NDArray[Any]]) -> CellComplex:
    header = json.loads(str(data["header"]))
    if header["format"] != FILE_FORMAT:
        raise InvalidInputError(f"file format {header['format']!r}; this version reads {FILE_FORMAT!r}")
    n_layers = len(header["relu"])
    network = Network.from_arrays(
        [data[f"W{k}"] for k in range(n_layers)],
        [data[f"b{k}"] for k in range(n_layers)],
        header["relu"],
        name=header["network_name"],
    )
    domain = domain_from_dict(header["domain"])
    cells = {name: data[name] for name in CELL_ARRAYS}
    facets = {name: data[f"facet_{name}"] for name in FACET_ARRAYS}
    rings = data["rings"] if header["engine"] == "planar" else None
    check_arrays(network, domain, cells, facets, rings)
    return CellComplex(
        network=network,
        domain=domain,
        **cells,
        facets=FacetTable(**facets, witness=data.get("facet_witness")),
        status=Completeness(header["status"]),
        engine=header["engine"],
        engine_reason=header["engine_reason"],
        arithmetic=header["arithmetic"],
        tolerances=Tolerances(**header["tolerances"]),
        certificate=Certificate(**header["certificate"]),
        seconds=float(header["seconds"]),
        rings=rings,
        volume_kind=str(header.get("volume_kind", "vertices")),
        volume_errors=data.get("volume_errors"),
    )
