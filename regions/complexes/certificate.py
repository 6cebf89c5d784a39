"""What is known about a result: whether it is complete, how its signs were decided, what that proves.

The cells themselves are in `cell_complex`; checking them again is left to `analysis.verification`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, get_args

from regions.errors import check_choice
from regions.showing import Shown

Arithmetic = Literal["certified", "float"]
StoppedBy = Literal["", "max_cells", "max_seconds", "interrupt", "lost_workers"]


def check_arithmetic(arithmetic: str) -> None:
    """Raise InvalidInputError unless a string says how signs are decided."""
    check_choice("arithmetic", arithmetic, get_args(Arithmetic))


class Completeness(StrEnum):
    """Whether an enumeration ended by itself."""

    COMPLETE = "COMPLETE"
    TRUNCATED = "TRUNCATED"


@dataclass(frozen=True)
class Tolerances(Shown):
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
class Certificate(Shown):
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
    stopped_by : "max_cells", "max_seconds", "interrupt" or "lost_workers", what ended the enumeration early,
        or ""
    unchecked : str, which of the result's checks could not be made, and why; else ""

    Examples
    --------
    >>> Certificate("certified", True, 100, 2, 0).proven
    True
    >>> Certificate("certified", False, 100, 2, 0, "max_seconds").statement.split(";")[1]
    ' others are missing (stopped by max_seconds) for the stored weights on this domain'
    """

    arithmetic: Arithmetic
    complete: bool
    decisions: int
    exact_signs: int
    exact_positions: int
    stopped_by: StoppedBy = ""
    unchecked: str = ""

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
        if self.stopped_by:
            what += f" (stopped by {'Ctrl-C' if self.stopped_by == 'interrupt' else self.stopped_by})"
        rest = f"; {self.unchecked}" if self.unchecked else ""
        return f"cells {what} for the stored weights on this domain; volumes are floating point{rest}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and strings, ready for JSON, with what is proven in words."""
        return {"proven": self.proven, "statement": self.statement, **super().to_dict()}

    def _facts(self) -> dict[str, Any]:
        return {**super()._facts(), "proven": self.statement}

    def _notes(self) -> dict[str, Any]:
        return self._facts()
