"""The experiments, in the order of the report."""

from validation.experiments import (
    constructions,
    coverage,
    crofton,
    estimator_error,
    hanin_rolnick,
    high_dimension,
    inequality_slack,
    initialisation,
    kernel_regime,
    long_training,
    lower_bounds,
    migration,
    other_units,
    rescaling,
    robustness,
    three_measures,
    tightness,
    training,
    variants,
)

__all__ = ["EXPERIMENTS"]

EXPERIMENTS = (
    estimator_error.EXPERIMENT,
    variants.EXPERIMENT,
    coverage.EXPERIMENT,
    crofton.EXPERIMENT,
    high_dimension.EXPERIMENT,
    inequality_slack.EXPERIMENT,
    training.EXPERIMENT,
    long_training.EXPERIMENT,
    initialisation.EXPERIMENT,
    rescaling.EXPERIMENT,
    tightness.EXPERIMENT,
    constructions.EXPERIMENT,
    other_units.EXPERIMENT,
    three_measures.EXPERIMENT,
    robustness.EXPERIMENT,
    kernel_regime.EXPERIMENT,
    hanin_rolnick.EXPERIMENT,
    lower_bounds.EXPERIMENT,
    migration.EXPERIMENT,
)
