"""The experiments, in the order of the report."""

from validation.experiments import coverage

__all__ = ["EXPERIMENTS"]

EXPERIMENTS = (coverage.EXPERIMENT,)
