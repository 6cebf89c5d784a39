"""`regions run`: a count or a listing as a folder, made, worked on and summed up by separate commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from regions.cli.commands import complex_facts, count_summary, print_count, summary
from regions.cli.groups import grouped
from regions.cli.options import (
    ArithmeticOption,
    AsJson,
    DomainWords,
    EngineOption,
    NetworkPath,
    ReadingWords,
    WorkersOption,
)
from regions.cli.session import leave_if, print_facts, print_json, watched
from regions.errors import InvalidInputError

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, by `regions run create`.")]


@grouped
def create(
    net: NetworkPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to make.")],
    where: DomainWords,
    reading: ReadingWords,
    engine: EngineOption = "auto",
    arithmetic: ArithmeticOption = "certified",
    check_volumes: Annotated[
        bool | None,
        typer.Option(
            "--check-volumes/--no-check-volumes",
            help="Sum the cells' volumes and compare with the domain's; costs some times the count if d > 2. "
            "Default: where d <= 2 and the engine has vertices.",
        ),
    ] = None,
    mode: Annotated[str, typer.Option(help="What the run does: count, or list for `run merge`.")] = "count",
    json: AsJson = False,
) -> None:
    """Make a run: a folder with a network and a domain, of which no cell is counted yet."""
    from regions.runs import Run

    network = reading.load(net)
    run = Run.create(
        output,
        network,
        where.build(network),
        engine=engine,
        arithmetic=arithmetic,  # type: ignore[arg-type]
        check_volumes=check_volumes,
        mode=mode,  # type: ignore[arg-type]
    )
    facts = {"run": str(run.folder), "network": network.describe(), "domain": run.domain.describe()}
    if json:
        print_json(facts)
    else:
        print_facts({**facts, "next": f"regions run work {run.folder}"})


def work(
    folder: RunFolder,
    workers: WorkersOption = None,
    seconds: Annotated[
        float | None, typer.Option(help="Work so long, compilation not counted (default: to the end).")
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Search on the workers of this Dask scheduler, tcp://HOST:PORT."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Count on, until the run is finished, the time is up or Ctrl-C comes: what was found is kept.

    Other processes may work on the same folder at the same time.
    """
    from regions.runs import Run

    run = Run.open(folder)
    interrupted = False
    with _executor_of(dask) as executor, watched("counting") as progress:
        try:
            run.work(workers=workers, seconds=seconds, progress=progress, executor=executor)
        except KeyboardInterrupt:
            interrupted = True
    _print_status(run.status(), json)
    leave_if(interrupted, "what was found is kept; the same command goes on")


@contextmanager
def _executor_of(address: str | None) -> Iterator[Any]:
    """Give the executor of a Dask scheduler, None without an address."""
    if address is None:
        yield None
        return
    from regions.network.loaders.checks import optional_import

    distributed = optional_import("distributed", "dask", "--dask")
    try:
        client = distributed.Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"--dask {address!r}: no scheduler can be reached there ({error})") from error
    with client:
        yield client.get_executor()


def status(
    folder: RunFolder,
    seconds: Annotated[
        float, typer.Option(help="How long to probe for the number of cells in all; 0: not at all.")
    ] = 1.0,
    json: AsJson = False,
) -> None:
    """Say how far a run is: cells so far, and an estimate of all, of the rate and the time left."""
    import numpy as np

    from regions.runs import Run

    run = Run.open(folder)
    with watched("probing"):
        found = run.status(seconds=seconds, rng=np.random.default_rng()) if seconds else run.status()
    _print_status(found, json)


def result(folder: RunFolder, json: AsJson = False) -> None:
    """Print the count of a finished run, after making sure that its tasks are the whole tree."""
    from regions.runs import Run

    run = Run.open(folder)
    with watched("summing up"):
        found = run.result()
    if json:
        print_json(count_summary(found, run.network, run.domain))
    else:
        print_count(found, run.network, run.domain)


def merge(
    folder: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder for cells and facets.")],
    workers: WorkersOption = None,
    json: AsJson = False,
) -> None:
    """Join the parts of a finished listing, after making sure that its tasks are the whole tree."""
    from regions.runs import Run

    with watched("joining"):
        found = Run.open(folder).merge(output, workers=workers)
    if json:
        print_json({**summary(found), "folder": str(output)})
    else:
        print_facts({**complex_facts(found), "folder": str(output)})


COMMANDS: dict[str, Callable[..., None]] = {
    "create": create,
    "work": work,
    "status": status,
    "result": result,
    "merge": merge,
}


def _print_status(found: Any, json: bool) -> None:
    """Print how far a run is, for programs or for people."""
    if json:
        estimate = found.estimate
        print_json(
            {
                "cells": found.cells,
                "finished": found.finished,
                "tasks": {"waiting": found.waiting, "taken": found.taken, "done": found.done},
                "threads": found.threads,
                "seconds": found.seconds,
                "rate": found.rate,
                "estimate": estimate and {"cells": estimate.cells, "interval": [estimate.low, estimate.high]},
                "fraction": found.fraction,
                "seconds_left": found.seconds_left,
            }
        )
        return
    facts = {
        "cells": f"{found.cells:,}" if found.finished else f"{found.cells:,} so far",
        "tasks": f"{found.done:,} done, {found.taken:,} in hand, {found.waiting:,} waiting",
        "rate": f"{found.rate:,.0f} cells per second and thread",
        "spent": f"{found.seconds:,.1f} s of all threads together",
        "at work": f"{found.threads} threads",
    }
    if found.finished:
        facts["status"] = "finished: `regions run result` sums up"
    elif found.estimate is not None:
        one = found.estimate
        facts["in all"] = f"about {one.cells:,.4g}, likely {one.low:,.3g} to {one.high:,.3g} (an estimate)"
        facts["counted"] = f"about {100.0 * found.fraction:.3g} %"
        left = found.seconds_left
        facts["left"] = "nobody works on it" if left is None else f"about {left:,.0f} s"
    print_facts(facts)
