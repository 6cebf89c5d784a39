"""Files of other people and of every exporter: each loads and has the cells that are known, or is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regions import Box, count_cells
from regions.errors import InvalidInputError
from regions.network.loaders import load_network
from regions.network.loaders.operator_table import operator_table

# file: widths of the layers of units
ZOO: dict[str, tuple[int, ...]] = {
    "cifar10_small.onnx": (1800, 576, 128, 64),
    "cifar_deep_kw.onnx": (2048, 2048, 2048, 512, 100),
    "collins_rul_small_window_20.onnx": (1600, 2400, 800, 600, 100),
    "conv_mp1.onnx": (512, 128, 32),  # with the candidates of max units
    "convnet_avgpool.onnx": (23328,),
    "convnet_maxpool.onnx": (18432, 1152),
    "keras_conv_7x7.onnx": (36,),
    "mnistfc_256x2.onnx": (256, 256),
    "resnet_2b.onnx": (2048, 2048, 1024, 2048, 1024, 100),  # with what the skips carry
    "rl_cartpole.onnx": (64, 64),
    "rl_dubinsrejoin.onnx": (256, 256),
    "rl_lunarlander.onnx": (64, 64),
    "safenlp_ruarobot.onnx": (128,),
    "tll_8.onnx": (128, 64, 32, 16, 8, 4),
}


def others(reference_data: Path, folder: str) -> Path:
    """A folder of files beside the reference data; skips where it is absent."""
    if not (reference_data / folder).is_dir():
        pytest.skip(f"no folder {folder} beside the reference data")
    return reference_data / folder


def test_small_files_have_the_cells_of_an_independent_splitter(reference_data: Path) -> None:
    folder = others(reference_data, "cases")
    pytest.importorskip("onnx", reason="needs onnx")
    answers = json.loads((folder / "answers.json").read_text())
    names = {path.stem: path for path in folder.iterdir() if path.suffix in (".onnx", ".npz")}
    for name, path in sorted(names.items()):
        answer = answers.get(name) or answers[f"{name}_{path.suffix[1:]}"]
        assert count_cells(load_network(path), Box([-1.0, -1.0], [1.0, 1.0])).cells == answer["cells"], name


def test_a_state_dict_of_others_has_the_known_cells(reference_data: Path) -> None:
    pytest.importorskip("torch", reason="needs torch")
    path = others(reference_data, "cases") / "state_dict.pth"
    assert load_network(path) == load_network(path.with_name("arr_k.npz"))


@pytest.mark.sweep(6)
@pytest.mark.parametrize("name", ZOO)
def test_files_of_the_zoo_load(name: str, reference_data: Path) -> None:
    pytest.importorskip("onnx", reason="needs onnx")
    # the loader has compared it with onnxruntime
    assert load_network(others(reference_data, "zoo") / name).widths == ZOO[name]


def test_keras_files_of_others_load(reference_data: Path) -> None:
    pytest.importorskip("h5py", reason="needs h5py")
    zoo = others(reference_data, "zoo")
    assert load_network(zoo / "cnn_max_mnist2.h5").widths == (5000, 1936, 484, 32)
    line = load_network(zoo / "linear_131_relu.keras")
    assert count_cells(line, Box([-256.0], [256.0])).cells == 4


def test_formats_that_are_not_read_say_which_are(tmp_path: Path) -> None:
    (tmp_path / "net.caffemodel").write_bytes(b"layers")
    with pytest.raises(InvalidInputError, match=r"supported are \.npz, \.onnx, \.nnet"):
        load_network(tmp_path / "net.caffemodel")


def test_the_documented_table_is_that_of_the_loaders() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "loaders.md").read_text()
    _, _, rest = page.partition("<!-- operators: begin -->\n")
    assert rest.partition("<!-- operators: end -->")[0].strip() == operator_table()
