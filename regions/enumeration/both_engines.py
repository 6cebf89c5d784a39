"""Both engines on one problem, compared: what `engine="both"` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from regions.complexes import CellComplex
from regions.domain import Domain
from regions.enumeration.cell_count import CellCount
from regions.enumeration.limits import Stop
from regions.enumeration.planning import vertex_engine
from regions.errors import CertificateError
from regions.network.relu_network import Network


def compare_counts(first: CellCount, second: CellCount) -> str:
    """Return a line that says that two engines count the same; raises CertificateError if they do not."""
    if first.n_cells != second.n_cells or first.status is not second.status:
        raise CertificateError(
            f"engine {first.engine!r} counts {first.n_cells} cells ({first.status.value}), engine "
            f"{second.engine!r} {second.n_cells} ({second.status.value}); please report this network"
        )
    return f"engines {first.engine!r} and {second.engine!r} agree: {first.n_cells} cells"


Found = TypeVar("Found", CellCount, CellComplex)


def by_both(
    run: Callable[..., Found],
    problem: tuple[Network, Domain],
    by_vertices: dict[str, Any],
    by_programs: dict[str, Any],
    options: dict[str, Any],
) -> Found:
    """Run by vertices, and again by linear programs in the time that is left; compare the two.

    Where time or Ctrl-C ended one of them there is nothing to compare: the result by vertices says so.
    """
    early = ("max_seconds", "interrupt")
    with Stop(options.get("max_seconds")) as stop:
        first = run(*problem, engine=vertex_engine(problem[1]), **by_vertices, **options)
        if first.certificate.stopped_by in early or stop.is_set():
            return replace(first, engine_reason="as asked; engine 'lp' was not reached: nothing is compared")
        second = run(*problem, engine="lp", **by_programs, **options | {"max_seconds": stop.left()})
    if second.certificate.stopped_by in early:
        return replace(first, engine_reason="as asked; engine 'lp' came to no end: nothing is compared")
    if isinstance(first, CellComplex) and isinstance(second, CellComplex):
        from regions.enumeration.programs.program_complex import compare_complexes

        return replace(first, engine_reason=compare_complexes(first, second))
    return replace(first, engine_reason=compare_counts(first, second))
