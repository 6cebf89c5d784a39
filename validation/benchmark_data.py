"""Makes the data files of `regions benchmark`: `python -m validation.benchmark_data`.

Networks and domains are those of the experiment on estimators, and so are the exact values of random
networks, from its stored table. Training ends elsewhere on another machine, so a trained network is stored
with exact values of its own; one problem is on the whole input space, where one hidden layer has a closed
form."""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

import regions
from regions import Network, Slice, exact_local_complexity
from regions.validation.closed_form import one_hidden_layer_local_complexity
from validation.framework import HERE, case_rng, read_rows, write_rows
from validation.problems import NetworkSpec, density_on

__all__ = ["make"]

Row = dict[str, Any]

_SPECS = (
    NetworkSpec("torch", 1, 24, 2),
    NetworkSpec("he", 2, 16, 1),
    NetworkSpec("he", 2, 16, 2),
    NetworkSpec("he", 2, 16, 3),
    NetworkSpec("he", 2, 32, 2),
    NetworkSpec("trained", 2, 16, 2),
    NetworkSpec("he", 3, 8, 2),
    NetworkSpec("he", 4, 6, 2),
    NetworkSpec("digits", 64, 32, 2),
)
# bias draws for each sigma, of a network that the stored table does not know
_SIGMAS = {0.01: 400, 0.1: 1000, 1.0: 2000}
_GAUSSIAN = NetworkSpec("he", 2, 16, 2)
_SPACE = NetworkSpec("he", 16, 32, 1)
_SPACE_SIGMA = 0.1
# as `density_on` has it on the cube
_TEXTS = {"uniform": "uniform", "gaussian": "gaussian:mean=0.2;std=0.5"}


def make(folder: Path) -> dict[str, str]:
    """Write both files and return their SHA-256."""
    exact = {
        (row["network"], row["density"], row["sigma"]): row
        for row in read_rows(HERE / "results" / "estimator_error_cases.csv")
        if row["estimator"] == "co-area"
    }
    wanted = [(spec, "uniform") for spec in _SPECS] + [(_GAUSSIAN, "gaussian")]
    rows = [
        _row(
            spec,
            density,
            sigma,
            _drawn(spec, sigma)
            if spec.trained and spec.family != "digits"
            else exact[spec.name, density, sigma],
        )
        for spec, density in wanted
        for sigma in _SIGMAS
    ]
    rows.append(_on_space())
    files = {
        "benchmark_1_problems.csv": folder / "benchmark_1_problems.csv",
        "benchmark_1_networks.npz": folder / "benchmark_1_networks.npz",
    }
    write_rows(files["benchmark_1_problems.csv"], rows)
    files["benchmark_1_networks.npz"].write_bytes(_archive())
    return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}


def _drawn(spec: NetworkSpec, sigma: float) -> Row:
    """The exact value of a network that was trained just now, as a row of the stored table."""
    domain = spec.domain()
    rng = case_rng("benchmark", spec.name, sigma)
    value = exact_local_complexity(
        spec.build(), domain, density_on("uniform", domain), sigma, _SIGMAS[sigma], rng, workers=1
    )
    return {"exact": value.mean, "exact_stderr": value.stderr, "bias_draws": value.n}


def _row(spec: NetworkSpec, density: str, sigma: float, stored: Row) -> Row:
    return {
        "problem": f"{_short(spec)}, {density}, sigma {sigma:g}",
        "network": _short(spec),
        "domain": "plane" if spec.family == "digits" else "box",
        "density": _TEXTS[density],
        "sigma": sigma,
        "exact": stored["exact"],
        "exact_stderr": stored["exact_stderr"],
        "exact_draws": stored["bias_draws"],
        "method": "enumeration of each bias draw",
    }


def _on_space() -> Row:
    d = _SPACE.input_dim
    value = one_hidden_layer_local_complexity(_SPACE.build(), np.full(d, 0.2), 0.25, _SPACE_SIGMA)
    return {
        "problem": f"{_short(_SPACE)}, gaussian on the whole space, sigma {_SPACE_SIGMA:g}",
        "network": _short(_SPACE),
        "domain": "space",
        "density": _TEXTS["gaussian"],
        "sigma": _SPACE_SIGMA,
        "exact": value,
        "exact_stderr": 0.0,
        "exact_draws": 1,
        "method": "closed form",
    }


def _short(spec: NetworkSpec) -> str:
    """The name without the numbers of outputs and of the one among many."""
    if spec.family == "digits":
        return "digits plane"
    return f"{spec.family} {spec.input_dim}-{spec.width}x{spec.depth}"


def _archive() -> bytes:
    """The arrays of all networks, and the plane through digits."""
    arrays: dict[str, np.ndarray] = {}
    for spec in (*_SPECS, _SPACE):
        network: Network = spec.build()
        for k, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            arrays |= {f"{_short(spec)}/W{k}": weight, f"{_short(spec)}/b{k}": bias}
        if spec.family == "digits":
            plane = spec.domain()
            assert isinstance(plane, Slice)
            A, b = plane.polygon
            arrays |= {f"{_short(spec)}/{name}": value for name, value in (("A", A), ("b", b))}
            arrays |= {f"{_short(spec)}/origin": plane.origin, f"{_short(spec)}/basis": plane.basis}
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


if __name__ == "__main__":
    for _name, _digest in make(Path(regions.__file__).parent / "data").items():
        sys.stdout.write(f"{_digest}  {_name}\n")
