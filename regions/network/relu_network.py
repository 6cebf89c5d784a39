"""The network as everything else sees it: affine maps in a chain, some followed by units with two slopes.

Validates once, on construction; afterwards shapes, finiteness and immutability can be relied on.
Its own files are in `network_files`; reading other people's formats is left to `loaders`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.errors import InvalidInputError, InvalidNetworkError, RegionsError
from regions.network.network_files import read_layers, write_layers
from regions.network.patterns import checked_states
from regions.network.slopes import RELU, Slopes, activated, put_out, right_of, slopes_of_layers

__all__ = ["Network"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Network:
    """A chain of affine layers, each followed by a ReLU or not, with exact float64 weights.

    Layer l maps `h` to `weights[l] @ h + biases[l]` and then, iff `relu[l]`, to its positive part, or to what
    the units' slopes make of it: `slopes[l][0] * z` where z <= 0, and `slopes[l][1] * z` where z > 0.
    A unit is a row of a ReLU layer; units are numbered flat, ReLU layer after ReLU layer.
    Two networks are equal when their weights, biases, ReLU flags and slopes are the same bits.

    Parameters
    ----------
    weights, biases : tuples of (n_l, n_{l-1}) and (n_l,) float64; copied, read-only, C-contiguous
    relu : tuple of bool, one per affine layer
    name : str, for reports only; not part of equality
    slopes : tuple, one per affine layer: None for ReLUs (and where `relu` is False), or (2, n_l) float64, the
        slopes left and right of the units' breakpoints; see `from_arrays` for what else may be given

    Raises
    ------
    InvalidNetworkError : if there is no layer, shapes do not chain, a width is zero, a number is NaN or
        infinite, or float64 would round an array or cannot hold it (complex, object, integers > 2**53)

    Examples
    --------
    >>> network = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.5]])
    >>> network.forward([[2.0], [-3.0]])
    array([[2.5],
           [3.5]])
    """

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    relu: tuple[bool, ...]
    name: str = ""
    slopes: tuple[Slopes, ...] = ()

    def __post_init__(self) -> None:
        weights = _float_arrays("weights", self.weights, 2)
        biases = _float_arrays("biases", self.biases, 1)
        _check_chain(weights, biases)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)
        object.__setattr__(self, "relu", _relu_flags(self.relu, len(weights)))
        object.__setattr__(self, "name", str(self.name))
        object.__setattr__(
            self, "slopes", slopes_of_layers(self.slopes, self.relu, [bias.size for bias in biases])
        )

    def __eq__(self, other: object) -> bool:
        return self.digest() == other.digest() if isinstance(other, Network) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest())

    def __reduce__(self) -> tuple[type[Network], tuple[Any, ...]]:
        # pickled arrays come back writable; going through the constructor freezes them again
        return (Network, (self.weights, self.biases, self.relu, self.name, self.slopes))

    @classmethod
    def from_arrays(
        cls,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike],
        relu: Sequence[bool] | None = None,
        *,
        name: str = "",
        slopes: Sequence[Any] | None = None,
    ) -> Network:
        """Make the network of the given weights `(out, in)` and biases `(out,)`.

        Parameters
        ----------
        weights, biases : sequences of (n_l, n_{l-1}) and (n_l,) arrays
            Weights may be sparse matrices of scipy; they are stored dense.
        relu : sequence of bool, one per layer; default a ReLU after every layer but the last
        name : str, for reports
        slopes : sequence, one per layer; default ReLUs
            For each layer None, "abs" or "identity" for all its units, a number a for leaky ReLUs of the
            slopes (a, 1), a pair (left, right), or (2, n_l) numbers: a pair for each unit.

        Raises
        ------
        InvalidNetworkError : as for `Network`

        Examples
        --------
        >>> Network.from_arrays([[[1.0, 2.0]]], [[3.0]]).relu
        (False,)
        >>> leaky = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]], slopes=[0.5, None])
        >>> leaky.forward([[-2.0], [2.0]]).tolist()
        [[-1.0], [2.0]]
        """
        if relu is None:
            n_layers = len(weights) if hasattr(weights, "__len__") else 0
            relu = [layer < n_layers - 1 for layer in range(n_layers)]
        return cls(
            cast(Any, weights),
            cast(Any, biases),
            cast(Any, relu),
            name,
            () if slopes is None else cast(Any, slopes),
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Network:
        """Read the network in a `.npz` with keys `W0, b0, W1, b1, ...`, where `W` is `(out, in)`.

        A ReLU follows every layer but the last, unless a key `relu` lists one flag per layer. Where units
        are no ReLUs the flag is 2, and a key `slopes3` holds the (2, n) slopes of layer 3. Keys `name` (a
        string) and any others not of these forms may be there and are left alone.

        Parameters
        ----------
        path : path of the file; it names the network if there is no key `name`

        Raises
        ------
        InvalidInputError : if there is no such file
        InvalidNetworkError : if it is no readable `.npz`, a key is missing or the arrays do not fit

        Examples
        --------
        >>> import tempfile, os
        >>> network = Network.from_arrays([[[1.0]]], [[0.5]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     network.save(os.path.join(folder, "net.npz"))
        ...     Network.load(os.path.join(folder, "net.npz")) == network
        True
        """
        stored = read_layers(path)
        try:
            return cls.from_arrays(**stored._asdict())
        except InvalidNetworkError as error:
            raise InvalidNetworkError(f"{Path(path)}: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network as `.npz`, in the form that `load` reads back bit for bit.

        Parameters
        ----------
        path : path of the file, written exactly there

        Raises
        ------
        InvalidInputError : if the file cannot be written

        Examples
        --------
        >>> import tempfile, os
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Network.from_arrays([[[1.0]]], [[0.5]]).save(os.path.join(folder, "net.npz"))
        ...     os.listdir(folder)
        ['net.npz']
        """
        write_layers(path, self)

    @property
    def n_layers(self) -> int:
        """Number of affine layers."""
        return len(self.weights)

    @property
    def input_dim(self) -> int:
        """Number of inputs."""
        return int(self.weights[0].shape[1])

    @property
    def output_dim(self) -> int:
        """Number of outputs."""
        return int(self.weights[-1].shape[0])

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of units of each ReLU layer."""
        return tuple(bias.size for bias, relu in zip(self.biases, self.relu, strict=True) if relu)

    @property
    def n_units(self) -> int:
        """Number of units of all ReLU layers."""
        return sum(self.widths)

    @cached_property
    def unit_offsets(self) -> NDArray[np.int64]:
        """Flat number of the first unit of each ReLU layer, and the total: `(n_relu_layers + 1,)`."""
        offsets = np.concatenate([[0], np.cumsum(self.widths, dtype=np.int64)]).astype(np.int64)
        offsets.setflags(write=False)
        return offsets

    @property
    def is_relu(self) -> bool:
        """Whether all units are ReLUs."""
        return all(pair is None for pair in self.slopes)

    @cached_property
    def unit_slopes(self) -> FloatArray:
        """Slopes of all units, left and right of their breakpoints: `(2, n_units)`, in flat order."""
        parts = [
            np.repeat([[RELU[0]], [RELU[1]]], bias.size, axis=1) if pair is None else pair
            for bias, relu, pair in zip(self.biases, self.relu, self.slopes, strict=True)
            if relu
        ]
        slopes = np.concatenate([np.zeros((2, 0)), *parts], axis=1)
        slopes.setflags(write=False)
        return slopes

    @cached_property
    def cutting(self) -> BoolArray:
        """Whether a unit's slopes differ, `(n_units,)`: only such units cut, the others are linear."""
        cutting = self.unit_slopes[0] != self.unit_slopes[1]
        cutting.setflags(write=False)
        return cutting

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the outputs of the network, in float64.

        Parameters
        ----------
        x : (N, input_dim) or (input_dim,) array

        Returns
        -------
        y : (N, output_dim) or (output_dim,) float64

        Raises
        ------
        InvalidInputError : if x has another shape or holds NaN or infinity

        Examples
        --------
        >>> Network.from_arrays([[[1.0, 2.0]]], [[3.0]]).forward([1.0, 1.0])
        array([6.])
        """
        return self._run(x)[0]

    def pre_activations(self, x: ArrayLike) -> list[FloatArray]:
        """Return the values of the units before their activation, one array per ReLU layer.

        Parameters
        ----------
        x : (N, input_dim) or (input_dim,) array

        Returns
        -------
        z : list of (N, width) or (width,) float64

        Raises
        ------
        InvalidInputError : if x has another shape or holds NaN or infinity

        Examples
        --------
        >>> Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0, 0], [0]]).pre_activations([2.0])
        [array([ 2., -2.])]
        """
        return self._run(x)[1]

    def activation_pattern(self, x: ArrayLike) -> BoolArray:
        """Say which units are active, in flat order; a unit at exactly 0 is inactive.

        Active means right of the breakpoint, whatever the slopes. Linear units have none, and count as active
        everywhere.

        Parameters
        ----------
        x : (N, input_dim) or (input_dim,) array

        Returns
        -------
        pattern : (N, n_units) or (n_units,) bool

        Raises
        ------
        InvalidInputError : if x has another shape or holds NaN or infinity

        Examples
        --------
        >>> network = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0, 0], [0]])
        >>> network.activation_pattern([[2.0], [0.0]])
        array([[ True, False],
               [False, False]])
        """
        output, values = self._run(x)
        pairs = (pair for pair, relu in zip(self.slopes, self.relu, strict=True) if relu)
        active = [right_of(value, pair) for value, pair in zip(values, pairs, strict=True)]
        return np.concatenate(active, axis=-1) if active else np.zeros((*output.shape[:-1], 0), np.bool_)

    def affine_map(self, pattern: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return the affine map `x -> A @ x + c` that the network is where it has this activation pattern.

        Parameters
        ----------
        pattern : (n_units,) bool

        Returns
        -------
        A, c : (output_dim, input_dim) and (output_dim,) float64

        Raises
        ------
        InvalidInputError : if the pattern has another shape or values other than 0 and 1

        Examples
        --------
        >>> network = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0, 0], [0]])
        >>> network.affine_map([False, True])
        (array([[-1.]]), array([0.]))
        """
        return self._compose(pattern)[0]

    def unit_maps(self, pattern: ArrayLike) -> list[tuple[FloatArray, FloatArray]]:
        """Return the affine maps of the pre-activations where the network has this activation pattern.

        Parameters
        ----------
        pattern : (n_units,) bool; the last ReLU layer's own states do not matter

        Returns
        -------
        maps : list over ReLU layers of (A (width, input_dim), c (width,)) float64

        Raises
        ------
        InvalidInputError : if the pattern has another shape or values other than 0 and 1

        Examples
        --------
        >>> network = Network.from_arrays([[[2.0]], [[3.0]], [[1.0]]], [[1.0], [0.0], [0.0]])
        >>> network.unit_maps([True, False])
        [(array([[2.]]), array([1.])), (array([[6.]]), array([3.]))]
        """
        return self._compose(pattern)[1]

    def digest(self) -> str:
        """Return the SHA-256, in hex, of the shapes, ReLU flags and little-endian bytes of all numbers.

        Examples
        --------
        >>> network = Network.from_arrays([[[1.0]]], [[0.5]])
        >>> len(network.digest()), network.digest() == Network.from_arrays([[[1]]], [[0.5]]).digest()
        (64, True)
        """
        state = hashlib.sha256()
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            state.update(f"{weight.shape} {self.relu[layer]};".encode())
            state.update(weight.astype("<f8").tobytes())
            state.update(bias.astype("<f8").tobytes())
            if (pair := self.slopes[layer]) is not None:
                state.update(b"slopes;" + pair.astype("<f8").tobytes())
        return state.hexdigest()

    def describe(self) -> str:
        """Say in one line, for reports, the name, the widths from input to output, and the number of units.

        Examples
        --------
        >>> Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0, 0], [0]], name="abs").describe()
        'abs: 1 -> 2 -> 1, 2 ReLU units in 1 layer'
        """
        sizes = " -> ".join(str(size) for size in [self.input_dim, *(bias.size for bias in self.biases)])
        layers = "1 layer" if len(self.widths) == 1 else f"{len(self.widths)} layers"
        kind = "ReLU units" if self.is_relu else "units with two slopes"
        linear = self.n_units - int(np.count_nonzero(self.cutting))
        passing = f" ({linear} of them linear)" if linear else ""
        return f"{self.name or 'network'}: {sizes}, {self.n_units} {kind}{passing} in {layers}"

    def _run(self, x: ArrayLike) -> tuple[FloatArray, list[FloatArray]]:
        value = _float64("x", x, InvalidInputError)
        if value.ndim not in (1, 2) or value.shape[-1] != self.input_dim:
            raise InvalidInputError(
                f"x has shape {value.shape}; expected (N, {self.input_dim}) or ({self.input_dim},)"
            )
        before_relu = []
        layers = zip(self.weights, self.biases, self.relu, self.slopes, strict=True)
        for weight, bias, relu, pair in layers:
            value = value @ weight.T + bias
            if relu:
                before_relu.append(value)
                value = put_out(value, pair)
        return value, before_relu

    def _compose(
        self, pattern: ArrayLike
    ) -> tuple[tuple[FloatArray, FloatArray], list[tuple[FloatArray, FloatArray]]]:
        active = checked_states(pattern, self.n_units)
        unit_maps, start = [], 0
        A, c = np.eye(self.input_dim), np.zeros(self.input_dim)
        for index, (weight, bias, relu) in enumerate(zip(self.weights, self.biases, self.relu, strict=True)):
            # the first map is the layer itself, to the bit, without a product by the identity
            A, c = (weight @ A, weight @ c + bias) if index else (weight.copy(), bias.copy())
            if relu:
                unit_maps.append((A, c))
                on = active[start : start + bias.size]
                pair = self.slopes[index]
                A, c = activated(A, on, pair, 1), activated(c, on, pair)
                start += bias.size
        return (A, c), unit_maps


def _float64(what: str, value: Any, error: type[RegionsError]) -> FloatArray:
    """Return a C-contiguous float64 copy; raise the given error if that would round or is not finite."""
    try:
        given = value.toarray() if hasattr(value, "toarray") else np.asarray(value)  # scipy's sparse ones
    except (TypeError, ValueError) as failure:
        raise error(f"{what} is not an array of numbers: {failure}") from failure
    if given.dtype.kind not in "biuf":
        raise error(f"{what} has dtype {given.dtype}; expected real numbers that float64 can hold")
    array = np.array(given, dtype=np.float64, order="C")
    if not np.isfinite(array).all():
        at = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        raise error(f"{what} holds {array[at]} at index {at}; every number must be finite")
    if given.dtype.kind in "iu":
        rounded = bool(((given > 2**53) | (given < -(2**53))).any())
    else:
        rounded = given.dtype.itemsize > 8 and bool((array != given).any())
    if rounded:
        raise error(f"{what} ({given.dtype}) would be rounded by float64; round it yourself if that is meant")
    return array


def _listed(what: str, values: Any) -> list[Any]:
    try:
        return list(values)
    except TypeError as error:
        raise InvalidNetworkError(f"{what} is a {type(values).__name__}; give one per layer") from error


def _float_arrays(what: str, values: Any, ndim: int) -> tuple[FloatArray, ...]:
    arrays = []
    for layer, item in enumerate(_listed(what, values)):
        array = _float64(f"{what}[{layer}]", item, InvalidNetworkError)
        if array.ndim != ndim:
            raise InvalidNetworkError(f"{what}[{layer}] has shape {array.shape}; expected {ndim} axes")
        array.setflags(write=False)
        arrays.append(array)
    return tuple(arrays)


def _check_chain(weights: tuple[FloatArray, ...], biases: tuple[FloatArray, ...]) -> None:
    if not weights:
        raise InvalidNetworkError("weights is empty; a network needs at least one layer")
    if len(weights) != len(biases):
        raise InvalidNetworkError(f"{len(weights)} weights but {len(biases)} biases; give one per layer")
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        if 0 in weight.shape:
            raise InvalidNetworkError(f"weights[{layer}] has shape {weight.shape}; no width may be zero")
        if bias.size != weight.shape[0]:
            raise InvalidNetworkError(
                f"weights[{layer}] has {weight.shape[0]} rows but biases[{layer}] has {bias.size} entries"
            )
        if layer and weight.shape[1] != weights[layer - 1].shape[0]:
            raise InvalidNetworkError(
                f"weights[{layer}] takes {weight.shape[1]} inputs but layer {layer - 1} gives "
                f"{weights[layer - 1].shape[0]}; W is (out, in), transpose it if it is stored (in, out)"
            )


def _relu_flags(relu: Any, n_layers: int) -> tuple[bool, ...]:
    flags = _listed("relu", relu)
    if len(flags) != n_layers:
        raise InvalidNetworkError(f"relu has {len(flags)} flags for {n_layers} layers; give one per layer")
    for layer, flag in enumerate(flags):
        if not isinstance(flag, bool | np.bool_):
            raise InvalidNetworkError(f"relu[{layer}] is {flag!r}; expected True or False")
    return tuple(bool(flag) for flag in flags)
