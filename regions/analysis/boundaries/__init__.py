"""Where a decision changes, as an object: level sets and class boundaries made of exact pieces."""

from regions.analysis.boundaries.boundary_complex import BoundaryComplex
from regions.analysis.boundaries.decision_boundaries import decision_boundary
from regions.analysis.boundaries.point_distances import BoundaryDistances
from regions.analysis.boundaries.surface_meshes import SurfaceMesh, write_mesh

__all__ = ["BoundaryComplex", "BoundaryDistances", "SurfaceMesh", "decision_boundary", "write_mesh"]
