"""Networks from plain arrays, beside the other loaders; the work is `Network.from_arrays`."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from regions.network.relu_network import Network

__all__ = ["from_arrays"]


def from_arrays(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    relu: Sequence[bool] | None = None,
    *,
    name: str = "",
) -> Network:
    """Network of the given weights `(out, in)` and biases `(out,)`.

    Parameters
    ----------
    weights, biases : sequences of (n_l, n_{l-1}) and (n_l,) arrays
    relu : sequence of bool, one per layer; default a ReLU after every layer but the last
    name : str, for reports

    Returns
    -------
    network : Network

    Raises
    ------
    InvalidNetworkError : if the arrays make no network; see `Network`

    Examples
    --------
    >>> from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]]).forward([-2.0])
    array([2.])
    """
    return Network.from_arrays(weights, biases, relu, name=name)
