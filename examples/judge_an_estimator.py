"""Judge your own estimator of local complexity by the exact value: `python examples/judge_an_estimator.py`.

An estimator is any function that is called like `regions.local_complexity`.  The one here forgets
to normalise its Gaussian kernel, as a published implementation does; the z-score shows it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from regions import Box, Estimate, Network, UniformDensity, local_complexity, validate


def unnormalised(network: Network, density: Any, sigma: float, n: int, rng: Any, **options: Any) -> Estimate:
    """The library's estimate without the factor 1 / (sigma sqrt(2 pi)) of the noise density."""
    right = local_complexity(network, density, sigma, n, rng, **options)
    factor = sigma * math.sqrt(2.0 * math.pi)
    return Estimate(factor * right.mean, factor * right.stderr, right.n)


def main() -> None:
    """Both estimators on the same network."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(16, 2)), rng.normal(size=(16, 16)) / 4.0, rng.normal(size=(1, 16))]
    network = Network.from_arrays(weights, [0.3 * rng.normal(size=len(w)) for w in weights], name="judged")
    box = Box([-1.0, -1.0], [1.0, 1.0])
    for estimator in (local_complexity, unnormalised):
        report = validate(
            estimator,
            network,
            box,
            UniformDensity(box),
            rng=np.random.default_rng(1),
            sigma=0.1,
            n_samples=20_000,
            n_bias=100,
        )
        print(f"{report.estimator}:\n{report.table()}\n")


if __name__ == "__main__":
    main()
