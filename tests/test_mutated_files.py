"""Whatever is in a file, reading it gives a network or an error of this package, soon and within bounds."""

from __future__ import annotations

import pickle
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mutations import mutated, mutated_message

from regions.errors import RegionsError
from regions.network.loaders import load_network
from regions.network.relu_network import Network

MUTATIONS = 1000
BLOCK = 20  # mutations of one case, so that the short run takes two cases of each format
LONGEST_S = 20.0  # a load takes milliseconds; the machine may be busy
MOST_MEMORY = 3 * 2**30


def chain_file(folder: Path) -> Path:
    """An ONNX graph with weights, shapes, a convolution and branches."""
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    node, rng = onnx.helper.make_node, np.random.default_rng(0)
    nodes = [
        node("MatMul", ["x", "A"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("Reshape", ["r", "image"], ["i"]),
        node("Conv", ["i", "K"], ["c"], pads=[1, 0, 0, 1]),
        node("Relu", ["c"], ["q"]),
        node("AveragePool", ["q"], ["p"], kernel_shape=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("Slice", ["f", "zero", "two", "one"], ["s"]),
        node("Concat", ["s", "f"], ["y"], axis=1),
    ]
    constants = {
        "A": rng.normal(size=(2, 9)).astype(np.float32),
        "K": rng.normal(size=(2, 1, 2, 2)).astype(np.float32),
        "image": np.array([1, 1, 3, 3]),
        **{name: np.array([k]) for k, name in enumerate(("zero", "one", "two"))},
    }
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info("x", 1, ["batch", 2])],
        [onnx.helper.make_tensor_value_info("y", 1, ["batch", 10])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


def torch_file(folder: Path) -> Path:
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    torch.save(model, folder / "net.pt")
    return folder / "net.pt"


def program_file(folder: Path) -> Path:
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    torch.export.save(torch.export.export(model, (torch.zeros(1, 2),)), folder / "net.pt2")
    return folder / "net.pt2"


def sklearn_model() -> object:
    neural = pytest.importorskip("sklearn.neural_network", reason="needs scikit-learn")
    x = np.linspace(-1.0, 1.0, 20)[:, None]
    return neural.MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", max_iter=50, random_state=0).fit(
        x, abs(x[:, 0])
    )


def pickle_file(folder: Path) -> Path:
    (folder / "net.pkl").write_bytes(pickle.dumps(sklearn_model()))
    return folder / "net.pkl"


def joblib_file(folder: Path) -> Path:
    joblib = pytest.importorskip("joblib", reason="needs joblib")
    joblib.dump(sklearn_model(), folder / "net.joblib")
    return folder / "net.joblib"


def npz_file(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    Network.from_arrays([rng.normal(size=(3, 2)), rng.normal(size=(1, 3))], [np.zeros(3), np.zeros(1)]).save(
        folder / "net.npz"
    )
    return folder / "net.npz"


def nnet_file(folder: Path) -> Path:
    rows = [
        "2,2,1,2,",
        "2,2,1,",
        "0,",
        "-1,-1,",
        "1,1,",
        "0.5,0,1,",
        "2,1,3,",
        "1.5,2,",
        "-1,0.5,",
        "0,",
        "1,",
    ]
    (folder / "net.nnet").write_text("\n".join(["// two units", *rows, "1,-2,", "0.125,"]))
    return folder / "net.nnet"


FORMATS: dict[str, Callable[[Path], Path]] = {
    "onnx": chain_file,
    "npz": npz_file,
    "nnet": nnet_file,
    "torch module": torch_file,
    "torch program": program_file,
    "pickle": pickle_file,
    "joblib": joblib_file,
}


def damaged(format: str, original: Path, seed: tuple[int, int]) -> bytes:
    """The bytes of a damaged copy; half of those of ONNX can still be parsed."""
    rng, data = np.random.default_rng(seed), original.read_bytes()
    if format != "onnx" or seed[1] % 2:
        return mutated(data, rng)
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    model = onnx.ModelProto.FromString(data)
    mutated_message(model, rng)
    return bytes(model.SerializeToString())


def check_mutations(format: str, original: Path, block: int) -> None:
    """Read many damaged copies; every one is a network, or refused."""
    copy = original.with_name(f"copy{original.suffix}")
    limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    for k in range(BLOCK):
        copy.write_bytes(damaged(format, original, (block, k)))
        start = time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert isinstance(load_network(copy, allow_code=True), Network)
        except RegionsError as error:
            assert str(error)
        assert time.monotonic() - start < LONGEST_S, f"mutation ({block}, {k})"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    assert peak - limit < MOST_MEMORY


@pytest.mark.sweep(12)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("block", range(MUTATIONS // BLOCK))
def test_damaged_files_are_networks_or_refused(format: str, block: int, tmp_path: Path) -> None:
    check_mutations(format, FORMATS[format](tmp_path), block)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("block", range(10))
def test_damaged_acas_networks_are_networks_or_refused(
    block: int, tmp_path: Path, reference_data: Path
) -> None:
    pytest.importorskip("onnx", reason="needs onnx")
    original = sorted((reference_data / "acasxu").glob("*.onnx"))[block]
    (tmp_path / "net.onnx").write_bytes(original.read_bytes())
    check_mutations("onnx", tmp_path / "net.onnx", block)
