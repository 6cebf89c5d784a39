"""`python -m validation.long_training`: train many networks for a million steps, and measure every record.

Networks of all architectures are trained side by side, on a GPU where there is one; the processes of a pool
measure each record as soon as it is stored, and one table is written. What is measured of a network is in
`network_measures` and below; what follows from the table is left to `experiments.long_training`.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import Future
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions import Network, local_complexity, track
from regions.density import Density
from validation.framework import Config, Folder, Pool, Row, case_rng, load_config
from validation.network_measures import (
    accuracy,
    cross_entropy,
    density_of,
    entry_or_none,
    jacobian_means,
    on_plane,
    paper_bound,
    plane_through_classes,
    unit_spreads,
    with_equal_spreads,
)
from validation.report import record_run
from validation.training_data import DataSet, make_data

__all__ = ["NAME", "TABLE", "main", "make_table", "measure_record"]

FloatArray = NDArray[np.float64]

NAME = "long_training"
TABLE = "records"
# columns for layers, empty where a network has fewer
MOST_LAYERS = 5
_DIGITS = 7
_WRITE_EVERY = 30.0
_LEAST_WEIGHT = 1e-30


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, measure, write the table; 0 if every record is measured."""
    options = _parser().parse_args(arguments)
    config = _configured(options)
    if options.check_device:
        return _check_device(config)
    if options.out is None:
        raise SystemExit("give --out DIR, the folder of results")
    folder = Folder(options.out, NAME)
    networks = options.networks or options.out / "networks"
    start = time.monotonic()
    with Pool(options.workers, say=_say) as pool:
        failures, device = make_table(config, folder, pool, networks, options)
    if options.keep:
        _keep(networks, options.keep, options.keep_from)
    mode = "quick" if options.quick else "full"
    record_run(options.out, NAME, mode, options.workers, time.monotonic() - start, device)
    _say(f"{folder.csv_path(TABLE)}: {failures} records not measured, {time.monotonic() - start:.0f} s")
    return int(failures > 0)


def make_table(
    config: Config, folder: Folder, pool: Pool, networks: Path, options: argparse.Namespace | None = None
) -> tuple[int, str]:
    """Train, measure, and write `records`, one row for each network and step.

    Parameters
    ----------
    config : as in configs/long_training.toml
    folder : Folder, of the table
    pool : Pool, that measures
    networks : Path, folder of the stored networks
    options : with `measure_only`, `device` and `seconds`; default: train to the end

    Returns
    -------
    failures : int, records that could not be measured
    device : str, the name of the GPU that trained, or nothing
    """
    table = _Table(config, folder, pool)
    trained_on = ""
    if options is not None and options.measure_only:
        for path in sorted(networks.glob("*.npz")):
            table.add(path)
    else:
        trained_on = _train(config, networks, table, pool, options)
    return table.finish(), trained_on


def _train(
    config: Config, networks: Path, table: _Table, pool: Pool, options: argparse.Namespace | None
) -> str:
    import torch

    from validation.batched_training import Architecture, BatchedRun, Schedule, train_side_by_side

    networks.mkdir(parents=True, exist_ok=True)
    schedule = Schedule(
        config["data"],
        tuple(config["decays"]),
        tuple(range(config["seeds"])),
        tuple(config["records"]),
        config["batch"],
        config["learning_rate"],
    )

    def record(run: BatchedRun) -> None:
        path = networks / f"{run.architecture.name.replace(':', '_')}_{run.step}.npz"
        _store(path, run)
        table.add(path)

    device = options.device if options is not None else None
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    train_side_by_side(
        [Architecture.of(name) for name in config["architectures"]],
        schedule,
        record,
        device=where,
        seconds=options.seconds if options is not None else math.inf,
        say=pool.say,
    )
    return str(torch.cuda.get_device_name()) if where == "cuda" else ""


def _store(path: Path, run: Any) -> None:
    """The networks of a run with what they are, under a name that is there only when all of it is written."""
    weights, biases = run.networks()
    arrays = {f"W{layer}": own for layer, own in enumerate(weights)}
    arrays |= {f"b{layer}": own for layer, own in enumerate(biases)}
    what = run.architecture
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(
            file,
            **arrays,
            width=np.array(what.width),
            depth=np.array(what.depth),
            precision=np.array(what.precision),
            step=np.array(run.step),
            decays=np.array(run.schedule.decays),
            seeds=np.array(run.schedule.seeds),
        )
    unfinished.rename(path)


class _Table:
    """The rows of all networks, measured by a pool while more networks are trained, and written now and then.

    The first network is measured alone: it compiles what the others load.
    """

    def __init__(self, config: Config, folder: Folder, pool: Pool) -> None:
        self._config, self._folder, self._pool = config, folder, pool
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._futures: list[Future[Row]] = []
        self._waiting: list[tuple[Path, int, int, Config]] = []
        self._compiled = False
        self._failures = 0
        self._begin = self._written = time.monotonic()

    def add(self, path: Path) -> None:
        """Measure the networks of a file."""
        with np.load(path) as stored:
            decays, seeds = len(stored["decays"]), len(stored["seeds"])
        items = [(path, decay, seed, self._config) for decay in range(decays) for seed in range(seeds)]
        with self._lock:
            first = not self._futures
            self._waiting += items
            if first:
                self._submit(self._waiting.pop(0))
            elif self._compiled:
                self._submit_waiting()
        self._write_sometimes()

    def finish(self) -> int:
        """Wait for all rows, write them, and say how many are missing."""
        while True:
            with self._lock:
                left = len(self._waiting) + sum(not future.done() for future in self._futures)
            if not left:
                break
            time.sleep(0.2)
            self._write_sometimes()
        self._write()
        return self._failures

    def _submit(self, item: tuple[Path, int, int, Config]) -> None:
        future = self._pool.submit(measure_record, item)
        self._futures.append(future)
        future.add_done_callback(self._take)

    def _submit_waiting(self) -> None:
        for item in self._waiting:
            self._submit(item)
        self._waiting.clear()

    def _take(self, future: Future[Row]) -> None:
        with self._lock:
            error = future.exception()
            if error is None:
                self._rows.append(future.result())
            else:
                self._failures += 1
                traceback.print_exception(error)
            if not self._compiled:
                self._compiled = True
                self._submit_waiting()

    def _write_sometimes(self) -> None:
        if time.monotonic() - self._written >= _WRITE_EVERY:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        with self._lock:
            rows = sorted(self._rows, key=_order)
            count = len(self._futures) + len(self._waiting)
        if rows:
            self._folder.write_csv(TABLE, rows)
        elapsed = time.monotonic() - self._begin
        self._pool.say(f"  measured {len(rows)} of {count} records so far, {elapsed:.0f} s")


def _order(row: Row) -> tuple[Any, ...]:
    return tuple(row[key] for key in ("width", "depth", "precision", "decay", "seed", "step"))


def measure_record(item: tuple[Path, int, int, Config]) -> Row:
    """One row: the network of a decay and seed in a file, by their places there."""
    path, decay, seed, config = item
    stored = _stored(path)
    layers = int(stored["depth"]) + 1
    network = Network.from_arrays(
        [_without_traces(stored[f"W{layer}"][decay, seed]) for layer in range(layers)],
        [stored[f"b{layer}"][decay, seed] for layer in range(layers)],
    )
    row: Row = {key: stored[key].item() for key in ("width", "depth", "precision")}
    row |= {"data": config["data"], "decay": float(stored["decays"][decay])}
    row |= {"seed": int(stored["seeds"][seed]), "step": int(stored["step"])}
    rng = case_rng(NAME, *row.values())
    data = make_data(config["data"], row["seed"])
    row |= _on_data(network, data, config, rng) | _on_plane(network, data, row["seed"], config, rng)
    return {key: float(f"{own:.{_DIGITS}g}") if isinstance(own, float) else own for key, own in row.items()}


def _without_traces(weights: FloatArray) -> FloatArray:
    """With zeros for what decay has left of weights that no gradient reaches; it may be subnormal."""
    return np.where(np.abs(weights) < _LEAST_WEIGHT, 0.0, weights)


@lru_cache(maxsize=2)
def _stored(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


@lru_cache(maxsize=2)
def _density(name: str, seed: int, bandwidth: float) -> Density:
    return density_of(make_data(name, seed), bandwidth)


def _on_data(network: Network, data: DataSet, config: Config, rng: np.random.Generator) -> Row:
    """Loss, accuracy, local complexity with three kinds of noise, ranks, variation, and units."""
    density = _density(data.name, 0, config["bandwidth"])
    spreads = unit_spreads(network, data.train_x)
    absolute = local_complexity(network, density, config["sigma"], config["samples"], rng)
    near = local_complexity(network, density, config["near_sigma"], config["near_samples"], rng)
    relative = local_complexity(
        with_equal_spreads(network, data.train_x), density, config["relative_sigma"], config["samples"], rng
    )
    means = jacobian_means(network, data.train_x[: config["points"]], config["eps"])
    never, always = _unbent_units(network, data.train_x)
    return {
        "loss": cross_entropy(network, data.train_x, data.train_y),
        "train_accuracy": accuracy(network, data.train_x, data.train_y),
        "test_accuracy": accuracy(network, data.test_x, data.test_y),
        "lc": absolute.mean,
        "lc_stderr": absolute.stderr,
        "near_lc": near.mean,
        "near_lc_stderr": near.stderr,
        "relative_lc": relative.mean,
        "relative_lc_stderr": relative.stderr,
        "tv": means.variation,
        "bound": paper_bound(network, means.variation, config["sigma"]),
        **{f"rank_{layer}": entry_or_none(means.ranks, layer) for layer in range(MOST_LAYERS)},
        **{
            f"relative_rank_{layer}": entry_or_none(means.relative_ranks, layer)
            for layer in range(MOST_LAYERS)
        },
        "never_active": never,
        "always_active": always,
        "median_spread": float(np.median(np.concatenate(spreads))),
        "weight_norm": math.sqrt(sum(float(np.sum(weights**2)) for weights in network.weights)),
    }


def _unbent_units(network: Network, x: FloatArray) -> tuple[int, int]:
    """How many ReLUs pass nothing at all points, and how many pass everything."""
    active, never, always = x, 0, 0
    for weights, biases in zip(network.weights[:-1], network.biases[:-1], strict=True):
        heights = active @ weights.T + biases
        never += int(np.count_nonzero(np.all(heights <= 0.0, axis=0)))
        always += int(np.count_nonzero(np.all(heights > 0.0, axis=0)))
        active = np.maximum(heights, 0.0)
    return never, always


def _on_plane(network: Network, data: DataSet, seed: int, config: Config, rng: np.random.Generator) -> Row:
    """What is exact: cells, loci and local complexity on the plane through images of three classes."""
    tracker = track(
        network,
        plane_through_classes(data, seed),
        every=(0,),
        rng=rng,
        records=("locus", "activation_locus", "total_variation", "local_complexity", "estimates"),
        sigma=config["sigma"],
        n_samples=config["samples"],
        n_bias=config["n_bias"],
        workers=1,
    )
    return on_plane(tracker.history.of()[-1])


def _keep(networks: Path, target: Path, first: int) -> None:
    """The networks from a step on, in single precision: a file for each architecture."""
    kept: dict[str, dict[str, NDArray[Any]]] = {}
    for path in sorted(networks.glob("*.npz")):
        name, _, step = path.stem.rpartition("_")
        if int(step) >= first:
            arrays = {key: own for key, own in _stored(path).items() if key[1:].isdigit()}
            single = {f"{step}/{key}": own.astype(np.float32) for key, own in arrays.items()}
            kept.setdefault(name, {}).update(single)
    target.mkdir(parents=True, exist_ok=True)
    for name, arrays in kept.items():
        np.savez_compressed(target / f"{name}.npz", **arrays)


def _check_device(config: Config) -> int:
    """Compare a hundred steps of every architecture on the GPU with the same on the CPU."""
    import torch

    from validation.batched_training import Architecture, BatchedRun, Batches, Schedule

    schedule = Schedule(config["data"], tuple(config["decays"]), (0, 1), (0, 100), config["batch"])
    points = len(make_data(config["data"], 0).train_y)
    agrees = True
    for architecture in map(Architecture.of, config["architectures"]):
        ends = []
        for name in ("cpu", "cuda"):
            device = torch.device(name)
            run = BatchedRun(architecture, schedule, device)
            run.advance(Batches(schedule, points, device))
            weights, biases = run.networks()
            ends.append(np.concatenate([own.ravel() for own in (*weights, *biases)]))
        gap = float(np.linalg.norm(ends[0] - ends[1]) / np.linalg.norm(ends[0]))
        # rounding, in the precision of the training, grows over the steps
        agrees &= gap < (1e-6 if architecture.precision == "float64" else 1e-2)
        _say(f"  {architecture.name}: GPU and CPU differ by {gap:.1e} of the weights after 100 steps")
    return int(not agrees)


def _configured(options: argparse.Namespace) -> Config:
    """The stored configuration with what the command line changes."""
    config = load_config(NAME, "quick" if options.quick else "full")
    if options.steps is not None:
        config["records"] = [step for step in config["records"] if step < options.steps] + [options.steps]
    if options.seeds is not None:
        config["seeds"] = options.seeds
    if options.architectures:
        config["architectures"] = options.architectures
    return config


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m validation.long_training", description=__doc__)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of results; validation for the report"
    )
    parser.add_argument(
        "--networks", type=Path, metavar="DIR", help="of stored networks; default OUT/networks"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="for copies of late networks, in float32")
    parser.add_argument("--keep-from", type=int, default=0, metavar="STEP", help="the first that is copied")
    parser.add_argument("--check-device", action="store_true", help="only compare the GPU with the CPU")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--architectures", nargs="+", metavar="NAME", help="such as 48x3 48x3:float32")
    parser.add_argument("--seeds", type=int, metavar="N", help="of each architecture and weight decay")
    parser.add_argument("--steps", type=int, metavar="N", help="end there")
    parser.add_argument("--seconds", type=float, default=math.inf, help="of training at most")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default cuda where it is there")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    parser.add_argument("--measure-only", action="store_true", help="measure the stored networks")
    return parser


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
