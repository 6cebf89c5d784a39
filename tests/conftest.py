"""What all tests share: reproducible random numbers, hypothesis settings, the reference data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import regions
from regions.cli import main

# compiling a kernel inside the first example takes seconds, so no deadline; the same examples each run
settings.register_profile("regions", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("regions")

HERE = Path(__file__).resolve().parent

# programs that tests start find the package that is being tested (and no other that happens to lie in the
# working folder, whose kernels would be compiled anew) and the tests' own modules
PACKAGES = (str(Path(regions.__file__).resolve().parents[1]), str(HERE))
os.environ["PYTHONSAFEPATH"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join([*PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240701)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line and returns its exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def small_nets() -> Path:
    """Folder of the small reference networks that are kept with the tests."""
    return HERE / "data"


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Folder with `counts.json` and the networks that it counts; skips where it is absent."""
    given = os.environ.get("REGIONS_REFERENCE_DATA")
    folder = Path(given) if given else HERE.parents[1] / "shared" / "data"
    if not (folder / "counts.json").is_file():
        pytest.skip(
            f"no reference data: no counts.json in {folder} (set REGIONS_REFERENCE_DATA to the folder)"
        )
    return folder
