"""Files of cell complexes: everything in one compressed .npz, with a header in JSON and a digest of it all.

Whether the arrays that are read fit together, `complex_arrays` checks, and what they say `complex_contents`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes.certificate import Certificate, Completeness, Tolerances
from regions.complexes.complex_arrays import (
    CELL_ARRAYS,
    FACET_ARRAYS,
    UNBOUNDED_ARRAYS,
    check_arrays,
    check_unbounded,
)
from regions.complexes.facet_table import FacetTable
from regions.domain import Domain, domain_from_dict
from regions.errors import InvalidInputError, RegionsError
from regions.network.network_files import from_entries, to_entries
from regions.network.npz_members import content_digest, read_members
from regions.network.relu_network import Network
from regions.reports import replacing

if TYPE_CHECKING:
    from regions.complexes.cell_complex import CellComplex

FILE_FORMAT = "regions cell complex 2"
PLANE_ROUNDING = 1e-12


def write_complex(
    cells: CellComplex,
    path: str | os.PathLike[str],
    unbounded: Domain | None = None,
    more: dict[str, NDArray[Any]] | None = None,
) -> None:
    """Write a complex, with its network and domain, to exactly this path.

    Parameters
    ----------
    cells, path : CellComplex, path
    unbounded, more : the domain that `cells` are clipped from, and the arrays that say what is unbounded

    Raises
    ------
    InvalidInputError
        If the file cannot be written.
    """
    arrays: dict[str, Any]
    flags, arrays = to_entries(cells.network)
    arrays |= {name: getattr(cells, name) for name in CELL_ARRAYS}
    arrays |= {f"facet_{name}": getattr(cells.facets, name) for name in FACET_ARRAYS}
    arrays |= _plane(cells.domain)
    if cells.rings is not None:
        arrays["rings"] = cells.rings
    if cells.volume_errors is not None:
        arrays["volume_errors"] = cells.volume_errors
    if cells.facets.witness is not None:
        arrays["facet_witness"] = cells.facets.witness
    header = {**_header(cells), "relu": flags}
    if unbounded is not None and more is not None:
        header["unbounded"] = unbounded.to_dict()
        arrays |= {name: more[name] for name in UNBOUNDED_ARRAYS}
    header["digest"] = _digest(header, arrays)
    arrays = {"header": np.array(json.dumps(header)), **arrays}
    # an open file, because given a path numpy appends ".npz" to names without it
    with replacing(path, "cells") as stream:
        np.savez_compressed(stream, **arrays)


def read_complex(path: str | os.PathLike[str]) -> tuple[dict[str, Any], tuple[Any, ...] | None]:
    """Read the attributes of the complex that `write_complex` wrote, and what it is clipped from.

    Returns
    -------
    attributes : dict
    unbounded : None, or domain and arrays as for `with_infinity`

    Raises
    ------
    InvalidInputError
        If the file is missing, damaged or not such a file.
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidInputError(f"no file {str(file)!r}; make one with `regions enumerate NET ... -o FILE`")
    try:
        data = read_members(file)
        attributes = _attributes(data)
        return attributes, _unbounded(data, attributes)
    except RegionsError as error:
        raise InvalidInputError(f"{str(file)!r} holds no cell complex: {error}") from error
    except Exception as error:  # what a damaged file makes numpy and zipfile raise is open-ended
        raise InvalidInputError(
            f"{str(file)!r} is no readable cell complex ({type(error).__name__}: {error}); "
            "it may be damaged or of another kind"
        ) from error


def _header(cells: CellComplex) -> dict[str, Any]:
    return {
        "format": FILE_FORMAT,
        "status": cells.status.value,
        "engine": cells.engine,
        "engine_reason": cells.engine_reason,
        "arithmetic": cells.arithmetic,
        "tolerances": asdict(cells.tolerances),
        "certificate": asdict(cells.certificate),
        "seconds": cells.seconds,
        "domain": cells.domain.to_dict(),
        "network_name": cells.network.name,
        "volume_kind": cells.volume_kind,
    }


def _digest(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> str:
    """Return the digest of a file's content: of its arrays, and of its header without the digest itself."""
    return content_digest({**arrays, "header": np.array(json.dumps(header))})


def _plane(domain: Domain) -> dict[str, NDArray[np.float64]]:
    """Return what a reader without this package needs of a domain: x = origin + basis @ t, A @ t <= b."""
    A, b = domain.halfspaces
    return {"domain_origin": domain.origin, "domain_basis": domain.basis, "domain_A": A, "domain_b": b}


def _check_plane(domain: Domain, data: dict[str, NDArray[Any]]) -> None:
    """Raise InvalidInputError unless the arrays of the domain are those of its description, but for rounding.

    A segment's direction is computed from its ends, and another machine may round it otherwise.
    """
    for name, expected in _plane(domain).items():
        stored = data.get(name, expected)
        scale = PLANE_ROUNDING * float(np.abs(expected).max(initial=0.0))
        if (
            stored.dtype != np.float64
            or stored.shape != expected.shape
            or not (np.abs(stored - expected) <= scale).all()
        ):
            raise InvalidInputError(f"array {name!r} is not that of {domain.describe()}")


def _unbounded(data: dict[str, NDArray[Any]], attributes: dict[str, Any]) -> tuple[Any, ...] | None:
    """Return what `with_infinity` needs of a file, None if its complex is that of a bounded domain."""
    header = json.loads(str(data["header"]))
    if "unbounded" not in header:
        return None
    domain = domain_from_dict(header["unbounded"])
    arrays = [data[name] for name in UNBOUNDED_ARRAYS]
    check_unbounded(arrays, domain, attributes)
    return domain, *arrays


def _attributes(data: dict[str, NDArray[Any]]) -> dict[str, Any]:
    header = json.loads(str(data["header"]))
    if header["format"] != FILE_FORMAT:
        raise InvalidInputError(f"file format {header['format']!r}; this version reads {FILE_FORMAT!r}")
    digest = header.pop("digest", None)  # files of version 0.1 have none
    arrays = {name: array for name, array in data.items() if name != "header"}
    if digest is not None and digest != _digest(header, arrays):
        raise InvalidInputError(
            "its content is not what was saved (its digest is another): it was changed or damaged since; "
            "take an unchanged copy, or enumerate again"
        )
    n_layers = len(header["relu"])
    odd = [name for k in range(n_layers) for name in (f"W{k}", f"b{k}") if data[name].dtype != np.float64]
    if odd:
        raise InvalidInputError(f"array {odd[0]!r} is {data[odd[0]].dtype}, expected float64")
    network = Network.from_arrays(**from_entries(header["relu"], data, header["network_name"])._asdict())
    domain = domain_from_dict(header["domain"])
    cells = {name: data[name] for name in CELL_ARRAYS}
    facets = {name: data[f"facet_{name}"] for name in FACET_ARRAYS}
    rings = data.get("rings")
    check_arrays(network, domain, cells, facets, rings)
    _check_plane(domain, data)
    return {
        "network": network,
        "domain": domain,
        **cells,
        "facets": FacetTable(**facets, witness=data.get("facet_witness")),
        "status": Completeness(header["status"]),
        "engine": header["engine"],
        "engine_reason": header["engine_reason"],
        "arithmetic": header["arithmetic"],
        "tolerances": Tolerances(**header["tolerances"]),
        "certificate": Certificate(**header["certificate"]),
        "seconds": float(header["seconds"]),
        "rings": rings,
        "volume_kind": str(header.get("volume_kind", "vertices")),
        "volume_errors": data.get("volume_errors"),
    }
