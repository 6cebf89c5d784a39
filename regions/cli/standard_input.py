"""Files that come through standard input, named `-`: kept for a moment under the name of their kind."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from regions.errors import InvalidInputError

if TYPE_CHECKING:
    from regions.complexes import CellComplex

__all__ = ["STANDARD_INPUT", "named_file", "read_complex", "suffix_of"]

STANDARD_INPUT = Path("-")


@contextmanager
def named_file(path: Path, what: str, suffix: str = "") -> Iterator[Path]:
    """Give a file its path, or that of a copy of standard input if the path is `-`.

    Parameters
    ----------
    path : as typed
    what : what is read, for the error
    suffix : of the copy; found in the first bytes if it is not given

    Raises
    ------
    InvalidInputError
        If standard input is a terminal, or empty.
    """
    if path != STANDARD_INPUT:
        yield path
        return
    if sys.stdin.isatty():
        raise InvalidInputError(
            f"- reads the {what} from standard input, which is a terminal; pipe a file into it"
        )
    content = sys.stdin.buffer.read()
    if not content:
        raise InvalidInputError(f"- reads the {what} from standard input, and there is nothing in it")
    with TemporaryDirectory(prefix="regions-") as folder:
        copy = Path(folder) / f"stdin{suffix or suffix_of(content)}"
        copy.write_bytes(content)
        yield copy


def suffix_of(content: bytes) -> str:
    """Return the suffix that a network's file of this content would have.

    Examples
    --------
    >>> suffix_of(b"// a comment"), suffix_of(bytes.fromhex("894844460d0a")), suffix_of(bytes([8, 7]))
    ('.nnet', '.h5', '.onnx')
    """
    if content.startswith(b"PK"):
        return _suffix_of_archive(content)
    if content.startswith(b"\x89HDF"):
        return ".h5"
    if content.startswith(b"\x80"):
        return ".pkl"
    start = content[:200].lstrip()
    is_text = start.startswith(b"//") or (start[:1].isdigit() and b"," in start)
    return ".nnet" if is_text else ".onnx"


def _suffix_of_archive(content: bytes) -> str:
    """Return the suffix of one of the formats that are zip archives."""
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except zipfile.BadZipFile:
        return ".npz"  # whose reader says what is wrong
    if "config.json" in names:
        return ".keras"
    if any(name.endswith("data.pkl") for name in names):
        return ".pt"
    return ".npz" if all(name.endswith(".npy") for name in names) else ".pt2"


def read_complex(path: Path) -> CellComplex:
    """Read the cells that `regions enumerate` wrote; FILE:K is piece K of the polyline in a file.

    Raises
    ------
    InvalidInputError
        If there is no such file, or no such piece.
    """
    from regions.complexes import CellComplex

    if path != STANDARD_INPUT and not path.exists():
        name, _, number = str(path).rpartition(":")
        if number.isdecimal() and Path(name).is_file():
            return _piece(Path(name), int(number))
        raise InvalidInputError(f"{path}: no such file; `regions enumerate NET <domain> -o {path}` makes one")
    with named_file(path, "cells", ".regions") as file:
        return CellComplex.load(file)


def _piece(file: Path, number: int) -> CellComplex:
    from regions.analysis.polylines import PolylineCells

    pieces = PolylineCells.load(file).pieces
    if number >= len(pieces):
        raise InvalidInputError(
            f"{file}:{number}: the polyline in {file} has the pieces 0 to {len(pieces) - 1}"
        )
    return pieces[number]
