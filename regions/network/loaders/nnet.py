"""`.nnet` files: the text format of the networks for aircraft collision avoidance, in its dialects.

Comments, names in the unused line, commas at line ends and a missing output normalisation are all read.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from regions.errors import InvalidInputError, InvalidNetworkError
from regions.network.loaders.affine_tensors import check_entries
from regions.network.loaders.chain import Chain
from regions.network.loaders.checks import FloatArray, check_against_source, reading
from regions.network.relu_network import Network

__all__ = ["from_nnet"]

_SEPARATORS = re.compile(r"[,\s]+")


class _Stored(NamedTuple):
    """What a file holds; means and ranges are those of the inputs, then one of all outputs."""

    weights: list[FloatArray]
    biases: list[FloatArray]
    means: FloatArray
    ranges: FloatArray


def from_nnet(path: str | os.PathLike[str], *, name: str = "", normalise: bool = True) -> Network:
    """Network of a `.nnet` file, with its normalisation as first and last layers or without.

    With it, an input x becomes (x - mean) / range before the first layer, and an output y becomes
    y * range + mean behind the last one; the name says so. Division by a range multiplies by the float64
    nearest to 1 / range. The smallest and largest inputs that a file states are where its network was
    trained: inputs are not clipped to them.

    Parameters
    ----------
    path : path of the file
    name : str, for reports; default the file's name
    normalise : bool, whether inputs and outputs are in the units of the file's owner (True), or those
        that the stored layers take and give (False)

    Returns
    -------
    network : Network

    Raises
    ------
    InvalidInputError : if there is no such file
    InvalidNetworkError : if it is no `.nnet` file, or its numbers do not fit together

    Examples
    --------
    >>> import tempfile
    >>> lines = ["// one unit", "2,1,1,1,", "1,1,1,", "0,", "-1,", "1,", "3.0,10.0,", "2.0,4.0,"]
    >>> lines += ["1.0,", "0.5,", "1.0,", "0.0,"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/unit.nnet").write_text("\\n".join(lines))
    ...     network = from_nnet(f"{folder}/unit.nnet")
    >>> network.forward([5.0]), network.name
    (array([16.]), 'unit (inputs and outputs in the units of the file)')
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidInputError(f"no network file at {str(file)!r}")
    with reading(str(file)):
        stored = _parsed(file.read_text(encoding="utf-8", errors="replace"), str(file))
    scaled = stored.means.any() or (stored.ranges != 1.0).any()
    chain = Chain(stored.weights[0].shape[1])
    n = chain.input_dim
    if normalise:
        chain.shift(0.0 - stored.means[:n])
        chain.scale(1.0 / stored.ranges[:n])
    for layer, (weight, bias) in enumerate(zip(stored.weights, stored.biases, strict=True)):
        chain.affine(weight, bias)
        if layer < len(stored.weights) - 1:
            chain.relu()
    if normalise:
        chain.scale(np.full(chain.width, stored.ranges[n]))
        chain.shift(np.full(chain.width, stored.means[n]))
    units = "in the units of the file" if normalise else "normalised"
    network = chain.network(
        f"{name or file.stem} (inputs and outputs {units})" if scaled else name or file.stem
    )
    return check_against_source(network, lambda x: _forward(stored, x, normalise), str(file), "float64")


def _parsed(text: str, where: str) -> _Stored:
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("//")]
    if len(lines) < 8:
        raise InvalidNetworkError(
            f"{where} has fewer lines than a .nnet file: sizes, four of normalisation, weights"
        )
    n_layers, n_inputs, n_outputs = _integers(lines[0])[:3]
    sizes = _integers(lines[1])
    if min(sizes) < 1 or len(sizes) != n_layers + 1 or (sizes[0], sizes[-1]) != (n_inputs, n_outputs):
        raise InvalidNetworkError(
            f"{where} says {n_layers} layers from {n_inputs} to {n_outputs} values, and then that they have "
            f"{sizes}"
        )
    # the third line is not used by anybody; smallest and largest inputs are for whoever reads the file
    means, ranges = (
        _normalisation(line, n_inputs, default, where) for line, default in ((lines[5], 0.0), (lines[6], 1.0))
    )
    if not ranges.all():
        raise InvalidNetworkError(f"{where} has a range of 0 in its normalisation")
    numbers = _numbers(" ".join(lines[7:]))
    needed = sum((before + 1) * after for before, after in pairwise(sizes))
    check_entries(where, needed)
    if numbers.size != needed:
        raise InvalidNetworkError(
            f"{where} has layers of {sizes} values: {needed:,} numbers, but it holds {numbers.size:,}"
        )
    weights, biases, start = [], [], 0
    for before, after in pairwise(sizes):
        end = start + before * after
        weights.append(numbers[start:end].reshape(after, before))
        biases.append(numbers[end : end + after])
        start = end + after
    return _Stored(weights, biases, means, ranges)


def _normalisation(line: str, n_inputs: int, default: float, where: str) -> FloatArray:
    """Numbers for the inputs and one for the outputs, which some files leave out."""
    given = _numbers(line)
    if given.size == n_inputs:
        return np.append(given, default)
    if given.size != n_inputs + 1:
        raise InvalidNetworkError(
            f"{where} has {given.size} numbers of normalisation for {n_inputs} inputs; expected is one for "
            f"each, and one for the outputs"
        )
    return given


def _integers(line: str) -> list[int]:
    return [int(word) for word in _SEPARATORS.split(line) if word]


def _numbers(text: str) -> FloatArray:
    return np.array([word for word in _SEPARATORS.split(text) if word], dtype=np.float64)


def _forward(stored: _Stored, x: FloatArray, normalise: bool) -> FloatArray:
    """The formula of the format, written out once more."""
    n = x.shape[1]
    value = (x - stored.means[:n]) / stored.ranges[:n] if normalise else x
    for weight, bias in zip(stored.weights[:-1], stored.biases[:-1], strict=True):
        value = np.maximum(value @ weight.T + bias, 0.0)
    value = value @ stored.weights[-1].T + stored.biases[-1]
    return value * stored.ranges[n] + stored.means[n] if normalise else value
