"""`python -m validation`: run the experiments, store their tables and figures, write the report."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from validation.experiments import EXPERIMENTS
from validation.fingerprint import fingerprint
from validation.framework import HERE, Check, Experiment, Folder, Pool, load_config
from validation.report import build_report, forget_run, record_run, unchanged

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None, experiments: Sequence[Experiment] = EXPERIMENTS) -> int:
    """Run what is asked for; 0 if all checks hold, 1 if one fails, 130 after Ctrl-C."""
    options = _parser(experiments).parse_args(arguments)
    mode = "quick" if options.quick else "full"
    root = options.out or (HERE.parent / "build" / "validation-quick" if options.quick else HERE)
    chosen = [experiment for experiment in experiments if not options.only or experiment.name in options.only]
    failed: tuple[Check, ...] = ()
    status = 0
    if options.authors:
        from validation.authors import measure  # needs torch

        rows = measure(options.authors, root)
        print(f"published code: {len(rows)} values", flush=True)
    elif not options.report_only:
        try:
            failed = _run(chosen, mode, root, options.workers, options.again)
        except KeyboardInterrupt:
            print("stopped; finished experiments are kept", flush=True)
            status = INTERRUPTED
    checks = (*failed, *build_report(root, experiments))
    print(
        f"report: {root / 'REPORT.md'}, {sum(c.passed for c in checks)} of {len(checks)} checks hold",
        flush=True,
    )
    for check in checks:
        if not check.passed:
            print(f"FAILED: {check.name}: {check.detail}", flush=True)
    return status or int(not all(check.passed for check in checks))


def _run(
    experiments: Sequence[Experiment], mode: str, root: Path, workers: int, again: bool = False
) -> tuple[Check, ...]:
    """Run experiments one after the other; those that raise become failed checks."""
    broken: list[Check] = []
    begin = time.monotonic()
    with Pool(workers, say=lambda line: print(line, flush=True)) as pool:
        for number, experiment in enumerate(experiments, 1):
            elapsed = time.monotonic() - begin
            print(f"[{number}/{len(experiments)}] {experiment.title} ({elapsed:.0f} s so far)", flush=True)
            if experiment.obstacle:
                print(f"  skipped: {experiment.obstacle}", flush=True)
                continue
            if experiment.command and mode == "full":
                print(f"  its tables stay as they are; `{experiment.command}` makes them", flush=True)
                continue
            if not again and unchanged(root, experiment, mode):
                print(
                    "  its tables are those of this code and configuration: kept (--again: anew)", flush=True
                )
                continue
            forget_run(root, experiment.name)
            # to read all code that is reached takes seconds, and small sizes are for once
            digest = fingerprint(experiment, mode) if mode == "full" else ""
            start = time.monotonic()
            try:
                experiment.run(load_config(experiment.name, mode), Folder(root, experiment.name), pool)
            except Exception as error:
                traceback.print_exc()
                broken.append(
                    Check(f"{experiment.name} runs to its end", False, f"{type(error).__name__}: {error}")
                )
                continue
            record_run(root, experiment.name, mode, workers, time.monotonic() - start, digest=digest)
            print(f"  done in {time.monotonic() - start:.0f} s", flush=True)
    return tuple(broken)


def _parser(experiments: Sequence[Experiment]) -> argparse.ArgumentParser:
    names = [experiment.name for experiment in experiments]
    parser = argparse.ArgumentParser(prog="python -m validation", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, for CI; writes to build/validation-quick"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=f"of {', '.join(names)}")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of results, figures and REPORT.md")
    parser.add_argument(
        "--workers", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes"
    )
    parser.add_argument("--again", action="store_true", help="compute also what is stored and unchanged")
    parser.add_argument(
        "--authors", nargs="+", type=Path, metavar="FILE",
        help="run the authors' published code, from files that you have; see validation/authors.py",
    )  # fmt: skip
    parser.add_argument("--report-only", action="store_true", help="build the report from stored tables")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} processes; give at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
