"""Reading `.npz` files that may be damaged or meant to do harm: sizes are judged before anything is read.

It returns plain arrays and knows nothing of what they mean; whoever reads a file of this package calls it.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidInputError

__all__ = ["content_digest", "read_members"]

FREE_BYTES = 1 << 28  # what any file may expand to
LARGEST_EXPANSION = 100  # times its size on the disk, beyond that
_CHUNK = 1 << 20
_KINDS = "biufcU"
_BROKEN = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError),
    *(RecursionError, OverflowError, struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError),
)


def read_members(
    path: str | os.PathLike[str], wanted: Callable[[str], bool] | None = None
) -> dict[str, NDArray[Any]]:
    """Read the arrays of a `.npz` file by name, each whole, so that its checksum is compared.

    Before anything is unpacked, the sizes that the entries declare are added up, and each array's shape
    and type must need exactly the bytes that its entry has. So a small file cannot fill the memory.

    Parameters
    ----------
    path : path of the file
    wanted : tells of a name whether its array is returned; the others are read for their checksums only

    Returns
    -------
    arrays : dict of name to array, of booleans, numbers or text

    Raises
    ------
    InvalidInputError
        If the file is no readable `.npz` of plain arrays, or would expand to more than 256 MiB and more
        than 100 times its own size.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/two.npz", a=np.arange(3), b=np.zeros(2))
    ...     read_members(f"{folder}/two.npz", lambda name: name == "a")
    {'a': array([0, 1, 2])}
    """
    file = Path(path)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_sizes(file, members)
            found: dict[str, NDArray[Any]] = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                plain = member.filename.endswith(".npy") and (wanted is None or wanted(name))
                with archive.open(member) as stream:
                    if plain:
                        found[name] = _read_array(stream, member)
                    while stream.read(_CHUNK):
                        pass
            return found
    except InvalidInputError:
        raise
    except _BROKEN as error:
        raise InvalidInputError(
            f"cannot read {str(file)!r} as a .npz of plain arrays: {error or type(error).__name__}"
        ) from error


def content_digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256, in hex, of the names, types, shapes and bytes of arrays, in any order of names.

    Examples
    --------
    >>> one, two = {"a": np.zeros(2), "b": np.ones(1)}, {"b": np.ones(1), "a": np.zeros(2)}
    >>> content_digest(one) == content_digest(two), content_digest(one) == content_digest({"a": np.zeros(2)})
    (True, False)
    """
    state = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        state.update(f"{name} {array.dtype.str} {arrays[name].shape};".encode())
        if array.nbytes:
            state.update(array.reshape(-1).view(np.uint8).data)
    return state.hexdigest()


def _check_sizes(file: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raise unless the entries are stored plainly, once each, and declare no more than may be unpacked."""
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise zipfile.BadZipFile("an entry is there twice")
    odd = [
        member for member in members if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    ]
    if odd:
        raise zipfile.BadZipFile(f"entry {odd[0].filename} is compressed in a way that numpy does not write")
    size = file.stat().st_size
    declared = sum(member.file_size for member in members)
    if declared > max(FREE_BYTES, LARGEST_EXPANSION * size):
        raise InvalidInputError(
            f"{str(file)!r} has {size:,} bytes and would expand to {declared:,}: it is not read, as it may be"
            " made to fill the memory; if you trust it, write its arrays again with numpy.savez, uncompressed"
        )


def _read_array(stream: IO[bytes], member: zipfile.ZipInfo) -> NDArray[Any]:
    """Read one array, after its header has been compared with the size of the entry."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran_order, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"entry {member.filename} has version {version} of numpy's format; known: 1 and 2")
    if dtype.kind not in _KINDS or dtype.names is not None:
        raise ValueError(f"entry {member.filename} holds {dtype}, and only plain numbers and text are read")
    needed, there = prod(shape) * dtype.itemsize, member.file_size - stream.tell()
    if min(shape, default=0) < 0 or needed != there or (dtype.itemsize == 0 and prod(shape) != 1):
        raise ValueError(
            f"entry {member.filename} claims shape {shape} of {dtype}, {needed:,} bytes, and has {there:,}"
        )
    # bytes of a known number: a stream that unpacks to more is cut off, to less is found out
    content = bytearray()
    while len(content) < needed and (part := stream.read(min(_CHUNK, needed - len(content)))):
        content += part
    if len(content) < needed:
        raise EOFError(f"entry {member.filename} ends after {len(content):,} of {needed:,} bytes")
    if not needed:
        return np.zeros(shape, dtype)
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran_order else "C")
