"""`regions mesh`: the decision boundary of a network in space as a mesh file, with what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regions.cli.groups import grouped
from regions.cli.options import (
    AsJson,
    DomainWords,
    MaxSecondsOption,
    NetworkPath,
    ReadingWords,
    WorkersOption,
)
from regions.cli.session import leave_if, print_facts, print_json, watched
from regions.errors import InvalidInputError

if TYPE_CHECKING:
    from regions.analysis.boundaries import BoundaryComplex

__all__ = ["mesh", "pairs_of_classes"]


@grouped
def mesh(
    net: NetworkPath,
    where: DomainWords,
    reading: ReadingWords,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The mesh: .ply, .obj, .glb or .stl.")
    ],
    level: Annotated[
        float | None, typer.Option(help="Height of the output whose level set is wanted. (default: 0)")
    ] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(metavar="I,J", help="Of several outputs: the boundary between two; again for more."),
    ] = None,
    max_seconds: MaxSecondsOption = None,
    workers: WorkersOption = None,
    json: AsJson = False,
) -> None:
    """Write the level set of a network in space, or the boundary between its classes, as an exact mesh.

    Vertices are joined by what they are and not by where they are, so a surface that does not leave the box
    comes out closed. After --max-seconds or Ctrl-C the mesh holds what was found, and says TRUNCATED.
    """
    from regions.analysis.boundaries import decision_boundary
    from regions.analysis.boundaries.surface_meshes import check_format, surface_mesh, write_mesh

    network = reading.load(net)
    domain = where.build(network)
    if domain.dimension != 3:
        raise InvalidInputError(f"a mesh is in space; {domain.describe()} has d = {domain.dimension}")
    check_format(output)
    pairs = None if pair is None else [pairs_of_classes(text) for text in pair]
    with watched("listing cells") as progress:
        boundary = decision_boundary(
            network, domain, pairs, level, max_seconds=max_seconds, workers=workers, progress=progress
        )
        found = surface_mesh(boundary)
        write_mesh(found, output)
    facts = boundary.to_dict() | {
        "triangles": len(found.triangles),
        "enclosed_volume": found.enclosed_volume,
        "network": network.describe(),
        "domain": domain.describe(),
    }
    if json:
        print_json(facts)
    else:
        print_facts(_in_words(boundary, facts, output))
    leave_if(boundary.certificate.stopped_by == "interrupt", "this is the part that was found")


def pairs_of_classes(text: str) -> tuple[int, int]:
    """Return the two classes of a text such as 0,3.

    Raises
    ------
    InvalidInputError
        If it is no such text.

    Examples
    --------
    >>> pairs_of_classes("0,3")
    (0, 3)
    """
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise InvalidInputError(f"--pair {text!r}: give two classes such as 0,3")
    return int(parts[0]), int(parts[1])


def _in_words(boundary: BoundaryComplex, facts: dict[str, Any], output: Path) -> dict[str, object]:
    """Return what is printed for people."""
    status = boundary.status.value
    vertices, edges, faces = facts["f_vector"]
    if boundary.is_watertight:
        shape = f"watertight: each of the {edges:,} edges has two sides"
        genus = boundary.n_components - boundary.euler_characteristic // 2
        holes = f", so {genus} handle{'' if genus == 1 else 's'} in all"
        holes += f"; it encloses {facts['enclosed_volume']:.9g}"
    else:
        leaving = sum(1 for sides in boundary.faces.sides[1] if sides)
        shape = f"not closed: {leaving:,} of {edges:,} edges lie on the domain's border"
        shape += "" if boundary.is_manifold else "; elsewhere some edges have not exactly two sides"
        holes = ""
    return {
        "network": facts["network"],
        "domain": facts["domain"],
        "pieces": f"{faces:,} flat polygons, as {facts['triangles']:,} triangles, {status}",
        "area": f"{facts['volume']:.9g}",
        "components": f"{boundary.n_components:,}",
        "surface": shape,
        "Euler": f"{vertices:,} - {edges:,} + {faces:,} = {boundary.euler_characteristic}{holes}",
        "proven": boundary.certificate.statement,
        "written": str(output),
    }
