"""The facets of a complex as one table, a row for each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.domain.intrinsic import lock_arrays
from regions.showing import Shown, Tabular


@dataclass(frozen=True, eq=False)
class FacetTable(Shown, Tabular):
    """All facets, one row each, those between cells and those on the domain's sides.

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

    def __getstate__(self) -> dict[str, Any]:
        # without what is computed on demand
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # copied and pickled arrays come back writable
        vars(self).update(state)
        lock_arrays(tuple(state.values()))

    def __len__(self) -> int:
        return int(self.cell_a.shape[0])

    @cached_property
    def interior(self) -> NDArray[np.bool_]:
        """Whether a facet lies between two listed cells: (m,) bool."""
        return np.asarray(self.cell_b >= 0)

    def _columns(self) -> dict[str, Any]:
        stored = {field.name: getattr(self, field.name) for field in fields(self)}
        known = {name: part for name, part in stored.items() if part is not None}
        return {"facet": np.arange(len(self)), **known}

    def _headline(self) -> str:
        inner = int(self.interior.sum())
        sides, open_ones = int((self.side >= 0).sum()), int((self.cell_b == -2).sum())
        rest = f", {open_ones:,} whose neighbour is missing" if open_ones else ""
        return f"{len(self):,} facets, {inner:,} between cells, {sides:,} on the domain's sides{rest}"

    def _facts(self) -> dict[str, Any]:
        layers, counts = np.unique(self.layer[self.interior], return_counts=True)
        by_layer = (f"{n:,} of layer {k}" for k, n in zip(layers.tolist(), counts.tolist(), strict=True))
        return {"between cells": ", ".join(by_layer) or "none", **self._columns()}
