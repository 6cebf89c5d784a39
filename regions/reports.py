"""How results are written as JSON and headed in tables, the same for every report.

What is in a report is left to the modules that make one.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from regions.errors import InvalidInputError

__all__ = ["finite", "heading", "load_json", "read_as", "save_json"]

Report = TypeVar("Report")


def finite(value: Any) -> Any:
    """The same structure of dicts and lists with None for numbers that JSON lacks.

    Examples
    --------
    >>> finite({"z": math.inf, "runs": [1.0, math.nan]})
    {'z': None, 'runs': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def heading(network: str, domain: str, density: str) -> list[str]:
    """The lines above a table that say what it is about; what is empty is left out.

    Examples
    --------
    >>> heading("2 -> 3 -> 1", "", "uniform")
    ['network  2 -> 3 -> 1', 'p        uniform']
    """
    given = (("network", network), ("domain", domain), ("p", density))
    return [f"{name:<9}{value}" for name, value in given if value]


def save_json(payload: Mapping[str, Any], path: str | os.PathLike[str], what: str) -> None:
    """Write a report as JSON.

    Raises
    ------
    InvalidInputError : if the file cannot be written
    """
    text = json.dumps(finite(payload), indent=2, allow_nan=False) + "\n"
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"cannot write the {what} to {str(path)!r}: {error}") from error


def load_json(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """Read the JSON object that `save_json` wrote.

    Raises
    ------
    InvalidInputError : if the file cannot be read or holds no JSON object
    """
    try:
        payload = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"cannot read the {what} in {str(path)!r}: {error}") from error
    except ValueError as error:
        raise InvalidInputError(f"{str(path)!r} holds no {what}: it is no JSON ({error})") from error
    if not isinstance(payload, dict):
        raise InvalidInputError(f"{str(path)!r} holds no {what}, but a JSON {type(payload).__name__}")
    return payload


def read_as(
    read: Callable[[dict[str, Any]], Report], path: str | os.PathLike[str], what: str, kind: str
) -> Report:
    """Read a saved report whose `format` is `kind`, and build it; whatever is damaged is named.

    Raises
    ------
    InvalidInputError : if the file cannot be read, is of another kind or lacks something
    """
    payload = load_json(path, what)
    found = payload.get("format")
    if found != kind:
        raise InvalidInputError(
            f"{str(path)!r} holds no {what}: its format is {found!r}, expected {kind!r} (what save() writes)"
        )
    try:
        return read(payload)
    except KeyError as error:
        raise InvalidInputError(f"the {what} in {str(path)!r} is damaged: it lacks {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(f"the {what} in {str(path)!r} is damaged: {error}") from error
