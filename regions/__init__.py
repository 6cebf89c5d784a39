"""Exact linear regions of ReLU networks: cells, adjacency graphs, nonlinear-locus volumes.

Everything for users is here, by name; each name is imported from its module on first use, so that
`import regions` itself loads no numba, torch or matplotlib.
"""

from __future__ import annotations

import logging
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from regions import errors
from regions.errors import (
    BudgetExceededError,
    CertificateError,
    InvalidDomainError,
    InvalidInputError,
    InvalidNetworkError,
    RegionsError,
    SolverError,
)

if TYPE_CHECKING:
    from regions.analysis.ball_cells import BallCells, ball_cells
    from regions.analysis.boundaries import (
        BoundaryComplex,
        BoundaryDistances,
        SurfaceMesh,
        decision_boundary,
        write_mesh,
    )
    from regions.analysis.cell_integrals import CellIntegral, integrate
    from regions.analysis.cell_sums import CellSums, GradientTail, cell_masses, gradient_tail, sum_over_cells
    from regions.analysis.differences import NetworkDifference, compare_networks
    from regions.analysis.enclosures import LocusEnclosure, volume_enclosures
    from regions.analysis.expected_losses import ExpectedLoss, expected_loss
    from regions.analysis.graph import adjacency_graph, export_graph, read_graph, to_scipy_sparse, write_graph
    from regions.analysis.linear_regions import RegionCount, count_regions, face_lattice, region_labels
    from regions.analysis.locus import LocusVolume, locus_volume
    from regions.analysis.one_cell import (
        CellBall,
        CellEllipsoid,
        CellHalfspaces,
        CellProjection,
        CellRange,
        SolverReport,
        cell_halfspaces,
        cell_width,
        chebyshev_ball,
        inscribed_ellipsoid,
        output_range,
        project_onto_cell,
    )
    from regions.analysis.polylines import PolylineCells, polyline_cells
    from regions.analysis.properties import (
        Counterexample,
        OutputImage,
        OutputRange,
        Preimage,
        Property,
        PropertyReport,
        Share,
        Verdict,
        ViolatingPiece,
        check_property,
        image,
        preimage,
    )
    from regions.analysis.region_bounds import RegionBound, region_bounds
    from regions.analysis.topology import (
        CriticalPoints,
        Persistence,
        Topology,
        boundary_topology,
        critical_points,
        persistence,
        region_topology,
    )
    from regions.analysis.unit_statistics import NetworkStatistics, network_statistics
    from regions.analysis.verification import Verification, verify
    from regions.complexes import Cell, CellComplex, Certificate, Completeness, FacetTable, StoredComplex
    from regions.density import (
        GaussianDensity,
        GaussianMixtureDensity,
        RestrictedDensity,
        UniformBallDensity,
        UniformDensity,
        conditional,
        restricted,
    )
    from regions.domain import Box, FrameBox, Polyhedron, Polytope, Segment, Slice, WholeSpace
    from regions.enumeration import CellCount, count_cells, enumerate_cells
    from regions.estimators import (
        BoundaryDistance,
        Coarea,
        CroftonLines,
        CrossPolytope,
        DistinctPatterns,
        Estimate,
        FiniteShell,
        FunctionEstimator,
        OwnNoiseCoarea,
        SampledStateCoarea,
        Target,
        UnnormalisedCoarea,
        local_complexity,
    )
    from regions.exploration import (
        CellDistances,
        Exploration,
        MinimalPerturbation,
        NearestFacet,
        explore,
        minimal_perturbation,
    )
    from regions.network import Network
    from regions.network.loaders import from_arrays, from_onnx, from_sklearn, from_torch, load_network
    from regions.runs import CellEstimate, Run, RunStatus, estimate_cells
    from regions.validation.comparison import Comparison, Judgement, compare_estimators
    from regions.validation.exact_targets import exact_value
    from regions.validation.inequalities import Inequality, InequalityReport, check_inequalities
    from regions.validation.local_complexity import ValidationReport, exact_local_complexity, validate
    from regions.validation.tracking import History, Tracker, log_steps, track

__version__ = "0.2.0"

_MODULE_OF = {
    "Network": "network",
    "load_network": "network.loaders",
    "from_torch": "network.loaders",
    "from_onnx": "network.loaders",
    "from_sklearn": "network.loaders",
    "from_arrays": "network.loaders",
    "Box": "domain",
    "FrameBox": "domain",
    "Segment": "domain",
    "Slice": "domain",
    "Polytope": "domain",
    "Polyhedron": "domain",
    "WholeSpace": "domain",
    "enumerate_cells": "enumeration",
    "count_cells": "enumeration",
    "CellCount": "enumeration",
    "Run": "runs",
    "RunStatus": "runs",
    "estimate_cells": "runs",
    "CellEstimate": "runs",
    "CellComplex": "complexes",
    "StoredComplex": "complexes",
    "Cell": "complexes",
    "FacetTable": "complexes",
    "Certificate": "complexes",
    "Completeness": "complexes",
    "BallCells": "analysis.ball_cells",
    "ball_cells": "analysis.ball_cells",
    "PolylineCells": "analysis.polylines",
    "polyline_cells": "analysis.polylines",
    "check_property": "analysis.properties",
    "Property": "analysis.properties",
    "PropertyReport": "analysis.properties",
    "Verdict": "analysis.properties",
    "Counterexample": "analysis.properties",
    "Share": "analysis.properties",
    "ViolatingPiece": "analysis.properties",
    "decision_boundary": "analysis.boundaries",
    "BoundaryComplex": "analysis.boundaries",
    "BoundaryDistances": "analysis.boundaries",
    "SurfaceMesh": "analysis.boundaries",
    "write_mesh": "analysis.boundaries",
    "boundary_topology": "analysis.topology",
    "region_topology": "analysis.topology",
    "Topology": "analysis.topology",
    "persistence": "analysis.topology",
    "Persistence": "analysis.topology",
    "critical_points": "analysis.topology",
    "CriticalPoints": "analysis.topology",
    "compare_networks": "analysis.differences",
    "NetworkDifference": "analysis.differences",
    "preimage": "analysis.properties",
    "Preimage": "analysis.properties",
    "image": "analysis.properties",
    "OutputImage": "analysis.properties",
    "OutputRange": "analysis.properties",
    "network_statistics": "analysis.unit_statistics",
    "NetworkStatistics": "analysis.unit_statistics",
    "region_bounds": "analysis.region_bounds",
    "RegionBound": "analysis.region_bounds",
    "adjacency_graph": "analysis.graph",
    "to_scipy_sparse": "analysis.graph",
    "write_graph": "analysis.graph",
    "read_graph": "analysis.graph",
    "export_graph": "analysis.graph",
    "UniformDensity": "density",
    "GaussianDensity": "density",
    "GaussianMixtureDensity": "density",
    "UniformBallDensity": "density",
    "RestrictedDensity": "density",
    "conditional": "density",
    "restricted": "density",
    "locus_volume": "analysis.locus",
    "LocusVolume": "analysis.locus",
    "LocusEnclosure": "analysis.enclosures",
    "volume_enclosures": "analysis.enclosures",
    "sum_over_cells": "analysis.cell_sums",
    "CellSums": "analysis.cell_sums",
    "integrate": "analysis.cell_integrals",
    "CellIntegral": "analysis.cell_integrals",
    "expected_loss": "analysis.expected_losses",
    "ExpectedLoss": "analysis.expected_losses",
    "cell_masses": "analysis.cell_sums",
    "gradient_tail": "analysis.cell_sums",
    "GradientTail": "analysis.cell_sums",
    "local_complexity": "estimators",
    "Estimate": "estimators",
    "Target": "estimators",
    "Coarea": "estimators",
    "UnnormalisedCoarea": "estimators",
    "OwnNoiseCoarea": "estimators",
    "SampledStateCoarea": "estimators",
    "CroftonLines": "estimators",
    "FiniteShell": "estimators",
    "BoundaryDistance": "estimators",
    "CrossPolytope": "estimators",
    "DistinctPatterns": "estimators",
    "FunctionEstimator": "estimators",
    "exact_local_complexity": "validation.local_complexity",
    "validate": "validation.local_complexity",
    "ValidationReport": "validation.local_complexity",
    "check_inequalities": "validation.inequalities",
    "InequalityReport": "validation.inequalities",
    "Inequality": "validation.inequalities",
    "exact_value": "validation.exact_targets",
    "compare_estimators": "validation.comparison",
    "Comparison": "validation.comparison",
    "Judgement": "validation.comparison",
    "track": "validation.tracking",
    "Tracker": "validation.tracking",
    "History": "validation.tracking",
    "log_steps": "validation.tracking",
    "verify": "analysis.verification",
    "Verification": "analysis.verification",
    "count_regions": "analysis.linear_regions",
    "region_labels": "analysis.linear_regions",
    "face_lattice": "analysis.linear_regions",
    "RegionCount": "analysis.linear_regions",
    "explore": "exploration",
    "Exploration": "exploration",
    "minimal_perturbation": "exploration",
    "MinimalPerturbation": "exploration",
    "CellDistances": "exploration",
    "NearestFacet": "exploration",
    "cell_halfspaces": "analysis.one_cell",
    "chebyshev_ball": "analysis.one_cell",
    "inscribed_ellipsoid": "analysis.one_cell",
    "project_onto_cell": "analysis.one_cell",
    "output_range": "analysis.one_cell",
    "cell_width": "analysis.one_cell",
    "CellHalfspaces": "analysis.one_cell",
    "CellBall": "analysis.one_cell",
    "CellEllipsoid": "analysis.one_cell",
    "CellProjection": "analysis.one_cell",
    "CellRange": "analysis.one_cell",
    "SolverReport": "analysis.one_cell",
}

__all__ = [
    "Network",
    "load_network",
    "from_torch",
    "from_onnx",
    "from_sklearn",
    "from_arrays",
    "Box",
    "FrameBox",
    "Segment",
    "Slice",
    "Polytope",
    "Polyhedron",
    "WholeSpace",
    "enumerate_cells",
    "count_cells",
    "CellCount",
    "Run",
    "RunStatus",
    "estimate_cells",
    "CellEstimate",
    "CellComplex",
    "StoredComplex",
    "Cell",
    "FacetTable",
    "Certificate",
    "Completeness",
    "BallCells",
    "ball_cells",
    "PolylineCells",
    "polyline_cells",
    "check_property",
    "Property",
    "PropertyReport",
    "Verdict",
    "Counterexample",
    "Share",
    "ViolatingPiece",
    "decision_boundary",
    "BoundaryComplex",
    "BoundaryDistances",
    "SurfaceMesh",
    "write_mesh",
    "boundary_topology",
    "region_topology",
    "Topology",
    "persistence",
    "Persistence",
    "critical_points",
    "CriticalPoints",
    "compare_networks",
    "NetworkDifference",
    "preimage",
    "Preimage",
    "image",
    "OutputImage",
    "OutputRange",
    "network_statistics",
    "NetworkStatistics",
    "region_bounds",
    "RegionBound",
    "adjacency_graph",
    "to_scipy_sparse",
    "write_graph",
    "read_graph",
    "export_graph",
    "UniformDensity",
    "GaussianDensity",
    "GaussianMixtureDensity",
    "UniformBallDensity",
    "RestrictedDensity",
    "conditional",
    "restricted",
    "locus_volume",
    "LocusVolume",
    "LocusEnclosure",
    "volume_enclosures",
    "sum_over_cells",
    "CellSums",
    "integrate",
    "CellIntegral",
    "expected_loss",
    "ExpectedLoss",
    "cell_masses",
    "gradient_tail",
    "GradientTail",
    "local_complexity",
    "Estimate",
    "Target",
    "Coarea",
    "UnnormalisedCoarea",
    "OwnNoiseCoarea",
    "SampledStateCoarea",
    "CroftonLines",
    "FiniteShell",
    "BoundaryDistance",
    "CrossPolytope",
    "DistinctPatterns",
    "FunctionEstimator",
    "exact_local_complexity",
    "validate",
    "ValidationReport",
    "check_inequalities",
    "InequalityReport",
    "Inequality",
    "exact_value",
    "compare_estimators",
    "Comparison",
    "Judgement",
    "track",
    "Tracker",
    "History",
    "log_steps",
    "verify",
    "Verification",
    "count_regions",
    "region_labels",
    "face_lattice",
    "RegionCount",
    "explore",
    "Exploration",
    "minimal_perturbation",
    "MinimalPerturbation",
    "CellDistances",
    "NearestFacet",
    "cell_halfspaces",
    "chebyshev_ball",
    "inscribed_ellipsoid",
    "project_onto_cell",
    "output_range",
    "cell_width",
    "CellHalfspaces",
    "CellBall",
    "CellEllipsoid",
    "CellProjection",
    "CellRange",
    "SolverReport",
    "errors",
    "RegionsError",
    "InvalidNetworkError",
    "InvalidDomainError",
    "InvalidInputError",
    "SolverError",
    "CertificateError",
    "BudgetExceededError",
    "__version__",
]


logging.getLogger("regions").addHandler(logging.NullHandler())  # silent, unless a program asks


def _warn_of_astropy(folder: str) -> None:
    """Warn where Astropy's `regions` lies in the same folder: what they share, one has overwritten."""
    if os.path.exists(os.path.join(folder, "core", "core.py")):  # noqa: PTH110, PTH118 (no import of pathlib)
        import warnings

        warnings.warn(
            f"relu-regions and Astropy's package `regions` are both installed in {folder}; they share this "
            "name and overwrite each other's files. Run `pip uninstall regions relu-regions`, then install "
            "each in an environment of its own.",
            stacklevel=3,
        )


_warn_of_astropy(os.path.dirname(__file__))  # noqa: PTH120


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'regions' has no attribute {name!r}")
    value = getattr(import_module(f"regions.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
