"""Max pooling and largest entries in programs of PyTorch: calls that become max units."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from regions.errors import InvalidNetworkError
from regions.network.loaders import bends, moves
from regions.network.loaders.affine_tensors import AffineTensor
from regions.network.loaders.convolutions import window, window_groups
from regions.network.loaders.graph_steps import Bend

if TYPE_CHECKING:
    from regions.network.loaders.torch_operators import Call


def spread(value: Any, axes: int) -> tuple[int, ...]:
    """A number for each axis, given for all of them or for each."""
    given = (value,) if isinstance(value, int) else tuple(int(size) for size in value)
    return (given * axes)[:axes]


def images(call: Call, rank: int) -> AffineTensor:
    """The one image, of `rank` axes, that a call takes."""
    if len(call.x.shape) != rank + 1 or call.x.shape[0] != 1:
        raise InvalidNetworkError(
            f"{call.where} takes one image and {rank} axes, but receives {call.x.shape}"
        )
    return call.x


def largest_in_windows(call: Call) -> Any:
    """Max pooling: a max unit for each window."""
    axes = int(call.kind.removesuffix("_with_indices")[-2])
    x = images(call, axes + 1)
    kernel = spread(call.arguments["kernel_size"], axes)
    moving = window(
        axes,
        spread(call.get("stride") or kernel, axes),
        spread(call.get("padding", 0), axes),
        spread(call.get("dilation", 1), axes),
    )
    entries, sizes, after = window_groups(
        kernel, moving, x.shape[1:], call.where, ceil=bool(call.get("ceil_mode", False))
    )
    result = bends.largest(call.layering, x, entries, sizes, (1, *after))
    return _with_places(result) if call.kind.endswith("_with_indices") else result


def _with_places(result: AffineTensor | Bend) -> Any:
    """A pair of values and their places, as PyTorch gives them; nothing may use the places."""
    if not isinstance(result, Bend):
        return [result, None]
    values = cast(Callable[..., AffineTensor], result.after)
    return result._replace(after=lambda units, kept: [values(units, kept), None])  # type: ignore[arg-type, return-value]


def largest(call: Call) -> Any:
    """The largest or smallest entries along some axes, or of all."""
    x, rank = call.x, len(call.x.shape)
    given = call.get("dim", [])
    axes = [given] if isinstance(given, int) else list(given)
    chosen = tuple(sorted({moves.axis_of(axis, rank) for axis in axes or range(rank)}))
    sign = -1.0 if call.kind in ("amin", "min") else 1.0
    result = bends.largest_along(call.layering, x, chosen, keep=bool(call.get("keepdim", False)), sign=sign)
    return _with_places(result) if call.kind in ("max", "min") and isinstance(given, int) else result
