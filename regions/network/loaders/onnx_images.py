"""ONNX operators that make images larger or smaller, or exchange channels and places."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders import moves
from regions.network.loaders.affine_tensors import AffineTensor
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.onnx_nodes import Operator
from regions.network.loaders.resampling import ROUNDINGS, cubic, interpolated, taken

__all__ = ["resized", "shuffled"]


def resized(node: Operator, arguments: list[Any]) -> list[Any]:
    x = arguments[0]
    sizes, scales = _sizes_and_scales(node, arguments)
    mode = node.get("mode", "nearest")
    odd = node.get("antialias", 0) and min(scales) < 1.0
    if mode not in ("nearest", "linear", "bilinear", "trilinear", "cubic") or odd:
        how = "with antialiasing" if odd else f"by mode {mode!r}"
        raise InvalidNetworkError(
            f"{node.where} interpolates {how}; supported are 'nearest', 'linear' and 'cubic'"
        )
    rule = node.get("coordinate_transformation_mode", "half_pixel")
    if node.opset < 11:
        rule = "asymmetric"
    places = {
        axis: _places(node, rule, n, size, scale)
        for axis, (n, size, scale) in enumerate(zip(x.shape, sizes, scales, strict=True))
        if (n, scale) != (size, 1.0)
    }
    if mode == "nearest":
        rounding = str(node.get("nearest_mode", "round_prefer_floor"))
        if rounding not in ROUNDINGS:
            raise InvalidNetworkError(f"{node.where} has nearest_mode={rounding!r}, which is not known")
        for axis, wanted in places.items():
            # before version 11 there was one rule, by which images are made larger or smaller
            own = rounding if node.opset >= 11 else "ceil" if scales[axis] < 1.0 else "floor"
            x = taken(x, {axis: wanted}, own)
        return [x]
    if mode == "cubic":
        a, inside = float(node.get("cubic_coeff_a", -0.75)), bool(node.get("exclude_outside", 0))
        return [interpolated(node.layering, x, places, partial(cubic, a=a, inside_only=inside))]
    return [interpolated(node.layering, x, places)]


def _sizes_and_scales(node: Operator, arguments: list[Any]) -> tuple[list[int], list[float]]:
    """The new length of each axis, and by how much it is longer."""
    x = arguments[0]
    given = [*arguments[1:], None, None, None]
    if any(isinstance(value, AffineTensor) for value in given):
        raise InvalidNetworkError(f"{node.where} has computed sizes; supported are constant ones")
    # region, scales and sizes, of which only the scales are there before version 11
    scales, wanted = (given[0], None) if node.opset < 11 else (given[1], given[2])
    scales = node.get("scales", scales)
    axes = [moves.axis_of(axis, len(x.shape)) for axis in node.get("axes", range(len(x.shape)))]
    sizes, factors = list(x.shape), [1.0] * len(x.shape)
    if wanted is not None and np.size(wanted):
        if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise InvalidNetworkError(f"{node.where} keeps the aspect ratio; supported are stretched images")
        for axis, size in zip(axes, np.ravel(wanted), strict=True):
            # the first axis is the batch, of which one sample is read
            sizes[axis] = int(size) if axis else x.shape[0]
            factors[axis] = sizes[axis] / x.shape[axis]
        return sizes, factors
    if scales is None or not np.size(scales):
        raise InvalidNetworkError(f"{node.where} has neither sizes nor scales")
    for axis, factor in zip(axes, np.ravel(scales), strict=True):
        factors[axis] = float(factor)
        sizes[axis] = int(np.floor(x.shape[axis] * factor))
    return sizes, factors


def _places(node: Operator, rule: str, n: int, size: int, scale: float) -> FloatArray:
    """Where each new entry is among n old ones, as a rule of ONNX has it, in float32 as runtimes do."""
    new, step = np.arange(size, dtype=np.float32), np.float32(scale)
    half = np.float32(0.5)
    match rule:
        case "half_pixel":
            places = (new + half) / step - half
        case "pytorch_half_pixel":
            places = (new + half) / step - half if size > 1 else np.zeros(1, np.float32)
        case "align_corners":
            places = new * np.float32((n - 1) / (size - 1)) if size > 1 else np.zeros(1, np.float32)
        case "asymmetric":
            places = new / step
        case "half_pixel_symmetric":
            middle = n / 2 * (1.0 - size / (n * scale))
            places = middle + (new + half) / step - half
        case "tf_half_pixel_for_nn":
            places = (new + half) / step
        case _:
            raise InvalidNetworkError(
                f"{node.where} has coordinate_transformation_mode={rule!r}, which is not supported"
            )
    return np.asarray(places)


def shuffled(node: Operator, arguments: list[Any]) -> list[Any]:
    x, block = arguments[0], int(node.attributes["blocksize"])
    if len(moves.shape_of(x)) != 4:
        raise InvalidNetworkError(f"{node.where} takes an image of two axes, not shape {moves.shape_of(x)}")
    if node.kind == "SpaceToDepth":
        return [moves.gathered_places(x, block, channels_first=False)]
    first = node.get("mode", "DCR") == "CRD"
    return [moves.spread_channels(x, block, channels_first=first)]
