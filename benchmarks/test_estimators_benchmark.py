"""Speed of the estimator and of facet integrals; run with `pytest benchmarks`.

Flops of the estimator on 784-200x4-10, per sample: forward 0.6 million, gradient norms by Gram matrices of
about 100 active units 16 million (three layers), goodness of 64 units 8 million at most.
"""

from itertools import pairwise

import numpy as np
import pytest

from regions.density import GaussianDensity
from regions.estimators import local_complexity
from regions.network.relu_network import Network


def he_network(widths):
    rng = np.random.default_rng(0)
    pairs = list(pairwise(widths))
    return Network.from_arrays(
        [rng.normal(size=(b, a)) * np.sqrt(2 / a) for a, b in pairs],
        [0.1 * rng.normal(size=b) for _, b in pairs],
    )


@pytest.mark.parametrize("kind", ["gradient", "activation"])
def test_digits_sized_network(benchmark, kind):
    network = he_network((784, 200, 200, 200, 200, 10))
    density = GaussianDensity(np.zeros(784), 1.0)
    samples = 20 if benchmark.disabled else 2000

    def run():
        return local_complexity(network, density, 0.05, samples, np.random.default_rng(0), kind=kind)

    benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    if not benchmark.disabled:
        benchmark.extra_info["seconds_per_10000_samples"] = benchmark.stats["min"] * 10_000 / samples


def test_plane_sized_network(benchmark):
    network = he_network((2, 32, 32, 32, 1))
    density = GaussianDensity([0.0, 0.0], 1.0)
    benchmark(lambda: local_complexity(network, density, 0.1, 10_000, np.random.default_rng(0)))


@pytest.mark.parametrize(("d", "count"), [(2, 100_000), (3, 20_000), (4, 20_000)])
def test_gaussian_facet_integrals(benchmark, d, count):
    rng = np.random.default_rng(0)
    count = 1000 if benchmark.disabled else count
    centres, spread = rng.uniform(-1, 1, size=(count, 1, d)), 0.05
    simplices = centres + spread * rng.normal(size=(count, d, d))
    benchmark(GaussianDensity(np.zeros(d), 1.0).integrate_simplices, simplices)
