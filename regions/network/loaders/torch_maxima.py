"""Max pooling and largest entries in programs of PyTorch: calls that become max units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders import bends, moves
from regions.network.loaders.affine_tensors import AffineTensor
from regions.network.loaders.convolutions import window, window_groups
from regions.network.loaders.graph_steps import Bend
from regions.network.loaders.torch_calls import Call, spread


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


def largest_in_parts(call: Call) -> Any:
    """Adaptive max pooling: windows that share an image as evenly as can be."""
    axes = int(call.kind[-2])
    x = images(call, axes + 1)
    entries = np.arange(x.index.size).reshape(x.shape)
    windows = [entries]
    shape = spread(call.arguments["output_size"], axes)
    for axis, size in enumerate(shape, 2):
        n = x.shape[axis]
        cuts = [slice(k * n // size, -(-(k + 1) * n // size)) for k in range(size)]
        windows = [part[(slice(None),) * axis + (cut,)] for part in windows for cut in cuts]
    # window after window within each channel
    groups = [part[0, channel].ravel() for channel in range(x.shape[1]) for part in windows]
    sizes = np.array([group.size for group in groups], np.int64)
    after = (1, x.shape[1], *shape)
    return _with_places(bends.largest(call.layering, x, np.concatenate(groups), sizes, after))


def _with_places(result: AffineTensor | Bend) -> Any:
    """A pair of values and their places, as PyTorch gives them; nothing may use the places."""
    if not isinstance(result, Bend):
        return [result, None]
    values = cast(Callable[..., AffineTensor], result.after)
    return result._replace(after=lambda units, kept: [values(units, kept), None])  # type: ignore[arg-type, return-value]


def largest(call: Call) -> Any:
    """The largest or smallest entries along some axes, or of all."""
    x, given = call.x, call.get("dim", [])
    chosen = moves.axes_of(given if isinstance(given, int) or given else None, len(x.shape))
    sign = -1.0 if call.kind in ("amin", "min") else 1.0
    result = bends.largest_along(call.layering, x, chosen, keep=bool(call.get("keepdim", False)), sign=sign)
    return _with_places(result) if call.kind in ("max", "min") and isinstance(given, int) else result
