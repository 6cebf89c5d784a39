"""Units with two slopes: what a unit does left and right of its breakpoint, which is at pre-activation 0.

A ReLU has the slopes (0, 1), a leaky one (a, 1), an absolute value (-1, 1), a value that passes through
(1, 1). A unit whose slopes are equal is linear: it never cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Slopes = FloatArray | None  # (2, n), left and right of the breakpoints; None: all units are ReLUs

RELU = (0.0, 1.0)
UNIT_KINDS = {"relu": RELU, "abs": (-1.0, 1.0), "identity": (1.0, 1.0)}


def slopes_of_layers(given: Any, relu: Sequence[bool], widths: Sequence[int]) -> tuple[Slopes, ...]:
    """Return the slopes of all affine layers, None where all units are ReLUs or there are none.

    Raises
    ------
    InvalidNetworkError
        If there is not one entry per layer (or none at all), or `checked_slopes` refuses one.

    Examples
    --------
    >>> slopes_of_layers([None, 1.0, None], [True, True, False], [1, 2, 1])[1].tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    pairs = entries_of_layers("slopes", given, relu)
    return tuple(checked_slopes(k, pair, widths[k]) for k, pair in enumerate(pairs))


def entries_of_layers(what: str, given: Any, relu: Sequence[bool]) -> list[Any]:
    """Return what is given of the units of all affine layers, an entry for each, None where there are none.

    Raises
    ------
    InvalidNetworkError
        If there is not one entry per layer (or none at all), or one where no units are.

    Examples
    --------
    >>> entries_of_layers("slopes", [], [True, False])
    [None, None]
    """
    try:
        entries = list(given) or [None] * len(relu)
    except TypeError as error:
        raise InvalidNetworkError(f"{what} is a {type(given).__name__}; give one per layer") from error
    if len(entries) != len(relu):
        raise InvalidNetworkError(
            f"{what} has {len(entries)} entries for {len(relu)} layers; give one per layer"
        )
    for layer, entry in enumerate(entries):
        if entry is not None and not relu[layer]:
            raise InvalidNetworkError(
                f"{what}[{layer}] is given, but relu[{layer}] says that no units follow"
            )
    return entries


def checked_slopes(layer: int, given: Any, width: int) -> Slopes:
    """Return the slopes of a layer's units as (2, width) float64, read-only; None where all are ReLUs.

    Parameters
    ----------
    layer : int, for messages
    given : None, a name ("relu", "abs", "identity"), the left slope of leaky ReLUs, a pair (left, right), or
        the pairs of all units as (2, width)
    width : int

    Raises
    ------
    InvalidNetworkError
        If it is none of these, or a slope is not finite.

    Examples
    --------
    >>> checked_slopes(0, "abs", 2).tolist(), checked_slopes(0, [[0, 0], [1, 1]], 2)
    ([[-1.0, -1.0], [1.0, 1.0]], None)
    """
    if given is None:
        return None
    if isinstance(given, str):
        if given not in UNIT_KINDS:
            raise InvalidNetworkError(
                f"slopes[{layer}] is {given!r}; known names are {', '.join(UNIT_KINDS)}"
            )
        given = UNIT_KINDS[given]
    try:
        pair = np.asarray(given)
    except ValueError as error:
        raise InvalidNetworkError(f"slopes[{layer}] is no array of numbers: {error}") from error
    if pair.dtype.kind not in "biuf" or pair.dtype.itemsize > 8 or pair.shape not in ((), (2,), (2, width)):
        raise InvalidNetworkError(
            f"slopes[{layer}] ({pair.dtype}) has shape {pair.shape}; give a number, a pair (left, right), or "
            f"(2, {width}) numbers"
        )
    if pair.ndim == 0:
        pair = np.array([pair, RELU[1]])
    slopes = np.empty((2, width))
    slopes[:] = pair[:, None] if pair.ndim == 1 else pair
    slopes += 0.0  # -0.0 becomes 0.0
    if not np.isfinite(slopes).all():
        raise InvalidNetworkError(f"slopes[{layer}] holds a number that is not finite")
    if (slopes[0] == RELU[0]).all() and (slopes[1] == RELU[1]).all():
        return None
    slopes.setflags(write=False)
    return slopes


def slopes_at(slopes: Slopes, right: BoolArray) -> FloatArray:
    """Return the slope (..., n) of each unit on its side, 1 being right of the breakpoint.

    Examples
    --------
    >>> slopes_at(np.array([[0.1, 1.0], [1.0, 1.0]]), np.array([[True, True], [False, True]]))
    array([[1. , 1. ],
           [0.1, 1. ]])
    """
    if slopes is None:
        return right.astype(np.float64)
    return np.where(right, slopes[1], slopes[0])


def activated(values: FloatArray, right: BoolArray, slopes: Slopes, trailing: int = 0) -> FloatArray:
    """Return values of units (..., n, *trailing axes) times the slope of each on its side.

    What a slope of 0 makes is exactly 0.0.

    Examples
    --------
    >>> activated(np.array([2.0, -4.0]), np.array([True, False]), np.array([[0.5, 0.5], [1.0, 1.0]]))
    array([ 2., -2.])
    """
    side = right.reshape(right.shape + (1,) * trailing)
    if slopes is None:
        return np.where(side, values, 0.0)
    factor = slopes_at(slopes, right).reshape(side.shape)
    return np.where(factor == 0.0, 0.0, values * factor)


def put_out(values: FloatArray, slopes: Slopes) -> FloatArray:
    """Return what units put out, by their pre-activations (..., n).

    Examples
    --------
    >>> z = np.array([-2.0, 3.0])
    >>> put_out(z, None), put_out(z, np.array([[-1.0, -1.0], [1.0, 1.0]]))
    (array([0., 3.]), array([2., 3.]))
    """
    if slopes is None:
        return np.maximum(values, 0.0)
    return activated(values, values > 0.0, slopes)


def right_of(values: FloatArray, slopes: Slopes) -> BoolArray:
    """Say which units are right of their breakpoints; those that have none are called so everywhere.

    Examples
    --------
    >>> right_of(np.array([-2.0, -2.0]), np.array([[0.0, 1.0], [1.0, 1.0]]))
    array([False,  True])
    """
    right = values > 0.0
    return right if slopes is None else right | (slopes[0] == slopes[1])
