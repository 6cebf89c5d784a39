"""Properties of the ACAS Xu networks: verdicts beside the published ones, violating shares beside samples.

    python -m validation.acas --networks 1_1 2_1 --properties 1 2 3 4
    python -m validation.acas --share --networks 2_1 2_4 --properties 2

Each answer is a row of a table, kept from run to run, so that the instances of the competition can be done a
few at a time. The networks and property files are those of the competition, and no part of this package.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regions import Network, Property, check_property, load_network
from regions.analysis.properties.runtime_checks import unsafe_in_onnxruntime

HERE = Path(__file__).resolve().parent
TABLE = HERE / "results" / "acas_properties.csv"
PAGE = HERE.parent / "docs" / "properties.md"
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
    "runtime",
    "share_low",
    "share_high",
    "pieces",
    "ball_radius",
    "volume_seconds",
    "sampled",
    "z",
    "violating_cells",
    "probstar_sets",
)

# Sets of inputs that violate property 2, 3 or 4: column CounterInputSet of the table that Tran et al.,
# Quantitative verification for neural networks using ProbStars (HSCC 2023), publish with their code:
# github.com/V2A2/StarV, artifacts/HSCC2023_ProbStar/ACASXU/ACASXUTable_full.tex, rows of p_filter 0
PROBSTAR = {
    2: (
        "1_2 25496, 1_3 53, 1_4 50171, 1_5 121, 1_6 80621, 2_1 20366, 2_2 320909, 2_3 146328, 2_4 "
        "16610, 2_5 330546, 2_6 190910, 2_7 335393, 2_8 283782, 2_9 297873, 3_1 78561, 3_2 83950, 3_4 "
        "64192, 3_5 150870, 3_6 120329, 3_7 54475, 3_8 173273, 3_9 157622, 4_1 263892, 4_3 95098, 4_4 "
        "93342, 4_5 332642, 4_6 262984, 4_7 378735, 4_8 227035, 4_9 426879, 5_1 93486, 5_2 24222, 5_3 "
        "87, 5_4 46659, 5_5 178899, 5_6 480677, 5_7 191233, 5_8 441150, 5_9 344368"
    ),
    3: ("1_7 500, 1_8 393, 1_9 290"),
    4: ("1_7 642, 1_8 397, 1_9 471"),
}


def published(network: str, number: int) -> str:
    """Return the published answer of an instance.

    Of the networks that violate property 2, Tran et al. list the sets; of the 186 instances of the
    competition 139 are unsat and 47 sat, so that there are no others.
    """
    if number in PROBSTAR:
        return "sat" if probstar_sets(network, number) else "unsat"
    return "sat" if number in (7, 8) else "unsat"


def probstar_sets(network: str, number: int) -> str:
    """Return the published number of violating sets of an instance, "" where there is none."""
    counts = dict(pair.split() for pair in PROBSTAR.get(number, "").split(", ") if pair)
    return counts.get(network, "")


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


def row_of(name: str, number: int, data: Path, max_seconds: float | None) -> dict[str, Any]:
    """Decide one instance."""
    network, given = instance(name, number, data)
    begin = time.process_time()
    report = check_property(network, given, max_seconds=max_seconds)
    used = time.process_time() - begin  # of all threads; what others do on the machine does not count
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row |= {"network": name, "property": number, "answer": report.answer}
    row |= {"published": published(name, number), "seconds": f"{report.seconds:.2f}"}
    row |= {"cpu_seconds": f"{used:.2f}", "cells": report.cells, "boxes": report.boxes}
    if report.counterexample is not None:
        row |= {"float64": report.counterexample.float64, "float32": report.counterexample.float32}
        row |= {"runtime": unsafe_in_onnxruntime(model_file(name, data), given, report.counterexample)}
    return row


def model_file(name: str, data: Path) -> Path:
    """Return the file of a network."""
    return data / f"ACASXU_run2a_{name}_batch_2000.onnx"


def instance(name: str, number: int, data: Path) -> tuple[Network, Property]:
    """Return the network and the property of an instance."""
    network = load_network(model_file(name, data))
    return network, Property.load(data / "properties" / f"prop_{number}.vnnlib", network)


def measured(row: dict[str, Any], data: Path, exactly: bool, max_seconds: float | None) -> dict[str, Any]:
    """Return the row of an instance with its violating share, beside samples and the published count.

    Intervals are found without cutting the box, so that cells are counted once; z is the samples' distance
    from the interval's middle in standard errors.
    """
    number = int(row["property"])
    if row["answer"] == "unsat":
        return row | {"share_low": "0.0", "share_high": "0.0", "violating_cells": 0}
    network, given = instance(row["network"], number, data)
    begin = time.process_time()
    report = check_property(
        network,
        given,
        volume=True if exactly else "interval",
        max_seconds=max_seconds,
        workers=1,
        most_boxes=None if exactly else 0,
    )
    used = time.process_time() - begin
    assert report.share is not None
    low, high = report.share.bounds()
    sampled = sampled_share(network, given, np.random.default_rng(number))
    middle = 0.5 * (low + high)
    error = np.sqrt(max(middle * (1.0 - middle), 1 / SAMPLES) / SAMPLES)
    row = row | {
        "share_low": repr(low),
        "share_high": repr(high),
        "volume_seconds": f"{used:.1f}",
        "sampled": f"{sampled:.6g}",
        "z": f"{(sampled - middle) / error:.2f}" if high - low < 1e-2 * high else "",
        "violating_cells": report.violating_cells if not report.stopped_by else "",
        "probstar_sets": probstar_sets(row["network"], number),
    }
    if exactly:
        row |= {"pieces": len(report.pieces)}
        row |= {"ball_radius": "" if report.ball is None else f"{report.ball.radius:.6g}"}
    return row


def read_table(path: Path = TABLE) -> list[dict[str, str]]:
    """Return the rows that are there."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def rows_of(path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the rows that are there, by network and property."""
    return {(row["network"], int(row["property"])): row for row in read_table(path)}


def write_table(rows: Iterable[dict[str, Any]], path: Path = TABLE) -> None:
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


def shares(rows: Sequence[dict[str, str]]) -> str:
    """Return a table of the violating shares that are known, as `docs/properties.md` has it."""
    lines = [
        "| property | network | share of the box | cells | ProbStar's sets | CPU seconds | sampled | z |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for row in rows:
        if row["answer"] != "sat" or not row["share_low"]:
            continue
        low, high = float(row["share_low"]), float(row["share_high"])
        cells = f"{int(row['violating_cells']):,}" if row["violating_cells"] else ""
        sets = f"{int(row['probstar_sets']):,}" if row["probstar_sets"] else ""
        share = f"{low:.8g}" if f"{low:.8g}" == f"{high:.8g}" else f"{low:.8g} to {high:.8g}"
        line = f"| {row['property']} | {row['network']} | {share} | {cells} | {sets} | "
        lines.append(f"{line}{row['volume_seconds']} | {row['sampled']} | {row['z']} |")
    return "\n".join(lines)


def write_page(rows: Sequence[dict[str, str]]) -> None:
    """Write both tables into the page, between their marks."""
    page = PAGE.read_text(encoding="utf-8")
    for mark, table in (("acas", summary(rows)), ("shares", shares(rows))):
        head, _, rest = page.partition(f"<!-- {mark}: begin -->\n")
        tail = rest.partition(f"<!-- {mark}: end -->")[2]
        page = f"{head}<!-- {mark}: begin -->\n{table}\n<!-- {mark}: end -->{tail}"
    PAGE.write_text(page, encoding="utf-8")


def main(words: Sequence[str] | None = None) -> int:
    """Run the instances that are asked for; 1 if an answer differs from the published one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("REGIONS_REFERENCE_DATA", str(HERE.parents[1] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default) / "acasxu")
    parser.add_argument("--networks", nargs="+", default=ALL, choices=ALL, metavar="I_J")
    parser.add_argument("--properties", nargs="+", type=int, default=list(range(1, 11)), metavar="N")
    parser.add_argument("--share", action="store_true", help="the share as a proven interval, of rows there")
    parser.add_argument("--volume", action="store_true", help="the exact share and the pieces, of rows there")
    parser.add_argument("--page", action="store_true", help="only write the tables into docs/properties.md")
    parser.add_argument("--max-seconds", type=float, default=None)
    parser.add_argument("--output", type=Path, default=TABLE)
    given = parser.parse_args(words)
    if given.page:
        write_page(read_table(given.output))
        return 0
    differ = 0
    for name, number in instances(given.networks, given.properties):
        begin = time.perf_counter()
        row: dict[str, Any] | None = rows_of(given.output).get((name, number))
        if row is None or not (given.share or given.volume):
            row = row_of(name, number, given.data, given.max_seconds)
        if given.share or given.volume:
            row = measured(row, given.data, given.volume, given.max_seconds)
        write_table((rows_of(given.output) | {(name, number): row}).values(), given.output)
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
