"""What level sets, decision boundaries and decision regions are like as spaces, and how they change."""

from regions.analysis.topology.filtrations import (
    CriticalPoints,
    Persistence,
    critical_points,
    persistence,
)
from regions.analysis.topology.spaces import Topology, boundary_topology, region_topology

__all__ = [
    "CriticalPoints",
    "Persistence",
    "Topology",
    "boundary_topology",
    "critical_points",
    "persistence",
    "region_topology",
]
