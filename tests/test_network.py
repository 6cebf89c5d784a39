"""Laws of `Network`: what evaluation promises, and that nothing invalid gets in."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from regions.errors import BudgetExceededError, InvalidInputError, InvalidNetworkError
from regions.network.relu_network import Network

NUMBERS = st.floats(-3.0, 3.0, allow_subnormal=False).map(lambda x: round(x, 3))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Chains of one to four layers, narrow, with any ReLU flags and some exact zeros."""
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    weights, biases = [], []
    for fan_in, width in itertools.pairwise(widths):
        entries = draw(st.lists(NUMBERS, min_size=width * (fan_in + 1), max_size=width * (fan_in + 1)))
        weights.append(np.array(entries[width:]).reshape(width, fan_in))
        biases.append(np.array(entries[:width]))
    relu = draw(st.lists(st.booleans(), min_size=len(weights), max_size=len(weights)))
    return Network.from_arrays(weights, biases, relu)


def points(network: Network, seed: int, n: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=2.0, size=(n, network.input_dim))


def close(actual: Any, expected: Any, network: Network, x: Any) -> None:
    """Equal up to rounding, measured against the sums of magnitudes that occur on the way."""
    scale = np.abs(np.atleast_2d(x))
    for weight, bias in zip(network.weights, network.biases, strict=True):
        scale = scale @ np.abs(weight).T + np.abs(bias)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 * (1.0 + float(scale.max())))


@given(networks(), st.integers(0, 2**32 - 1))
def test_forward_equals_the_affine_map_of_the_points_pattern(network: Network, seed: int) -> None:
    for x in points(network, seed):
        A, c = network.affine_map(network.activation_pattern(x))
        close(A @ x + c, network.forward(x), network, x)


@given(networks(), st.integers(0, 2**32 - 1))
def test_unit_maps_equal_pre_activations_at_the_points_pattern(network: Network, seed: int) -> None:
    for x in points(network, seed, 3):
        maps = network.unit_maps(network.activation_pattern(x))
        for (A, c), z in zip(maps, network.pre_activations(x), strict=True):
            close(A @ x + c, z, network, x)


@given(networks(), st.integers(0, 2**32 - 1))
def test_a_batch_is_its_points_one_by_one(network: Network, seed: int) -> None:
    x = points(network, seed)
    close(network.forward(x), [network.forward(point) for point in x], network, x)
    assert network.activation_pattern(x).shape == (len(x), network.n_units)
    assert network.activation_pattern(x[0]).shape == (network.n_units,)


@given(networks(), st.integers(0, 2**32 - 1))
def test_pattern_is_the_strict_sign_of_the_pre_activations(network: Network, seed: int) -> None:
    x = points(network, seed)
    pattern = network.activation_pattern(x)
    for layer, z in enumerate(network.pre_activations(x)):
        start, end = network.unit_offsets[layer : layer + 2]
        np.testing.assert_array_equal(pattern[:, start:end], z > 0)


def test_a_unit_at_zero_is_inactive() -> None:
    network = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    assert not network.activation_pattern([0.0]).any()


@given(networks(), st.integers(0, 2**32 - 1), st.integers(-4, 4))
def test_positive_rescaling_of_units_keeps_function_and_pattern(
    network: Network, seed: int, exponent: int
) -> None:
    rng = np.random.default_rng(seed)
    weights, biases = [*network.weights], [*network.biases]
    for layer in range(network.n_layers - 1):
        # powers of two, so that rescaling itself rounds nothing
        factor = 2.0 ** (exponent * rng.integers(0, 2, size=biases[layer].size))
        weights[layer] = weights[layer] * factor[:, None]
        biases[layer] = biases[layer] * factor
        weights[layer + 1] = weights[layer + 1] / factor
    rescaled = Network.from_arrays(weights, biases, network.relu)
    x = points(network, seed)
    np.testing.assert_allclose(rescaled.forward(x), network.forward(x), rtol=1e-12, atol=1e-10)
    margin = min((float(np.abs(z).min()) for z in network.pre_activations(x)), default=1.0)
    if margin > 1e-9:
        np.testing.assert_array_equal(rescaled.activation_pattern(x), network.activation_pattern(x))


@given(networks(), st.integers(0, 2**32 - 1))
def test_permutation_of_units_keeps_the_function(network: Network, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, biases = [*network.weights], [*network.biases]
    for layer in range(network.n_layers - 1):
        order = rng.permutation(biases[layer].size)
        weights[layer], biases[layer] = weights[layer][order], biases[layer][order]
        weights[layer + 1] = weights[layer + 1][:, order]
    x = points(network, seed)
    close(Network.from_arrays(weights, biases, network.relu).forward(x), network.forward(x), network, x)


@given(networks())
def test_saving_and_loading_keeps_every_bit(
    tmp_path_factory: pytest.TempPathFactory, network: Network
) -> None:
    path = tmp_path_factory.mktemp("nets") / "net.npz"
    network.save(path)
    loaded = Network.load(path)
    assert loaded == network
    assert hash(loaded) == hash(network)
    assert loaded.relu == network.relu


@given(networks())
def test_pickling_keeps_every_bit_and_stays_read_only(network: Network) -> None:
    copy = pickle.loads(pickle.dumps(network))
    assert copy == network
    assert not any(array.flags.writeable for array in (*copy.weights, *copy.biases))


def test_reference_files_have_a_relu_after_every_layer_but_the_last(small_nets: Path) -> None:
    for path in sorted(small_nets.glob("*.npz")):
        network = Network.load(path)
        assert network.relu == (True,) * (network.n_layers - 1) + (False,)
        assert network.name == path.stem


def test_equality_is_of_weights_biases_and_flags_not_of_names() -> None:
    one = Network.from_arrays([[[1.0]]], [[2.0]], name="a")
    assert one == Network.from_arrays([[[1.0]]], [[2.0]], name="b")
    assert one != Network.from_arrays([[[1.0]]], [[2.0]], [True])
    assert one != Network.from_arrays([[[1.0]]], [[np.nextafter(2.0, 3.0)]])
    assert one != "a"


def test_arrays_are_copied_and_read_only() -> None:
    weight = np.array([[1.0, 2.0]])
    network = Network.from_arrays([weight], [[0.0]])
    weight[0, 0] = 7.0
    assert network.weights[0][0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        network.weights[0][0, 0] = 5.0
    assert not network.unit_offsets.flags.writeable


def test_float32_weights_become_the_same_numbers() -> None:
    weight = np.array([[0.1, 0.2]], dtype=np.float32)
    network = Network.from_arrays([weight], [np.zeros(1, dtype=np.float32)])
    assert network.weights[0].dtype == np.float64
    np.testing.assert_array_equal(network.weights[0], weight)


GOOD_W, GOOD_B = [np.ones((2, 3)), np.ones((1, 2))], [np.zeros(2), np.zeros(1)]
INVALID: dict[str, tuple[Any, Any, Any, str]] = {
    "no layers": ([], [], None, "at least one layer"),
    "nan weight": ([np.array([[np.nan]])], [[0.0]], None, "holds nan"),
    "infinite bias": ([[[1.0]]], [[np.inf]], None, "holds inf"),
    "one bias too few": (GOOD_W, GOOD_B[:1], None, "2 weights but 1 biases"),
    "bias of another length": (GOOD_W, [np.zeros(3), np.zeros(1)], None, "3 entries"),
    "transposed weight": ([GOOD_W[0], GOOD_W[1].T], [np.zeros(2), np.zeros(2)], None, "transpose"),
    "vector for a weight": ([np.ones(3)], [[0.0]], None, "expected 2 axes"),
    "matrix for a bias": ([np.ones((1, 3))], [[[0.0]]], None, "expected 1 axes"),
    "zero width": ([np.ones((0, 3))], [np.zeros(0)], None, "zero"),
    "no inputs": ([np.ones((2, 0))], [np.zeros(2)], None, "zero"),
    "complex": ([np.ones((1, 1)) * 1j], [[0.0]], None, "complex128"),
    "objects": ([np.array([[None]])], [[0.0]], None, "object"),
    "strings": ([np.array([["1"]])], [[0.0]], None, "dtype <U1"),
    "ragged": ([[[1.0], [1.0, 2.0]]], [[0.0]], None, "not an array"),
    "integer beyond 2**53": ([np.array([[2**53 + 1]])], [[0.0]], None, "rounded"),
    "extended precision": ([np.array([[np.longdouble(1) / 3]])], [[0.0]], None, "rounded"),
    "not a sequence": (3, GOOD_B, None, "one per layer"),
    "one flag too few": (GOOD_W, GOOD_B, [True], "1 flags for 2 layers"),
    "flag not a bool": (GOOD_W, GOOD_B, ["yes", "no"], "True or False"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_arrays_are_refused_with_the_reason(case: str) -> None:
    weights, biases, relu, reason = INVALID[case]
    with pytest.raises(InvalidNetworkError, match=reason.replace("*", r"\*")):
        Network.from_arrays(weights, biases, relu)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"W0": np.ones((2, 3)), "b0": np.zeros(2), "W1": np.ones((1, 2))}, "no key b1"),
        ({"W0": np.ones((2, 3)), "b0": np.zeros(2), "W2": np.ones((1, 2)), "b2": np.ones(1)}, "no key W1"),
        ({"x": np.ones(3)}, "holds no network"),
        ({"W0": np.array([[None]]), "b0": np.zeros(1)}, "plain arrays"),
        ({"W0": np.array([[np.nan]]), "b0": np.zeros(1)}, "holds nan"),
        ({"W0": np.ones((2, 3)), "b0": np.zeros(2), "relu": np.array([2])}, "one bool per layer"),
        ({"W99999999999": np.ones((2, 3))}, "no key W0"),
    ],
)
def test_files_without_a_network_are_refused_with_the_reason(
    tmp_path: Path, arrays: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(InvalidNetworkError, match=reason):
        Network.load(path)


@pytest.mark.parametrize("keep", [0, 1, 30, 200])
def test_truncated_files_are_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "net.npz"
    Network.from_arrays([np.ones((2, 3))], [np.zeros(2)]).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InvalidNetworkError, match="cannot read"):
        Network.load(path)


@given(position=st.floats(0.0, 1.0, exclude_max=True), mask=st.integers(1, 255))
def test_a_flipped_byte_never_changes_the_network_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, position: float, mask: int
) -> None:
    # flags that are not the default, so that losing them would show
    network = Network.from_arrays(GOOD_W, GOOD_B, [False, True], name="net")
    path = tmp_path_factory.mktemp("nets") / "net.npz"
    network.save(path)
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= mask
    path.write_bytes(content)
    try:
        loaded = Network.load(path)
    except InvalidNetworkError:
        return
    assert loaded == network


def test_an_absent_file_and_an_unwritable_one_say_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no network file"):
        Network.load(tmp_path / "absent.npz")
    with pytest.raises(InvalidInputError, match="cannot write"):
        Network.from_arrays([[[1.0]]], [[0.0]]).save(tmp_path / "no" / "folder.npz")


@pytest.mark.parametrize("x", [[1.0], [[1.0, 2.0, 3.0, 4.0]], [np.nan, 0.0, 0.0], 1.0, ["a", "b", "c"]])
def test_wrong_points_are_refused(x: Any) -> None:
    network = Network.from_arrays(GOOD_W, GOOD_B)
    for method in (network.forward, network.activation_pattern, network.pre_activations):
        with pytest.raises(InvalidInputError):
            method(x)


@pytest.mark.parametrize("pattern", [[True], [0, 2], [0.0, 1.0], [[True, False]]])
def test_wrong_patterns_are_refused(pattern: Any) -> None:
    network = Network.from_arrays(GOOD_W, GOOD_B)
    for method in (network.affine_map, network.unit_maps):
        with pytest.raises(InvalidInputError):
            method(pattern)


def test_sparse_weights_are_taken_as_they_are() -> None:
    dense = np.array([[0.0, 2.0, 0.0], [0.1, 0.0, 0.0]])
    weights = [sparse.csr_array(dense), sparse.coo_matrix([[1.0, 1.0]])]
    network = Network.from_arrays(weights, [[0.0, 1.0], [0.0]])
    assert np.array_equal(network.weights[0], dense) and network.weights[1].shape == (1, 2)
    with pytest.raises(InvalidNetworkError, match="nan"):
        Network.from_arrays([sparse.csr_array([[np.nan]])], [[0.0]])


def banded(n: int, seed: int = 0) -> sparse.csr_array:
    """A square matrix of seven diagonals."""
    rng = np.random.default_rng(seed)
    diagonals = [rng.normal(size=n) for _ in range(7)]
    return sparse.csr_array(sparse.diags_array(diagonals, offsets=range(-3, 4), shape=(n, n)))


@pytest.mark.sweep(2)
@pytest.mark.parametrize("size", [300, 3000, 200])
def test_a_sparse_network_and_its_dense_twin_are_equal(size: int, tmp_path: Path) -> None:
    matrices = [banded(size), banded(size, 1), np.ones((2, size))]
    biases = [np.arange(size) / 7.0, np.zeros(size), np.zeros(2)]
    one = Network.from_arrays(matrices, biases)
    two = Network.from_arrays([sparse.coo_array(m).toarray() for m in matrices], biases)
    assert one == two and [type(m) for m in one.operators] == [type(m) for m in two.operators]
    assert sparse.issparse(one.operators[0]) == (size >= 256) and not sparse.issparse(one.operators[2])
    x = np.linspace(-1.0, 1.0, 3 * size).reshape(3, size)
    hidden = np.maximum(x @ np.asarray(one.weights[0]).T + biases[0], 0.0)
    expected = np.maximum(hidden @ one.weights[1].T, 0.0) @ one.weights[2].T
    np.testing.assert_allclose(one.forward(x), expected, rtol=1e-12)
    np.testing.assert_array_equal(one.forward(x[0]), two.forward(x[0]))
    one.save(tmp_path / "net.npz")
    assert Network.load(tmp_path / "net.npz") == one == pickle.loads(pickle.dumps(one))
    assert not one.weights[0].flags.writeable and [w.shape for w in one.weights[:2]] == [(size, size)] * 2


def test_dense_matrices_with_negative_zeros_keep_their_bits() -> None:
    dense = np.where(np.eye(300) == 1.0, 0.5, -0.0)
    network = Network.from_arrays([dense], [np.zeros(300)])
    np.testing.assert_array_equal(np.signbit(network.weights[0]), np.signbit(dense))


def test_a_large_sparse_layer_has_no_dense_view_and_says_how_large_it_would_be() -> None:
    n = 20_000
    network = Network.from_arrays([sparse.eye_array(n), np.ones((1, n))], [np.zeros(n), [0.0]])
    with pytest.raises(BudgetExceededError, match=r"400,000,000 entries \(3.0 GiB\)"):
        _ = network.weights[0]
    assert network.forward(np.ones(n)) == n and len(network.digest()) == 64


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_large_sparse_layers_are_checked_by_their_non_zeros(bad: float) -> None:
    matrix = banded(300)
    matrix.data[5] = bad
    row, column = (int(part[5]) for part in sparse.coo_array(matrix).coords)
    with pytest.raises(InvalidNetworkError, match=rf"weights\[0\] holds {bad} at index \({row}, {column}\)"):
        Network.from_arrays([matrix], [np.zeros(300)])
    with pytest.raises(InvalidNetworkError, match="rounded"):
        Network.from_arrays([sparse.csr_array(np.eye(300, dtype=np.int64) * (2**53 + 1))], [np.zeros(300)])


@pytest.mark.parametrize("part", ["columns", "starts", "size"])
def test_damaged_non_zeros_in_a_file_are_refused(part: str, tmp_path: Path) -> None:
    Network.from_arrays([banded(3000)], [np.zeros(3000)]).save(tmp_path / "net.npz")
    stored = dict(np.load(tmp_path / "net.npz"))
    stored[f"W0_{part}"] = stored[f"W0_{part}"] - 1
    np.savez(tmp_path / "net.npz", **stored)
    with pytest.raises(InvalidNetworkError, match="non-zeros"):
        Network.load(tmp_path / "net.npz")
