"""What estimators by independent draws share: the arguments of `estimate`, and their check."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from regions.density import Density
from regions.density.frozen_distributions import with_distributions
from regions.density.reach import part_with_mass
from regions.domain import Domain
from regions.estimators.estimates import Estimate, check_objects, check_problem
from regions.estimators.forward_passes import Chain
from regions.estimators.spreads import Noise, spreads_of
from regions.inputs import seeded
from regions.network.relu_network import Network

__all__ = ["SamplingEstimator"]


class SamplingEstimator(ABC):
    """An estimator by independent draws: of points of a density, or of lines."""

    # of the biases; those that take relative noise have a field of that name
    noise: Noise = "absolute"

    @with_distributions
    @seeded
    def estimate(
        self,
        network: Network,
        density: Density,
        rng: np.random.Generator,
        budget: int,
        *,
        domain: Domain | None = None,
    ) -> Estimate:
        """Estimate the target from `budget` draws; points outside the domain count as 0.

        Parameters
        ----------
        network : Network
        density : Density in the intrinsic coordinates of the domain
        rng : seed or numpy Generator; the same state gives the same result
        budget : int >= 2, number of independent draws
        domain : Domain, default the whole input space

        Raises
        ------
        InvalidInputError : if the budget is below 2, or density, domain and network do not fit
        """
        check_objects(network, density, domain, rng)
        if domain is not None:
            domain = part_with_mass(domain, density)
        domain = self._domain(density, domain)
        check_problem(network, density, budget, domain, rng)
        spreads = spreads_of(self.noise, network, density, domain)
        return self._estimate(Chain(network, domain, spreads), density, rng, budget)

    def _domain(self, density: Density, domain: Domain | None) -> Domain | None:
        """Return the domain to take: the one that is given, or None for the whole input space."""
        return domain

    @abstractmethod
    def _estimate(self, chain: Chain, density: Density, rng: np.random.Generator, budget: int) -> Estimate:
        """Estimate from arguments that fit."""
