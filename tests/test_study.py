"""Parts of the study that need no experiment: docstrings, rescaled networks, choices from a table."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import random_network

# after everything else: the package under test stays the one that is installed
sys.path.append(str(Path(__file__).resolve().parents[1]))

from validation import decision_table, intervals
from validation.experiments import constructions, rescaling
from validation.experiments.rescaling import balanced, rescaled, squared_norm


@pytest.mark.parametrize("module", [decision_table, intervals, constructions, rescaling])
def test_docstrings_of_the_study_run(module):
    assert doctest.testmod(module).failed == 0


def test_a_balanced_network_is_the_same_function_with_the_least_norm():
    network, rng = random_network(3, (2, 5, 4, 1)), np.random.default_rng(0)
    found = balanced(network)
    points = rng.normal(size=(50, 2))
    assert np.allclose(found.forward(points), network.forward(points))
    for layer in range(2):
        ahead = np.linalg.norm(found.weights[layer], axis=1)
        behind = np.linalg.norm(found.weights[layer + 1], axis=0)
        assert np.allclose(ahead, behind, rtol=1e-6)
        for _ in range(5):
            other = rescaled(found, layer, np.exp(rng.normal(scale=0.3, size=len(ahead))))
            assert squared_norm(other) > squared_norm(found)


def rows(times, density="uniform"):
    """Stored runs of both estimators: seconds of 10,000 draws of one case for each network."""
    of = {"dimension": 3, "sigma": 1.0, "depth": 2, "spread": 0.01}
    return [
        of | {"network": f"he {k}", "case": f"{k} {density}", "estimator": name, "seconds": seconds}
        for k, pair in enumerate(times)
        for name, seconds in zip(("co-area", "Crofton lines"), pair, strict=True)
    ]


@pytest.mark.parametrize(
    ("times", "choice"),
    [
        ([(1, 5), (1, 6), (1, 7)], "co-area"),
        ([(5, 1), (6, 1), (7, 1)], "Crofton lines"),
        ([(1, 5), (5, 1), (1, 1)], "equal within noise"),
        ([(1, 5), (1, 6)], "co-area (2 networks)"),
        ([(1, 5), (6, 1)], "equal within noise"),
    ],
)
def test_the_cheaper_estimator_is_taken_where_networks_agree(times, choice):
    line = decision_table.decision_table(rows(times), 10_000).splitlines()[2]
    assert line.endswith(f"| {choice} |")
    assert line.startswith(f"| d = 3, sigma 1, depth 2 | {len(times)} | 10,000 |")


def test_densities_of_one_network_are_one_case():
    both = rows([(1, 5)]) + rows([(1, 6)], "gaussian")
    line = decision_table.decision_table(both, 10_000).splitlines()[2]
    assert line.endswith("| co-area (1 network) |")
