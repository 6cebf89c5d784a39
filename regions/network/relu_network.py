"""The network as everything else sees it: affine maps in a chain, some followed by units with two slopes.

Validates once, on construction; afterwards shapes, finiteness and immutability can be relied on.
Its own files are in `network_files`; reading other people's formats is left to `loaders`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.errors import InvalidInputError, InvalidNetworkError
from regions.network.description import describe_network, dictionary_of, facts_of
from regions.network.layer_checks import check_chain, checked_arrays, exact_float64, relu_flags
from regions.network.layer_matrices import (
    DenseViews,
    Matrix,
    compact,
    digest_of_layers,
    is_sparse,
    matrices_of,
)
from regions.network.max_units import (
    MaxUnits,
    Sizes,
    check_slopes,
    joined_layers,
    output_of_layer,
    refuse_max_units,
    sizes_of_layers,
    states_of_layer,
    table_of,
)
from regions.network.network_files import read_layers, write_layers
from regions.network.patterns import checked_states
from regions.network.slopes import RELU, Slopes, activated, slopes_of_layers
from regions.showing import Shown

__all__ = ["Network"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Network(Shown):
    """A chain of affine layers, each followed by a ReLU or not, with exact float64 weights.

    Layer l maps `h` to `weights[l] @ h + biases[l]` and then, iff `relu[l]`, to its positive part, or to what
    the units' slopes make of it: `slopes[l][0] * z` where z <= 0, and `slopes[l][1] * z` where z > 0.
    A unit is a row of a ReLU layer; units are numbered flat, ReLU layer after ReLU layer. Consecutive rows
    may be the candidates of one max unit: the largest puts out its value, the others 0; a tie goes to the
    first. Two networks are equal when their weights, biases, ReLU flags, slopes and max units are the same
    bits.
    Large matrices of few non-zeros, as convolutions make them, are stored by these: `operators` has all
    matrices as they are stored (dense, or as scipy's `csr_array`), `weights` makes dense ones on demand.

    Parameters
    ----------
    weights, biases : sequences of (n_l, n_{l-1}) and (n_l,) float64; copied, read-only, C-contiguous
    relu : tuple of bool, one per affine layer
    name : str, for reports only; not part of equality
    slopes : tuple, one per affine layer: None for ReLUs (and where `relu` is False), or (2, n_l) float64, the
        slopes left and right of the units' breakpoints; see `from_arrays` for what else may be given
    maxima : tuple, one per affine layer: None, or the number of rows of each unit in turn, int64; those of
        more than one row are max units, and the next layer has the same column for all rows of one

    Raises
    ------
    InvalidNetworkError : if there is no layer, shapes do not chain, a width is zero, a number is NaN or
        infinite, or float64 would round an array or cannot hold it (complex, object, integers > 2**53)
    BudgetExceededError : where `weights` is asked for a sparse matrix of more than 2**27 entries

    Examples
    --------
    >>> network = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.5]])
    >>> network.forward([[2.0], [-3.0]])
    array([[2.5],
           [3.5]])
    """

    weights: Sequence[FloatArray]
    biases: tuple[FloatArray, ...]
    relu: tuple[bool, ...]
    name: str = ""
    slopes: tuple[Slopes, ...] = ()
    maxima: tuple[Sizes, ...] = ()
    operators: tuple[Matrix, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        given = checked_arrays("weights", matrices_of(self.weights), 2)
        biases = checked_arrays("biases", self.biases, 1)
        if len(biases) != len(given):
            check_chain(given, biases)
        relu, widths = relu_flags(self.relu, len(given)), [bias.size for bias in biases]
        maxima = sizes_of_layers(self.maxima, relu, widths)
        slopes = slopes_of_layers(self.slopes, relu, widths)
        check_slopes(maxima, slopes)
        given, biases = joined_layers(given, biases, maxima)
        operators = tuple(map(compact, given))
        check_chain(operators, biases)
        added = len(operators) - len(relu)
        object.__setattr__(self, "operators", operators)
        dense = not any(map(is_sparse, operators))
        object.__setattr__(self, "weights", operators if dense else DenseViews(operators))
        object.__setattr__(self, "biases", biases)
        object.__setattr__(self, "relu", (*relu, *(False,) * added))
        object.__setattr__(self, "name", str(self.name))
        object.__setattr__(self, "slopes", (*slopes, *(None,) * added))
        object.__setattr__(self, "maxima", (*maxima, *(None,) * added))

    def __eq__(self, other: object) -> bool:
        return self.digest() == other.digest() if isinstance(other, Network) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest())

    def __reduce__(self) -> tuple[type[Network], tuple[Any, ...]]:
        # pickled arrays come back writable; going through the constructor freezes them again
        return (Network, (self.operators, self.biases, self.relu, self.name, self.slopes, self.maxima))

    @classmethod
    def from_arrays(
        cls,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike],
        relu: Sequence[bool] | None = None,
        *,
        name: str = "",
        slopes: Sequence[Any] | None = None,
        maxima: Sequence[Any] | None = None,
    ) -> Network:
        """Make the network of the given weights `(out, in)` and biases `(out,)`.

        Parameters
        ----------
        weights, biases : sequences of (n_l, n_{l-1}) and (n_l,) arrays
            Weights may be sparse matrices of scipy.
        relu : sequence of bool, one per layer; default units after every layer but the last, and after the
            last if it has max units
        name : str, for reports
        slopes : sequence, one per layer; default ReLUs
            For each layer None, "abs" or "identity" for all its units, a number a for leaky ReLUs of the
            slopes (a, 1), a pair (left, right), or (2, n_l) numbers: a pair for each unit.
        maxima : sequence, one per layer; default no max units
            For each layer None, a number k for max units of k consecutive rows each (maxout of rank k), or
            the numbers of rows of all units in turn, 1 for ordinary units. The next layer takes one input
            for each unit; a max unit of negated rows is a minimum, negated.

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
        >>> maxout = Network.from_arrays([[[1.0], [-1.0], [0.5]]], [[0.0, 0.0, 1.0]], maxima=[3])
        >>> maxout.forward([[-3.0], [0.0], [4.0]]).tolist()
        [[3.0], [1.0], [4.0]]
        """
        if relu is None:
            n_layers = len(weights) if hasattr(weights, "__len__") else 0
            relu = [layer < n_layers - 1 for layer in range(n_layers)]
            if relu and maxima is not None and hasattr(maxima, "__getitem__") and len(maxima) == n_layers:
                relu[-1] = maxima[-1] is not None
        return cls(
            cast(Any, weights),
            cast(Any, biases),
            cast(Any, relu),
            name,
            () if slopes is None else cast(Any, slopes),
            () if maxima is None else cast(Any, maxima),
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Network:
        """Read the network in a `.npz` with keys `W0, b0, W1, b1, ...`, where `W` is `(out, in)`.

        A ReLU follows every layer but the last, unless a key `relu` lists one flag per layer. Where units
        are no ReLUs the flag is 2, and a key `slopes3` holds the (2, n) slopes of layer 3; where some are max
        units it is 3, and a key `maxima3` holds the numbers of rows of all units. Keys `name` (a string) and
        any others not of these forms may be there and are left alone.

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
        return len(self.operators)

    @property
    def input_dim(self) -> int:
        """Number of inputs."""
        return int(self.operators[0].shape[1])

    @property
    def output_dim(self) -> int:
        """Number of outputs."""
        return int(self.operators[-1].shape[0])

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Number of units of each ReLU layer."""
        return tuple(bias.size for bias, relu in zip(self.biases, self.relu, strict=True) if relu)

    @cached_property
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
        return all(pair is None for pair in (*self.slopes, *self.maxima))

    @cached_property
    def max_units(self) -> MaxUnits | None:
        """Which rows are candidates of which max unit, and how their pairs are numbered; None without any."""
        layers = zip(self.maxima, self.biases, self.relu, strict=True)
        return table_of([bias.size if sizes is None else sizes for sizes, bias, relu in layers if relu])

    def refuse_max_units(self, what: str) -> None:
        """Raise InvalidNetworkError, saying that `what` takes no max units, if there are any."""
        refuse_max_units(self.maxima, what)

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
        """Whether a unit's slopes differ, `(n_units,)`: only such units cut, the others are linear.

        Candidates of max units are among them: each cuts where it ties with the winner.
        """
        cutting = self.unit_slopes[0] != self.unit_slopes[1]
        cutting.setflags(write=False)
        return cutting

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Return the outputs of the network at x, as `forward` does."""
        return self.forward(x)

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
        everywhere. Of a max unit's candidates one is active, the first largest.

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
        layers = zip(self.slopes, self.maxima, self.relu, strict=True)
        kinds = ((pair, sizes) for pair, sizes, relu in layers if relu)
        active = [states_of_layer(value, *kind) for value, kind in zip(values, kinds, strict=True)]
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

        Sparse matrices of more than 2**24 entries count by their non-zeros and where these are. Made once.

        Examples
        --------
        >>> network = Network.from_arrays([[[1.0]]], [[0.5]])
        >>> len(network.digest()), network.digest() == Network.from_arrays([[[1]]], [[0.5]]).digest()
        (64, True)
        """
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return digest_of_layers(self.operators, self.biases, self.relu, self.slopes, self.maxima)

    def describe(self) -> str:
        """Say in one line, for reports, the name, the widths from input to output, and the number of units.

        Examples
        --------
        >>> Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0, 0], [0]], name="abs").describe()
        'abs: 1 -> 2 -> 1, 2 ReLU units in 1 layer'
        """
        return describe_network(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments of `from_arrays` that make the network again, as lists."""
        return dictionary_of(self)

    def _facts(self) -> dict[str, Any]:
        return facts_of(self)

    def _run(self, x: ArrayLike) -> tuple[FloatArray, list[FloatArray]]:
        value = exact_float64("x", x, InvalidInputError)
        if value.ndim not in (1, 2) or value.shape[-1] != self.input_dim:
            raise InvalidInputError(
                f"x has shape {value.shape}; expected (N, {self.input_dim}) or ({self.input_dim},)"
            )
        before_relu = []
        layers = zip(self.operators, self.biases, self.relu, self.slopes, self.maxima, strict=True)
        for weight, bias, relu, pair, sizes in layers:
            value = value @ weight.T + bias
            if relu:
                before_relu.append(value)
                value = output_of_layer(value, pair, sizes)
        return value, before_relu

    def _compose(
        self, pattern: ArrayLike
    ) -> tuple[tuple[FloatArray, FloatArray], list[tuple[FloatArray, FloatArray]]]:
        active = checked_states(pattern, self.n_units)
        unit_maps, start = [], 0
        A, c = self.weights[0], self.biases[0]
        for index, (weight, bias, relu) in enumerate(
            zip(self.operators, self.biases, self.relu, strict=True)
        ):
            # the first map is the layer itself, to the bit, without a product by the identity
            A, c = (weight @ A, weight @ c + bias) if index else (A.copy(), c.copy())
            if relu:
                unit_maps.append((A, c))
                on = active[start : start + bias.size]
                pair = self.slopes[index]
                A, c = activated(A, on, pair, 1), activated(c, on, pair)
                start += bias.size
        return (A, c), unit_maps
