"""`regions demo`: the whole job on a real classifier, with what each number means.

A chain of calls of the public library that a user can copy; the data come with the package.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regions.cli.commands import count_summary
from regions.cli.options import AsJson, BoxOption, DomainWords, TrustCode, WorkersOption
from regions.cli.session import cells_in_words, err, print_json, print_text, watched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from regions.complexes import CellComplex
    from regions.network.relu_network import Network

_DIGITS = "data/digits_64x32x32.npz"
_STEPS = "data/first_steps.txt"
_IMAGES = (6, 8, 12)  # a three, a four and a six: their slice crosses seven classes
_MARGIN = 0.8
_SIGMA = 0.05
_SAMPLES = 50_000
_BIAS_DRAWS = 200
_SEED = 1
_SMALL_WIDTHS = (5, 16, 16, 1)


@dataclass
class _Demo:
    """Where the demo writes, what it found, and whether it talks."""

    folder: Path
    talks: bool
    workers: int | None
    found: dict[str, Any] = field(default_factory=dict)

    def say(self, text: str = "") -> None:
        """Print a line, if the demo talks."""
        if self.talks:
            print_text(text)

    def file(self, name: str) -> Path:
        """Note a file of the demo for the list at the end, and return its path."""
        path = self.folder / name
        self.found.setdefault("files", []).append(str(path))
        return path


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the files.")
    ] = Path("regions-demo"),
    network: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own network, counted too.")
    ] = None,
    box: BoxOption = None,
    workers: WorkersOption = None,
    trust_code: TrustCode = False,
    json: AsJson = False,
) -> None:
    """Show everything on a digits classifier: count, picture, graph, locus, validation."""
    own = _own_network(network, box, trust_code)
    output.mkdir(parents=True, exist_ok=True)
    run = _Demo(output, talks=not json, workers=workers)
    start = time.perf_counter()
    images, labels, accuracy = _digits()
    digits = _load_digits()
    run.say(f"The network: a digits classifier, {digits.describe()}.")
    run.say(f"It gets {100 * accuracy:.1f} % of the test images right.\n")
    complex = _slice(run, digits, images, labels)
    _pictures(run, complex, images, labels)
    _graph(run, complex)
    _locus(run, complex)
    _validation(run, complex)
    _five_dimensions(run)
    if own is not None:
        _count(run, "own", *own)
    steps = _first_steps(run)
    run.found["seconds"] = time.perf_counter() - start
    if json:
        print_json(run.found)
        return
    _say_end(run, steps)


def _say_end(run: _Demo, steps: Path) -> None:
    """Name the files, and in the last line the door to the tutorial."""
    run.say(f"Done in {run.found['seconds']:.0f} s. Files:")
    for path in run.found["files"]:
        run.say(f"  {path}")
    run.say(f"\nNow yours: `python {steps}` is a tutorial to change line by line; docs/start.md goes on.")


def _first_steps(run: _Demo) -> Path:
    """Write the script that a user begins with."""
    path = run.file("first_steps.py")
    path.write_text(files("regions").joinpath(_STEPS).read_text(encoding="utf-8"), encoding="utf-8")
    return path


def _own_network(path: Path | None, box: tuple[str, str] | None, trust_code: bool) -> tuple[Any, Any] | None:
    """Read the user's network and box, before the demo starts."""
    from regions.errors import InvalidInputError

    if (path is None) != (box is None):
        raise InvalidInputError(
            "--network FILE and --box LO HI go together: the box is where FILE is counted"
        )
    if path is None:
        return None
    from regions.network.loaders import load_network

    own = load_network(path, allow_code=trust_code)
    return own, DomainWords(box=box).build(own)


def _digits() -> tuple[NDArray[np.float64], NDArray[np.int64], float]:
    """Return the three images of the slice, their labels, and the accuracy on the test set."""
    import numpy as np

    with as_file(files("regions").joinpath(_DIGITS)) as path, np.load(path) as stored:
        chosen = list(_IMAGES)
        return stored["images"][chosen], stored["labels"][chosen], float(stored["test_accuracy"])


def _load_digits() -> Network:
    from regions.network.relu_network import Network

    with as_file(files("regions").joinpath(_DIGITS)) as path:
        return Network.load(path)


def _slice(
    run: _Demo, network: Network, images: NDArray[np.float64], labels: NDArray[np.int64]
) -> CellComplex:
    """Enumerate the plane through three images."""
    from regions.domain import Slice
    from regions.enumeration.enumerate import enumerate_cells

    domain = Slice.through(images[0], images[1], images[2], margin=_MARGIN)
    with watched("enumerating the slice") if run.talks else nullcontext() as progress:
        complex = enumerate_cells(network, domain, workers=run.workers, progress=progress)
    complex.save(run.file("digits_slice.regions"))
    gap = abs(complex.volume_sum / domain.volume - 1.0)
    run.found["slice"] = {
        "cells": complex.n_cells,
        "status": complex.status.name,
        "interior_facets": int(complex.facets.interior.sum()),
        "volume_sum": complex.volume_sum,
        "domain": domain.describe(),
        "digits": labels.tolist(),
        "seconds": complex.seconds,
    }
    three = ", ".join(map(str, labels[:-1])) + f" and {labels[-1]}"
    count = cells_in_words(complex.n_cells, complex.certificate.stopped_by)
    run.say(f"1. A plane through three test images, the digits {three}: {count} cells.")
    run.say("   On each the network is one affine map; together they are all it does on this plane.")
    close = "to the last digit" if gap == 0.0 else f"within a relative {gap:.0e}"
    run.say(f"   Their areas sum to that of the square, {domain.volume:.6g}, {close}.\n")
    return complex


def _pictures(
    run: _Demo, complex: CellComplex, images: NDArray[np.float64], labels: NDArray[np.int64]
) -> None:
    """Draw the cells by class, and the facets by layer."""
    from regions.plotting import mark_points, plot_cells, save_figure

    side = round(images.shape[1] ** 0.5)
    for color, name in (("class", "digits_classes.png"), ("layer", "digits_layers.png")):
        ax = plot_cells(complex, color)  # type: ignore[arg-type]
        mark_points(
            ax,
            complex.domain.to_intrinsic(images),
            labels=[f"digit {label}" for label in labels],
            images=list(images.reshape(-1, side, side)),
        )
        save_figure(ax, run.file(name))
    run.say("2. Pictures: the cells in the colour of the predicted class with the exact decision")
    run.say("   boundary (digits_classes.png), and the facets by layer (digits_layers.png).\n")


def _graph(run: _Demo, complex: CellComplex) -> None:
    """Write the adjacency graph as GraphML."""
    from regions.analysis.graph import adjacency_graph, write_graph

    graph = adjacency_graph(complex)
    write_graph(graph, run.file("digits_slice.graphml"))
    run.found["graph"] = {"nodes": graph.number_of_nodes(), "edges": graph.number_of_edges()}
    run.say(
        f"3. The adjacency graph: {graph.number_of_nodes():,} cells and {graph.number_of_edges():,} facets"
    )
    run.say(
        "   between them, each with its unit, its length and the network's bend (digits_slice.graphml).\n"
    )


def _locus(run: _Demo, complex: CellComplex) -> None:
    """Measure the nonlinear and the activation locus."""
    from regions.analysis.locus import locus_volume

    bends = locus_volume(complex)
    switches = locus_volume(complex, kind="activation")
    run.found["locus"] = {
        "gradient": {"total": float(bends.total), "by_layer": [float(v) for v in bends.by_layer]},
        "activation": {"total": float(switches.total), "by_layer": [float(v) for v in switches.by_layer]},
    }
    layers = ", ".join(f"{value:.6g} of layer {layer}" for layer, value in enumerate(bends.by_layer))
    run.say(f"4. The network bends on lines of length {bends.total:.9g} in all")
    run.say(f"   ({layers}).")
    if bends.total == switches.total:
        run.say("   That is everywhere some unit switches: no facet is without a bend.\n")
    else:
        run.say(f"   Some unit switches, bending it or not, on {switches.total:.9g}.\n")


def _validation(run: _Demo, complex: CellComplex) -> None:
    """Judge the estimator of local complexity by the exact value, for both kinds of locus."""
    import numpy as np

    from regions.density import UniformDensity
    from regions.estimators import local_complexity
    from regions.reports import save_json
    from regions.validation.local_complexity import validate

    network, domain = complex.network, complex.domain
    reports = []
    for seed, kind in enumerate(("gradient", "activation")):
        with watched(f"validating ({kind})", "bias draws") if run.talks else nullcontext() as progress:
            reports.append(
                validate(
                    local_complexity,
                    network,
                    domain,
                    UniformDensity(domain),
                    rng=np.random.default_rng(_SEED + seed),
                    sigma=_SIGMA,
                    n_samples=_SAMPLES,
                    n_bias=_BIAS_DRAWS,
                    kind=kind,  # type: ignore[arg-type]
                    workers=run.workers,
                    progress=progress,
                )
            )
    run.found["validation"] = [report.to_dict() for report in reports]
    save_json(run.found["validation"], run.file("validation.json"), "reports")
    run.say(f"5. Local complexity: length of these lines per area, on average under bias noise {_SIGMA:g}.")
    run.say("   The stochastic estimator never sees a cell; the exact value enumerates the cells anew")
    run.say("   for every draw of the biases. They agree where |z| is small (4 would be suspicious).\n")
    for report in reports:
        _say_report(run, report)


def _say_report(run: _Demo, report: Any) -> None:
    """Print one comparison as a few lines."""
    run.say(f"   {report.kind} locus{'':<14}mean  std. error    draws  seconds")
    for name, value, seconds in (
        ("exact", report.exact, report.seconds_exact),
        ("estimate", report.estimate, report.seconds_estimate),
    ):
        run.say(f"   {name:<23}{value.mean:>11.6f}{value.stderr:>12.6f}{value.n:>9,}{seconds:>9.2f}")
    run.say(f"   z = {report.z:+.2f}\n")


def _five_dimensions(run: _Demo) -> None:
    """Count a small network with five inputs."""
    import numpy as np

    from regions.domain import Box
    from regions.network.relu_network import Network

    rng = np.random.default_rng(_SEED)
    shapes = list(zip(_SMALL_WIDTHS[1:], _SMALL_WIDTHS[:-1], strict=True))
    weights = [rng.normal(size=shape) * np.sqrt(2.0 / shape[1]) for shape in shapes]
    biases = [0.3 * rng.normal(size=shape[0]) for shape in shapes]
    network = Network.from_arrays(weights, biases, name="small random network")
    _count(run, "five_dimensions", network, Box([-1.0] * 5, [1.0] * 5))


def _count(run: _Demo, key: str, network: Any, domain: Any) -> None:
    """Count a network in a box, and say so."""
    from regions.enumeration.enumerate import count_cells

    with watched("counting") if run.talks else nullcontext() as progress:
        found = count_cells(network, domain, workers=run.workers, progress=progress)
    run.found[key] = count_summary(found, network, domain)
    title = "Your network" if key == "own" else f"Not only planes: a box in {domain.dimension} dimensions"
    run.say(f"{7 if key == 'own' else 6}. {title}.")
    run.say(f"   {network.describe()}, {domain.describe()}:")
    run.say(
        f"   {cells_in_words(found.n_cells, found.certificate.stopped_by)} cells in {found.seconds:.2f} s.\n"
    )
    if found.status.name != "COMPLETE":
        err().print("interrupted: that count is a lower bound", style="yellow")
