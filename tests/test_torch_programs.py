"""Laws of PyTorch modules with a forward pass of their own: it is the same function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from regions.errors import InvalidNetworkError
from regions.network.loaders import from_torch

torch = pytest.importorskip("torch", reason="needs torch")
nn = torch.nn


class Written(nn.Module):  # type: ignore[name-defined,misc]
    """A module whose forward pass is a function of its layers."""

    def __init__(self, forward: Callable[[Any, Any], Any], **layers: Any) -> None:
        super().__init__()
        self.run = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Any) -> Any:
        return self.run(self, x)


def two_layers(forward: Callable[[Any, Any], Any]) -> Any:
    return Written(forward, a=nn.Linear(3, 6), b=nn.Linear(6, 2))


def convolutional() -> Any:
    layers = {
        "c": nn.Conv2d(2, 4, 3, padding="same", bias=False),
        "n": nn.BatchNorm2d(4),
        "d": nn.Conv2d(4, 4, 3, stride=2, groups=2),
        "u": nn.ConvTranspose2d(4, 1, 2, stride=2, output_padding=1),
        "p": nn.AdaptiveAvgPool2d((2, 3)),
        "f": nn.Linear(6, 2),
    }

    def forward(m: Any, x: Any) -> Any:
        h = m.d(m.n(m.c(x)).relu()).relu()
        return m.f(m.p(m.u(h)).flatten(1))

    model = Written(forward, **layers)
    with torch.no_grad():
        model.n.running_mean.normal_()
        model.n.running_var.uniform_(0.5, 2.0)
    return model


# name: module, shape of one input, widths of its ReLU layers
MODULES: dict[str, tuple[Callable[[], Any], tuple[int, ...], tuple[int, ...]]] = {
    "functions": (lambda: two_layers(lambda m, x: m.b(torch.relu(m.a(x)))), (3,), (6,)),
    "clamp": (lambda: two_layers(lambda m, x: m.b(m.a(x).clamp(min=0))), (3,), (6,)),
    "normalised inputs": (lambda: two_layers(lambda m, x: m.b(torch.relu(m.a((x - 0.5) / 2)))), (3,), (6,)),
    "products": (
        lambda: two_layers(lambda m, x: torch.relu(x @ m.a.weight.T + m.a.bias) @ m.b.weight.T),
        (3,),
        (6,),
    ),
    "branches": (
        lambda: two_layers(lambda m, x: m.b(torch.cat([m.a(x)[:, :2].relu(), m.a(-2 * x)[:, 2:].relu()], 1))),
        (3,),
        (6,),
    ),
    "chunks and means": (
        lambda: two_layers(
            lambda m, x: torch.stack(
                [part.sum(1) - 3 * part.mean(1) for part in m.a(x).relu().chunk(2, 1)], 1
            )
        ),
        (3,),
        (6,),
    ),
    "one layer twice": (
        lambda: Written(
            lambda m, x: m.a(torch.relu(m.a(x))).transpose(0, 1).reshape(-1, 3), a=nn.Linear(3, 3)
        ),
        (3,),
        (3,),
    ),
    "images": (convolutional, (2, 5, 6), (120, 16)),
    "padding": (
        lambda: Written(
            lambda m, x: m.b(nn.functional.pad(x.unsqueeze(1), (1, 2), value=0.5).squeeze(1)).relu(),
            b=nn.Linear(6, 2),
        ),
        (3,),
        (2,),
    ),
    "sequences": (
        lambda: Written(
            lambda m, x: nn.functional.avg_pool1d(m.c(x).relu(), 2).permute(0, 2, 1), c=nn.Conv1d(2, 3, 2)
        ),
        (2, 5),
        (12,),
    ),
}


@pytest.mark.parametrize("case", MODULES)
def test_modules_with_their_own_forward_are_read(case: str) -> None:
    torch.manual_seed(0)
    make, shape, widths = MODULES[case]
    model = make().eval()
    network = from_torch(model, example_input=torch.zeros(1, *shape))
    assert network.widths == widths
    x = torch.randn(7, *shape)
    expected = np.stack([model(row[None]).detach().numpy().ravel() for row in x])
    np.testing.assert_allclose(network.forward(x.reshape(7, -1).numpy()), expected, rtol=1e-4, atol=1e-5)


def test_the_first_linear_layer_tells_what_an_input_is() -> None:
    model = two_layers(lambda m, x: m.b(torch.relu(m.a(x))))
    same = nn.Sequential(model.a, nn.ReLU(), model.b)
    assert from_torch(model) == from_torch(same)
    assert from_torch(model, input_shape=(3,)) == from_torch(same)


def test_a_last_softmax_is_read_up_to() -> None:
    model = two_layers(lambda m, x: torch.softmax(m.b(torch.relu(m.a(x))), dim=1))
    network = from_torch(model, name="net")
    assert network.name == "net (before softmax)"
    assert network == from_torch(nn.Sequential(model.a, nn.ReLU(), model.b))


def test_a_last_tanh_may_be_scaled_by_a_number_above_0() -> None:
    model = two_layers(lambda m, x: 2.0 * torch.tanh(m.b(torch.relu(m.a(x)))) + 0.5)
    network = from_torch(model, name="net")
    assert network.name == "net (before tanh)"
    assert network == from_torch(nn.Sequential(model.a, nn.ReLU(), model.b))
    turned = two_layers(lambda m, x: -2.0 * torch.tanh(m.b(torch.relu(m.a(x)))))
    with pytest.raises(InvalidNetworkError, match=r"tanh .* is not piecewise linear"):
        from_torch(turned)


def test_a_last_argmax_is_read_up_to() -> None:
    model = two_layers(lambda m, x: m.b(torch.relu(m.a(x))).argmax(dim=1))
    network = from_torch(model, name="net")
    assert network.name == "net (before argmax)"
    assert network == from_torch(nn.Sequential(model.a, nn.ReLU(), model.b))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (two_layers(lambda m, x: m.b(torch.nn.functional.silu(m.a(x)))), "silu .* is not piecewise linear"),
        (two_layers(lambda m, x: m.b(m.a(x) * m.a(x))), "not piecewise linear"),
        (Written(lambda m, x: m.c(x), c=nn.Conv2d(1, 1, 2)), "give example_input="),
        (Written(lambda m, x: m.a(x) if x.sum() > 0 else x, a=nn.Linear(3, 3)), "torch.export cannot export"),
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU()), r"model\.eval\(\)"),
    ],
)
def test_refusals_give_the_reason(model: Any, reason: str) -> None:
    with pytest.raises(InvalidNetworkError, match=reason):
        from_torch(model)
