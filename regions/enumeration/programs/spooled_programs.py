"""The breadth-first search over facets into files, where cells and half-facets go as they are found.

Only which cells were met stays in memory, as packed patterns, and those that wait for their turn. Cells have
no volumes; two halves of a facet have the patterns on both sides in common.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np

from regions.complexes import StoppedBy
from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork
from regions.enumeration.ledger import Outcome
from regions.enumeration.limits import Stop
from regions.enumeration.planning import Plan
from regions.enumeration.programs.breadth_first import list_into
from regions.enumeration.programs.cell_facets import CellFacets
from regions.enumeration.programs.program_complex import output_jacobians
from regions.enumeration.search import Signs, TaskResult
from regions.enumeration.threads import Progress
from regions.enumeration.vertices.vertex_search import Output
from regions.network.patterns import pack

AT_ONCE = 1024  # cells that go to the files together
_NOTHING: StoppedBy = ""


class SpooledListing:
    """Cells whose facets are known, on their way to files.

    Parameters
    ----------
    net : CompiledNetwork
    keep : called with the cells, some at a time
    """

    def __init__(self, net: CompiledNetwork, keep: Callable[[Output], None]) -> None:
        self.net, self.keep = net, keep
        self.complete, self.stopped_by = False, _NOTHING
        self.listed, self.rows, self.exact = 0, 0, 0
        self._seen: set[bytes] = set()
        self._waiting: list[tuple[bytes, CellFacets]] = []

    @property
    def count(self) -> int:
        """How many cells are listed."""
        return self.listed

    @property
    def met(self) -> int:
        """How many cells were met, listed or not."""
        return len(self._seen)

    def meet(self, states: bytes) -> bool:
        """Note a cell; tells whether it is new."""
        before = len(self._seen)
        self._seen.add(_packed(states))
        return len(self._seen) > before

    def take(self, states: bytes, facets: CellFacets) -> None:
        """List a cell."""
        self.listed += 1
        self.rows += facets.rows
        self.exact += facets.exact
        self._waiting.append((states, facets))
        if len(self._waiting) >= AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Give away the cells that wait."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self.keep(self._output(waiting))

    def _output(self, cells: list[tuple[bytes, CellFacets]]) -> Output:
        n, d = len(cells), self.net.dimension
        states = np.frombuffer(b"".join(states for states, _ in cells), np.bool_)
        packed = pack(states.reshape(n, self.net.n_units))
        words = np.zeros((n, 8 * max(1, (self.net.n_units + 63) // 64)), np.uint8)
        words[:, : packed.shape[1]] = packed
        labels = [self._label(label) for _, facets in cells for label in facets.labels]
        keys = [_key(states, other) for states, facets in cells for other in facets.neighbours]
        return Output(
            pattern=words.view(np.uint64),
            volume=np.full(n, np.nan),
            centroid=np.array([facets.witness for _, facets in cells]).reshape(n, d),
            n_vertices=np.zeros(n, np.int64),
            n_facets=np.array([len(facets.labels) for _, facets in cells], np.int64),
            jacobian=output_jacobians(packed, self.net),
            label=np.array(labels, np.int64),
            match=np.array(keys, np.uint64),
            measure=np.zeros(len(labels)),
            point=np.zeros((0, 2)),
        )

    def _label(self, label: int) -> int:
        """Return what both sides call a facet: of a max unit its first candidate."""
        table = self.net.network.max_units
        if table is None or label < 0 or table.first[label] < 0:
            return label
        return int(table.first[label])


def _packed(states: bytes) -> bytes:
    return np.packbits(np.frombuffer(states, np.bool_)).tobytes()


def _key(states: bytes, other: bytes | None) -> int:
    """Return a key that the two halves of a facet have in common; 0 on the domain's sides."""
    if other is None:
        return 0
    both = min(states, other) + max(states, other)
    return int.from_bytes(blake2b(both, digest_size=8).digest(), "little")


def search_by_facets(
    plan: Plan, domain: Domain, max_cells: int | None, progress: Progress | None, stop: Stop
) -> Outcome:
    """Search over the facets, into the plan's spool; the outcome has one result, with one part."""
    assert plan.spool is not None
    sink = plan.spool.begin()
    listing = SpooledListing(plan.net, sink.append)
    list_into(listing, plan.net, domain, (max_cells, plan.workers), progress, stop)
    listing.flush()
    result = TaskResult(
        cells=listing.count,
        certificate=Signs(listing.rows, listing.exact, 0),
        parts=list[Any](sink.close()),
        complete=listing.complete,
    )
    return Outcome([result], listing.complete, listing.stopped_by)
