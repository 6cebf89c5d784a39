"""Facets joined out of core: half-facets on the disk in, the facet table in blocks out.

Halves are sorted into files by their keys, so that both halves of a facet are in one of them and each file
fits into memory; the pairs are sorted into files by the first cell of each. Which cells there are is left to
`stored_listing`; what is checked, and every number, is as in `facet_join`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes import FacetTable, Tolerances
from regions.complexes.listing_files import BLOCK
from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork
from regions.enumeration.facet_join import check_sides_of_units, compare_both_sides, jumps_of, sides_alone
from regions.enumeration.spool import Batch
from regions.enumeration.vertices.vertex_search import Output
from regions.kernels.vertices import half_facets as facet_kernels
from regions.network.patterns import packed_size

HALF = np.dtype(
    [("match", "u8"), ("cell", "i8"), ("measure", "f8"), ("label", "i4"), ("place", "i4")], align=True
)
PAIR = np.dtype(
    [
        *(("cell", "i8"), ("other", "i8"), ("measure", "f8"), ("other_measure", "f8")),
        *(("label", "i4"), ("place", "i4"), ("other_place", "i4")),
    ],
    align=True,
)
HALVES_IN_FILE = 1 << 20  # about
MOST_FILES = 256  # open at once
JUMPS_AT_ONCE = 1 << 15  # rows whose cells are looked up together


class _Files:
    """Files of records, by number; each record goes to the end of one of them."""

    def __init__(self, folder: Path, name: str, count: int, dtype: np.dtype[Any]) -> None:
        self.paths = [folder / f"{name}-{k}.bin" for k in range(count)]
        self.dtype = dtype
        self.streams = [path.open("wb") for path in self.paths]

    def add(self, records: NDArray[Any], numbers: NDArray[np.int64]) -> None:
        """Append records to the files of these numbers, in the order in which they come."""
        order = np.argsort(numbers, kind="stable")
        ends = np.searchsorted(numbers[order], np.arange(len(self.streams) + 1))
        for k in np.flatnonzero(np.diff(ends)).tolist():
            self.streams[k].write(records[order[ends[k] : ends[k + 1]]].tobytes())

    def close(self) -> None:
        """End the writing."""
        for stream in self.streams:
            stream.close()

    def take(self, k: int) -> NDArray[Any]:
        """Read a file, and remove it."""
        records = np.fromfile(self.paths[k], self.dtype)
        self.paths[k].unlink()
        return records


class FacetFiles:
    """Half-facets of a listing on their way to the facet table.

    `add` takes the cells in order; `join` then pairs the halves; `blocks` gives the table.

    Parameters
    ----------
    folder : for files that are needed on the way
    net, domain : what is listed
    sizes : how many cells and half-facets there will be
    workers : int, threads
    check : called now and then; what it raises ends the joining
    """

    def __init__(
        self,
        folder: Path,
        net: CompiledNetwork,
        domain: Domain,
        sizes: tuple[int, int],
        workers: int,
        check: Callable[[], None],
    ) -> None:
        self.check = check
        self.net, self.domain, self.workers = net, domain, workers
        self.cells, self.words = 0, max(1, (net.n_units + 63) // 64)
        self.alone, self.troubles, self.halves_seen = 0, 0, 0
        self.bits = min(MOST_FILES.bit_length() - 1, (sizes[1] // HALVES_IN_FILE).bit_length())
        self.halves = _Files(folder, "halves", 1 << self.bits, HALF)
        blocks = -(-sizes[0] // BLOCK)
        self.blocks_in_file = -(-max(1, blocks) // MOST_FILES)
        self.pairs = _Files(folder, "pairs", -(-max(1, blocks) // self.blocks_in_file), PAIR)
        self.records = folder / "records.bin"
        self.stream = self.records.open("wb")

    def add(self, batch: Batch) -> None:
        """Take the next cells, with their half-facets."""
        self.check()
        cells, n = batch.cells, len(batch.cells.volume)
        record = np.zeros((n, 8 * self.words), np.uint8)
        record[:, : packed_size(self.net.n_units)] = cells.pattern
        self.stream.write(np.hstack([record.view(np.float64), batch.jacobian]).tobytes())
        counts = cells.n_facets.astype(np.int64)
        half = np.zeros(len(batch.label), HALF)
        half["match"], half["measure"], half["label"] = batch.match, batch.measure, batch.label
        half["cell"] = np.repeat(np.arange(self.cells, self.cells + n), counts)
        half["place"] = np.arange(len(half)) - np.repeat(np.cumsum(counts) - counts, counts)
        self.cells += n
        self.halves_seen += len(half)
        inner = half["label"] >= 0
        self._add_pairs(half[~inner], np.full(int((~inner).sum()), -1), half)
        half = half[inner]
        high = half["match"] >> np.uint64(64 - self.bits) if self.bits else np.zeros(len(half), np.uint64)
        self.halves.add(half, high.astype(np.int64))

    def join(self, complete: bool) -> None:
        """Pair the halves.

        Raises
        ------
        CertificateError
            If a facet of a complete result has one side only, or one of any has three.
        """
        self.stream.close()
        self.halves.close()
        for k in range(len(self.halves.paths)):
            self.check()
            half = self.halves.take(k)
            mate = self._mates(half)
            row = np.arange(len(half))
            first = (mate < 0) | (mate > row)
            self._add_pairs(half[first], mate[first], half)
            self.alone += int((mate < 0).sum())
        self.pairs.close()
        sides_alone(self.alone if complete else 0, self.troubles, self.halves_seen)

    def _mates(self, half: NDArray[Any]) -> NDArray[np.int32]:
        """Return the other half of each, -1 where there is none."""
        match, label = np.ascontiguousarray(half["match"]), half["label"].astype(np.int64)
        mate = np.empty(len(half), np.int32)
        table = np.zeros(1 << max(4, (2 * len(half)).bit_length()), np.int32)
        self.troubles += int(facet_kernels.pair_halves(match, label, table, mate, 0, 1))
        return mate

    def _add_pairs(self, first: NDArray[Any], mate: NDArray[Any], half: NDArray[Any]) -> None:
        pair = np.zeros(len(first), PAIR)
        for name in ("cell", "measure", "label", "place"):
            pair[name] = first[name]
        pair["other"] = -1
        paired = mate >= 0
        second = half[mate[paired]]
        pair["other"][paired] = second["cell"]
        pair["other_measure"][paired] = second["measure"]
        pair["other_place"][paired] = second["place"]
        self.pairs.add(pair, pair["cell"] // (BLOCK * self.blocks_in_file))

    def blocks(self, tolerances: Tolerances) -> Iterator[tuple[FacetTable, str]]:
        """Give the facet table in the order of the cells, those of `BLOCK` first cells at a time.

        Yields
        ------
        table : FacetTable
        sides_differ : str, how facets differ in volume from their two sides, as floats go; "" if none does

        Raises
        ------
        CertificateError
            If two cells are on the same side of their facet.
        """
        for k in range(len(self.pairs.paths)):
            pairs = self.pairs.take(k)
            pairs = pairs[np.lexsort((pairs["place"], pairs["cell"]))]
            first = k * self.blocks_in_file * BLOCK
            ends = np.searchsorted(pairs["cell"], first + BLOCK * np.arange(self.blocks_in_file + 1))
            for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
                if end > begin:
                    yield self._block(pairs[begin:end], tolerances)

    def _block(self, pairs: NDArray[Any], tolerances: Tolerances) -> tuple[FacetTable, str]:
        parts, texts = [], [""]
        for at in range(0, len(pairs), JUMPS_AT_ONCE):
            self.check()
            rows, jump, other_side = self._rows(pairs[at : at + JUMPS_AT_ONCE])
            parts.append({**rows._asdict(), "jump": jump})
            texts.append(compare_both_sides(rows.volume, other_side, self.domain, tolerances))
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return FacetTable(**joined), next(filter(None, texts), "")

    def _rows(
        self, pairs: NDArray[Any]
    ) -> tuple[facet_kernels.Rows, NDArray[np.float64], NDArray[np.float64]]:
        """Return rows of the table, their jumps, and the volumes from the other side (-1: there is none)."""
        numbers = np.unique(np.concatenate([pairs["cell"], pairs["other"][pairs["other"] >= 0]]))
        found = self._cells(numbers)
        a, b = np.searchsorted(numbers, pairs["cell"]), np.searchsorted(numbers, pairs["other"])
        label, paired = pairs["label"].astype(np.int64), pairs["other"] >= 0
        unit = self._units(found.pattern, a, b, label, paired)
        swap = paired & ~_active(found.pattern, a, np.maximum(unit, 0))
        a, b = np.where(swap, b, a), np.where(swap, a, b)
        b = np.where(paired, b, np.where(label < 0, -1, -2))
        inner = unit >= 0
        starts = self._starts
        layer = np.where(inner, np.searchsorted(starts, unit, "right") - 1, -1)
        rows = facet_kernels.Rows(
            cell_a=a,
            cell_b=b,
            side=np.where(inner, -1, -1 - unit).astype(np.int32),
            layer=layer.astype(np.int32),
            unit=np.where(inner, unit - starts[layer], -1).astype(np.int32),
            volume=np.where(swap, pairs["other_measure"], pairs["measure"]),
            place=np.where(swap, pairs["other_place"], pairs["place"]).astype(np.int32),
        )
        check_sides_of_units(rows, found, starts)
        jump = jumps_of(self.net, self.domain, found, (a, b), self.workers)
        other = np.where(swap, pairs["measure"], pairs["other_measure"])
        rows = rows._replace(cell_a=numbers[a], cell_b=np.where(paired, numbers[np.maximum(b, 0)], b))
        return rows, jump, np.where(paired, other, -1.0)

    @property
    def _starts(self) -> NDArray[np.int64]:
        """First unit of each layer that has any, and the total."""
        starts = self.net.arrays["unit_starts"]
        return np.asarray(starts[np.append(True, np.diff(starts) > 0)])

    def _cells(self, numbers: NDArray[np.int64]) -> Output:
        """Return patterns and Jacobians of some cells, whose numbers are in order."""
        columns = self.words + int(self.net.width[-1]) * self.net.dimension
        # mapped anew each time: pages that were read count as this process's memory until then
        whole = np.memmap(self.records, np.float64, "r", shape=(self.cells, columns))
        chosen = np.asarray(whole[numbers])
        none, empty = np.zeros(0, np.int64), np.zeros(0)
        return Output(
            pattern=np.ascontiguousarray(chosen[:, : self.words]).view(np.uint64),
            volume=empty,
            centroid=empty,
            n_vertices=none,
            n_facets=none,
            jacobian=np.ascontiguousarray(chosen[:, self.words :]),
            label=none,
            match=np.zeros(0, np.uint64),
            measure=empty,
            point=empty,
        )

    def _units(
        self,
        patterns: NDArray[np.uint64],
        a: NDArray[np.int64],
        b: NDArray[np.int64],
        label: NDArray[np.int64],
        paired: NDArray[np.bool_],
    ) -> NDArray[np.int64]:
        """Return the unit of each facet: of a max unit the earlier one of the two candidates that win."""
        table = self.net.network.max_units
        if table is None:
            return label
        size = np.where(label >= 0, table.size[np.maximum(label, 0)], 1)
        first, second = label.copy(), label.copy()
        for k in range(int(size.max(initial=1)) - 1, -1, -1):
            candidate = np.where(k < size, label + k, label)
            several = (size > 1) & (k < size)
            first = np.where(several & _active(patterns, a, np.maximum(candidate, 0)), candidate, first)
            there = several & paired
            at = np.where(paired, b, 0)
            second = np.where(there & _active(patterns, at, np.maximum(candidate, 0)), candidate, second)
        return np.where((size > 1) & paired, np.minimum(first, second), first)


def _active(
    patterns: NDArray[np.uint64], cells: NDArray[np.int64], units: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell whether units are active in cells."""
    words = patterns[cells, units >> 6] >> (units & 63).astype(np.uint64)
    return np.asarray(words & np.uint64(1)).astype(np.bool_)
