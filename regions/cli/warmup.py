"""`regions warmup`: compile kernels in parallel processes, before they are needed."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from regions.cli.options import AsJson
from regions.cli.session import err, print_facts, print_json


def warmup(
    engine: Annotated[
        list[str] | None,
        typer.Option(metavar="planar|cells|lp", help="Only this engine; may be given several times."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; default one per core.")] = None,
    json: AsJson = False,
) -> None:
    """Compile the kernels now and keep them, so that no later run has to: for images, clusters, CI.

    They are kept beside the package, or in the folder that NUMBA_CACHE_DIR names.
    """
    from regions.enumeration.compile_ahead import Warmed, warm_up

    console = err()

    def report(part: Warmed) -> None:
        if not json:
            console.print(f"  {part.name}: {part.seconds:.1f} s", style="dim", markup=False)

    start = time.perf_counter()
    done = warm_up(engine, workers=workers, report=report)
    seconds = time.perf_counter() - start
    if json:
        print_json({"seconds": seconds, "kernels": {part.name: part.seconds for part in done}})
    else:
        print_facts({"kernels": f"{len(done)} parts compiled or loaded", "time": f"{seconds:.1f} s"})
