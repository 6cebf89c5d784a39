"""`CellCount`: what counting returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from regions.complexes import Arithmetic, Certificate, Completeness
from regions.showing import Shown

__all__ = ["CellCount"]


@dataclass(frozen=True)
class CellCount(Shown):
    """Number of cells of a network on a domain.

    Attributes
    ----------
    n_cells : int, exact if `status` is COMPLETE, otherwise how many were found
    status : Completeness
    dimension : int
    engine, engine_reason, arithmetic : str
    seconds : float, wall time, without compilation
    volume_sum : float or None; None too where the domain's volume is beyond the range of floats
        Sum of the cells' volumes in input units, where it was computed.
    certificate : Certificate, how the signs were decided, and what that proves

    Examples
    --------
    >>> found = Certificate("certified", True, 12, 0, 0)
    >>> CellCount(7, Completeness.COMPLETE, 2, "planar", "d = 2", "certified", 0.001, 4.0, found)
    <CellCount: 7 cells in 2-D, COMPLETE, engine planar, certified arithmetic, 0.001 s>
    """

    n_cells: int
    status: Completeness
    dimension: int
    engine: str
    engine_reason: str
    arithmetic: Arithmetic
    seconds: float
    volume_sum: float | None
    certificate: Certificate

    def __int__(self) -> int:
        return self.n_cells

    def __index__(self) -> int:
        return self.n_cells

    @property
    def cells(self) -> int:
        """The name that `n_cells` had in version 0.1; it goes in 0.3."""
        return self.n_cells

    def _headline(self) -> str:
        least = "" if self.status is Completeness.COMPLETE else "at least "
        return (
            f"{least}{self.n_cells:,} cells in {self.dimension}-D, {self.status.value}, "
            f"engine {self.engine}, {self.arithmetic} arithmetic, {self.seconds:.3g} s"
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "cells": f"{self.n_cells:,} ({self.status.value})",
            "dimension": self.dimension,
            "volume": "not summed" if self.volume_sum is None else f"{self.volume_sum:.9g} in all",
            "proven": self.certificate.statement,
            "engine": f"{self.engine}, {self.arithmetic} arithmetic, {self.seconds:.3g} s",
            "why": self.engine_reason,
        }
