"""What the first answer costs: CPU and wall seconds of whole commands from an empty cache of kernels.

    python benchmarks/cold_start.py [--only WORD]

Each command runs in a process of its own with a fresh NUMBA_CACHE_DIR, but for the last, which finds all
kernels kept. Prints a Markdown table: CPU seconds (user and system, with those of the processes that it
starts), wall seconds, functions compiled in the process itself. Run it with nothing else on the machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(__file__).parents[1] / "tests" / "data"

COUNTED = """
import sys
from regions.kernels.memory.compiling import before_numba

compiled = []

def count():
    from numba.core import event

    class Counter(event.Listener):
        def on_start(self, event): compiled.append(event)
        def on_end(self, event): pass

    event.register("numba:compile", Counter())

before_numba(count)  # which a command whose kernels are kept does not import
from regions.cli import main
code = main(sys.argv[1:])
print(len(compiled), file=sys.stderr)
sys.exit(code)
"""

SMALL = "{data}/d2_w16x2.npz"
SOLID = "{data}/d3_w16x2.npz"
COMMANDS = {
    "count, d = 2": f"count {SMALL} --box -1 1",
    "enumerate, d = 2": f"enumerate {SMALL} --box -1 1 -o {{out}}/cells.regions",
    "count, d = 3": f"count {SOLID} --box -1 1",
    "enumerate, d = 3": f"enumerate {SOLID} --box -0.5 0.5 -o {{out}}/cells.regions",
    "count --engine lp": f"count {SOLID} --box -0.3 0.3 --engine lp",
    "demo": "demo",
    "warmup (everything)": "warmup",
}
WARM = "count, d = 2, kernels kept"


def measured(words: str, cache: str, folder: str) -> tuple[float, float, int]:
    """CPU seconds, wall seconds and functions compiled of one command."""
    arguments = [word.format(data=DATA, out=folder) for word in words.split()]
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "MPLBACKEND": "Agg"}
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, *arguments],
        env=environment,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, time.perf_counter() - start, int(done.stderr.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="commands whose name holds this word")
    only = parser.parse_args().only
    print(f"| command, cache empty | CPU s | wall s | compiled |\n{'|---' * 4}|")
    for name, words in COMMANDS.items():
        if only in name:
            with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as folder:
                cpu, wall, compiled = measured(words, cache, folder)
            print(f"| {name} | {cpu:.1f} | {wall:.1f} | {compiled} |", flush=True)
    if only in WARM:
        with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as folder:
            first = COMMANDS["count, d = 2"]
            measured(first, cache, folder)
            cpu, wall, compiled = min(measured(first, cache, folder) for _ in range(5))
        print(f"| {WARM} | {cpu:.2f} | {wall:.2f} | {compiled} |")


if __name__ == "__main__":
    main()
