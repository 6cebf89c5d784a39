"""Laws of reading: nothing that was changed, cannot be, or would fill the memory is taken in."""

from __future__ import annotations

import copy
import io
import json
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judging import complex_of
from strategies import random_case

from regions.complexes import CellComplex
from regions.domain import Segment
from regions.enumeration.enumerate import enumerate_cells
from regions.errors import InvalidInputError, InvalidNetworkError
from regions.exploration.exploration_files import read_exploration
from regions.network import npz_members
from regions.network.npz_members import read_members
from regions.network.relu_network import Network


@pytest.fixture(scope="module")
def cells() -> CellComplex:
    return complex_of(random_case(2, (6, 5), seed=5))


@pytest.fixture
def saved(cells: CellComplex, tmp_path: Path) -> Path:
    cells.save(tmp_path / "cells.regions")
    return tmp_path / "cells.regions"


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any], *, digest: bool = False) -> None:
    """Write a file again after a change of its arrays; without its digest, as version 0.1 wrote them."""
    arrays = read_members(path)
    if not digest:
        header = json.loads(str(arrays["header"]))
        del header["digest"]
        arrays["header"] = np.array(json.dumps(header))
    change(arrays)
    with path.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def npy(header: dict[str, Any], content: bytes = b"") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + content


def zipped(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


READERS: list[tuple[Callable[[Path], object], type[Exception]]] = [
    (CellComplex.load, InvalidInputError),
    (Network.load, InvalidNetworkError),
    (read_exploration, InvalidInputError),
]


@pytest.mark.parametrize(("read", "error"), READERS)
def test_what_would_fill_the_memory_is_refused_before_it_is_read(
    tmp_path: Path, read: Callable[[Path], object], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz_members, "FREE_BYTES", 2**22)
    huge = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    claims = zipped(tmp_path / "claims.npz", {"W0.npy": npy(huge), "header.npy": npy(huge)})
    expands = tmp_path / "expands.npz"
    with zipfile.ZipFile(expands, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("W0.npy", "w") as entry:
        entry.write(npy({**huge, "shape": (20 * 2**17,)}))
        for _ in range(20):
            entry.write(bytes(2**20))
    assert expands.stat().st_size < 2**16
    tracemalloc.start()
    try:
        for path, text in ((claims, "claims shape"), (expands, "would expand to")):
            with pytest.raises(error, match=text):
                read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_an_entry_that_unpacks_to_more_than_it_declares_is_refused(tmp_path: Path) -> None:
    good = npy({"descr": "<f8", "fortran_order": False, "shape": (4,)}, bytes(32))
    path = zipped(tmp_path / "lies.npz", {"W0.npy": good + bytes(2**22)})
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    for place in (22, central + 24):  # the unpacked size, in both headers
        content[place : place + 4] = len(good).to_bytes(4, "little")
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInputError, match=r"lies\.npz"):
            read_members(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "entries",
    [
        {"a.npy": npy({"descr": "<f8", "fortran_order": False, "shape": (2,)}, bytes(15))},
        {"a.npy": npy({"descr": "<f8", "fortran_order": False, "shape": (2,)}, bytes(17))},
        {"a.npy": npy({"descr": "<f8", "fortran_order": False, "shape": (-2, -1)}, bytes(16))},
        {"a.npy": npy({"descr": "|O", "fortran_order": False, "shape": (1,)}, b"cos\nsystem\n.")},
        {"a.npy": npy({"descr": "<U0", "fortran_order": False, "shape": (10**12,)})},
        {"a.npy": npy({"descr": [("x", "<f8")], "fortran_order": False, "shape": (1,)}, bytes(8))},
        {"a.npy": b"\x93NUMPY\x03\x00"},
        {"a.npy": b"plain text"},
        {"a.npy": b""},
    ],
)
def test_entries_that_are_no_plain_arrays_are_refused(tmp_path: Path, entries: dict[str, bytes]) -> None:
    with pytest.raises(InvalidInputError, match=r"odd\.npz"):
        read_members(zipped(tmp_path / "odd.npz", entries))


def test_doubled_entries_and_other_compressions_are_refused(tmp_path: Path) -> None:
    entry = {"a.npy": npy({"descr": "<f8", "fortran_order": False, "shape": (1,)}, bytes(8))}
    with pytest.raises(InvalidInputError, match="compressed"):
        read_members(zipped(tmp_path / "lzma.npz", entry, zipfile.ZIP_LZMA))
    twice = zipped(tmp_path / "twice.npz", entry)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "a") as archive:
        archive.writestr("a.npy", entry["a.npy"])
    with pytest.raises(InvalidInputError, match="twice"):
        read_members(twice)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_any_plain_type_and_order_come_back(tmp_path: Path, save: Callable[..., None]) -> None:
    arrays: dict[str, Any] = {
        "none": np.zeros((0, 3)),
        "point": np.float32(2.5),
        "flags": np.array([True, False]),
        "columns": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "text": np.array("ü"),
        "empty": np.array(""),
    }
    save(tmp_path / "all.npz", **arrays)
    read = read_members(tmp_path / "all.npz")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == np.asarray(array).dtype and np.array_equal(read[name], array)


def test_files_without_a_digest_are_read(cells: CellComplex, saved: Path) -> None:
    def as_before(arrays: dict[str, Any]) -> None:
        for name in [name for name in arrays if name.startswith("domain_")]:
            del arrays[name]

    rewrite(saved, as_before)
    assert "digest" not in str(read_members(saved)["header"])
    again = CellComplex.load(saved)
    assert again.patterns.tobytes() == cells.patterns.tobytes() and again.domain == cells.domain


def test_a_file_that_was_changed_is_refused_by_its_digest(saved: Path) -> None:
    def longer(arrays: dict[str, Any]) -> None:
        header = json.loads(str(arrays["header"]))
        header["seconds"] += 1.0
        arrays["header"] = np.array(json.dumps(header))

    rewrite(saved, longer, digest=True)
    with pytest.raises(InvalidInputError, match=r"digest is another.*enumerate again"):
        CellComplex.load(saved)


IMPOSSIBLE: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "doubled volumes": ("volumes", lambda a: 2.0 * a, "volumes sum to"),
    "a volume that is nan": ("volumes", lambda a: np.where(np.arange(len(a)) == 1, np.nan, a), "not finite"),
    "a negative volume": ("volumes", lambda a: -a, "negative"),
    "two volumes exchanged": ("volumes", lambda a: a[::-1], "has area"),
    "shifted numbers of vertices": ("n_vertices", lambda a: np.roll(a, 1), "vertices and"),
    "shifted numbers of facets": (
        "n_facets",
        lambda a: np.roll(a, 1),
        "out of range|rows in the facet table",
    ),
    "a pattern listed twice": ("patterns", lambda a: a[[0, *range(len(a) - 1)]], "listed twice"),
    "bits beyond the last unit": ("patterns", lambda a: a | np.array([0, 128], np.uint8), "beyond the last"),
    "rings of half the size": ("rings", lambda a: 0.5 * a, "has area"),
    "centroids outside": ("centroids", lambda a: a + 10.0, "outside of the domain"),
    "witnesses outside": ("witnesses", lambda a: a - 10.0, "outside of the domain"),
    "facets of half the length": ("facet_volume", lambda a: 0.5 * a, "length of the edge"),
    "places exchanged": ("facet_place", lambda a: np.maximum(a - 1, 0), "one place|length of the edge"),
    "negative jumps": ("facet_jump", lambda a: -a, "jumps"),
    "another origin": ("domain_origin", lambda a: a + 1e-6, "domain_origin"),
}


@pytest.mark.parametrize("name", list(IMPOSSIBLE))
def test_numbers_that_cannot_be_are_refused_without_a_digest_too(saved: Path, name: str) -> None:
    array, change, reason = IMPOSSIBLE[name]
    rewrite(saved, lambda arrays: arrays.__setitem__(array, change(arrays[array])))
    with pytest.raises(InvalidInputError, match=reason):
        CellComplex.load(saved)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"engine": "planar"', '"engine": "cells"'),
        ('"arithmetic": "certified", "tolerances"', '"arithmetic": "float", "tolerances"'),
        ('"complete": true', '"complete": false'),
        ('"status": "COMPLETE"', '"status": "TRUNCATED"'),
        ('"exact_positions": ', '"exact_positions": -1'),
        ('"volume_sum": 1e-09', '"volume_sum": 0.1'),
        ('"volume_kind": "vertices"', '"volume_kind": "none"'),
    ],
)
def test_words_that_contradict_the_arrays_are_refused(saved: Path, old: str, new: str) -> None:
    def edit(arrays: dict[str, Any]) -> None:
        assert old in str(arrays["header"])
        arrays["header"] = np.array(str(arrays["header"]).replace(old, new))

    rewrite(saved, edit)
    with pytest.raises(InvalidInputError, match="no sound cell complex"):
        CellComplex.load(saved)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda cells: pickle.loads(pickle.dumps(cells))])
def test_copies_are_read_only_too(cells: CellComplex, again: Callable[[CellComplex], CellComplex]) -> None:
    segment = enumerate_cells(
        Network.from_arrays([[[1.0, 0.0]], [[1.0]]], [[0.0], [0.0]]), Segment([-1, 0], [1, 1])
    )
    for one in (cells, segment):
        one.locate(one.centroids)  # what was computed on demand is not copied
        other = again(one)
        assert other.patterns.tobytes() == one.patterns.tobytes() and other.domain == one.domain
        parts = [other, other.facets]
        arrays = [getattr(part, field.name) for part in parts for field in fields(part)]
        arrays += [
            other.domain.vertices,
            other.domain.basis,
            *other.domain.halfspaces,
            *other.network.weights,
        ]
        for array in arrays:
            assert not isinstance(array, np.ndarray) or not array.flags.writeable
