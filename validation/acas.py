"""Properties of the ACAS Xu networks: verdicts beside the published ones, violating shares beside samples.

    python -m validation.acas --networks 1_1 2_1 --properties 1 2 3 4 --volume

Each answer is a row of a table, kept from run to run, so that the instances of the competition can be done a
few at a time. The networks and property files are those of the competition, and no part of this package.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regions import Network, Property, PropertyReport, check_property, load_network

HERE = Path(__file__).resolve().parent
TABLE = HERE / "results" / "acas_properties.csv"
SAMPLES = 1_000_000
BLOCK = 50_000

# Properties 5 to 10 are stated for one network each (Katz et al., Reluplex, 2017, appendix)
NETWORK_OF = {5: "1_1", 6: "1_1", 7: "1_9", 8: "2_9", 9: "3_3", 10: "4_5"}
ALL = [f"{i}_{j}" for i in range(1, 6) for j in range(1, 10)]

COLUMNS = (
    "network",
    "property",
    "answer",
    "published",
    "seconds",
    "cpu_seconds",
    "cells",
    "boxes",
    "float64",
    "float32",
    "share_low",
    "share_high",
    "pieces",
    "ball_radius",
    "volume_seconds",
    "sampled",
    "z",
)


def published(network: str, number: int) -> str:
    """Return the published answer of an instance, "" where none was found network by network.

    Property 2 of the networks 1_1 to 1_9 is known to us in sum only: of the 186 instances of the competition
    139 are unsat and 47 sat, so that it holds for four of them.
    """
    if number in (3, 4):
        return "sat" if network in ("1_7", "1_8", "1_9") else "unsat"
    if number == 2:
        if network.startswith("1_"):
            return ""
        return "unsat" if network in ("3_3", "4_2") else "sat"
    return "sat" if number in (7, 8) else "unsat"


def instances(networks: Sequence[str], properties: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Yield the instances of the competition among these networks and properties."""
    for number in properties:
        for network in networks:
            if number <= 4 or NETWORK_OF[number] == network:
                yield network, number


def sampled_share(network: Network, given: Property, rng: np.random.Generator) -> float:
    """Return the share of random points that violate a property; the cases by their volumes."""
    total = sum(case.domain.volume for case in given.cases)
    hits = drawn = 0.0
    for case in given.cases:
        points = round(SAMPLES * case.domain.volume / total)
        drawn += points
        for first in range(0, points, BLOCK):
            t = case.domain.sample(min(BLOCK, points - first), rng)
            y = network.forward(case.domain.to_input(t))
            unsafe = np.logical_or.reduce([(y @ A.T <= b).all(axis=1) for A, b in case.unsafe])
            hits += int(unsafe.sum())
    return hits / drawn


def row_of(name: str, number: int, data: Path, volume: bool, max_seconds: float | None) -> dict[str, Any]:
    """Decide one instance, and measure it where that is asked for and it is violated."""
    network = load_network(data / f"ACASXU_run2a_{name}_batch_2000.onnx")
    given = Property.load(data / "properties" / f"prop_{number}.vnnlib", network)
    begin = time.process_time()
    report = check_property(network, given, max_seconds=max_seconds)
    used = time.process_time() - begin  # of all threads; what others do on the machine does not count
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row |= {"network": name, "property": number, "answer": report.answer}
    row |= {"published": published(name, number), "seconds": f"{report.seconds:.2f}"}
    row |= {"cpu_seconds": f"{used:.2f}"}
    row |= {"cells": report.cells, "boxes": report.boxes}
    if report.counterexample is not None:
        row |= {"float64": report.counterexample.float64, "float32": report.counterexample.float32}
    if volume and report.answer == "sat":
        measured = check_property(network, given, volume=True, max_seconds=max_seconds)
        row |= _measures(measured, sampled_share(network, given, np.random.default_rng(number)))
    return row


def _measures(report: PropertyReport, sampled: float) -> dict[str, Any]:
    """Return the columns about the violating share; z is the samples' distance in standard errors."""
    assert report.share is not None
    low, high = report.share.bounds()
    error = np.sqrt(max(low * (1 - low), 1 / SAMPLES) / SAMPLES)
    return {
        "share_low": repr(low),
        "share_high": repr(high),
        "pieces": len(report.pieces),
        "ball_radius": "" if report.ball is None else f"{report.ball.radius:.6g}",
        "volume_seconds": f"{report.seconds:.1f}",
        "sampled": f"{sampled:.6g}",
        "z": f"{(sampled - low) / error:.2f}" if report.share.exact else "",
    }


def read_table(path: Path = TABLE) -> list[dict[str, str]]:
    """Return the rows that are there."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write_table(rows: Sequence[dict[str, Any]], path: Path = TABLE) -> None:
    """Write all rows, by property and network."""
    ordered = sorted(rows, key=lambda row: (int(row["property"]), row["network"]))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(ordered)


def summary(rows: Sequence[dict[str, str]]) -> str:
    """Return a table of the properties, a row for each, as `docs/properties.md` has it."""
    lines = ["| property | networks | unsat | sat | as published | cells looked at | boxes | CPU seconds |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for number in sorted({int(row["property"]) for row in rows}):
        own = [row for row in rows if int(row["property"]) == number]
        answers = [row["answer"] for row in own]
        known = [row for row in own if row["published"]]
        agree = sum(row["published"] == row["answer"] for row in known)
        cells = [int(row["cells"]) for row in own]
        boxes = [int(row["boxes"]) for row in own]
        seconds = [float(row["cpu_seconds"]) for row in own if row["cpu_seconds"]]
        counts = f"| {number} | {len(own)} | {answers.count('unsat')} | {answers.count('sat')} | "
        counts += f"{agree} of {len(known)} | {min(cells):,} to {max(cells):,} | "
        counts += f"{min(boxes):,} to {max(boxes):,} | "
        lines.append(f"{counts}{min(seconds):.1f} to {max(seconds):.1f} |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the instances that are asked for; 1 if an answer differs from the published one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("REGIONS_REFERENCE_DATA", str(HERE.parents[1] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default) / "acasxu")
    parser.add_argument("--networks", nargs="+", default=ALL, choices=ALL, metavar="I_J")
    parser.add_argument("--properties", nargs="+", type=int, default=list(range(1, 11)), metavar="N")
    parser.add_argument("--volume", action="store_true", help="also the exact share where it is violated")
    parser.add_argument("--max-seconds", type=float, default=None)
    parser.add_argument("--output", type=Path, default=TABLE)
    given = parser.parse_args(words)
    differ = 0
    for name, number in instances(given.networks, given.properties):
        begin = time.perf_counter()
        row = row_of(name, number, given.data, given.volume, given.max_seconds)
        kept = [
            old
            for old in read_table(given.output)
            if (old["network"], int(old["property"])) != (name, number)
        ]
        write_table([*kept, row], given.output)
        wrong = row["published"] not in ("", row["answer"])
        differ += wrong
        line = f"{name} property {number}: {row['answer']}"
        line += f" (published: {row['published']})" if wrong else ""
        share = f", share {row['share_low']} to {row['share_high']}" if row["share_low"] else ""
        sys.stdout.write(f"{line}{share}, {time.perf_counter() - begin:.1f} s\n")
        sys.stdout.flush()
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
