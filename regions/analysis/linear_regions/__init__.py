"""Counting linear regions by each of the six definitions in use, from a complete list of cells.

Which cells there are is `enumeration`'s business; every comparison here is exact.
"""

from regions.analysis.linear_regions.faces import FaceLattice, face_lattice
from regions.analysis.linear_regions.six_counts import (
    DEFINITIONS,
    LinearRegions,
    RegionCount,
    count_regions,
    region_labels,
)

__all__ = [
    "DEFINITIONS",
    "FaceLattice",
    "LinearRegions",
    "RegionCount",
    "count_regions",
    "face_lattice",
    "region_labels",
]
