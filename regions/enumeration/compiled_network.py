"""A network on a domain as the arrays that the kernels read, with the errors of writing it so."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.domain.starting_polytope import exact_polytope
from regions.enumeration.buffer_pool import Recent
from regions.enumeration.facet_keys import facet_words
from regions.enumeration.rough_weights import rough_arrays
from regions.enumeration.unrounded_sums import exact_layers, exact_limits, underflow_error
from regions.errors import InvalidDomainError, InvalidNetworkError, SolverError
from regions.kernels.memory.bits import SMALLEST
from regions.kernels.memory.layouts import aligned_zeros
from regions.kernels.memory.map_rows import BLOCK
from regions.network.layer_matrices import (
    Matrix,
    identity,
    is_sparse,
    most_terms,
    values_of,
    with_values,
)
from regions.network.relu_network import Network
from regions.network.slopes import Slopes

UNIT_ROUNDOFF = 2.0**-53
LARGEST_VALUE = 1e300  # the largest pre-activation; beyond it a sum could overflow
LARGEST_EXPONENT = 64  # weights beyond 2**64 or below 2**-64 are rescaled layer by layer


def rounding(n: int) -> float:
    """`gamma_n = n u / (1 - n u)`, the relative error of a sum of n products (Higham 2002, lemma 3.1)."""
    return n * UNIT_ROUNDOFF / (1.0 - n * UNIT_ROUNDOFF)


def _affine_chain(
    network: Network,
) -> tuple[list[Matrix], list[NDArray[np.float64]], list[bool], list[Slopes]]:
    """Return weights, biases, ReLU flags and slopes with an affine output layer at the end."""
    weights, biases, relu = list(network.operators), list(network.biases), list(network.relu)
    slopes = list(network.slopes)
    if relu[-1]:
        n = weights[-1].shape[0]
        weights.append(identity(n))
        biases.append(np.zeros(n))
        relu.append(False)
        slopes.append(None)
    return weights, biases, relu, slopes


def _steepest(slopes: list[Slopes], layer: int) -> NDArray[np.float64] | float:
    """Return the larger |slope| of each unit of a layer; 1 for ReLUs, and where there are no units."""
    pair = slopes[layer]
    return 1.0 if pair is None else np.abs(pair).max(axis=0)


def _gammas(weights: list[Matrix], slopes: list[Slopes]) -> NDArray[np.float64]:
    """Return the rounding of each layer's sums over the layer below; a slope there rounds once more.

    Only weights that are not 0 count: adding 0 rounds nothing. So a convolution over a large image has the
    errors of its kernel's size.
    """
    more = [0, *(pair is not None for pair in slopes[:-1])]
    return np.array([rounding(most_terms(w) + 3 + extra) for w, extra in zip(weights, more, strict=True)])


def first_map(weights: Matrix, biases: NDArray[np.float64], domain: Domain) -> NDArray[np.float64]:
    """Return the first layer's map in intrinsic coordinates: rows coefficients, constant, error, (spare).

    Exact for a Box, whose intrinsic coordinates are the inputs; otherwise `W @ basis` and
    `W @ origin + b` round, and the error row bounds the effect of that over the domain.
    """
    d = domain.dimension
    n = weights.shape[0]
    rows = np.zeros((d + 3, n))
    if domain.is_identity:
        rows[:d] = weights.T.toarray() if is_sparse(weights) else weights.T
        rows[d] = biases
        return rows
    rows[:d] = (weights @ domain.basis).T
    rows[d] = weights @ domain.origin + biases
    gamma = rounding(most_terms(weights) + 2) * (1 + 1e-9)
    largest = np.abs(domain.basis) @ extent_of(domain) + np.abs(domain.origin)
    rows[d + 1] = gamma * (abs(weights) @ largest + np.abs(biases)) + SMALLEST
    return rows


def extent_of(domain: Domain) -> NDArray[np.float64]:
    """Return the largest absolute value of each intrinsic coordinate in the domain, a little enlarged."""
    return domain.extent() * (1 + 1e-9)


def balanced(
    weights: list[Matrix], biases: list[NDArray[np.float64]]
) -> tuple[list[Matrix], list[NDArray[np.float64]], int]:
    """Divide layers by powers of two where weights are so extreme that products could leave the floats.

    Units with their breakpoint at 0 are positively homogeneous, so no pattern changes; the output becomes
    `2**-power` times what it was.

    Raises
    ------
    InvalidNetworkError
        If a bias does not survive the division: the layers' scales do not fit into floats together.
    """
    exponents = [int(np.frexp(np.abs(values_of(w)).max(initial=0.0))[1]) for w in weights]
    if max(map(abs, exponents)) <= LARGEST_EXPONENT:
        return weights, biases, 0
    power = 0
    new_weights, new_biases = [], []
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        power += exponents[layer]
        with np.errstate(over="ignore", under="ignore"):  # what does not come back is refused
            pair = np.ldexp(values_of(weight), -exponents[layer]), np.ldexp(bias, -power)
            back = np.ldexp(pair[0], exponents[layer]), np.ldexp(pair[1], power)
        if not (np.array_equal(back[0], values_of(weight)) and np.array_equal(back[1], bias)):
            raise InvalidNetworkError(
                f"layer {layer}: weights and biases span more than floating point holds once the layers "
                f"before it are rescaled (by 2**{-power}); rescale the network so that weights are nearer 1"
            )
        new_weights.append(with_values(weight, pair[0]))
        new_biases.append(pair[1])
    return new_weights, new_biases, power


def _check_magnitude(
    weights: list[Matrix],
    biases: list[NDArray[np.float64]],
    slopes: list[Slopes],
    size: NDArray[np.float64],
) -> None:
    """Refuse a network whose sums might overflow; `size` bounds the first layer's pre-activations."""
    with np.errstate(over="ignore", invalid="ignore"):
        for layer, (weight, bias) in enumerate(zip(weights[1:], biases[1:], strict=True)):
            size = np.maximum(1.0, _steepest(slopes, layer)) * size
            size = abs(weight) @ size + np.abs(bias)
    if not size.max(initial=0.0) < LARGEST_VALUE:
        raise InvalidNetworkError(
            f"pre-activations may exceed {LARGEST_VALUE:g} on this domain, where floating point ends; "
            "rescale the network or take a smaller domain"
        )


def _jacobian_error(weights: list[Matrix], slopes: list[Slopes], domain: Domain) -> float:
    """Bound the Frobenius norm of the rounding error of the output's Jacobian on any cell.

    Layer by layer with absolute values, all units active: sizes `|W| S`, errors `|W| e + gamma |W| (S + e)`,
    after sizes and errors were multiplied by the larger |slope| of each unit.
    """
    basis = np.abs(domain.basis)
    size = abs(weights[0]) @ basis
    error = np.zeros_like(size) if domain.is_identity else rounding(most_terms(weights[0]) + 2) * size
    for weight, gamma, layer in zip(weights[1:], _gammas(weights, slopes)[1:], count(), strict=False):
        absolute, steepest = abs(weight), np.reshape(_steepest(slopes, layer), (-1, 1))
        size, error = steepest * size, steepest * error
        error = absolute @ error + gamma * (absolute @ (size + error)) + SMALLEST
        size = absolute @ size
    return float(np.linalg.norm(error)) * (1.0 + 1e-9)


def vertex_errors(domain: Domain) -> NDArray[np.float64]:
    """Bound how far the domain's stored vertices are from the points where its stored sides meet.

    Those of axis-parallel sides are exact; the others are compared with the exact solution of their sides.

    Returns
    -------
    radii : (n,) float64, bounds of the largest coordinate's error
    """
    vertices = domain.vertices
    if domain.is_axis_parallel:
        return np.zeros(vertices.shape[0])
    exact = exact_polytope(*domain.halfspaces).vertices
    radii = np.empty(vertices.shape[0])
    for k, (stored, true) in enumerate(zip(vertices.tolist(), exact, strict=True)):
        worst = max(abs(Fraction(x) - y) for x, y in zip(stored, true, strict=True))
        radii[k] = float(worst) * (1.0 + 1e-9) + (SMALLEST if worst else 0.0)
    return radii


@dataclass(frozen=True)
class CompiledNetwork:
    """A network on a domain as the kernels read it: numbers, and arrays by their names in the layout.

    `radius` is the position error that float arithmetic gives to every vertex, `radii` those of the
    domain's vertices; `central` says that no map has a constant term; `underflow` is what underflow may
    add to the error of a row; `jacobian_error` bounds the norm of the error of any cell's output
    Jacobian; the kernels' output is `2**-power` times the network's. `sloped` says that some unit is no ReLU,
    `maxed` that some are candidates of max units, `sparse` that some layer is stored by its non-zeros.
    `rough` has arrays for the last layer's maps in single precision, if counts by polygons use these. The
    words `unit_keys` and `facet_keys`, of which the keys of facets are made, are those of `facet_keys`; no
    result shows them.
    """

    network_ref: weakref.ref[Network]
    dimension: int
    n_layers: int
    certified: bool
    planar: bool
    radius: float
    width: NDArray[np.int64]
    word_start: NDArray[np.int64]
    n_units: int
    sloped: bool
    maxed: bool
    sparse: bool
    first: NDArray[np.float64]
    radii: NDArray[np.float64]
    central: bool
    underflow: float
    jacobian_error: float
    power: int
    arrays: dict[str, NDArray[Any]]
    rough: dict[str, NDArray[Any]]

    @property
    def rough_length(self) -> int:
        """The length of a row of the last layer's maps in single precision."""
        return int(self.rough["rough_biases"].size) if self.rough else 0

    @property
    def widest(self) -> int:
        """The most rows of a layer, those of pairs of candidates of max units included, in whole blocks."""
        return -(-int((self.width + self.arrays["maxed"]).max()) // BLOCK) * BLOCK

    @property
    def network(self) -> Network:
        """The network, which whoever searches it keeps alive."""
        network = self.network_ref()
        if network is None:
            raise ReferenceError("the network that was compiled is gone")
        return network


recent: Recent[CompiledNetwork] = Recent()


def compile_network(
    network: Network,
    domain: Domain,
    *,
    radius: float,
    certified: bool,
    planar: bool,
    vertices: bool = True,
) -> CompiledNetwork:
    """Write a network on a domain as the kernels read it; the last few are remembered.

    Without `vertices`, a Box may have any dimension, and `radii` is empty.

    Raises
    ------
    InvalidDomainError
        If the domain does not live in the network's input space.
    InvalidNetworkError
        If its sums could leave the range of floating point.
    SolverError
        If this process takes subnormal numbers for 0.
    """
    _check_subnormals()
    options = (radius, certified, planar, vertices)
    net = recent.find(network, domain, options)
    if net is None:
        net = _compiled(network, domain, *options)
        recent.keep(
            network, domain, options, net, sum(net.arrays[name].nbytes for name in ("weights", "weight_rows"))
        )
    return net


def _check_subnormals() -> None:
    """Raise SolverError where the processor flushes subnormal numbers: no error bound would hold then."""
    if np.ldexp(1.0, -1060) * 1.0 == 0.0:
        raise SolverError(
            "this process takes subnormal numbers for 0 (flush to zero), so that no error bound holds: "
            "torch.set_flush_denormal(False) turns it off, or run regions in a process of its own"
        )


def _weight_arrays(weights: list[Matrix]) -> dict[str, NDArray[Any]]:
    """Return the weights as kernels read them: sparse matrices by columns, then dense ones, transposed."""
    sparse = [w.T.tocsr() if is_sparse(w) else None for w in weights]  # row k has column k of the matrix
    columns = [w for w in sparse if w is not None]
    sizes = np.array([w.shape[1] if part is not None else 0 for w, part in zip(weights, sparse, strict=True)])
    entries = np.concatenate([[0], np.cumsum([w.nnz for w in columns])]).astype(np.int64)
    dense = [0 if part is not None else w.size for w, part in zip(weights, sparse, strict=True)]
    starts = [w.indptr[:-1] + start for w, start in zip(columns, entries, strict=False)]
    stored = [w.data for w in columns]
    stored += [np.ascontiguousarray(w.T).ravel() for w in weights if not is_sparse(w)]
    entered = aligned_zeros(sum(part.size for part in stored) + BLOCK)  # a block may begin at the last entry
    np.concatenate([*stored, np.zeros(BLOCK)], out=entered)
    return {
        "weights": entered,
        "weight_starts": entries[-1] + np.concatenate([[0], np.cumsum(dense)]).astype(np.int64),
        "sparse": np.array([part is not None for part in sparse], dtype=np.int64),
        "weight_rows": np.concatenate([np.zeros(0, np.int64), *(w.indices for w in columns)]).astype(
            np.int64
        ),
        "column_starts": np.concatenate([*starts, entries[-1:]]).astype(np.int64),
        "column_bases": np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64),
    }


def _slope_arrays(
    network: Network, slopes: list[Slopes], unit_starts: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return the slopes of all units, and of each layer whether it has any and how many units cut."""
    table = network.max_units
    alone = network.cutting if table is None else network.cutting & (table.first < 0)
    return {
        "sloped": np.array([pair is not None for pair in slopes], dtype=np.int64),
        "cutting": np.diff(np.concatenate([[0], np.cumsum(alone)])[unit_starts]),
        "slopes": np.concatenate([network.unit_slopes, np.zeros((2, 1))], axis=1),
    }


def _pair_arrays(network: Network, unit_starts: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the pairs of candidates of max units, layer by layer, and which units compete with which."""
    table, n_layers = network.max_units, unit_starts.size - 1
    rivals = np.array([[0], [1]]).repeat(max(1, network.n_units), axis=1)
    if table is None:
        none = np.zeros((3, 0), np.int64)
        return {
            "maxed": np.zeros(n_layers, np.int64),
            "pair_starts": np.zeros(n_layers, np.int64),
            "pair_rows": none,
            "unit_pairs": np.zeros(max(1, network.n_units), np.int64),
            "rivals": rivals,
        }
    layer_of_pair = np.searchsorted(unit_starts, table.pairs[0], side="right") - 1
    starts = np.searchsorted(layer_of_pair, np.arange(n_layers + 1))
    first_units = unit_starts[layer_of_pair]
    owned = table.first >= 0
    layer_of_unit = np.searchsorted(unit_starts, np.flatnonzero(owned), side="right") - 1
    rivals[0, owned] = table.first[owned] - unit_starts[layer_of_unit]
    rivals[1] = table.size
    return {
        "maxed": np.diff(starts),
        "pair_starts": np.ascontiguousarray(starts[:-1]),
        "pair_rows": np.concatenate([table.pairs - first_units, first_units[None]]),
        "unit_pairs": table.pair_starts
        - starts[np.searchsorted(unit_starts, np.arange(table.n_units), "right") - 1],
        "rivals": rivals,
    }


def _vertex_radii(domain: Domain, radius: float, certified: bool) -> NDArray[np.float64]:
    """Return the position errors of the domain's vertices."""
    return vertex_errors(domain) if certified else np.full(domain.vertices.shape[0], radius)


def _rough_arrays(
    network: Network,
    weights: list[Matrix],
    biases: list[NDArray[np.float64]],
    arrays: dict[str, NDArray[Any]],
) -> dict[str, NDArray[Any]]:
    """Return the last layer's arrays in single precision, for dense networks of ReLUs with a layer below."""
    plain = arrays["relus"][:-1].all() and all(pair is None for pair in network.slopes)
    plain = plain and network.max_units is None and not arrays["sparse"].any()
    return rough_arrays(weights[-2], biases[-2], arrays["extents"]) if plain and len(weights) > 2 else {}


def _compiled(
    network: Network, domain: Domain, radius: float, certified: bool, planar: bool, vertices: bool
) -> CompiledNetwork:
    """Do the work of `compile_network`.

    Raises
    ------
    InvalidDomainError
        If the domain does not live in the network's input space.
    InvalidNetworkError
        If its sums could leave the range of floating point.
    """
    if domain.input_dim != network.input_dim:
        raise InvalidDomainError(
            f"the domain is in {domain.input_dim} input dimensions, the network takes {network.input_dim}"
        )
    weights, biases, relu, slopes = _affine_chain(network)
    weights, biases, power = balanced(weights, biases)
    n_layers = len(weights) - 1
    width = np.array([w.shape[0] for w in weights], dtype=np.int64)
    is_relu = np.array([*relu[:n_layers], False], dtype=np.int64)
    units = np.concatenate([[0], np.cumsum(width * is_relu)]).astype(np.int64)
    words = np.concatenate([[0], np.cumsum((width * is_relu + 63) // 64)]).astype(np.int64)
    n_units = int(units[-1])
    arrays: dict[str, NDArray[Any]] = {
        "widths": width,
        "relus": is_relu,
        **_slope_arrays(network, slopes, units),
        **_pair_arrays(network, units),
        **_weight_arrays(weights),
        "biases": np.concatenate([*biases, np.zeros(BLOCK)]),
        "bias_starts": np.concatenate([[0], np.cumsum(width)]).astype(np.int64),
        "unit_starts": units,
        "word_starts": words,
        **facet_words(network, domain, n_units),
        "extents": extent_of(domain),
        "gammas": _gammas(weights, slopes),
    }
    plain = domain.is_identity
    exact = exact_layers(weights, biases, slopes) if plain else 0
    arrays["roundings"] = arrays["gammas"] * (np.arange(n_layers + 1) >= exact)
    arrays["exact_limits"] = exact_limits(weights, biases, slopes) * plain
    first = first_map(weights[0], biases[0], domain)
    d = domain.dimension
    _check_magnitude(weights, biases, slopes, np.abs(first[:d].T) @ arrays["extents"] + np.abs(first[d]))
    layers = [(values_of(weight), bias) for weight, bias in zip(weights, biases, strict=True)]
    underflow = underflow_error(first[: d + 1], [*layers, *((pair,) for pair in slopes if pair is not None)])
    return CompiledNetwork(
        network_ref=weakref.ref(network),
        dimension=d,
        n_layers=n_layers,
        certified=certified,
        planar=planar,
        radius=radius,
        width=width,
        word_start=words,
        n_units=n_units,
        sloped=any(pair is not None for pair in network.slopes),
        maxed=network.max_units is not None,
        sparse=bool(arrays["sparse"].any()),
        first=first,
        radii=_vertex_radii(domain, radius, certified) if vertices else np.zeros(0),
        central=plain and not any(bias.any() for bias in biases),
        underflow=underflow,
        jacobian_error=_jacobian_error(weights, slopes, domain),
        power=power,
        arrays=arrays,
        rough=_rough_arrays(network, weights, biases, arrays) if planar else {},
    )
