"""The experiments, in the order of the report."""

from validation.experiments import coverage, inequality_slack, initialisation, training

__all__ = ["EXPERIMENTS"]

EXPERIMENTS = (
    coverage.EXPERIMENT,
    inequality_slack.EXPERIMENT,
    training.EXPERIMENT,
    initialisation.EXPERIMENT,
)
