"""What people give, as what the library takes: tensors as numpy arrays, seeds as generators.

Checks of shapes and ranges belong to whoever takes the arrays. PyTorch is never imported: who has its tensors
has imported it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

__all__ = ["as_generator", "seeded", "without_tensors"]

Function = TypeVar("Function", bound=Callable[..., Any])


def without_tensors(values: Any) -> Any:
    """Return the same values with each tensor of PyTorch, in lists and tuples too, as a numpy array.

    Gradients are left behind, and so is the device. bfloat16, which numpy lacks, becomes float64, which holds
    it exactly. Anything else is returned as it is.

    Examples
    --------
    >>> without_tensors([1.0, 2.0])
    [1.0, 2.0]
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return values
    if isinstance(values, torch.Tensor):
        tensor = values.detach().cpu()
        return (tensor.double() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    nested = torch.Tensor | list | tuple
    if isinstance(values, list | tuple) and any(isinstance(part, nested) for part in values):
        return [without_tensors(part) for part in values]
    return values


def as_generator(rng: Any) -> Any:
    """Return the generator of a seed, a whole number from 0; anything else is returned as it is.

    Examples
    --------
    >>> as_generator(7).random() == np.random.default_rng(7).random()
    True
    """
    whole = isinstance(rng, int | np.integer) and not isinstance(rng, bool)
    return np.random.default_rng(int(rng)) if whole and rng >= 0 else rng


def seeded(function: Function) -> Function:
    """Let a function with an argument `rng` take a seed in its place.

    Examples
    --------
    >>> @seeded
    ... def draw(n, rng):
    ...     return rng.random(n).shape
    >>> draw(3, 0), draw(3, rng=np.random.default_rng(1))
    ((3,), (3,))
    """
    code = function.__code__  # type: ignore[attr-defined]
    place = code.co_varnames.index("rng")

    @functools.wraps(function)
    def run(*words: Any, **named: Any) -> Any:
        if "rng" in named:
            named["rng"] = as_generator(named["rng"])
        elif len(words) > place:
            words = (*words[:place], as_generator(words[place]), *words[place + 1 :])
        return function(*words, **named)

    return cast(Function, run)
