"""Points on pictures of cells, with labels, classes and little images beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from numpy.typing import ArrayLike, NDArray

from regions.density.densities import as_floats
from regions.errors import InvalidInputError
from regions.plotting.colors import class_fills

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]


class Marks(TypedDict, total=False):
    """What `plot_cells` takes beside points: labels, classes and images of them, and their size."""

    point_labels: Sequence[str] | None
    point_classes: ArrayLike | None
    point_images: Sequence[ArrayLike] | None
    point_size: float


def intrinsic_points(complex: CellComplex, points: ArrayLike) -> Floats:
    """Points of the input space in intrinsic coordinates, checked."""
    given = np.atleast_2d(as_floats(points, "points"))
    if given.ndim != 2 or given.shape[1] != complex.network.input_dim:
        raise InvalidInputError(
            f"points have shape {given.shape}; give (k, {complex.network.input_dim}), in input coordinates"
        )
    return np.asarray(complex.domain.to_intrinsic(given))


def mark_points(
    ax: Axes,
    t: ArrayLike,
    *,
    labels: Sequence[str] | None = None,
    classes: ArrayLike | None = None,
    size: float = 5.5,
    images: Sequence[ArrayLike] | None = None,
    image_inches: float = 0.38,
) -> None:
    """Mark points of a plot made by `plot_cells`, with labels or little pictures beside them.

    Parameters
    ----------
    ax : matplotlib Axes
    t : (k, d) intrinsic coordinates, d = 1 or 2
    labels : k strings, optional
    classes : (k,) int >= 0, optional
        The points have the colours of these classes; default: white.
    size : diameter in points
    images : k grey images (h, w), dark where large, optional
    image_inches : width of an image on paper

    Raises
    ------
    InvalidInputError
        If there are not k labels, classes or images, or `size` is not positive.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> _, ax = plt.subplots()
    >>> mark_points(ax, [[0.0, 0.0]], labels=["origin"])
    >>> ax.texts[0].get_text()
    'origin'
    """
    where = np.atleast_2d(as_floats(t, "points"))
    for name, given in (("labels", labels), ("images", images)):
        if given is not None and len(given) != len(where):
            raise InvalidInputError(f"{len(given)} {name} for {len(where)} points; give one each")
    if not size > 0.0:
        raise InvalidInputError(f"the size of points is {size}; it must be positive")
    if where.shape[1] == 1:
        where = np.column_stack([where[:, 0], np.full(len(where), ax.get_ylim()[0])])
    for _, fill, chosen in point_fills(classes, len(where)):
        ax.plot(
            where[chosen, 0], where[chosen, 1], "o", color=fill, markersize=size, markeredgecolor="black",
            markeredgewidth=1.1 if size > 4.0 else 0.6, zorder=10, clip_on=False,
        )  # fmt: skip
    middle = np.array([np.mean(ax.get_xlim()), np.mean(ax.get_ylim())])
    for k, point in enumerate(where):
        if images is not None:
            _place_image(ax, point, np.asarray(images[k]), middle, image_inches)
            offset = (0.0, -10.0 if point[1] > middle[1] else 10.0)
        else:
            # Towards the middle, so that nothing hangs over the frame.
            offset = (9.0 if point[0] <= middle[0] else -9.0, 6.0 if point[1] <= middle[1] else -6.0)
        if labels is not None:
            side = "center" if images is not None else "left" if offset[0] > 0 else "right"
            text = ax.annotate(labels[k], point, xytext=offset, textcoords="offset points", fontsize=8)
            text.set(ha=side, va="center", zorder=12, color="black")
            text.set_bbox({"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.75})


def _place_image(ax: Axes, point: Floats, image: Floats, middle: Floats, inches: float) -> None:
    """A framed picture beside a point, away from the middle where the lines are busiest."""
    half = 36.0 * inches + 8.0
    up = half if point[1] > middle[1] else -half
    box = OffsetImage(image, zoom=72.0 * inches / image.shape[1], cmap="gray_r", interpolation="nearest")
    frame = AnnotationBbox(
        box, (point[0], point[1]), xybox=(0.0, up), boxcoords="offset points", pad=0.1,
        bboxprops={"edgecolor": "black", "linewidth": 0.7}, zorder=11,
    )  # fmt: skip
    ax.add_artist(frame)


def point_fills(classes: ArrayLike | None, n: int) -> list[tuple[str, Any, NDArray[np.bool_]]]:
    """Return names, colours, and which of n points have them: all white, or those of their classes.

    Examples
    --------
    >>> [(name, chosen.tolist()) for name, _, chosen in point_fills([0, 2], 2)]
    [('points of class 0', [True, False]), ('points of class 2', [False, True])]
    """
    if classes is None:
        return [("points", "white", np.ones(n, dtype=np.bool_))]
    given = np.atleast_1d(np.asarray(classes))
    if given.shape != (n,) or given.dtype.kind not in "iub" or (given.astype(np.int64) < 0).any():
        raise InvalidInputError(
            f"classes are {given.dtype} {given.shape} for {n} points; give a whole number >= 0 for each"
        )
    numbers = given.astype(np.int64)
    palette = class_fills(max(int(numbers.max(initial=0)) + 1, 2))
    return [(f"points of class {k}", tuple(palette[k]), numbers == k) for k in np.unique(numbers)]
