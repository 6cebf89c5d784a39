"""Explorations as compressed files: their fields, the network and the frame, and a digest of it all.

Whether the fields that are read can be, `exploration_contents` checks.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from regions.domain import domain_from_dict
from regions.errors import InvalidInputError, RegionsError
from regions.exploration.exploration_contents import field_problems
from regions.exploration.search_frame import Frame
from regions.network.network_files import from_entries, to_entries
from regions.network.npz_members import content_digest, read_members
from regions.network.relu_network import Network
from regions.reports import replacing

FILE_FORMAT = "regions.exploration 1"
_ARRAYS = ("patterns", "points", "hops", "undecided", "first", "second", "flat_units")
_SCALARS = ("order", "arithmetic", "max_hops", "radius", "n_cells", "rows", "exact_rows", "seconds")
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RegionsError)


def write_exploration(fields: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the fields of an `Exploration` to one compressed file.

    Raises
    ------
    InvalidInputError
        If the file cannot be written.
    """
    network, frame = fields["network"], fields["frame"]
    header = {name: fields[name] for name in _SCALARS}
    header |= {"format": FILE_FORMAT, "status": fields["status"].value, "domain": frame.domain.to_dict()}
    header |= {"free": frame.free, "reach": frame.half_width if frame.endless else None, "whole": frame.whole}
    flags, layers = to_entries(network)
    header |= {"network_name": network.name, "relu": flags}
    header |= {"stopped_by": fields["stopped_by"]}
    arrays = {name: fields[name] for name in _ARRAYS}
    arrays |= layers
    arrays |= {"center": fields["center"], "at": frame.at}
    header["digest"] = _digest(header, arrays)
    arrays["header"] = np.array(json.dumps(header))
    # an open file, because given a path numpy appends ".npz" to names without it
    with replacing(path, "exploration") as stream:
        np.savez_compressed(stream, **arrays)


def read_exploration(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the fields that `write_exploration` wrote; `status`, `order` and `arithmetic` as they are stored.

    The content must be what was saved, by its digest, which files of version 0.1 do not have.

    Raises
    ------
    InvalidInputError
        If the file is missing, damaged or not such a file.
    """
    try:
        stored = read_members(path)
        header = json.loads(str(stored["header"]))
        if header["format"] != FILE_FORMAT:
            raise ValueError(f"its format is {header['format']!r}, expected {FILE_FORMAT!r}")
        digest = header.pop("digest", None)
        arrays = {name: array for name, array in stored.items() if name != "header"}
        if digest is not None and digest != _digest(header, arrays):
            raise ValueError(
                "its content is not what was saved (its digest is another): it was changed or damaged since; "
                "take an unchanged copy, or explore again"
            )
        layers = from_entries(header["relu"], stored, header["network_name"])
        network = Network.from_arrays(**layers._asdict())
        whole = bool(header.get("whole", False))  # files of 0.1.0 are of a box
        half_width = header["reach"] if header["free"] or whole else np.inf
        frame = Frame(domain_from_dict(header["domain"]), stored["at"], header["free"], half_width, whole)
        fields = {name: header[name] for name in (*_SCALARS, "status")}
        fields |= {name: stored[name] for name in _ARRAYS}
        fields["stopped_by"] = header.get("stopped_by", "")  # files of 0.1.0 do not say it
        fields["points"] = fields["points"][: header["n_cells"]]  # earlier files kept the frontier's too
        fields |= {"network": network, "frame": frame, "center": stored["center"]}
        problem = next(field_problems(fields), None)
        if problem is not None:
            raise ValueError(problem)
    except _BROKEN as error:
        raise InvalidInputError(f"cannot read {str(path)!r} as an exploration: {error}") from error
    return fields


def _digest(header: dict[str, Any], arrays: dict[str, Any]) -> str:
    """Return the digest of a file's content: of its arrays, and of its header without the digest itself."""
    return content_digest({**arrays, "header": np.array(json.dumps(header))})
