"""Walking again to one known cell, for what is not stored: its vertices, its facets as simplices."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from regions.complexes import CellComplex
from regions.domain import Domain
from regions.enumeration.compiled_network import compile_network
from regions.enumeration.search import NO_LIMIT
from regions.enumeration.vertices.vertex_search import Output, VertexSearch
from regions.errors import CertificateError
from regions.kernels.memory.states import Mode, Status
from regions.kernels.vertices.polytopes import list_cell_simplices
from regions.network.patterns import pack, unpack
from regions.network.relu_network import Network

_NO_CELL = "a listed pattern leads to no cell: the complex does not belong to its network and domain"


class VertexGeometry:
    """Follows packed patterns down the splitting tree; the same steps, so the same numbers.

    Parameters
    ----------
    network, domain : as enumerated
    radius : float, the vertex radius of the enumeration
    planar : bool, whether the enumeration split rings
    certified : bool, whether its signs were certified
    """

    def __init__(
        self, network: Network, domain: Domain, radius: float, planar: bool, certified: bool
    ) -> None:
        self.net = compile_network(network, domain, radius=radius, certified=certified, planar=planar)
        self.network = network
        self.domain = domain
        self.search = VertexSearch(self.net, domain, Mode.COUNT)

    @cached_property
    def _collector(self) -> VertexSearch:
        return VertexSearch(self.net, self.domain, Mode.COLLECT)

    def measure(self, packed: NDArray[np.uint8]) -> Output:
        """What an enumeration with vertices lists for the cell of a packed pattern."""
        search = self._collector
        self._guide(search, packed, cell_limit=NO_LIMIT)
        outputs = []
        while (status := search.step()) in (Status.PAUSED, Status.FLUSH):
            if status == Status.FLUSH:
                outputs.append(search.take_output())
        outputs.append(search.take_output())
        found = [output for output in outputs if output.volume.size]
        if len(found) != 1 or found[0].volume.size != 1:
            raise CertificateError(_NO_CELL)
        return found[0]

    def _go_to(self, packed: NDArray[np.uint8]) -> None:
        """Walk to the cell of a packed pattern and stay there."""
        guide = self._guide(self.search, packed, cell_limit=0)
        while (status := self.search.step()) == Status.PAUSED:
            pass
        found = self.search.memory.patterns[0, : guide.size]
        if status != Status.LIMIT or not np.array_equal(found, guide):
            raise CertificateError(_NO_CELL)

    def _guide(self, search: VertexSearch, packed: NDArray[np.uint8], cell_limit: int) -> NDArray[np.uint64]:
        """Start a search that follows a packed pattern only."""
        active = unpack(packed, self.network.n_units)
        search.start(cell_limit=cell_limit)
        guide = search.memory.guide
        guide[:] = 0
        starts, words = self.net.arrays["unit_starts"], self.net.word_start
        for layer in range(self.net.n_layers):
            bits = active[starts[layer] : starts[layer + 1]]
            block = np.zeros(64 * int(words[layer + 1] - words[layer]), np.bool_)
            block[: bits.size] = bits
            guide[words[layer] : words[layer + 1]] = pack(block).view(np.uint64)
        search.memory.guided = 1
        return guide

    def vertices(self, packed: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Vertices of a cell, (nv, d) intrinsic."""
        self._go_to(packed)
        memory = self.search.memory
        node = memory.nodes[0]
        first = node.first_vertex
        ring = memory.ring[first : first + node.n_vertices]
        return np.ascontiguousarray(memory.points[:, ring].T)

    def facet_simplices(
        self,
        patterns: NDArray[np.uint8],
        rows: NDArray[np.int64],
        cells: NDArray[np.int64],
        places: NDArray[np.int32],
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Facets (by cell and place in it) cut into simplices: (K, d, d) and the row of each.

        Walks once to every cell that owns one of the facets: some 20 to 100 microseconds each.
        """
        d = self.net.dimension
        room = np.zeros((4096, d), np.int64)
        pieces: list[NDArray[np.float64]] = []
        owners: list[NDArray[np.int64]] = []
        order = np.argsort(cells, kind="stable")
        bounds = np.flatnonzero(np.diff(cells[order], prepend=-1, append=-1))
        for start, end in pairwise(bounds):
            group = order[start:end]
            self._go_to(patterns[cells[group[0]]])
            for f in group:
                while (n := int(list_cell_simplices(self.search.memory, 0, int(places[f]), room))) < 0:
                    room = np.zeros((2 * room.shape[0], d), np.int64)
                points = self.search.memory.face_points
                pieces.append(points[room[:n]])
                owners.append(np.full(n, rows[f]))
        if not pieces:
            return np.zeros((0, d, d)), np.zeros(0, np.int64)
        return np.concatenate(pieces), np.concatenate(owners)


def geometry_of_complex(cells: CellComplex) -> VertexGeometry:
    """The geometry of a complex's cells: walks as its enumeration did."""
    return VertexGeometry(
        cells.network,
        cells.domain,
        cells.tolerances.vertex_radius,
        planar=cells.engine == "planar",
        certified=cells.arithmetic == "certified",
    )
