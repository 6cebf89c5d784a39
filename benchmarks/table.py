"""Print a pytest-benchmark JSON file as a Markdown table: `python benchmarks/table.py results.json`."""

import json
import sys
from pathlib import Path


def main(path: str) -> None:
    results = json.loads(Path(path).read_text())["benchmarks"]
    print(
        "| benchmark | best, s | cells/s | per dgemm Gflop | over floor | certified / float | exact, per M |"
    )
    print("|---|---|---|---|---|---|---|")
    for result in results:
        info = result["extra_info"]
        rate = f"{info['cells_per_second']:,}" if "cells_per_second" in info else ""
        gflop = f"{info['cells_per_dgemm_gflop']:,}" if "cells_per_dgemm_gflop" in info else ""
        name = result["name"].removeprefix("test_")
        print(
            f"| {name} | {result['stats']['min']:.4f} | {rate} | {gflop} | {info.get('over_floor', '')} | "
            f"{info.get('certified_over_float', '')} | {info.get('exact_per_million_decisions', '')} |"
        )


if __name__ == "__main__":
    main(sys.argv[1])
