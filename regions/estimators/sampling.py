"""What estimators by independent draws share: the arguments of `estimate`, and their check."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from regions.density import Density
from regions.domain import Domain
from regions.estimators.estimates import Estimate, check_problem
from regions.estimators.forward_passes import Chain
from regions.network.relu_network import Network

__all__ = ["SamplingEstimator"]


class SamplingEstimator(ABC):
    """An estimator that draws points of a density and passes them through the network."""

    def estimate(
        self,
        network: Network,
        density: Density,
        rng: np.random.Generator,
        budget: int,
        *,
        domain: Domain | None = None,
    ) -> Estimate:
        """Estimate the target from `budget` points; those outside the domain count as 0.

        Parameters
        ----------
        network : Network
        density : Density in the intrinsic coordinates of the domain
        rng : numpy Generator; the same state gives the same result
        budget : int >= 2, number of independent draws
        domain : Domain, default the whole input space

        Raises
        ------
        InvalidInputError : if the budget is below 2, or density, domain and network do not fit
        """
        check_problem(network, density, budget, domain, rng)
        return self._estimate(Chain(network, domain), density, rng, budget)

    @abstractmethod
    def _estimate(self, chain: Chain, density: Density, rng: np.random.Generator, budget: int) -> Estimate:
        """Estimate from arguments that fit."""
