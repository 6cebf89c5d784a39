"""Whatever is in a file, reading it gives an object or an error of this package, soon and within bounds."""

from __future__ import annotations

import pickle
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from judging import complex_of
from mutations import mutated, mutated_archive, mutated_message
from strategies import random_case
from test_saved_explorations import around
from test_saved_files import rewrite

from regions.complexes import CellComplex
from regions.errors import RegionsError
from regions.estimators import Estimate, Target
from regions.exploration import Exploration
from regions.network.loaders import load_network
from regions.network.relu_network import Network
from regions.validation.comparison import Comparison, Judgement
from regions.validation.local_complexity import ValidationReport
from regions.validation.tracking.history import History, Record

MUTATIONS = 1000
BLOCK = 25  # mutations of one case, so that the short run takes two cases of each format
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


def cells_file(folder: Path) -> Path:
    complex_of(random_case(2, (3, 2), seed=3)).save(folder / "cells.regions")
    rewrite(folder / "cells.regions", lambda arrays: None)  # without the digest, which would notice it all
    return folder / "cells.regions"


def exploration_file(folder: Path) -> Path:
    around("few").save(folder / "found.npz")
    rewrite(folder / "found.npz", lambda arrays: None)
    return folder / "found.npz"


ONE = Estimate(1.0, 0.25, 10)


def comparison_file(folder: Path) -> Path:
    judged = Judgement("mine", Target.locus(), ONE, 10, (ONE, Estimate(1.25, 0.1, 10)), 0.5)
    Comparison((judged,), "a network", "a box", "uniform").save(folder / "comparison.json")
    return folder / "comparison.json"


def validation_file(folder: Path) -> Path:
    ValidationReport("mine", "gradient", 0.5, ONE, ONE, 0.0, 1.0, 1.0).save(folder / "report.json")
    return folder / "report.json"


def history_file(folder: Path) -> Path:
    record = Record(
        0, "a", "COMPLETE", 3, 0.5, 1.0, (0.25, 0.75), local_complexity=ONE, scalars={"loss": 1.0}
    )
    History((record, Record(1, "a", "TRUNCATED", 4, 0.0))).save(folder / "history.json")
    return folder / "history.json"


def network(path: Path) -> object:
    return load_network(path, allow_code=True)


# how a file of each format is made, and how it is read
FORMATS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    "onnx": (chain_file, network),
    "npz": (npz_file, network),
    "nnet": (nnet_file, network),
    "torch module": (torch_file, network),
    "torch program": (program_file, network),
    "pickle": (pickle_file, network),
    "joblib": (joblib_file, network),
    "cells": (cells_file, CellComplex.load),
    "exploration": (exploration_file, Exploration.load),
    "comparison": (comparison_file, Comparison.load),
    "validation": (validation_file, ValidationReport.load),
    "history": (history_file, History.load),
}


@cache
def original(format: str) -> tuple[str, bytes]:
    """The suffix and the content of an undamaged file, which can take a second to make."""
    make, read = FORMATS[format]
    with tempfile.TemporaryDirectory() as folder:
        path = make(Path(folder))
        read(path)
        return path.suffix, path.read_bytes()


def damaged(data: bytes, suffix: str, seed: tuple[int, int]) -> bytes:
    """A damaged copy; half of those of ONNX and of archives are damaged inside, and can be parsed."""
    rng = np.random.default_rng(seed)
    if seed[1] % 2 and data[:2] == b"PK":
        return mutated_archive(data, rng)
    if seed[1] % 2 and suffix == ".onnx":
        onnx = pytest.importorskip("onnx", reason="needs onnx")
        model = onnx.ModelProto.FromString(data)
        mutated_message(model, rng)
        return bytes(model.SerializeToString())
    return mutated(data, rng)


def check_mutations(
    read: Callable[[Path], object], suffix: str, data: bytes, folder: Path, block: int
) -> None:
    """Read many damaged copies; every one gives an object, or is refused."""
    copy = folder / f"copy{suffix}"
    limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    for k in range(BLOCK):
        copy.write_bytes(damaged(data, suffix, (block, k)))
        start = time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert read(copy) is not None
        except RegionsError as error:
            assert str(error)
        assert time.monotonic() - start < LONGEST_S, f"mutation ({block}, {k})"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    assert peak - limit < MOST_MEMORY


@pytest.mark.sweep(2 * len(FORMATS), 6 * len(FORMATS))
@pytest.mark.parametrize("block", range(MUTATIONS // BLOCK))
@pytest.mark.parametrize("format", FORMATS)
def test_damaged_files_are_read_or_refused(format: str, block: int, tmp_path: Path) -> None:
    suffix, data = original(format)
    check_mutations(FORMATS[format][1], suffix, data, tmp_path, block)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("block", range(10))
def test_damaged_acas_networks_are_networks_or_refused(
    block: int, tmp_path: Path, reference_data: Path
) -> None:
    pytest.importorskip("onnx", reason="needs onnx")
    file = sorted((reference_data / "acasxu").glob("*.onnx"))[block]
    check_mutations(network, ".onnx", file.read_bytes(), tmp_path, block)
