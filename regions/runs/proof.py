"""That the tasks of a finished run are the whole tree, each part of it once: read off their paths alone.

Every split has two parts, so a search that ends at some node leaves that node, and the second parts of the
splits above it where it took the first: no more and no less. Which cells a task has, its own search proves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from regions.enumeration.search import Signs, TaskResult
from regions.enumeration.spool import StoredPart
from regions.errors import CertificateError
from regions.runs.task_store import Row, State, TaskStore


def frontier(task: bytes, first: bytes) -> list[bytes]:
    """Return what a search of `task` gives back that ends before the subtree `first`, in order.

    Examples
    --------
    >>> [path.hex() for path in frontier(bytes([1]), bytes([1, 0, 1, 0]))]
    ['01000100', '01000101', '0101']
    """
    seconds = [first[:k] + b"\x01" for k in range(len(first) - 1, len(task) - 1, -1) if first[k] == 0]
    return [first, *seconds]


def is_frontier(task: bytes, given_back: Sequence[bytes]) -> bool:
    """Tell whether these paths, in order, are all that a search of a task left out, each once."""
    if not given_back:
        return True
    first = given_back[0]
    below = len(first) > len(task) and first.startswith(task) and set(first) <= {0, 1}
    return below and list(given_back) == frontier(task, first)


def proven_total(store: TaskStore) -> TaskResult:
    """Return the sum of all results of a run, after making sure that they are the whole tree, unchanged.

    Where cells are listed, the parts that they are in come with it, in the order of the search.

    Raises
    ------
    CertificateError
        If a task is missing, not done, there twice in part, or its result is not as it was entered.
    """
    parents: dict[bytes, int] = {}
    given_back: defaultdict[bytes, list[bytes]] = defaultdict(list)
    cells = volume = 0
    signs = Signs()
    listed: list[StoredPart] = []
    for row in store.rows():
        cells += _checked_cells(store, row)
        if row.part is not None:
            listed.append(StoredPart.parse(row.part))
        volume += int(row.volume or "", 16)
        signs = Signs(*(a + b for a, b in zip(signs, row.signs, strict=True)))
        parents[row.path] = int(row.parts or 0)
        if row.parent is not None:
            given_back[row.parent].append(row.path)
        elif row.path:
            raise CertificateError(f"task {row.path.hex()} of the run comes from nowhere")
    if b"" not in parents:
        raise CertificateError("the task of the whole tree is missing in the run")
    _check_cover(parents, given_back.items())
    if store.facts.get("mode") == "list" and sum(part.cells for part in listed) != cells:
        raise CertificateError("cells of the run are in no part: the run was changed")
    return TaskResult(cells=cells, volume=volume, certificate=signs, parts=listed, complete=True)


def _checked_cells(store: TaskStore, row: Row) -> int:
    """Return the cells of a task that is done, and whose result is as it was entered."""
    name = row.path.hex() or "whole"
    if row.state != State.DONE or row.cells is None or row.parts is None or row.volume is None:
        raise CertificateError(f"task {name} of the run is not done")
    numbers = row.parts, row.cells, row.volume
    if row.digest != store.digest_of(row.path, row.parent, numbers, row.signs, row.part):
        raise CertificateError(f"the result of task {name} is not what was entered: the run was changed")
    return row.cells


def _check_cover(parents: dict[bytes, int], given_back: Iterable[tuple[bytes, list[bytes]]]) -> None:
    """Make sure that what tasks gave back is what they left out, and all of it is there."""
    left = {path for path, parts in parents.items() if parts}
    for parent, paths in given_back:
        if len(paths) != parents.get(parent, -1) or not is_frontier(parent, paths):
            raise CertificateError(
                f"what task {parent.hex() or 'whole'} gave back is not what it left out: the run was changed"
            )
        left.discard(parent)
    if left:
        raise CertificateError(f"what task {min(left).hex() or 'whole'} gave back is missing in the run")
