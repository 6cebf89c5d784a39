"""The experiments, in the order of the report."""

from validation.experiments import (
    constructions,
    coverage,
    crofton,
    estimator_error,
    high_dimension,
    inequality_slack,
    initialisation,
    kernel_regime,
    long_training,
    rescaling,
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
    kernel_regime.EXPERIMENT,
)
