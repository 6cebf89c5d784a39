"""What is found about a property: the verdict, a counterexample, shares, and how they are written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import inf, nextafter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.violating_pieces import InscribedBall, ViolatingPiece
from regions.reports import save_json, write_text
from regions.showing import Shown

FloatArray = NDArray[np.float64]

FORMAT = "regions property report 1"


class Verdict(StrEnum):
    """Whether a property holds; UNKNOWN is what a search that was stopped says."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Counterexample(Shown):
    """A point of the domain whose outputs are unsafe.

    Attributes
    ----------
    case, disjunct : int, which set of inputs, and which of its sets of unsafe outputs
    point : n0 Fractions, the inputs
    outputs : Fractions, the outputs of the stored weights there, exact
    rounded : (n0,) float64, the nearest floats, inside the bounds of a box
    float64, float32 : bool, whether forward passes in these precisions give unsafe outputs at `rounded`
    """

    case: int
    disjunct: int
    point: tuple[Fraction, ...]
    outputs: tuple[Fraction, ...]
    rounded: FloatArray
    float64: bool
    float32: bool

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and strings, ready for JSON; fractions are text."""
        return {
            "case": self.case,
            "disjunct": self.disjunct,
            "point": [str(x) for x in self.point],
            "outputs": [float(y) for y in self.outputs],
            "rounded": self.rounded.tolist(),
            "unsafe_in_float64": self.float64,
            "unsafe_in_float32": self.float32,
        }


@dataclass(frozen=True)
class Share(Shown):
    """A part of a volume as an interval that contains it, for the stored weights.

    Attributes
    ----------
    low, high : Fraction, equal where the share is known exactly
    """

    low: Fraction
    high: Fraction

    @property
    def exact(self) -> bool:
        """Whether the share is known exactly."""
        return self.low == self.high

    def bounds(self) -> tuple[float, float]:
        """Return floats low <= high that contain the share.

        Examples
        --------
        >>> third = Share(Fraction(1, 3), Fraction(1, 3)).bounds()
        >>> third[0] < third[1], third[1] - third[0] < 1e-15
        (True, True)
        """
        low, high = float(self.low), float(self.high)
        low = nextafter(low, -inf) if Fraction(low) > self.low else low
        high = nextafter(high, inf) if Fraction(high) < self.high else high
        return low, high

    def __str__(self) -> str:
        low, high = self.bounds()
        return f"{float(self.low):.9g}" if self.exact else f"{low:.9g} to {high:.9g}"


@dataclass(frozen=True, eq=False)
class PropertyReport(Shown):
    """Whether a property holds, and what is known of the inputs that violate it.

    Attributes
    ----------
    verdict : Verdict
        HOLDS and VIOLATED are proven for the stored weights, in rational arithmetic or by rigorous bounds.
    counterexample : Counterexample, if one is known
    share : Share of the domains' volume that violates the property, if asked for
        Of several cases the volumes are added; what lies in two of their domains counts twice.
    by_disjunct : tuple over the cases of tuples of Share, one for each set of unsafe outputs
        Of the volume of the case's domain.
    ball : InscribedBall in the violating set, if pieces are known
        Its `radius` is a lower bound for the largest one and `upper` an upper bound. It may reach over
        several pieces where there are at most 512; of more, it is the largest inside a single piece.
    pieces : tuple of ViolatingPiece, without common interior: all, if the share is exact
    violating_cells : int, in how many cells a part of full dimension violates the property, as far as the
        share was asked for
    cells : int, cells that were looked at
    boxes : int, boxes that were bounded before
    seconds : float
    stopped_by : str, "" unless something ended the search early
    name : str, of the property
    """

    verdict: Verdict
    counterexample: Counterexample | None
    share: Share | None
    by_disjunct: tuple[tuple[Share, ...], ...]
    ball: InscribedBall | None
    pieces: tuple[ViolatingPiece, ...]
    cells: int
    boxes: int
    seconds: float
    stopped_by: str = ""
    name: str = ""
    violating_cells: int = 0

    @property
    def answer(self) -> str:
        """The verdict as the verification competition words it: sat, unsat or unknown."""
        words = {Verdict.HOLDS: "unsat", Verdict.VIOLATED: "sat", Verdict.UNKNOWN: "unknown"}
        return words[self.verdict]

    def witness(self) -> str:
        """Return the answer and the counterexample in the competition's format.

        Its numbers are the float64 inputs, and the outputs of the stored weights at the exact point.
        """
        if self.counterexample is None:
            return self.answer
        pairs = [(f"X_{k}", x) for k, x in enumerate(self.counterexample.rounded.tolist())]
        pairs += [(f"Y_{k}", float(y)) for k, y in enumerate(self.counterexample.outputs)]
        lines = [f"({name} {value!r})" for name, value in pairs]
        return f"{self.answer}\n(" + "\n".join(lines) + ")"

    def save_witness(self, path: str | os.PathLike[str]) -> None:
        """Write what `witness` returns; raises InvalidInputError if the file cannot be written."""
        write_text(self.witness() + "\n", path, "witness")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON, with the pieces: exact volumes as text, the rest as floats.

        Raises
        ------
        InvalidInputError
            If the file cannot be written.
        """
        listed = [piece.to_dict() for piece in self.pieces]
        save_json({"format": FORMAT, **self.to_dict(), "violating_pieces": listed}, path, "report")

    def to_dict(self) -> dict[str, Any]:
        """Return numbers, lists and strings, ready for JSON; of the pieces, their number and volumes."""
        found = self.counterexample
        return {
            "property": self.name,
            "verdict": self.verdict.value,
            "answer": self.answer,
            "counterexample": None if found is None else found.to_dict(),
            "share": None if self.share is None else list(self.share.bounds()),
            "share_exact": None if self.share is None or not self.share.exact else str(self.share.low),
            "by_disjunct": [[list(share.bounds()) for share in shares] for shares in self.by_disjunct],
            "ball": None
            if self.ball is None
            else {
                "case": self.ball.case,
                "centre": [float(x) for x in self.ball.centre],
                "radius": self.ball.radius,
                "upper": None if self.ball.upper == inf else self.ball.upper,
            },
            "pieces": len(self.pieces),
            "violating_cells": self.violating_cells,
            "cells": self.cells,
            "boxes": self.boxes,
            "seconds": self.seconds,
            "stopped_by": self.stopped_by,
        }

    def facts(self) -> dict[str, str]:
        """Return names and values for people."""
        stopped = f" (stopped by {self.stopped_by})" if self.stopped_by else ""
        facts = {"property": self.name or "given", "verdict": f"{self.verdict.value}{stopped}"}
        if self.counterexample is not None:
            one = self.counterexample
            facts["at"] = ", ".join(map(repr, one.rounded.tolist()))
            facts["outputs there"] = ", ".join(f"{float(y):.9g}" for y in one.outputs)
            facts["rounded to floats"] = (
                f"float64: {'unsafe' if one.float64 else 'not unsafe'}, "
                f"float32: {'unsafe' if one.float32 else 'not unsafe'}"
            )
        if self.share is not None:
            proven = "exact" if self.share.exact else "proven bounds"
            facts["share of the domain"] = f"{self.share} ({proven})"
            for case, shares in enumerate(self.by_disjunct):
                for k, share in enumerate(shares):
                    facts[f"case {case}, disjunct {k}"] = str(share)
            pieces = f", {len(self.pieces):,} pieces" if self.pieces else ""
            facts["violating"] = f"{self.violating_cells:,} cells{pieces}"
        if self.ball is not None:
            most = "" if self.ball.upper == inf else f", none above {self.ball.upper:.6g}"
            facts["largest ball"] = f"radius {self.ball.radius:.6g}{most}"
        facts["looked at"] = f"{self.cells:,} cells, {self.boxes:,} boxes, {self.seconds:.2f} s"
        return facts
