"""Exact linear regions of ReLU networks: cells, adjacency graphs, nonlinear-locus volumes.

Everything for users is here, by name; each name is imported from its module on first use, so that
`import regions` itself loads no numba, torch or matplotlib.
"""

from __future__ import annotations

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
    from regions.cell_complex import CellComplex, Certificate, Completeness
    from regions.cell_programs import (
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
    from regions.cell_sums import CellSums, GradientTail, cell_masses, gradient_tail, sum_over_cells
    from regions.comparison import Comparison, Judgement, compare_estimators
    from regions.counterparts import exact_value
    from regions.density import (
        GaussianDensity,
        GaussianMixtureDensity,
        RestrictedDensity,
        UniformBallDensity,
        UniformDensity,
        conditional,
        restricted,
    )
    from regions.domain import Box, Polytope, Segment, Slice
    from regions.enclosures import LocusEnclosure, volume_enclosures
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
    from regions.graph import adjacency_graph, read_graph, to_scipy_sparse, write_graph
    from regions.inequalities import Inequality, InequalityReport, check_inequalities
    from regions.linear_regions import RegionCount, count_regions, face_lattice, region_labels
    from regions.loaders import from_arrays, from_onnx, from_sklearn, from_torch, load_network
    from regions.locus import LocusVolume, locus_volume
    from regions.network import Network
    from regions.tracking import History, Tracker, log_steps, track
    from regions.validation import ValidationReport, exact_local_complexity, validate
    from regions.verification import Verification, verify

__version__ = "0.1.0"

_MODULE_OF = {
    "Network": "network",
    "load_network": "loaders",
    "from_torch": "loaders",
    "from_onnx": "loaders",
    "from_sklearn": "loaders",
    "from_arrays": "loaders",
    "Box": "domain",
    "Segment": "domain",
    "Slice": "domain",
    "Polytope": "domain",
    "enumerate_cells": "enumeration",
    "count_cells": "enumeration",
    "CellCount": "enumeration",
    "CellComplex": "cell_complex",
    "Certificate": "cell_complex",
    "Completeness": "cell_complex",
    "adjacency_graph": "graph",
    "to_scipy_sparse": "graph",
    "write_graph": "graph",
    "read_graph": "graph",
    "UniformDensity": "density",
    "GaussianDensity": "density",
    "GaussianMixtureDensity": "density",
    "UniformBallDensity": "density",
    "RestrictedDensity": "density",
    "conditional": "density",
    "restricted": "density",
    "locus_volume": "locus",
    "LocusVolume": "locus",
    "LocusEnclosure": "enclosures",
    "volume_enclosures": "enclosures",
    "sum_over_cells": "cell_sums",
    "CellSums": "cell_sums",
    "cell_masses": "cell_sums",
    "gradient_tail": "cell_sums",
    "GradientTail": "cell_sums",
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
    "exact_local_complexity": "validation",
    "validate": "validation",
    "ValidationReport": "validation",
    "check_inequalities": "inequalities",
    "InequalityReport": "inequalities",
    "Inequality": "inequalities",
    "exact_value": "counterparts",
    "compare_estimators": "comparison",
    "Comparison": "comparison",
    "Judgement": "comparison",
    "track": "tracking",
    "Tracker": "tracking",
    "History": "tracking",
    "log_steps": "tracking",
    "verify": "verification",
    "Verification": "verification",
    "count_regions": "linear_regions",
    "region_labels": "linear_regions",
    "face_lattice": "linear_regions",
    "RegionCount": "linear_regions",
    "explore": "exploration",
    "Exploration": "exploration",
    "minimal_perturbation": "exploration",
    "MinimalPerturbation": "exploration",
    "CellDistances": "exploration",
    "NearestFacet": "exploration",
    "cell_halfspaces": "cell_programs",
    "chebyshev_ball": "cell_programs",
    "inscribed_ellipsoid": "cell_programs",
    "project_onto_cell": "cell_programs",
    "output_range": "cell_programs",
    "cell_width": "cell_programs",
    "CellHalfspaces": "cell_programs",
    "CellBall": "cell_programs",
    "CellEllipsoid": "cell_programs",
    "CellProjection": "cell_programs",
    "CellRange": "cell_programs",
    "SolverReport": "cell_programs",
}

__all__ = [
    "Network",
    "load_network",
    "from_torch",
    "from_onnx",
    "from_sklearn",
    "from_arrays",
    "Box",
    "Segment",
    "Slice",
    "Polytope",
    "enumerate_cells",
    "count_cells",
    "CellCount",
    "CellComplex",
    "Certificate",
    "Completeness",
    "adjacency_graph",
    "to_scipy_sparse",
    "write_graph",
    "read_graph",
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


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'regions' has no attribute {name!r}")
    value = getattr(import_module(f"regions.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
