"""Estimators judged by exact values: one run, many seeds, published inequalities, a training."""
