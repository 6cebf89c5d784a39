"""The two loci of a network, by name.

The activation locus is where some unit's pre-activation is 0 and the unit is not constant; the gradient
locus is the part of it where the network's gradient jumps, that is, where its output bends.
"""

from __future__ import annotations

from typing import Literal, get_args

from regions.errors import check_choice

LocusKind = Literal["gradient", "activation"]


def check_kind(kind: str) -> None:
    """Raise InvalidInputError unless a string names a locus."""
    check_choice("kind", kind, get_args(LocusKind))
