"""The experiments, in the order of the report."""

from validation.experiments import (
    coverage,
    estimator_error,
    high_dimension,
    inequality_slack,
    initialisation,
    training,
    variants,
)

__all__ = ["EXPERIMENTS"]

EXPERIMENTS = (
    estimator_error.EXPERIMENT,
    variants.EXPERIMENT,
    coverage.EXPERIMENT,
    high_dimension.EXPERIMENT,
    inequality_slack.EXPERIMENT,
    training.EXPERIMENT,
    initialisation.EXPERIMENT,
)
