"""The experiments, in the order of the report."""

from validation.experiments import coverage, initialisation

__all__ = ["EXPERIMENTS"]

EXPERIMENTS = (coverage.EXPERIMENT, initialisation.EXPERIMENT)
