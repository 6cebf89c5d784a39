"""One cell of a complex, by its number: what `complex[i]` gives.

It keeps no arrays of its own; all of it is read from the complex when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.complexes.geometry import halfspaces_of
from regions.inputs import without_tensors
from regions.showing import Shown, plain
from regions.showing.svg_pictures import outline_svg

if TYPE_CHECKING:
    from regions.complexes.cell_complex import CellComplex

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cell(Shown):
    """One cell of a complex.

    Attributes
    ----------
    complex : CellComplex
    index : int, its number there, from 0

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> cells = enumerate_cells(absolute, Box([-1.0], [2.0]))
    >>> right = cells[cells.locate([1.0])]
    >>> right.volume, right.pattern.tolist(), [part.tolist() for part in right.affine_map]
    (2.0, [True, False], [[[1.0]], [0.0]])
    >>> [cells[i].volume for i in right.neighbours]
    [1.0]
    """

    complex: CellComplex = field(repr=False)
    index: int

    def __index__(self) -> int:
        return self.index

    @property
    def pattern(self) -> NDArray[np.bool_]:
        """Its activation pattern, (n_units,) bool in flat unit order."""
        return self.complex.pattern(self.index)

    @property
    def pattern_hex(self) -> str:
        """Its packed pattern as hexadecimal digits, a name that is unique in the complex."""
        return self.complex.pattern_hex(self.index)

    @property
    def volume(self) -> float:
        """Its d-volume in input units; nan where it is not known, inf where the cell is unbounded."""
        return float(self.complex.volumes[self.index])

    @property
    def is_bounded(self) -> bool:
        """Whether it is bounded."""
        return bool(self.complex.bounded[self.index])

    @property
    def centroid(self) -> FloatArray:
        """Its centroid, (d,) intrinsic; nan of an unbounded cell."""
        return self.complex.centroids[self.index]

    @property
    def witness(self) -> FloatArray:
        """A point inside it, (d,) intrinsic."""
        return self.complex.witnesses[self.index]

    @property
    def vertices(self) -> FloatArray:
        """Its vertices, (nv, d) intrinsic, in ring order for d = 2."""
        return self.complex.vertices(self.index)

    @property
    def affine_map(self) -> tuple[FloatArray, FloatArray]:
        """The network's affine map on it, A (out, n0) and c (out,), in input coordinates."""
        return self.complex.affine_map(self.index)

    @property
    def halfspaces(self) -> Any:
        """Its halfspaces {t : A @ t <= b}, each with its unit or side: what `cell_halfspaces` returns."""
        return halfspaces_of(self.complex, self.index)

    @property
    def facets(self) -> NDArray[np.int64]:
        """Its rows in the facet table."""
        return self.complex.facets_of(self.index)

    @property
    def neighbours(self) -> tuple[int, ...]:
        """The numbers of the cells beyond its facets, each once, in rising order."""
        rows, table = self.facets, self.complex.facets
        beyond = np.where(table.cell_a[rows] == self.index, table.cell_b[rows], table.cell_a[rows])
        return tuple(np.unique(beyond[beyond >= 0]).tolist())

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return A @ x + c, the affine map at input points (N, n0) or (n0,), inside the cell or not."""
        A, c = self.affine_map
        return np.asarray(np.asarray(without_tensors(x), dtype=np.float64) @ A.T + c)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings and lists, ready for JSON, its map and neighbours among them."""
        A, c = self.affine_map
        return {
            "index": self.index,
            "pattern": self.pattern_hex,
            **{name: plain(getattr(self, name)) for name in ("volume", "centroid", "witness", "neighbours")},
            "n_vertices": int(self.complex.n_vertices[self.index]),
            "n_facets": int(self.complex.n_facets[self.index]),
            "affine_map": {"A": A.tolist(), "c": c.tolist()},
        }

    def _headline(self) -> str:
        return f"number {self.index} of {self.complex.n_cells:,}, {self.complex.dimension}-D"

    def _notes(self) -> dict[str, Any]:
        return self._facts()

    def _facts(self) -> dict[str, Any]:
        return {
            "pattern": self.pattern_hex,
            "volume": self.volume,
            "centroid": self.centroid,
            "vertices": int(self.complex.n_vertices[self.index]),
            "facets": int(self.complex.n_facets[self.index]),
            "neighbours": self.neighbours,
        }

    def _picture(self) -> str:
        flat = self.complex.dimension == 2 and self.is_bounded and self.complex.clipped is None
        return outline_svg(self.vertices) if flat else ""
