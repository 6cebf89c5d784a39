"""Laws of files that hold weights without what stands between them: one order, or none and the way out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regions.errors import InvalidNetworkError
from regions.network.loaders import from_torch, load_network
from regions.network.loaders.unnamed_layers import ASSUMED
from regions.network.relu_network import Network


def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in ((5, 2), (5,), (3, 5), (3,), (1, 3))]


@pytest.mark.parametrize("turned", [False, True])
def test_numbered_arrays_are_weights_and_biases(turned: bool, tmp_path: Path) -> None:
    given = arrays()
    np.savez(tmp_path / "net.npz", *(array.T if turned and array.ndim == 2 else array for array in given))
    network = load_network(tmp_path / "net.npz")
    assert network == Network.from_arrays(given[::2], [given[1], given[3], np.zeros(1)])
    assert network.name == f"net ({ASSUMED})"


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (((5, 2), (4,), (3, 5)), "in no way"),
        (((2, 2), (2,), (2, 2), (2,)), "both as"),
        (((5,), (5, 2)), "in no way"),
        (((5, 2, 1),), "in no way"),
    ],
)
def test_arrays_that_fit_in_no_way_or_two_are_refused(shapes: Any, reason: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "net.npz", *(np.ones(shape) for shape in shapes))
    with pytest.raises(InvalidNetworkError, match=reason):
        load_network(tmp_path / "net.npz")


def saved(tmp_path: Path, state: Any) -> Path:
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.save(state, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def sequential(*widths: int, norm: bool = False) -> Any:
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.manual_seed(0)
    layers: list[Any] = []
    for k, (before, after) in enumerate(pairwise(widths)):
        layers += [torch.nn.Linear(before, after)]
        if k < len(widths) - 2:
            layers += [torch.nn.BatchNorm1d(after), torch.nn.ReLU()] if norm else [torch.nn.ReLU()]
    return torch.nn.Sequential(*layers).eval()


def test_a_state_dict_is_its_module_and_runs_no_code(tmp_path: Path) -> None:
    model = sequential(2, 6, 6, 3)
    for state in (model.state_dict(), {"state_dict": model.state_dict(), "epoch": 3}):
        network = load_network(saved(tmp_path, state))
        assert network == from_torch(model)
        assert network.name == f"net ({ASSUMED})"


def test_names_without_numbers_load_in_the_only_order_that_fits(tmp_path: Path) -> None:
    values = list(sequential(2, 6, 4, 3).state_dict().values())
    keys = ("body.weight", "body.bias", "second.weight", "second.bias", "head.weight", "head.bias")
    network = load_network(saved(tmp_path, dict(zip(keys, values, strict=True))))
    assert network == from_torch(sequential(2, 6, 4, 3))


def test_no_relu_is_assumed_where_there_is_no_room(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    nn = torch.nn
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    assert load_network(saved(tmp_path, model.state_dict())).relu == (False, True, False)


def test_batch_normalisation_before_the_relus_is_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    model = sequential(2, 6, 6, 1, norm=True)
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, torch.nn.BatchNorm1d):
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2.0)
                layer.weight.normal_()
    network = load_network(saved(tmp_path, model.state_dict()))
    x = torch.randn(20, 2)
    expected = model(x).detach().numpy()
    np.testing.assert_allclose(network.forward(x.numpy()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", ["two orders", "another layer", "do not chain", "no place of the norm"])
def test_what_is_not_settled_shows_how_to_export(case: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    nn = torch.nn
    model = sequential(4, 4, 4, 4)
    values = list(model.state_dict().values())
    match case:
        case "two orders":
            names = ("a", "c", "b")
            keys = [f"{name}.{part}" for name in names for part in ("weight", "bias")]
            state, reason = dict(zip(keys, values, strict=True)), "more than one order"
        case "another layer":
            state, reason = nn.Sequential(nn.Conv2d(1, 2, 3)).state_dict(), "not those of a Linear"
        case "do not chain":
            state, reason = (
                nn.ModuleDict({"0": nn.Linear(2, 3), "1": nn.Linear(4, 5)}).state_dict(),
                "gives 3",
            )
        case _:
            parts = {"fc1": nn.Linear(2, 3), "bn1": nn.BatchNorm1d(3), "fc2": nn.Linear(3, 1)}
            state, reason = nn.ModuleDict(parts).state_dict(), "before the ReLUs or behind"
    with pytest.raises(InvalidNetworkError, match=reason) as caught:
        load_network(saved(tmp_path, state))
    lines = ("load_state_dict", "torch.export.export", 'torch.export.save(program, "net.pt2")')
    assert all(line in str(caught.value) for line in lines)
