"""Print the lower bounds in `pyproject.toml` as exact requirements, one a line: `numpy==2.0`.

The extras to include are arguments: `python .ci/lower_bounds.py onnx sklearn > constraints.txt`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

BOUND = re.compile(r"\s*([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*>=\s*([0-9][0-9A-Za-z.]*)\s*(?:,.*)?")


def lower_bounds(extras: list[str]) -> list[str]:
    """Return `name==bound` for each dependency of the package and of these extras."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    matches = {requirement: BOUND.fullmatch(requirement) for requirement in wanted}
    missing = [requirement for requirement, match in matches.items() if match is None]
    if missing:
        raise SystemExit(f"no lower bound in {', '.join(missing)}")
    return sorted({f"{match[1]}=={match[2]}" for match in matches.values() if match})


if __name__ == "__main__":
    print("\n".join(lower_bounds(sys.argv[1:])))  # noqa: T201
