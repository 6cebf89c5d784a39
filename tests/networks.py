"""What most tests start from, as objects of the package: random networks, boxes, planes, covariances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from strategies import SQRT_2, Case, random_arrays, random_case

from regions.domain import Box, Slice
from regions.enumeration import cores, threads
from regions.network.relu_network import Network


def network_of(case: Case) -> Network:
    return Network.from_arrays(case.weights, case.biases, case.relu, slopes=case.slopes)


def box_of(case: Case) -> Box:
    return Box(case.low, case.high)


def problem_of(case: Case) -> tuple[Network, Box]:
    return network_of(case), box_of(case)


def share_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have threads share even a search of a few steps, and loops of a few elements."""
    monkeypatch.setattr(threads, "ALONE_SECONDS", 0.0)
    monkeypatch.setattr(threads, "ALONE_CALL", 2)
    monkeypatch.setattr(cores, "LEAST_SHARE", 8)


def network_on_box(dimension: int, widths: tuple[int, ...], seed: int = 0) -> tuple[Network, Box]:
    """A network of two outputs and the box [-1, 1]^d."""
    return problem_of(random_case(dimension, widths, seed))


def random_network(
    seed: int | np.random.Generator,
    widths: Sequence[int],
    *,
    gain: float = SQRT_2,
    bias_scale: float = 0.5,
    relu: Sequence[bool] | None = None,
) -> Network:
    """A network with normal weights; `widths` go from the inputs to the outputs."""
    rng = np.random.default_rng(seed)
    return Network.from_arrays(*random_arrays(rng, widths, gain, bias_scale), relu)


def maxout(seed: int, inputs: int, widths: tuple[int, ...], rank: int) -> Network:
    """Maxout with weights of few digits, so that differences of rows are floats."""
    rng = np.random.default_rng(seed)
    sizes = [inputs, *widths]
    weights = [rng.integers(-40, 41, (rank * n, m)) / 64.0 for m, n in zip(sizes, widths, strict=False)]
    biases = [rng.integers(-20, 21, len(weight)) / 64.0 for weight in weights]
    last = rng.integers(-4, 5, (1, widths[-1]))
    return Network.from_arrays([*weights, last], [*biases, [0.0]], maxima=[rank] * len(widths) + [None])


def cube(dimension: int) -> Box:
    """The box [-1, 1]^d."""
    return Box(-np.ones(dimension), np.ones(dimension))


def random_plane(inputs: int, seed: int) -> Slice:
    """A square through the origin, on two random directions."""
    directions = np.random.default_rng(seed).normal(size=(2, inputs))
    return Slice.around(np.zeros(inputs), directions=directions, half_width=1.0)


def pulled_back(network: Network, domain: Slice) -> tuple[Network, Box]:
    """The network as a function of the coordinates on a square slice, and the box of these coordinates."""
    pulled = Network.from_arrays(
        [network.weights[0] @ domain.basis, *network.weights[1:]],
        [network.biases[0] + network.weights[0] @ domain.origin, *network.biases[1:]],
        network.relu,
    )
    return pulled, Box(domain.vertices.min(axis=0), domain.vertices.max(axis=0))


def random_covariance(rng: np.random.Generator, dimension: int) -> npt.NDArray[np.float64]:
    """A covariance matrix with all eigenvalues above 0.3."""
    factor = rng.normal(size=(dimension, dimension))
    return factor @ factor.T / dimension + 0.3 * np.eye(dimension)
