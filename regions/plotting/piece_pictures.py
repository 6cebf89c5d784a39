"""Pictures of pieces in the plane: where a property of two free inputs is violated, or a preimage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from numpy.typing import NDArray

from regions.errors import InvalidInputError

if TYPE_CHECKING:
    from regions.analysis.properties import ViolatingPiece

__all__ = ["plot_pieces"]


def plot_pieces(
    pieces: Sequence[ViolatingPiece], *, ax: Axes | None = None, color: str = "tab:red", alpha: float = 0.6
) -> Axes:
    """Draw convex pieces of the plane, as `check_property` and `preimage` return them.

    Of a property of more inputs, draw a section: fix all but two of them, or take a Slice.

    Parameters
    ----------
    pieces : sequence of ViolatingPiece, of two dimensions
    ax : matplotlib Axes, such as those of `plot_cells` on the same domain; default a new figure
    color : a colour of matplotlib
    alpha : float, how opaque the pieces are

    Returns
    -------
    matplotlib Axes, in intrinsic coordinates

    Raises
    ------
    InvalidInputError
        If a piece has another dimension.

    Examples
    --------
    >>> from regions import Box, Network, preimage
    >>> sums = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [np.zeros(2), [0.0]])
    >>> found = preimage(sums, Box([-1.0, -1.0], [1.0, 1.0]), ([[-1.0]], [-0.5]))
    >>> len(plot_pieces(found.pieces).collections[0].get_paths()) == len(found.pieces)
    True
    """
    for piece in pieces:
        if piece.polytope.dimension != 2:
            raise InvalidInputError(
                f"pieces of {piece.polytope.dimension} dimensions cannot be drawn: fix all inputs but two, "
                "or take a Slice"
            )
    if ax is None:
        _, ax = plt.subplots(figsize=(4.0, 4.0))
        ax.set_aspect("equal")
        ax.set_xlabel("$t_0$")
        ax.set_ylabel("$t_1$")
    drawn = PolyCollection(
        [_in_order(piece.vertices) for piece in pieces],
        facecolors=color,
        edgecolors="white",
        linewidths=0.3,
        alpha=alpha,
        zorder=3,
    )
    ax.add_collection(drawn)
    ax.autoscale_view()
    return ax


def _in_order(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the vertices of a convex polygon counterclockwise."""
    around = vertices - vertices.mean(axis=0)
    return vertices[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]
