"""Images that programs of PyTorch make larger or smaller."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.network.loaders.resampling import cubic, interpolated, taken
from regions.network.loaders.torch_calls import Call
from regions.network.loaders.torch_maxima import images

__all__ = ["resampled"]

CUBIC = -0.75  # of PyTorch's kernel


def resampled(call: Call) -> Any:
    """The nearest entries, or linear or cubic interpolation, by PyTorch's rules of where places are."""
    kind = call.kind.removeprefix("_")
    axes = int(kind[-2])
    x = images(call, axes + 1)
    factors = call.get("scale_factors") or [call.get(f"scales{end}") for end in _ends(axes)]
    sizes = call.get("output_size")
    if sizes is None:
        sizes = [int(np.floor(n * factor)) for n, factor in zip(x.shape[2:], factors, strict=True)]
    places: dict[int, NDArray[Any]] = {}
    for axis, (size, factor) in enumerate(zip(sizes, factors, strict=True), 2):
        n = x.shape[axis]
        if "linear" in kind or "cubic" in kind:
            places[axis] = _even_places(n, int(size), factor, bool(call.get("align_corners", False)))
        else:
            # as PyTorch computes it, in float32
            step = np.float32(n / size if factor is None else 1.0 / factor)
            half = np.float32(0.5 if "exact" in kind else 0.0)
            places[axis] = (np.arange(size, dtype=np.float32) + half) * step
    if "cubic" in kind:
        return interpolated(call.layering, x, places, partial(cubic, a=CUBIC))
    if "linear" in kind:
        return interpolated(call.layering, x, places)
    return taken(x, places, "floor")


def _ends(axes: int) -> tuple[str, ...]:
    return ("",) if axes == 1 else ("_d", "_h", "_w")[3 - axes :]


def _even_places(n: int, size: int, factor: float | None, corners: bool) -> NDArray[np.float64]:
    new = np.arange(size, dtype=np.float64)
    if corners:
        return new * ((n - 1) / (size - 1)) if size > 1 else new
    step = n / size if factor is None else 1.0 / factor
    return (new + 0.5) * step - 0.5
