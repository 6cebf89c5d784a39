"""The sets that are enumerated: `Box`, `Segment`, `Slice`, `Polytope` and `WholeSpace`, all immutable.

Each reduces to intrinsic coordinates, x = origin + basis @ t, and a starting polytope
{t : A t <= b} with its vertices and incidence, exactly right for the stored floats; unbounded ones to a cone.
Which network is defined on it, and what happens inside, is left to `enumeration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regions.domain.fixed_box import FixedBox
from regions.domain.frame_box import FrameBox
from regions.domain.intrinsic import Coordinates, Domain, check_coordinates
from regions.domain.shapes import Box, Polytope, Segment
from regions.domain.slices import Slice
from regions.domain.unbounded import Polyhedron, Unbounded, WholeSpace
from regions.errors import InvalidDomainError

__all__ = [
    "Box",
    "Coordinates",
    "Domain",
    "FixedBox",
    "FrameBox",
    "Polyhedron",
    "Polytope",
    "Segment",
    "Slice",
    "Unbounded",
    "WholeSpace",
    "check_coordinates",
    "domain_from_dict",
]


def domain_from_dict(data: Mapping[str, Any]) -> Domain:
    """Return the domain that `to_dict` described, bit for bit, also after a trip through JSON.

    Raises
    ------
    InvalidDomainError
        If the kind is unknown, an entry is missing, or the domain itself is invalid.

    Examples
    --------
    >>> domain_from_dict({"kind": "box", "low": [0.0], "high": [0.1]}) == Box(0, 0.1)
    True
    """
    try:
        match data.get("kind"):
            case "box":
                return Box(data["low"], data["high"])
            case "segment":
                return Segment(data["a"], data["b"])
            case "slice":
                A, b = data["polygon"]
                return Slice(data["origin"], data["basis"], (A, b), tuple(data["names"]))
            case "polytope":
                return Polytope(data["A"], data["b"])
            case "whole_space":
                return WholeSpace(data["n"])
            case "polyhedron":
                return Polyhedron(data["A"], data["b"])
            case "frame_box" if "box" in data:
                return Box(data["box"]["low"], data["box"]["high"])
            case "frame_box":
                return FrameBox(data["origin"], data["basis"], data["low"], data["high"])
            case kind:
                raise InvalidDomainError(
                    f"unknown kind of domain {kind!r}; known: box, segment, slice, polytope, frame_box, "
                    "whole_space, polyhedron"
                )
    except KeyError as error:
        raise InvalidDomainError(f"the {data['kind']} has no entry {error}") from None
