"""The commands on networks and on result files, but for validate and demo.

Each reads its words, calls one public function and prints what came back.
"""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from regions.cli.ball import BallWords, count_in_ball, in_ball
from regions.cli.definitions import Definition, count_definitions
from regions.cli.groups import grouped
from regions.cli.info import guess_cells
from regions.cli.interruption import signals
from regions.cli.options import (
    AsJson,
    DomainWords,
    EngineWords,
    Kind,
    KindOption,
    MaxSecondsOption,
    NetworkPath,
    ReadingWords,
    writable,
)
from regions.cli.polyline import PolylineOption, count_along
from regions.cli.session import (
    cells_in_words,
    leave_if,
    print_facts,
    print_json,
    print_table,
    watched,
)
from regions.cli.stopwatch import watch
from regions.cli.stored_cells import (
    CellsPath,
    FileOption,
    FolderOption,
    check_place,
    interior_facets,
    joined_later,
    open_cells,
    unbounded_cells,
)
from regions.errors import InvalidInputError


class By(StrEnum):
    """How finely a locus volume is broken down."""

    layer = "layer"
    unit = "unit"


class GraphFormat(StrEnum):
    """File formats of graphs."""

    graphml = "graphml"
    gexf = "gexf"
    json = "json"
    csv = "csv"
    parquet = "parquet"
    npz = "npz"


@grouped
def count(
    net: NetworkPath,
    where: DomainWords,
    how: EngineWords,
    around: BallWords,
    reading: ReadingWords,
    definition: Annotated[
        Definition,
        typer.Option(help="What counts as a linear region; all but cell list the cells first."),
    ] = Definition.cell,
    check_volumes: Annotated[
        bool | None,
        typer.Option(
            "--check-volumes/--no-check-volumes",
            help="Sum the cells' volumes and compare with the domain's; costs some times the count if d > 2. "
            "Default: where d <= 2, as in the library.",
        ),
    ] = None,
    polyline: PolylineOption = None,
    max_seconds: MaxSecondsOption = None,
    json: AsJson = False,
) -> None:
    """Count the cells of a network in a domain (keeps none, so memory stays small).

    Ctrl-C prints what was counted so far, marked TRUNCATED, and exits with 130. With --definition, count
    the linear regions by another definition, or by all six.
    """
    around.check()
    watch.lap("start")
    network = reading.load(net)
    if around.ball is not None:
        if where != DomainWords() or definition is not Definition.cell or polyline is not None:
            raise InvalidInputError("--ball goes without another domain and without --definition")
        count_in_ball(network, around, how, max_seconds, json)
        return
    if polyline is not None:
        if where != DomainWords() or definition is not Definition.cell:
            raise InvalidInputError("--polyline goes without another domain and without --definition")
        count_along(network, polyline, how, max_seconds, json)
        return
    domain = where.build(network)
    if definition is not Definition.cell:
        count_definitions(network, domain, definition, {**how.arguments(), "max_seconds": max_seconds}, json)
        return
    watch.lap("reading")
    from regions.enumeration.enumerate import count_cells

    watch.lap("imports")
    with watched("counting", estimate=guess_cells(network, domain, how.arithmetic)) as progress:
        found = count_cells(
            network,
            domain,
            progress=progress,
            check_volumes=check_volumes,
            max_seconds=max_seconds,
            **how.arguments(),
        )
    watch.lap("search", other="kernels and set-up", took=found.seconds)
    if json:
        print_json({**count_summary(found, network, domain), "times": watch.parts})
    else:
        print_count(found, network, domain)
        print_facts({"time": watch.sentence()}, width=len("network"))
    _leave_if_interrupted(found.certificate.stopped_by)


@grouped
def enumerate_(
    net: NetworkPath,
    where: DomainWords,
    how: EngineWords,
    around: BallWords,
    reading: ReadingWords,
    output: FileOption = None,
    folder: FolderOption = None,
    polyline: PolylineOption = None,
    max_seconds: MaxSecondsOption = None,
    json: AsJson = False,
) -> None:
    """List the cells with volumes, centroids and facets, and write them to a file or a folder.

    With --ball and --polyline the file also holds what `regions count` prints of them. Ctrl-C saves the cells
    found so far, marked TRUNCATED, and exits with 130.
    """
    check_place(output, folder)
    around.check()
    network = reading.load(net)
    if around.ball is not None and (where != DomainWords() or polyline is not None):
        raise InvalidInputError("--ball goes without another domain")
    if polyline is not None:
        if where != DomainWords() or output is None:
            raise InvalidInputError("--polyline goes without another domain, and to --output FILE")
        count_along(network, polyline, how, max_seconds, json, output)
        return
    if around.ball is not None and around.norm == "2" and output is not None:
        count_in_ball(network, around, how, max_seconds, json, output)
        return
    domain = where.build(network) if around.ball is None else around.domain(network)
    from regions.enumeration.enumerate import enumerate_cells

    guess = guess_cells(network, domain, how.arithmetic)
    with watched("enumerating", estimate=guess) as progress, joined_later(folder):
        options: dict[str, Any] = {"progress": progress, "max_seconds": max_seconds, "output": folder}
        complex: Any = enumerate_cells(network, domain, **options, **how.arguments())
    place = {"file": str(output)} if folder is None else {"folder": str(folder)}
    with signals.after_writing():
        if json:
            print_json({**summary(complex), **place})
        else:
            print_facts({**complex_facts(complex), **place})
        if output is not None:
            (complex if around.ball is None else in_ball(around, network, complex)).save(output)
    _leave_if_interrupted(complex.certificate.stopped_by)


def graph(
    cells: CellsPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="File for the graph.")],
    format: Annotated[GraphFormat | None, typer.Option(help="Default: from the suffix of the file.")] = None,
    json: AsJson = False,
) -> None:
    """Write the adjacency graph: nodes are cells, edges are interior facets."""
    from regions.analysis.graph import export_graph
    from regions.analysis.graph.graph_files import graph_paths

    kind = None if format is None else format.value
    files = [writable(path) for path in graph_paths(output, kind)]
    complex = open_cells(cells)
    facts: dict[str, Any] = {
        "nodes": complex.n_cells,
        "edges": interior_facets(complex),
        "status": complex.status.name,
        "files": [str(path) for path in files],
    }
    if json:
        print_json(facts)
    else:
        print_facts({**facts, "files": ", ".join(facts["files"])})
    with signals.after_writing():
        export_graph(complex, output, kind)


def locus(
    cells: CellsPath,
    density: Annotated[
        str | None,
        typer.Option(
            metavar="uniform|gaussian:...|ball:...|kde:...",
            help="Weigh by a density: 'gaussian:mean=0,0;std=0.5', 'ball:center=0,0;radius=1' (intrinsic "
            "coordinates), 'kde:FILE.npy;bandwidth=scott'. Add ';on=restricted' to normalise over the "
            "domain, ';on=conditional' to a kde of inputs for its plane.",
        ),
    ] = None,
    kind: KindOption = Kind.gradient,
    by: Annotated[By | None, typer.Option(help="Also break the total down.")] = None,
    enclosure: Annotated[
        bool,
        typer.Option("--enclosure", help="Also bounds proven in exact arithmetic, about 1 ms per cell."),
    ] = False,
    json: AsJson = False,
) -> None:
    """Exact (d-1)-volume of the locus: where the network bends."""
    from regions.analysis.locus import locus_volume
    from regions.density import from_spec

    complex = open_cells(cells)
    weight = None if density is None else from_spec(density, complex.domain)
    with watched("enclosing") as progress:
        found = locus_volume(
            complex, weight, kind.value, allow_truncated=True, enclosure=enclosure, progress=progress
        )
    if json:
        print_json(_locus_summary(complex, found, by))
    else:
        _print_locus(complex, found, by)


def certificate(found: Any) -> dict[str, Any]:
    """Return a certificate, as `--json` names its parts."""
    return {
        "proven": found.proven,
        "statement": found.statement,
        "decisions": found.decisions,
        "exact_signs": found.exact_signs,
        "exact_positions": found.exact_positions,
        "stopped_by": found.stopped_by,
    }


def count_summary(found: Any, network: Any, domain: Any) -> dict[str, Any]:
    """Return the numbers of a count, as `--json` names them."""
    return {
        "cells": found.n_cells,
        "status": found.status.name,
        "dimension": domain.dimension,
        "engine": found.engine,
        "engine_reason": found.engine_reason,
        "arithmetic": found.arithmetic,
        "certificate": certificate(found.certificate),
        "seconds": found.seconds,
        "volume_sum": found.volume_sum,
        "network": network.describe(),
        "domain": domain.describe(),
    }


def print_count(found: Any, network: Any, domain: Any) -> None:
    """Print the same for people."""
    why = "engine lp" if found.engine == "lp" else "--check-volumes does"
    why = why if domain.is_bounded else "it is infinite"
    volume = f"{domain.volume:.9g} (not compared with the cells: {why})"
    if found.volume_sum is not None:
        volume = f"{found.volume_sum:.9g} of {domain.volume:.9g}"
    print_facts(
        {
            "network": network.describe(),
            "domain": domain.describe(),
            "cells": cells_in_words(found.n_cells, found.certificate.stopped_by),
            "volume": volume,
            "proven": found.certificate.statement,
            "engine": f"{found.engine}, {found.arithmetic} arithmetic, {found.seconds:.3g} s",
            "why": found.engine_reason,
        }
    )


def summary(complex: Any) -> dict[str, Any]:
    """Return the numbers of a complex, as `--json` names them."""
    return {
        "cells": complex.n_cells,
        "status": complex.status.name,
        "dimension": complex.dimension,
        "engine": complex.engine,
        "engine_reason": complex.engine_reason,
        "arithmetic": complex.arithmetic,
        "certificate": certificate(complex.certificate),
        "seconds": complex.seconds,
        "volume_sum": complex.volume_sum if math.isfinite(complex.volume_sum) else None,
        **({} if complex.clipped is None else {"bounded_cells": complex.n_cells - unbounded_cells(complex)}),
        "interior_facets": interior_facets(complex),
        "network": complex.network.describe(),
        "domain": complex.domain.describe(),
    }


def complex_facts(complex: Any) -> dict[str, object]:
    """Return the same for people."""
    facts = summary(complex)
    volume = "unknown" if math.isnan(complex.volume_sum) else f"{complex.volume_sum:.9g}"
    unbounded = unbounded_cells(complex)
    rest = f"; {unbounded:,} cells are unbounded" if unbounded else ""
    return {
        "network": facts["network"],
        "domain": facts["domain"],
        "cells": cells_in_words(facts["cells"], complex.certificate.stopped_by),
        "facets": f"{facts['interior_facets']:,} between cells",
        "volume": f"{volume} of {complex.domain.volume:.9g}{rest}",
        "proven": complex.certificate.statement,
        "engine": f"{facts['engine']}, {facts['arithmetic']} arithmetic, {facts['seconds']:.3g} s",
        "why": facts["engine_reason"],
    }


def _locus_summary(complex: Any, found: Any, by: By | None) -> dict[str, Any]:
    """Return the numbers of a locus, as `--json` names them; bounds are floats, rounded outwards."""
    payload: dict[str, Any] = {
        "kind": found.kind,
        "total": float(found.total),
        "error": float(found.error),
        "by_layer": [float(part) for part in found.by_layer],
        "status": complex.status.name,
        "density": found.density,
    }
    bounds = None if found.enclosure is None else found.enclosure.to_dict()
    if bounds is not None:
        payload["enclosure"] = {name: bounds[name] for name in ("total", "by_layer")}
    if by is By.unit:
        parts = _locus_parts(complex, found, by)
        payload["by_unit"] = [[*unit, value] for unit, value, _ in parts]
        if bounds is not None:
            payload["enclosure"]["by_unit"] = [[*unit, *limits] for unit, _, limits in parts]
    return payload


def _print_locus(complex: Any, found: Any, by: By | None) -> None:
    """Print the same for people."""
    total = f"{found.total:.9g} ± {found.error:.1g}"
    complete = complex.status.name == "COMPLETE"
    facts = {
        "kind": found.kind,
        "density": "none: plain volume" if found.density is None else found.density,
        "total": total if complete else f"at least {total} ({complex.status.name})",
    }
    if found.enclosure is not None:
        low, high = found.enclosure.to_dict()["total"]
        facts["proven"] = f"{low!r} to {high!r}" + ("" if complete else " for the facets found")
    print_facts(facts)
    if by is None:
        return
    names = ["layer", "volume"] if by is By.layer else ["layer", "unit", "volume"]
    limits = [] if found.enclosure is None else ["at least", "at most"]
    parts = _locus_parts(complex, found, by)
    print_table(names + limits, [(*key, f"{value:.9g}", *map(repr, pair)) for key, value, pair in parts])


def _locus_parts(complex: Any, found: Any, by: By) -> list[tuple[list[int], float, list[float]]]:
    """Return layer (and unit), volume and bounds, if any, of every layer, or of every unit with a volume."""
    bounds = None if found.enclosure is None else found.enclosure.to_dict()
    if by is By.layer:
        keys = [[layer] for layer in range(len(found.by_layer))]
        values, limits = found.by_layer, bounds and bounds["by_layer"]
    else:
        keys = [[layer, unit] for layer, n in enumerate(complex.network.widths) for unit in range(n)]
        values, limits = found.by_unit, bounds and bounds["by_unit"]
    pairs = limits or [[] for _ in keys]
    return [
        (key, float(value), pair)
        for key, value, pair in zip(keys, values, pairs, strict=True)
        if by is By.layer or value > 0.0 or (pair and pair[1] > 0.0)
    ]


def _leave_if_interrupted(stopped_by: str) -> None:
    leave_if(stopped_by == "interrupt", "what is printed above is a lower bound")
