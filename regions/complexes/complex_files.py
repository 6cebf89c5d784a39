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
POLYLINE_FORMAT = "regions polyline 1"
READERS = {
    FILE_FORMAT: "which CellComplex.load reads",
    POLYLINE_FORMAT: "which PolylineCells.load reads, and the command line piece by piece, as FILE:0",
}
PLANE_ROUNDING = 1e-12


def write_complex(
    cells: CellComplex,
    path: str | os.PathLike[str],
    words: dict[str, Any] | None = None,
    more: dict[str, NDArray[Any]] | None = None,
) -> None:
    """Write a complex, with its network and domain, to exactly this path.

    Parameters
    ----------
    cells, path : CellComplex, path
    words, more : what else the header and the arrays are to say, as of a domain that cells are clipped from

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
    header = {"format": FILE_FORMAT, **words_of(cells), "relu": flags}
    header |= {"domain": cells.domain.to_dict(), "network_name": cells.network.name, **(words or {})}
    write_entries(path, header, arrays | (more or {}), "cells")


def write_entries(
    path: str | os.PathLike[str], header: dict[str, Any], arrays: dict[str, Any], what: str
) -> None:
    """Write a header, with a digest of everything, and arrays to exactly this path.

    Raises
    ------
    InvalidInputError
        If the file cannot be written.
    """
    header = {**header, "digest": _digest(header, arrays)}
    # an open file, because given a path numpy appends ".npz" to names without it
    with replacing(path, what) as stream:
        np.savez_compressed(stream, header=np.array(json.dumps(header)), **arrays)


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


def read_words(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the header of a file of cells, without a look at its arrays; {} where there is none to be read."""
    try:
        data = read_members(path, lambda name: name == "header")
        words = json.loads(str(data["header"]))
    except (RegionsError, KeyError, ValueError):
        return {}
    return words if isinstance(words, dict) else {}


def words_of(cells: CellComplex) -> dict[str, Any]:
    """Return what a header says of a complex, but for its network and domain."""
    return {
        "status": cells.status.value,
        "engine": cells.engine,
        "engine_reason": cells.engine_reason,
        "arithmetic": cells.arithmetic,
        "tolerances": asdict(cells.tolerances),
        "certificate": asdict(cells.certificate),
        "seconds": cells.seconds,
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


def checked_words(data: dict[str, NDArray[Any]], file_format: str) -> dict[str, Any]:
    """Return the header of a file, whose format and digest must be right.

    Raises
    ------
    InvalidInputError
        If they are not.
    """
    header: dict[str, Any] = json.loads(str(data["header"]))
    if header["format"] != file_format:
        hint = READERS.get(str(header["format"]), "which this version does not know")
        raise InvalidInputError(f"file format {header['format']!r}, {hint}; this is for {file_format!r}")
    digest = header.pop("digest", None)  # files of version 0.1 have none
    arrays = {name: array for name, array in data.items() if name != "header"}
    if digest is not None and digest != _digest(header, arrays):
        raise InvalidInputError(
            "its content is not what was saved (its digest is another): it was changed or damaged since; "
            "take an unchanged copy, or enumerate again"
        )
    return header


def stored_network(header: dict[str, Any], data: dict[str, NDArray[Any]]) -> Network:
    """Return the network of a file."""
    n_layers = len(header["relu"])
    odd = [name for k in range(n_layers) for name in (f"W{k}", f"b{k}") if data[name].dtype != np.float64]
    if odd:
        raise InvalidInputError(f"array {odd[0]!r} is {data[odd[0]].dtype}, expected float64")
    return Network.from_arrays(**from_entries(header["relu"], data, header["network_name"])._asdict())


def _attributes(data: dict[str, NDArray[Any]]) -> dict[str, Any]:
    header = checked_words(data, FILE_FORMAT)
    network = stored_network(header, data)
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
        **said_of(header),
        "rings": rings,
        "volume_errors": data.get("volume_errors"),
    }


def said_of(header: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a complex that its header says, as `words_of` wrote them."""
    return {
        "status": Completeness(header["status"]),
        "engine": header["engine"],
        "engine_reason": header["engine_reason"],
        "arithmetic": header["arithmetic"],
        "tolerances": Tolerances(**header["tolerances"]),
        "certificate": Certificate(**header["certificate"]),
        "seconds": float(header["seconds"]),
        "volume_kind": str(header.get("volume_kind", "vertices")),
    }
