"""How files are written so that none is lost, and how reports become JSON and are headed in tables.

What is in a file is left to the modules that make one.
"""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from regions.errors import InvalidInputError

__all__ = [
    "check_writable",
    "finite",
    "heading",
    "load_json",
    "read_as",
    "replacing",
    "save_json",
    "truncation",
    "write_text",
]

Report = TypeVar("Report")


@contextmanager
def replacing(path: str | os.PathLike[str], what: str) -> Iterator[BinaryIO]:
    """Open a file to write, which takes its name only once it is whole.

    What is written goes to a file beside it, which is synced to the disk and then renamed. So whatever
    happens, a file of that name is either the old one or the new one. Only a killed process leaves the
    file beside it, `.regions-*.part`. A name that is no regular file (a pipe, a terminal) is written to
    directly.

    Parameters
    ----------
    path : the name that the file gets; an existing file is replaced and keeps its permissions
    what : str, what is written, for the error

    Yields
    ------
    stream : binary, writable and seekable

    Raises
    ------
    InvalidInputError : if the file cannot be written; what was written of it is removed

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/numbers", "numbers") as stream:
    ...         _ = stream.write(b"1 2 3")
    ...     os.listdir(folder)
    ['numbers']
    """
    target = Path(os.path.realpath(path))
    with _named(path, what):
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        beside = _open_beside(target)
        try:
            with beside:
                yield beside
                beside.flush()
                os.fsync(beside.fileno())
            if target.exists():
                Path(beside.name).chmod(target.stat().st_mode & 0o7777)
            Path(beside.name).replace(target)
        except BaseException:
            Path(beside.name).unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Try whether `replacing` can write a file of that name, and leave nothing behind.

    Raises
    ------
    InvalidInputError : if it cannot: there is no such folder, it is one, or it may not be written to
    """
    target = Path(os.path.realpath(path))
    with _named(path, "file"):
        if not target.parent.is_dir():
            raise InvalidInputError(f"{path}: there is no folder {Path(path).parent}; make it first")
        if target.is_dir():
            raise InvalidInputError(f"{path} is a folder; give the name of a file")
        if target.exists() and not target.is_file():
            return
        with _open_beside(target) as beside:
            pass
        Path(beside.name).unlink()


def write_text(text: str, path: str | os.PathLike[str], what: str) -> None:
    """Write text as UTF-8, as it is; raises InvalidInputError if the file cannot be written."""
    with replacing(path, what) as stream:
        stream.write(text.encode())


@contextmanager
def _named(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Turn an error of the file system into one that names the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(f"cannot write the {what} to {str(path)!r}: {reason}") from error


def _open_beside(target: Path) -> BinaryIO:
    """Return a new file in the folder of the target, which may be replaced."""
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file there is read-only")
    return (target.parent / f".regions-{secrets.token_hex(8)}.part").open("xb")


def _sync_folder(folder: Path) -> None:
    """Have the disk keep a rename, where the system can be asked to."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def finite(value: Any) -> Any:
    """Return the same structure of dicts and lists with None for numbers that JSON lacks.

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
    """Return the lines above a table that say what it is about; what is empty is left out.

    Examples
    --------
    >>> heading("2 -> 3 -> 1", "", "uniform")
    ['network  2 -> 3 -> 1', 'p        uniform']
    """
    given = (("network", network), ("domain", domain), ("p", density))
    return [f"{name:<9}{value}" for name, value in given if value]


def truncation(complete: bool, done: str, stopped_by: str = "interrupt") -> list[str]:
    """Return the line of a table that says what cut it short, and after what; none if nothing did.

    Examples
    --------
    >>> truncation(False, "7 runs"), truncation(True, "9 runs")
    (['TRUNCATED: cut short by Ctrl-C after 7 runs'], [])
    """
    what = stopped_by if stopped_by == "max_seconds" else "Ctrl-C"
    return [] if complete else [f"TRUNCATED: cut short by {what} after {done}"]


def save_json(payload: Mapping[str, Any] | list[Any], path: str | os.PathLike[str], what: str) -> None:
    """Write a report as JSON.

    Raises
    ------
    InvalidInputError : if the file cannot be written
    """
    write_text(json.dumps(finite(payload), indent=2, allow_nan=False) + "\n", path, what)


def load_json(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """Read the JSON object that `save_json` wrote.

    Raises
    ------
    InvalidInputError : if the file cannot be read or holds no JSON object
    """
    try:
        payload = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(
            f"cannot read the {what} in {str(path)!r}: {error.strerror or error}"
        ) from error
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
