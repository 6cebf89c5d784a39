"""Stochastic estimators of local complexity and its neighbours, from samples alone.

They share no code with the enumeration that judges them (`comparison` and `validation` bring the two
together), and take the network as float arrays: nothing here is exact, everything has its standard error.
"""

from regions.estimators.basics import BudgetedEstimator, Estimate, Estimator, LocusKind, Quantity, Target
from regions.estimators.coarea import (
    Coarea,
    OwnNoiseCoarea,
    SampledStateCoarea,
    UnnormalisedCoarea,
    local_complexity,
)

__all__ = [
    "BudgetedEstimator",
    "Coarea",
    "Estimate",
    "Estimator",
    "LocusKind",
    "OwnNoiseCoarea",
    "Quantity",
    "SampledStateCoarea",
    "Target",
    "UnnormalisedCoarea",
    "local_complexity",
]
