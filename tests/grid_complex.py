"""A cell complex that can be written down: a box cut by lines parallel to its sides.

Everything in it follows from the positions of the lines, so tests of the graph and of the
pictures need no enumeration.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from regions.domain import Box
from regions.network.relu_network import Network


class Status(Enum):
    COMPLETE = "COMPLETE"
    TRUNCATED = "TRUNCATED"


class GridFacets:
    """Interior facets of the grid, in the layout of `FacetTable`."""

    def __init__(self, rows):
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        self.cell_a, self.cell_b, self.unit, self.volume, self.jump = columns
        self.layer = np.zeros(len(rows), dtype=np.int32)
        self.side = np.full(len(rows), -1, dtype=np.int32)
        self.interior = np.ones(len(rows), dtype=bool)


class GridComplex:
    """The box [0, 1]^2 cut at x = cuts[0] and y = cuts[1], with the documented fields.

    The network is sum_i relu(x - a_i) - relu(y - b_j), shifted by `shift`.
    """

    def __init__(self, x_cuts, y_cuts, shift=0.0, outputs=1):
        nx, ny = len(x_cuts), len(y_cuts)
        weights = np.array([[1.0, 0.0]] * nx + [[0.0, 1.0]] * ny)
        out = np.array([[1.0] * nx + [-1.0] * ny] + [[0.0] * (nx + ny)] * (outputs - 1))
        self.network = Network.from_arrays(
            [weights, out], [-np.array([*x_cuts, *y_cuts]), [shift] * outputs], name="grid"
        )
        self.domain = Box([0.0, 0.0], [1.0, 1.0])
        self.status, self.dimension, self.volume_kind = Status.COMPLETE, 2, "vertices"
        self.clipped = None
        xs, ys = [0.0, *x_cuts, 1.0], [0.0, *y_cuts, 1.0]
        self._corners = [
            [(xs[i], ys[j]), (xs[i + 1], ys[j]), (xs[i + 1], ys[j + 1]), (xs[i], ys[j + 1])]
            for i in range(nx + 1)
            for j in range(ny + 1)
        ]
        corners = np.array(self._corners)
        self.n_cells = len(corners)
        self.centroids = corners.mean(axis=1)
        self.volumes = np.ptp(corners[:, :, 0], axis=1) * np.ptp(corners[:, :, 1], axis=1)
        self.patterns = np.packbits(
            self.network.activation_pattern(self.centroids), axis=1, bitorder="little"
        )
        self.n_facets = np.full(self.n_cells, 4, dtype=np.int32)
        rows, self._segments = [], []
        for i in range(nx + 1):
            for j in range(ny + 1):
                here = i * (ny + 1) + j
                if i < nx:
                    rows.append((here + ny + 1, here, i, ys[j + 1] - ys[j], 1.0))
                    self._segments.append([(xs[i + 1], ys[j]), (xs[i + 1], ys[j + 1])])
                if j < ny:
                    rows.append((here + 1, here, nx + j, xs[i + 1] - xs[i], 1.0))
                    self._segments.append([(xs[i], ys[j + 1]), (xs[i + 1], ys[j + 1])])
        self.facets = GridFacets(rows)

    def require_volumes(self, what):
        """They are known."""

    def polygons(self):
        return np.array(self._corners).reshape(-1, 2), 4 * np.arange(self.n_cells + 1)

    def facet_simplices(self):
        return np.array(self._segments), np.arange(len(self._segments))

    def affine_map(self, i, coordinates="input"):
        bits = np.unpackbits(self.patterns[i], count=self.network.n_units, bitorder="little")
        return self.network.affine_map(bits.astype(bool))
