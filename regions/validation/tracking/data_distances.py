"""How far given points are from where a network bends, and from where its prediction changes.

In the whole input space, whatever domain a record is on. The searches are left to `exploration`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.complexes import Completeness
from regions.errors import InvalidInputError
from regions.estimators import Estimate
from regions.exploration.perturbation import minimal_perturbation
from regions.network.relu_network import Network
from regions.network.slopes import activated

__all__ = ["DISTANCES", "cell_distances", "checked_points", "measure_distances"]

FloatArray = NDArray[np.float64]

DISTANCES = ("cell_distance", "boundary_distance")


def checked_points(points: ArrayLike) -> FloatArray:
    """Return points of the input space as an array `(N, input_dim)`, N >= 2."""
    try:
        found = np.array(points, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInputError("points are not numbers; give an array (N, input_dim)") from None
    if found.ndim != 2 or len(found) < 2 or not np.isfinite(found).all():
        raise InvalidInputError(
            f"points have shape {found.shape}; give finite numbers (N, input_dim), at least 2 points, as a "
            "standard error needs them"
        )
    found.flags.writeable = False
    return found


def measure_distances(
    network: Network, points: FloatArray, wanted: frozenset[str], progress: Callable[[float], None]
) -> dict[str, Estimate]:
    """Return the mean distances that are wanted, with the standard errors of these over the points.

    The boundary is where another output is as large (of a network with one output: where it is 0), found by
    `minimal_perturbation`; if a search ended early the mean is of upper bounds, and not complete.
    """
    if points.shape[1] != network.input_dim:
        raise InvalidInputError(
            f"points have {points.shape[1]} coordinates, the network has {network.input_dim} inputs"
        )
    found: dict[str, Estimate] = {}
    if "cell_distance" in wanted:
        found["cell_distance"] = Estimate.from_draws(cell_distances(network, points))
    if "boundary_distance" in wanted:
        values, complete = np.zeros(len(points)), True
        for k, point in enumerate(points):
            if not _is_tied(network, point):
                nearest = minimal_perturbation(network, point)
                values[k] = nearest.upper
                complete &= nearest.status is Completeness.COMPLETE
            progress((k + 1) / len(points))
        found["boundary_distance"] = _mean(values, complete)
    return found


def cell_distances(network: Network, points: FloatArray) -> FloatArray:
    """Return the distances `(N,)` of points from the ends of their cells, the least |z| / |grad z|.

    These are Hanin and Rolnick's, exact but for rounding: within a cell every unit is affine, and a ball up
    to the nearest of the zero sets of these functions lies in the cell. Units that do not bend have no zero
    set; inf without any.

    Raises
    ------
    InvalidNetworkError : if there are max units

    Examples
    --------
    >>> network = Network.from_arrays([[[2.0, 0.0]], [[1.0]]], [[-1.0], [0.0]])
    >>> cell_distances(network, np.array([[0.0, 3.0], [2.0, 0.0]])).tolist()
    [0.5, 1.5]
    """
    network.refuse_max_units("the distance from the ends of cells")
    nearest = np.full(len(points), np.inf)
    for k, point in enumerate(points):
        A, h, start = np.eye(network.input_dim), point, 0
        layers = zip(network.operators, network.biases, network.relu, network.slopes, strict=True)
        for weight, bias, relu, pair in layers:
            A, h = np.asarray(weight @ A), weight @ h + bias
            if not relu:
                continue
            bends = network.cutting[start : start + bias.size]
            norms = np.linalg.norm(A, axis=1)
            used = bends & (norms > 0.0)
            nearest[k] = min(nearest[k], float((np.abs(h[used]) / norms[used]).min(initial=np.inf)))
            on = h > 0.0
            A, h = activated(A, on, pair, 1), activated(h, on, pair)
            start += bias.size
    return nearest


def _is_tied(network: Network, point: FloatArray) -> bool:
    """Tell whether a point lies on the boundary, as far as floats can."""
    output = np.sort(network.forward(point))
    return bool(output[-1] == (output[-2] if output.size > 1 else 0.0))


def _mean(values: FloatArray, complete: bool) -> Estimate:
    """Return the mean; infinite, with an infinite error, where a point has no boundary."""
    if np.isfinite(values).all():
        return Estimate.from_draws(values, complete)
    return Estimate(float("inf"), float("inf"), values.size, complete)
