"""Properties of a network on a domain: whether unsafe outputs are reached, where, and on how much of it.

Modules, from the lowest: `vnnlib_files` reads, `property_spec` says what a property is, `linear_relaxations`
and `box_branching` drop what is safe, `violating_pieces` and `exact_forward` decide, `property_check` asks.
"""

from regions.analysis.properties.images import OutputImage, Preimage, image, preimage
from regions.analysis.properties.output_extremes import OutputRange
from regions.analysis.properties.property_check import check_property
from regions.analysis.properties.property_report import Counterexample, PropertyReport, Share, Verdict
from regions.analysis.properties.property_spec import OutputPolytope, Property
from regions.analysis.properties.violating_pieces import InscribedBall, ViolatingPiece

__all__ = [
    "Counterexample",
    "InscribedBall",
    "OutputImage",
    "OutputPolytope",
    "OutputRange",
    "Preimage",
    "Property",
    "PropertyReport",
    "Share",
    "Verdict",
    "ViolatingPiece",
    "check_property",
    "image",
    "preimage",
]
