"""What moves entries around in programs of PyTorch."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders import moves
from regions.network.loaders.affine_tensors import AffineTensor
from regions.network.loaders.torch_calls import Call, computed, constant_of

# how PyTorch's names for paddings by copies begin, and numpy's
PADDINGS = {"reflect": "reflect", "replicat": "edge", "circular": "wrap"}


def unchanged(call: Call) -> Any:
    return call.x


def dropped(call: Call) -> Any:
    if call.get("train", False) and call.get("p", 0.5):
        raise InvalidNetworkError(f"{call.where} is in training mode; call model.eval() first")
    return call.x


def converted(call: Call) -> Any:
    dtype = str(call.get("dtype", "")).removeprefix("torch.") or call.x.dtype
    if dtype not in ("float32", "float64") or (call.x.dtype, dtype) == ("float64", "float32"):
        raise InvalidNetworkError(f"{call.where} rounds to {dtype}; supported are casts that lose nothing")
    return AffineTensor(call.x.rows, call.x.index, dtype)


def reshaped(call: Call) -> Any:
    target = call.get("size", call.get("shape"))
    return moves.reshaped(call.x, [int(size) for size in target], call.batch, zero_copies=False)


def flattened(call: Call) -> Any:
    shape = call.x.shape
    first, last = (
        moves.axis_of(int(call.get(k, d)), len(shape)) for k, d in (("start_dim", 0), ("end_dim", -1))
    )
    sizes = (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])
    return moves.moved(call.x, lambda entries: entries.reshape(sizes))


def permuted(call: Call) -> Any:
    rank = len(call.x.shape)
    order = list(range(rank))
    if call.kind == "permute":
        order = [moves.axis_of(axis, rank) for axis in call.arguments["dims"]]
    elif call.kind == "transpose":
        a, b = (moves.axis_of(call.arguments[name], rank) for name in ("dim0", "dim1"))
        order[a], order[b] = b, a
    else:
        order = order[::-1]
    return moves.moved(call.x, lambda entries: np.transpose(entries, order))


def squeezed(call: Call) -> Any:
    dim = call.get("dim")
    if call.kind == "unsqueeze":
        return moves.moved(call.x, lambda entries: np.expand_dims(entries, dim))
    if dim is None:
        return moves.squeezed(call.x, None)
    axes = [moves.axis_of(axis, len(call.x.shape)) for axis in ([dim] if isinstance(dim, int) else dim)]
    return moves.squeezed(call.x, [axis for axis in axes if call.x.shape[axis] == 1])


def sliced(call: Call) -> Any:
    start, end = call.get("start", 0), call.get("end", 2**62)
    return moves.sliced(call.x, [start], [end], [call.get("dim", 0)], [call.get("step", 1)])


def selected(call: Call) -> Any:
    index, axis = int(call.arguments["index"]), int(call.arguments["dim"])
    return moves.moved(call.x, lambda entries: np.take(entries, index, axis=axis))


def split(call: Call) -> Any:
    axis = int(call.get("dim", 0))
    length = call.x.shape[axis]
    if call.kind == "chunk":
        share = -(-length // int(call.arguments["chunks"]))
    else:
        share = call.get("split_size", call.get("split_sizes"))
    sizes = (
        [min(share, length - at) for at in range(0, length, share)] if isinstance(share, int) else list(share)
    )
    return moves.split(call.x, axis, sizes)


def concatenated(call: Call) -> Any:
    parts = [part if computed(part) else constant_of(call, part) for part in call.arguments["tensors"]]
    if call.kind == "stack":
        axis = call.get("dim", 0)
        parts = [moves.moved(part, lambda entries: np.expand_dims(entries, axis)) for part in parts]
    return moves.concatenated(call.layering, parts, int(call.get("dim", 0)))


def expanded(call: Call) -> Any:
    sizes, shape = list(call.arguments["size"]), call.x.shape
    if call.batch > 1 and sizes and sizes[0] == call.batch and shape[:1] == (1,):
        sizes[0] = 1
    kept = [1 if size == -1 else int(size) for size in sizes]
    return moves.expanded(call.x, kept)


def padded(call: Call) -> Any:
    pad, rank = [int(size) for size in call.get("pad", call.get("padding"))], len(call.x.shape)
    given = str(call.get("mode", "constant")) if call.kind in ("pad", "constant_pad_nd") else call.kind
    before, after = [0] * rank, [0] * rank
    # from the last axis on
    for k in range(len(pad) // 2):
        before[rank - 1 - k], after[rank - 1 - k] = pad[2 * k], pad[2 * k + 1]
    if given.startswith("constant"):
        return moves.padded(call.layering, call.x, before, after, float(call.get("value", 0.0)))
    mode = next((mode for start, mode in PADDINGS.items() if given.startswith(start)), None)
    if mode is None:
        raise InvalidNetworkError(f"{call.where} pads with mode {given!r}, which is not known")
    return moves.padded_by_copies(call.x, before, after, mode)


def shuffled(call: Call) -> Any:
    """Channels and places exchanged, in both directions, or channels among themselves."""
    x, kind = call.x, call.kind
    if kind == "channel_shuffle":
        groups, (count, channels, *lengths) = int(call.arguments["groups"]), x.shape
        return moves.moved(
            x,
            lambda entries: np.swapaxes(
                entries.reshape(count, groups, channels // groups, *lengths), 1, 2
            ).reshape(x.shape),
        )
    if kind == "pixel_shuffle":
        return moves.spread_channels(x, int(call.arguments["upscale_factor"]), channels_first=True)
    return moves.gathered_places(x, int(call.arguments["downscale_factor"]), channels_first=True)


def repeated(call: Call) -> Any:
    """Copies side by side along each axis."""
    counts = [int(count) for count in call.get("repeats", call.get("dims"))]
    return moves.repeated(call.x, counts)


def turned(call: Call) -> Any:
    """Entries in another order along some axes: backwards, or shifted around."""
    axes = call.get("dims", ())
    axes = [axes] if isinstance(axes, int) else [int(axis) for axis in axes]
    if call.kind == "flip":
        return moves.moved(call.x, lambda entries: np.flip(entries, tuple(axes)))
    shifts = call.arguments["shifts"]
    shifts = [shifts] if isinstance(shifts, int) else [int(shift) for shift in shifts]
    return moves.moved(call.x, lambda entries: np.roll(entries, shifts, axes or None))


def picked(call: Call) -> Any:
    """Entries along an axis by constant numbers."""
    index = call.arguments["index"]
    if computed(index):
        raise InvalidNetworkError(f"{call.where} has computed indices; supported are constant ones")
    return moves.moved(
        call.x, lambda entries: np.take(entries, np.asarray(index), axis=int(call.arguments["dim"]))
    )


def indexed(call: Call) -> Any:
    """Entries by constant numbers along some axes together, as numpy takes them."""
    given = call.arguments["indices"]
    if any(computed(index) for index in given):
        raise InvalidNetworkError(f"{call.where} has computed indices; supported are constant ones")
    places = tuple(slice(None) if index is None else np.asarray(index) for index in given)
    return moves.moved(call.x, lambda entries: entries[places])


def apart(call: Call) -> Any:
    """The parts along an axis, each without it."""
    axis = int(call.get("dim", 0))
    length = call.x.shape[moves.axis_of(axis, len(call.x.shape))]
    return [moves.moved(call.x, partial(np.take, indices=k, axis=axis)) for k in range(length)]


def unflattened(call: Call) -> Any:
    """One axis cut into several."""
    shape = call.x.shape
    axis = moves.axis_of(int(call.arguments["dim"]), len(shape))
    sizes = [int(size) for size in call.arguments["sizes"]]
    return moves.reshaped(call.x, [*shape[:axis], *sizes, *shape[axis + 1 :]], zero_copies=False)


def size_of(call: Call) -> Any:
    return int(call.x.shape[int(call.arguments["dim"])])


def item_of(call: Call) -> Any:
    values, k = list(call.arguments.values())[:2]
    return values[k]
