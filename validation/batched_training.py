"""Many small classifiers trained side by side as one tensor program, for up to a million steps.

The runs are those of `training_runs`: the same data, initial weights, minibatches, loss and AdamW, for every
seed and weight decay of an architecture at once. Gradients and AdamW are written out, so that a step is a few
dozen kernels, and on a GPU a hundred steps are one CUDA graph. Needs torch; measuring is left to others.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from validation.framework import case_rng
from validation.training_data import DataSet, make_data

__all__ = ["Architecture", "BatchedRun", "Batches", "Schedule", "train_side_by_side"]

FloatArray = NDArray[np.float64]

_BETAS = (0.9, 0.999)
_EPS = 1e-8
# appended to activations: a one for the biases, zeros that align rows
_PADDING = 4
# minibatches drawn and sent to the device together
_BLOCK = 10_000
# replays of a graph that may wait for the device, and those that are timed beforehand
_QUEUED = 2
_TIMED = 10


@dataclass(frozen=True)
class Architecture:
    """Layers of equal width, and the precision that they are trained in.

    Parameters
    ----------
    width, depth : int, of the ReLU layers
    precision : "float64" or "float32"
    """

    width: int
    depth: int
    precision: str = "float64"

    @property
    def name(self) -> str:
        """As on the command line, such as 48x3 or 48x3:float32."""
        return f"{self.width}x{self.depth}" + ("" if self.precision == "float64" else f":{self.precision}")

    @classmethod
    def of(cls, name: str) -> Architecture:
        """Read such a name.

        Examples
        --------
        >>> Architecture.of("48x3:float32")
        Architecture(width=48, depth=3, precision='float32')
        """
        sizes, _, precision = name.partition(":")
        width, depth = map(int, sizes.split("x"))
        if width < 1 or depth < 1 or precision not in ("", "float64", "float32"):
            raise ValueError(f"{name!r} is no architecture; give one such as 48x3 or 48x3:float32")
        return cls(width, depth, precision or "float64")

    @property
    def dtype(self) -> torch.dtype:
        """Of all tensors of the training."""
        return torch.float64 if self.precision == "float64" else torch.float32


@dataclass(frozen=True)
class Schedule:
    """What all architectures share.

    Parameters
    ----------
    dataset : one with classes that `make_data` gives for seed 0; all seeds train on it
    decays : AdamW's weight decays, on weights and not on biases
    seeds : of initial weights and minibatches
    records : ascending steps at which the networks are given out; the last one ends the training
    batch, learning_rate : of each step
    """

    dataset: str
    decays: tuple[float, ...]
    seeds: tuple[int, ...]
    records: tuple[int, ...]
    batch: int = 64
    learning_rate: float = 1e-3

    @property
    def steps(self) -> int:
        """Of the whole training."""
        return self.records[-1]

    @property
    def chunk(self) -> int:
        """Steps done without a look: at most 100, and a divisor of all records and of a block."""
        return math.gcd(100, *self.records)


class Batches:
    """The minibatches of all seeds, drawn in order and kept until they are dropped.

    They are those that `training_runs.train` draws for the same seeds.
    """

    def __init__(self, schedule: Schedule, points: int, device: torch.device) -> None:
        self._rngs = [case_rng("batches", schedule.dataset, seed) for seed in schedule.seeds]
        self._shape = (_BLOCK, schedule.batch)
        self._points, self._device = points, device
        self._blocks: dict[int, torch.Tensor] = {}
        self._drawn = 0

    def chunk(self, start: int, steps: int) -> torch.Tensor:
        """Indices of the points of some steps within one block, `(steps, seeds, batch)` int32."""
        number, first = divmod(start, _BLOCK)
        while self._drawn <= number:
            picks = [rng.integers(self._points, size=self._shape, dtype=np.int64) for rng in self._rngs]
            block = torch.from_numpy(np.stack(picks, axis=1).astype(np.int32)).to(self._device)
            if self._device.type == "cuda":
                # other streams read it next
                torch.cuda.current_stream().synchronize()
            self._blocks[self._drawn] = block
            self._drawn += 1
        return self._blocks[number][first : first + steps]

    def drop_before(self, step: int) -> None:
        """Forget the blocks that end before a step."""
        for number in [number for number in self._blocks if (number + 1) * _BLOCK <= step]:
            del self._blocks[number]


class BatchedRun:
    """The networks of one architecture for all weight decays and seeds, while they are trained.

    Parameters
    ----------
    architecture : Architecture
    schedule : Schedule
    device : torch.device
    priority : int, on a GPU; runs with a larger one go first

    Attributes
    ----------
    step : int, updates done
    milliseconds : float, for a step on a GPU that does nothing else; NaN on a CPU
    """

    def __init__(
        self, architecture: Architecture, schedule: Schedule, device: torch.device, priority: int = 0
    ) -> None:
        self.architecture, self.schedule, self._device = architecture, schedule, device
        self.step = 0
        self.stream = torch.cuda.Stream(priority=-priority) if device.type == "cuda" else None
        data = make_data(schedule.dataset, schedule.seeds[0])
        self._widths = (
            data.train_x.shape[1], *[architecture.width] * architecture.depth, data.outputs
        )  # fmt: skip
        self._count = len(schedule.decays) * len(schedule.seeds)
        self._set_data(data)
        self._set_state()
        self._running: deque[Any] = deque()
        self._graph: Any = None
        self.milliseconds = math.nan
        with self._on_stream():
            if self.stream is not None:
                self._capture()
            self._reset()
        self._wait()

    @property
    def is_busy(self) -> bool:
        """Whether the device has enough to do; never on a CPU, where steps are done at once."""
        while self._running and self._running[0].query():
            self._running.popleft()
        return len(self._running) >= _QUEUED

    def advance(self, batches: Batches) -> None:
        """Train for one chunk of steps; on a GPU this returns before they are done."""
        steps = self.schedule.chunk
        picks = batches.chunk(self.step, steps)
        with self._on_stream():
            shared = picks.reshape(steps, 1, -1)
            self._picks.view(steps, len(self.schedule.decays), -1).copy_(shared)
            self._rates.copy_(self._all_rates[self.step : self.step + steps])
            if self._graph is None:
                self._do_chunk()
            else:
                self._graph.replay()
                picks.record_stream(self.stream)
                self._running.append(self.stream.record_event())
        self.step += steps

    def networks(self) -> tuple[list[FloatArray], list[FloatArray]]:
        """Weights `(decays, seeds, out, in)` and biases `(decays, seeds, out)` of each layer, now."""
        self._wait()
        lead = (len(self.schedule.decays), len(self.schedule.seeds))
        weights, biases = [], []
        for both, (fan_in, fan_out) in zip(self._layers, pairwise(self._widths), strict=True):
            own = both.detach().cpu().double().numpy()
            weights.append(own[:, :, :fan_in].reshape(*lead, fan_out, fan_in).copy())
            biases.append(own[:, :, fan_in].reshape(*lead, fan_out).copy())
        return weights, biases

    def _set_data(self, data: DataSet) -> None:
        """Points with the padding of activations, and targets over the size of a batch."""
        dtype, points = self.architecture.dtype, len(data.train_y)
        table = np.zeros((points, self._widths[0] + _PADDING))
        table[:, : self._widths[0]] = data.train_x.astype(np.float32)
        table[:, self._widths[0]] = 1.0
        targets = np.zeros((points, data.outputs))
        targets[np.arange(points), data.train_y.astype(np.int64)] = 1.0
        self._x = torch.tensor(table, dtype=dtype, device=self._device)
        self._targets = torch.tensor(targets, dtype=dtype, device=self._device)

    def _set_state(self) -> None:
        """One flat tensor each for weights, gradients and moments, with the layers as views."""
        dtype, device, count = self.architecture.dtype, self._device, self._count
        shapes = [(count, out, size + _PADDING) for size, out in pairwise(self._widths)]
        sizes = [math.prod(shape) for shape in shapes]
        self._flat, self._gradient, self._mean, self._square, self._factor = (
            torch.zeros(sum(sizes), dtype=dtype, device=device) for _ in range(5)
        )
        self._layers, self._slopes, factors = (
            [part.view(shape) for part, shape in zip(torch.split(flat, sizes), shapes, strict=True)]
            for flat in (self._flat, self._gradient, self._factor)
        )
        decay = torch.tensor(self.schedule.decays, dtype=torch.float64)
        shrink = (1.0 - self.schedule.learning_rate * decay).repeat_interleave(len(self.schedule.seeds))
        self._factor.fill_(1.0)
        for factor, size in zip(factors, self._widths[:-1], strict=True):
            factor[:, :, :size] = shrink.to(device, dtype)[:, None, None]
        self._active = []
        for width in self._widths[1:-1]:
            active = torch.zeros((count, self.schedule.batch, width + _PADDING), dtype=dtype, device=device)
            active[:, :, width] = 1.0
            self._active.append(active)
        steps = self.schedule.chunk
        self._picks = torch.zeros((steps, count * self.schedule.batch), dtype=torch.int32, device=device)
        self._rates = torch.zeros((steps, 2), dtype=dtype, device=device)
        self._all_rates = torch.tensor(_rates(self.schedule), dtype=dtype, device=device)

    def _reset(self) -> None:
        """The initial weights of `training_runs`, in single precision as there, and no moments."""
        for tensor in (self._mean, self._square, self._flat):
            tensor.zero_()
        rngs = [case_rng("initial weights", self.schedule.dataset, seed) for seed in self.schedule.seeds]
        for layer, (fan_in, fan_out) in zip(self._layers, pairwise(self._widths), strict=True):
            bound = 1.0 / np.sqrt(fan_in)
            drawn = [rng.uniform(-bound, bound, (fan_out, fan_in + 1)) for rng in rngs]
            both = np.stack(drawn * len(self.schedule.decays)).astype(np.float32)
            layer[:, :, : fan_in + 1] = torch.tensor(both).to(self._device, self.architecture.dtype)

    def _capture(self) -> None:
        """Make one graph of a chunk of steps; what it did to the weights is undone by `_reset`."""
        for _ in range(2):
            self._do_step(0)
        self._wait()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=self.stream):
            self._do_chunk()
        self._graph.replay()
        self._wait()
        begin = time.perf_counter()
        for _ in range(_TIMED):
            self._graph.replay()
        self._wait()
        self.milliseconds = 1e3 * (time.perf_counter() - begin) / (_TIMED * self.schedule.chunk)

    def _do_chunk(self) -> None:
        for place in range(self.schedule.chunk):
            self._do_step(place)

    def _do_step(self, place: int) -> None:
        """Gradients of the mean cross-entropy of each network's own batch, then AdamW."""
        count, batch = self._count, self.schedule.batch
        picks = self._picks[place]
        inputs = torch.index_select(self._x, 0, picks).view(count, batch, -1)
        active = [inputs, *self._active]
        for layer, (weights, after) in enumerate(zip(self._layers[:-1], self._active, strict=True), 1):
            heights = torch.bmm(active[layer - 1], weights.transpose(1, 2))
            torch.clamp_min(heights, 0.0, out=after[:, :, : self._widths[layer]])
        delta = torch.softmax(torch.bmm(active[-1], self._layers[-1].transpose(1, 2)), dim=2)
        delta.sub_(torch.index_select(self._targets, 0, picks).view(delta.shape)).mul_(1.0 / batch)
        for layer in range(len(self._layers) - 1, -1, -1):
            torch.bmm(delta.transpose(1, 2), active[layer], out=self._slopes[layer])
            if layer:
                width = self._widths[layer]
                delta = torch.bmm(delta, self._layers[layer][:, :, :width])
                delta = torch.ops.aten.threshold_backward(delta, active[layer][:, :, :width], 0.0)
        self._update(*self._rates[place])

    def _update(self, rate: torch.Tensor, eps: torch.Tensor) -> None:
        """AdamW with decoupled decay, in the order of `torch.optim.AdamW`."""
        self._mean.lerp_(self._gradient, 1.0 - _BETAS[0])
        self._square.mul_(_BETAS[1]).addcmul_(self._gradient, self._gradient, value=1.0 - _BETAS[1])
        direction = self._mean / self._square.sqrt().add_(eps)
        self._flat.mul_(self._factor).addcmul_(direction, rate, value=-1.0)

    @contextmanager
    def _on_stream(self) -> Iterator[None]:
        if self.stream is None:
            # late losses have gradients below the smallest normal float32, at which processors crawl
            torch.set_flush_denormal(True)
            try:
                yield
            finally:
                torch.set_flush_denormal(False)
        else:
            # what was made on the usual stream is finished before this one uses it
            self.stream.wait_stream(torch.cuda.default_stream())
            with torch.cuda.stream(self.stream):
                yield

    def _wait(self) -> None:
        if self.stream is not None:
            self.stream.synchronize()


def _rates(schedule: Schedule) -> FloatArray:
    """For each step the rate and the epsilon of Adam, with both bias corrections moved into them."""
    step = np.arange(1, schedule.steps + 1, dtype=np.float64)
    root = np.sqrt(-np.expm1(step * math.log(_BETAS[1])))
    rate = schedule.learning_rate * root / -np.expm1(step * math.log(_BETAS[0]))
    return np.stack([rate, _EPS * root], axis=1)


def train_side_by_side(
    architectures: Sequence[Architecture],
    schedule: Schedule,
    record: Callable[[BatchedRun], None],
    *,
    device: str | None = None,
    seconds: float = math.inf,
    say: Callable[[str], None] = print,
) -> dict[str, int]:
    """Train all architectures at once, and call `record(run)` whenever one is at a step of the records.

    Parameters
    ----------
    architectures : on a GPU each has a stream of its own, the first ones go first where there is a queue,
        and the faster ones run ahead
    schedule : Schedule
    record : looks at `run.networks()`; training of this run goes on afterwards
    device : "cuda" or "cpu"; default the first that is there
    seconds : float; training stops after so long, with a last record of what is reached
    say : called with each line of progress

    Returns
    -------
    dict of steps done by the architectures' names
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    begin = time.monotonic()
    runs = []
    for place, architecture in enumerate(architectures):
        runs.append(BatchedRun(architecture, schedule, where, max(0, 3 - place)))
        alone = f", {runs[-1].milliseconds:.3f} ms a step alone" if where.type == "cuda" else ""
        say(f"  {architecture.name} is ready on {where.type} after {time.monotonic() - begin:.0f} s{alone}")
    batches = Batches(schedule, len(make_data(schedule.dataset, schedule.seeds[0]).train_y), where)
    for run in runs:
        if 0 in schedule.records:
            record(run)
    progress = _Progress(runs, begin, say)
    active = list(runs)
    while active and time.monotonic() - begin < seconds:
        ready = [run for run in active if not run.is_busy]
        for run in ready:
            run.advance(batches)
            if run.step in schedule.records:
                record(run)
        active = [run for run in active if run.step < schedule.steps]
        batches.drop_before(min((run.step for run in active), default=schedule.steps))
        progress.tell()
        if not ready:
            time.sleep(2e-4)
    for run in active:
        say(f"  {run.architecture.name} stops at step {run.step} of {schedule.steps}")
        if run.step not in schedule.records:
            record(run)
    return {run.architecture.name: run.step for run in runs}


class _Progress:
    """A line with the steps of all runs every ten seconds."""

    def __init__(self, runs: Sequence[BatchedRun], begin: float, say: Callable[[str], None]) -> None:
        self._runs, self._begin, self._say = runs, begin, say
        self._last = begin

    def tell(self) -> None:
        now = time.monotonic()
        if now - self._last < 10.0:
            return
        self._last = now
        done = ", ".join(f"{run.architecture.name} {run.step:,}" for run in self._runs)
        self._say(f"  {now - self._begin:.0f} s: {done}")
