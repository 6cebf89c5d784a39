"""Small networks trained with AdamW, several seeds at once, and seen at given steps.

The training loop, and nothing of what is measured; the data come from `training_data`. Everything is drawn
from `case_rng`, so a specification is a training run. Needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from validation.framework import case_rng
from validation.training_data import make_data

__all__ = ["Moment", "TrainingSpec", "log_spaced", "train"]

FloatArray = NDArray[np.float64]

# steps whose batches are drawn at once
_CHUNK = 256


@dataclass(frozen=True)
class TrainingSpec:
    """One training run for each seed; all run in step.

    Parameters
    ----------
    dataset : one that `make_data` knows
    hidden : widths of the ReLU layers
    seeds : of the initial weights, the batches, and of the data where they are drawn
    steps, batch : int
    learning_rate, weight_decay : float; the decay is AdamW's, on weights and not on biases
    init_scale : float, factor on PyTorch's initial weights and biases
    """

    dataset: str
    hidden: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: int
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    init_scale: float = 1.0


@dataclass(frozen=True)
class Moment:
    """What the networks of all seeds are at one step.

    Parameters
    ----------
    step : int, updates done
    models : torch.nn.Sequential for each seed; they go on training, so look at them now
    loss : (seeds,) float64, on the whole training set
    """

    step: int
    models: tuple[torch.nn.Sequential, ...]
    loss: FloatArray


def log_spaced(steps: int, count: int) -> tuple[int, ...]:
    """0, then whole numbers spaced evenly in logarithm, to `steps`.

    Examples
    --------
    >>> log_spaced(100, 4)
    (0, 1, 10, 100)
    """
    return (0, *sorted(set(np.geomspace(1, steps, count - 1).round().astype(int).tolist())))


def train(spec: TrainingSpec, records: tuple[int, ...]) -> Iterator[Moment]:
    """Train, and stop at each of the steps `records` (ascending) for a look."""
    torch.set_num_threads(1)
    data = [make_data(spec.dataset, seed) for seed in spec.seeds]
    stack = _Stack(spec, data[0].train_x.shape[1], data[0].outputs)
    x = torch.tensor(np.stack([one.train_x for one in data]), dtype=torch.float32)
    y = torch.tensor(np.stack([one.train_y for one in data]))
    y = y if data[0].is_classified else y.float()
    decays = [{"params": stack.weights, "weight_decay": spec.weight_decay}]
    optimizer = torch.optim.AdamW(
        [*decays, {"params": stack.biases, "weight_decay": 0.0}], lr=spec.learning_rate, fused=True
    )
    rngs = [case_rng("batches", spec.dataset, seed) for seed in spec.seeds]
    seed_of, done = torch.arange(len(data))[:, None], 0
    for stop in records:
        # late losses have gradients below the smallest normal float32, at which processors crawl; whoever
        # looks at the networks in between needs all floats
        torch.set_flush_denormal(True)
        while done < stop:
            chunk = min(_CHUNK, stop - done)
            picks = [rng.integers(x.shape[1], size=(chunk, spec.batch)) for rng in rngs]
            for pick in torch.tensor(np.stack(picks, axis=1)):
                optimizer.zero_grad(set_to_none=True)
                # each seed's gradient is that of its own loss, so a sum keeps the runs apart
                stack.losses(x[seed_of, pick], y[seed_of, pick]).sum().backward()
                optimizer.step()
            done += chunk
        torch.set_flush_denormal(False)
        with torch.no_grad():
            loss = stack.losses(x, y).double().numpy()
        yield Moment(done, stack.models, loss)


class _Stack:
    """The networks of all seeds as one batch of matrices, and as modules that share its memory."""

    def __init__(self, spec: TrainingSpec, inputs: int, outputs: int) -> None:
        widths = (inputs, *spec.hidden, outputs)
        rngs = [case_rng("initial weights", spec.dataset, seed) for seed in spec.seeds]
        self.weights, self.biases = [], []
        for fan_in, fan_out in pairwise(widths):
            bound = spec.init_scale / np.sqrt(fan_in)
            drawn = [rng.uniform(-bound, bound, (fan_out, fan_in + 1)) for rng in rngs]
            both = torch.tensor(np.stack(drawn), dtype=torch.float32)
            self.weights.append(torch.nn.Parameter(both[:, :, :-1].contiguous()))
            self.biases.append(torch.nn.Parameter(both[:, :, -1].contiguous()))
        self.models = tuple(self._module(seed) for seed in range(len(spec.seeds)))

    def losses(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean loss of each seed's network on its own batch: cross-entropy, or half the squared error."""
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias[:, None, :], x, weight.transpose(1, 2))
            x = x if layer == last else torch.relu(x)
        if y.is_floating_point():
            return 0.5 * (x - y).square().mean(dim=(1, 2))
        each = torch.nn.functional.cross_entropy(x.flatten(0, 1), y.flatten(), reduction="none")
        return each.view(y.shape).mean(dim=1)

    def _module(self, seed: int) -> torch.nn.Sequential:
        layers: list[torch.nn.Module] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            linear = torch.nn.Linear(weight.shape[2], weight.shape[1], device="meta")
            linear.weight = torch.nn.Parameter(weight.data[seed], requires_grad=False)
            linear.bias = torch.nn.Parameter(bias.data[seed], requires_grad=False)
            layers += [linear, torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])
