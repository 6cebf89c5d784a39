"""`regions property`: whether a VNN-LIB property holds, a counterexample, and the share that violates it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from regions.cli.groups import grouped
from regions.cli.interruption import signals
from regions.cli.options import (
    AsJson,
    MaxSecondsOption,
    NetworkPath,
    ReadingWords,
    WorkersOption,
    writable,
)
from regions.cli.session import leave_if, print_facts, print_json, print_text, watched

_CODES = {"holds": 0, "violated": 1, "unknown": 3}


@grouped
def property_(
    net: NetworkPath,
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC.vnnlib", help="VNN-LIB 1.0: what a counterexample is.")
    ],
    volume: Annotated[
        bool,
        typer.Option(
            "--volume", help="Also the exact share of the domain that violates the property, and the pieces."
        ),
    ] = False,
    share: Annotated[
        bool,
        typer.Option(
            "--share",
            help="The same share as a proven interval, to about five digits and much sooner; no pieces.",
        ),
    ] = False,
    witness: Annotated[
        Path | None,
        typer.Option(help="Write sat, unsat or unknown and the counterexample, as the competition does."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Save report and violating pieces as JSON.")
    ] = None,
    max_seconds: MaxSecondsOption = None,
    workers: WorkersOption = None,
    json: AsJson = False,
    *,
    reading: ReadingWords,
) -> None:
    """Decide whether a property holds for the stored weights, exactly.

    Exits with 0 if it holds (unsat), 1 if it is violated (sat), 3 if that is not known after --max-seconds,
    130 after Ctrl-C, 2 if something cannot be read.
    """
    for path in (witness, output):
        if path is not None:
            writable(path)
    from regions.analysis.properties import Property, check_property
    from regions.analysis.properties.runtime_checks import unsafe_in_onnxruntime

    network = reading.load(net)
    given = Property.load(spec, network)
    measure: bool | Literal["interval"] = volume or ("interval" if share else False)
    with watched("searching for violations") as progress:
        report = check_property(
            network, given, volume=measure, max_seconds=max_seconds, workers=workers, progress=progress
        )
    runtime = None
    if report.counterexample is not None and net.suffix == ".onnx":
        runtime = unsafe_in_onnxruntime(net, given, report.counterexample)
    with signals.after_writing():
        if json:
            print_json({**report.to_dict(), "unsafe_in_onnxruntime": runtime, "network": network.describe()})
        else:
            print_text(report.answer)
            says = {None: {}, True: {"onnxruntime": "unsafe"}, False: {"onnxruntime": "not unsafe"}}
            print_facts({"network": network.describe(), **report.facts(), **says[runtime]})
        if witness is not None:
            report.save_witness(witness)
        if output is not None:
            report.save(output)
    leave_if(report.stopped_by == "interrupt", "this is what was found")
    if code := _CODES[report.verdict.value]:
        raise typer.Exit(code)
