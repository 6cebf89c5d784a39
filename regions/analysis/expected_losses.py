"""`expected_loss`: the mean loss of a classifier on a domain, such as a slice, in one call.

Cells are listed and the loss is integrated over each; how, is left to `cell_integrals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from regions.analysis.cell_integrals import integrate
from regions.analysis.cell_sums.simplex_pieces import cell_masses
from regions.density import Density
from regions.density.frozen_distributions import with_distributions
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.network.patterns import unpack
from regions.network.relu_network import Network
from regions.showing import Shown

__all__ = ["ExpectedLoss", "expected_loss"]

FloatArray = NDArray[np.float64]
Loss = Literal["cross_entropy", "zero_one"]


@dataclass(frozen=True)
class ExpectedLoss(Shown):
    """The mean loss of a classifier on a domain.

    Attributes
    ----------
    value : float, of the points of the domain alone, whatever mass the density has elsewhere
    error : float, an estimate, as that of `integrate`
    mass : float, what the density has on the domain
    loss : str
    cells : int, over which the loss was integrated
    method : str
    """

    value: float
    error: float
    mass: float
    loss: str
    cells: int
    method: str

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and strings, ready for JSON."""
        return dict(vars(self))


@with_distributions
def expected_loss(
    network: Network,
    domain: Domain,
    label: int,
    loss: Loss = "cross_entropy",
    density: Density | None = None,
    *,
    rtol: float = 1e-6,
    workers: int | None = None,
) -> ExpectedLoss:
    """Return the mean loss of a classifier over a domain whose points all have one label.

    Parameters
    ----------
    network : Network, whose outputs are the logits of the classes
    domain : Domain, often a `Slice` through data
    label : int, the class that is right
    loss : "cross_entropy", the negative logarithm of the softmax, in nats; or "zero_one", the share that goes
        to another class
    density : Density in the intrinsic coordinates of the domain; None for the uniform one on it
    rtol : float, tolerance of the cubature
    workers : int, number of threads

    Returns
    -------
    ExpectedLoss
        The zero-one loss is a constant on the cells of a network with one unit more for each other class, so
        that under a uniform density it is rounded only. The cross-entropy is smooth on each cell, and
        integrated by a cubature.

    Raises
    ------
    InvalidInputError, InvalidDomainError, InvalidNetworkError
        If an argument cannot be used.
    BudgetExceededError
        If the cubature does not reach its tolerance.

    Examples
    --------
    >>> from regions import Box
    >>> line = Network.from_arrays([[[1.0], [0.0]]], [[0.0, 0.5]])  # class 0 wins above 1/2
    >>> round(expected_loss(line, Box([-1.0], [1.0]), 0, "zero_one").value, 12)
    0.75
    """
    from regions.enumeration import enumerate_cells  # slow to import

    if loss not in ("cross_entropy", "zero_one"):
        raise InvalidInputError(f'loss is {loss!r}; give "cross_entropy" or "zero_one"')
    whole = isinstance(label, int | np.integer) and not isinstance(label, bool)
    if not isinstance(network, Network) or not whole or not 0 <= label < network.output_dim:
        raise InvalidInputError(f"label is {label!r}; give the number of an output, a class of a Network")
    if network.output_dim < 2:
        raise InvalidInputError("a classifier needs two outputs; this network has one")
    chosen = network if loss == "cross_entropy" else _with_rivals(network, int(label))

    def cross_entropy(outputs: FloatArray, points: FloatArray) -> FloatArray:
        top = outputs.max(axis=1)
        sums = np.log(np.exp(outputs - top[:, None]).sum(axis=1))
        return np.stack([np.ones(len(outputs)), top + sums - outputs[:, label]], axis=1)

    cells = enumerate_cells(chosen, domain, workers=workers)
    if loss == "cross_entropy":
        found = integrate(cells, cross_entropy, density, rtol=rtol)
        (mass, total), (mass_error, error), method = found.values, found.errors, found.method
    else:
        masses, errors = cell_masses(cells, density)
        states = unpack(cells.patterns, chosen.n_units)[:, network.n_units :]
        wrong = states.any(axis=1)
        mass, total, method = masses.sum(), masses[wrong].sum(), "masses of cells"
        mass_error, error = errors.sum(), errors[wrong].sum()
    if not mass > 0.0:
        raise InvalidInputError("the density has no mass on the domain")
    value = float(total / mass)
    spread = float((error + abs(value) * mass_error) / mass)
    return ExpectedLoss(value, spread, float(mass), loss, cells.n_cells, method)


def _with_rivals(network: Network, label: int) -> Network:
    """Return the network whose outputs are units: by how much each other class leads the right one."""
    rows = np.delete(np.eye(network.output_dim), label, axis=0)
    rows[:, label] -= 1.0
    return Network(
        (*network.operators, rows),  # type: ignore[arg-type]
        (*network.biases, np.zeros(len(rows))),
        (*network.relu, True),
        network.name,
        (*network.slopes, None),
        (*network.maxima, None),
    )
