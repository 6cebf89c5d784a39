"""What a network says of itself: one line, what matters of it, its numbers as lists."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from regions.network.relu_network import Network

MOST_LAYERS = 20  # that are described one by one


def describe_network(network: Network) -> str:
    """Return the name, the widths from input to output, and the number of units, in one line."""
    layers = "1 layer" if len(network.widths) == 1 else f"{len(network.widths)} layers"
    kind = "ReLU units" if all(pair is None for pair in network.slopes) else "units with two slopes"
    linear = network.n_units - int(np.count_nonzero(network.cutting))
    passing = f" ({linear} of them linear)" if linear else ""
    rows = [k for sizes in network.maxima if sizes is not None for k in sizes.tolist() if k > 1]
    others = network.n_units - sum(rows)
    parts = [f"{others} {kind}{passing}"] if others or not rows else []
    parts += [f"{len(rows)} max units of {sum(rows)} candidates"] if rows else []
    sizes = " -> ".join(map(str, _sizes(network)))
    return f"{network.name or 'network'}: {sizes}, {' and '.join(parts)} in {layers}"


def facts_of(network: Network) -> dict[str, Any]:
    """Return what matters of a network: its sizes, and a line for each layer."""
    facts: dict[str, Any] = {
        "inputs, outputs": f"{network.input_dim:,}, {network.output_dim:,}",
        "units": f"{network.n_units:,}",
        "parameters": f"{n_parameters(network):,}",
    }
    lines = list(_layers(network))
    if len(lines) > MOST_LAYERS:
        lines = [*lines[: MOST_LAYERS - 1], (f"... {len(lines) - MOST_LAYERS + 1} more", "")]
    return facts | dict(lines)


def n_parameters(network: Network) -> int:
    """Return how many weights and biases are stored; of sparse matrices the non-zeros."""
    stored = (matrix.nnz if hasattr(matrix, "nnz") else matrix.size for matrix in network.operators)
    return int(sum(stored)) + sum(bias.size for bias in network.biases)


def dictionary_of(network: Network) -> dict[str, Any]:
    """Return the arguments of `Network.from_arrays` that make the network again, as lists."""
    return {
        "name": network.name,
        "weights": [weight.tolist() for weight in network.weights],
        "biases": [bias.tolist() for bias in network.biases],
        "relu": list(network.relu),
        "slopes": [None if pair is None else pair.tolist() for pair in network.slopes],
        "maxima": [None if sizes is None else sizes.tolist() for sizes in network.maxima],
    }


def _sizes(network: Network) -> list[int]:
    return [network.input_dim, *(bias.size for bias in network.biases)]


def _layers(network: Network) -> Iterator[tuple[str, str]]:
    for layer, (before, after) in enumerate(pairwise(_sizes(network))):
        if not network.relu[layer]:
            kind = "affine"
        elif network.maxima[layer] is not None:
            kind = "max units"
        else:
            kind = "ReLU" if network.slopes[layer] is None else "two slopes"
        stored = network.operators[layer]
        zeros = f", {stored.nnz:,} non-zeros" if hasattr(stored, "nnz") else ""
        yield f"layer {layer}", f"{before:,} -> {after:,}, {kind}{zeros}"
