"""Probability densities in a domain's intrinsic coordinates: values, samples, integrals over simplices.

Everything that weighs a locus or draws points for an estimator comes from here; which simplices and
which points those are is left to `locus` and `estimators`.
"""

from regions.density.ambient import conditional, restricted
from regions.density.ball_density import UniformBallDensity
from regions.density.densities import Density
from regions.density.gaussian import GaussianDensity
from regions.density.mixture import GaussianMixtureDensity
from regions.density.restriction import RestrictedDensity
from regions.density.specs import from_spec
from regions.density.uniform import UniformDensity

__all__ = [
    "Density",
    "GaussianDensity",
    "GaussianMixtureDensity",
    "RestrictedDensity",
    "UniformBallDensity",
    "UniformDensity",
    "conditional",
    "from_spec",
    "restricted",
]
