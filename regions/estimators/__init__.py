"""Stochastic estimators of local complexity and its neighbours, from samples alone.

They share no code with the enumeration that judges them (`comparison` and `validation` bring the two
together), and take the network as float arrays: nothing here is exact, everything has its standard error.
"""

from regions.estimators.coarea import (
    Coarea,
    OwnNoiseCoarea,
    SampledStateCoarea,
    UnnormalisedCoarea,
    local_complexity,
)
from regions.estimators.counts import CrossPolytope, DistinctPatterns
from regions.estimators.crofton import CroftonLines
from regions.estimators.estimates import (
    BudgetedEstimator,
    Estimate,
    Estimator,
    FunctionEstimator,
    LocusKind,
    Quantity,
    Target,
)
from regions.estimators.shells import BoundaryDistance, FiniteShell
from regions.estimators.spreads import Noise, unit_spreads

__all__ = [
    "BoundaryDistance",
    "BudgetedEstimator",
    "Coarea",
    "CroftonLines",
    "CrossPolytope",
    "DistinctPatterns",
    "Estimate",
    "Estimator",
    "FiniteShell",
    "FunctionEstimator",
    "LocusKind",
    "Noise",
    "OwnNoiseCoarea",
    "Quantity",
    "SampledStateCoarea",
    "Target",
    "UnnormalisedCoarea",
    "local_complexity",
    "unit_spreads",
]
