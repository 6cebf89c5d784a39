"""The arrays of a stored cell complex: their names, types, shapes and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain, Unbounded
from regions.errors import InvalidInputError
from regions.network import Network
from regions.network.patterns import packed_size

CELL_ARRAYS: dict[str, Any] = {
    "patterns": np.uint8,
    "volumes": np.float64,
    "centroids": np.float64,
    "witnesses": np.float64,
    "n_vertices": np.int32,
    "n_facets": np.int32,
}
FACET_ARRAYS: dict[str, Any] = {
    "cell_a": np.int64,
    "cell_b": np.int64,
    "side": np.int32,
    "layer": np.int32,
    "unit": np.int32,
    "volume": np.float64,
    "jump": np.float64,
    "place": np.int32,
}
UNBOUNDED_ARRAYS: dict[str, Any] = {"facet_endless": np.bool_, "finite_vertices": np.int32}


def check_unbounded(arrays: list[NDArray[Any]], domain: Domain, attributes: dict[str, Any]) -> None:
    """Raise InvalidInputError unless what is said of unbounded cells fits the complex that is clipped."""
    sizes = len(attributes["facets"]), len(attributes["volumes"])
    for (name, kind), array, size in zip(UNBOUNDED_ARRAYS.items(), arrays, sizes, strict=True):
        if array.dtype != kind or array.shape != (size,):
            raise InvalidInputError(
                f"array {name!r} is {array.dtype} {array.shape}, expected {np.dtype(kind)} {(size,)}"
            )
    counts, box = arrays[1], attributes["domain"]
    if not isinstance(domain, Unbounded) or box != domain.clipped(float(box.extent().max())):
        raise InvalidInputError("its cells are not clipped from the unbounded domain that it names")
    if (counts < 0).any() or (counts > attributes["n_vertices"]).any():
        raise InvalidInputError("array 'finite_vertices' holds numbers out of range")


def check_arrays(
    network: Network,
    domain: Domain,
    cells: dict[str, NDArray[Any]],
    facets: dict[str, NDArray[Any]],
    rings: NDArray[Any] | None,
) -> None:
    """Raise InvalidInputError unless types, shapes and index ranges are those of a complex."""
    n, m, d = cells["volumes"].shape[0], facets["cell_a"].shape[0], domain.dimension
    axes = {"patterns": (packed_size(network.n_units),), "centroids": (d,), "witnesses": (d,)}
    wanted = [(name, cells[name], kind, (n, *axes.get(name, ()))) for name, kind in CELL_ARRAYS.items()]
    wanted += [(f"facet_{name}", facets[name], kind, (m,)) for name, kind in FACET_ARRAYS.items()]
    if rings is not None:
        wanted.append(("rings", rings, np.float64, (int(cells["n_vertices"].sum()), 2)))
    for name, array, kind, shape in wanted:
        if array.dtype != kind or array.shape != shape:
            raise InvalidInputError(
                f"array {name!r} is {array.dtype} {array.shape}, expected {np.dtype(kind)} {shape}"
            )
    widths = np.array([*network.widths, 0])
    a, b, layer = facets["cell_a"], facets["cell_b"], facets["layer"]
    for name, low, high in (
        ("cell_a", 0, n),
        ("cell_b", -2, n),
        ("side", -1, domain.n_sides),
        ("layer", -1, len(widths) - 1),
        ("unit", -1, np.where(layer < 0, 0, widths[layer]) if m else 0),
        ("place", 0, cells["n_facets"][a] if m else 0),
    ):
        if not np.all((facets[name] >= low) & (facets[name] < high)):
            raise InvalidInputError(f"array 'facet_{name}' holds numbers out of range")
    if np.any(a == b):
        raise InvalidInputError("a facet lies between a cell and itself")
