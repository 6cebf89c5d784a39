"""Files of cell complexes: everything in one compressed .npz, with a header in JSON.

Whether the arrays that are read fit together, `complex_arrays` checks.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes.certificate import Certificate, Completeness, Tolerances
from regions.complexes.complex_arrays import CELL_ARRAYS, FACET_ARRAYS, check_arrays
from regions.complexes.facet_table import FacetTable
from regions.domain import domain_from_dict
from regions.errors import InvalidInputError, RegionsError
from regions.network import Network
from regions.network.network_files import read_flags, written_flags
from regions.reports import replacing

if TYPE_CHECKING:
    from regions.complexes.cell_complex import CellComplex

FILE_FORMAT = "regions cell complex 2"


def write_complex(cells: CellComplex, path: str | os.PathLike[str]) -> None:
    """Write a complex, with its network and domain, to exactly this path.

    Raises
    ------
    InvalidInputError
        If the file cannot be written.
    """
    arrays: dict[str, Any] = {"header": np.array(json.dumps(_header(cells)))}
    for k, (w, b) in enumerate(zip(cells.network.weights, cells.network.biases, strict=True)):
        arrays[f"W{k}"], arrays[f"b{k}"] = w, b
    arrays |= written_flags(cells.network.relu, cells.network.slopes)[1]
    arrays |= {name: getattr(cells, name) for name in CELL_ARRAYS}
    arrays |= {f"facet_{name}": getattr(cells.facets, name) for name in FACET_ARRAYS}
    if cells.rings is not None:
        arrays["rings"] = cells.rings
    if cells.volume_errors is not None:
        arrays["volume_errors"] = cells.volume_errors
    if cells.facets.witness is not None:
        arrays["facet_witness"] = cells.facets.witness
    # an open file, because given a path numpy appends ".npz" to names without it
    with replacing(path, "cells") as stream:
        np.savez_compressed(stream, **arrays)


def read_complex(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the attributes of the complex that `write_complex` wrote, by name.

    Raises
    ------
    InvalidInputError
        If the file is missing, damaged or not such a file.
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidInputError(f"no file {str(file)!r}; make one with `regions enumerate NET ... -o FILE`")
    try:
        return _attributes(_entries(file))
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
        "relu": written_flags(cells.network.relu, cells.network.slopes)[0],
        "volume_kind": cells.volume_kind,
    }


def _entries(file: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of an .npz file, each entry whole, so that its checksum is compared."""
    with zipfile.ZipFile(file) as stored:
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(
                io.BytesIO(stored.read(name)), allow_pickle=False
            )
            for name in stored.namelist()
        }


def _attributes(data: dict[str, NDArray[Any]]) -> dict[str, Any]:
    header = json.loads(str(data["header"]))
    if header["format"] != FILE_FORMAT:
        raise InvalidInputError(f"file format {header['format']!r}; this version reads {FILE_FORMAT!r}")
    n_layers = len(header["relu"])
    relu, slopes = read_flags(header["relu"], data)
    network = Network.from_arrays(
        [data[f"W{k}"] for k in range(n_layers)],
        [data[f"b{k}"] for k in range(n_layers)],
        relu,
        name=header["network_name"],
        slopes=slopes,
    )
    domain = domain_from_dict(header["domain"])
    cells = {name: data[name] for name in CELL_ARRAYS}
    facets = {name: data[f"facet_{name}"] for name in FACET_ARRAYS}
    rings = data["rings"] if header["engine"] == "planar" else None
    check_arrays(network, domain, cells, facets, rings)
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
