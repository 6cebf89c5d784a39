"""Which output of a graph is read, and which inputs are given as constants, by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidInputError, InvalidNetworkError

__all__ = ["chosen_output", "fixed_value", "free_input"]


def chosen_output(what: str, names: Sequence[str], wanted: str | None) -> tuple[str, str]:
    """Return the name of the output to read, and what a network's name says about the choice.

    Parameters
    ----------
    what : the model, for messages
    names : of its outputs
    wanted : one of them, or None where there is one only

    Raises
    ------
    InvalidInputError
        If there are several and none is named, or it has no output of that name.
    InvalidNetworkError
        If there is none.

    Examples
    --------
    >>> chosen_output("the model", ["actor", "critic"], "actor")
    ('actor', " (output 'actor' of 'actor', 'critic')")
    """
    if not names:
        raise InvalidNetworkError(f"{what} has no output")
    if wanted is not None and wanted not in names:
        raise InvalidInputError(f"{what} has no output {wanted!r}; its outputs are {_listed(names)}")
    if len(names) == 1:
        return names[0], ""
    if wanted is None:
        raise InvalidInputError(
            f"{what} has {len(names)} outputs; name the one to read (output=, on the command line "
            f"--output-name): {_listed(names)}"
        )
    return wanted, f" (output {wanted!r} of {_listed(names)})"


def free_input(what: str, names: Sequence[str], fixed: Mapping[str, Any]) -> str:
    """Return the name of the one input that no value is given for.

    Raises
    ------
    InvalidInputError
        If values leave none or several, or one is for no input.

    Examples
    --------
    >>> free_input("the model", ["x", "goal"], {"goal": [0.0, 1.0]})
    'x'
    """
    unknown = [name for name in fixed if name not in names]
    if unknown:
        raise InvalidInputError(f"{what} has no input {unknown[0]!r}; its inputs are {_listed(names)}")
    free = [name for name in names if name not in fixed]
    if len(free) != 1:
        raise InvalidInputError(
            f"{what} has {len(names)} inputs, of which {len(free)} have no value; give one to all but one "
            f"(inputs={{name: value}}, on the command line --input NAME=VALUE): {_listed(names)}"
        )
    return free[0]


def fixed_value(name: str, value: Any, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return the value of an input as an array of its shape, in its own type.

    Raises
    ------
    InvalidInputError
        If it is neither one number nor as many as the input has, or one is not finite.

    Examples
    --------
    >>> fixed_value("goal", 0.5, (1, 2), "float32").tolist()
    [[0.5, 0.5]]
    """
    try:
        given = np.asarray(value, dtype=np.float64).astype(dtype)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"the value of input {name!r} is no array of numbers: {error}") from error
    if not np.isfinite(given).all():
        raise InvalidInputError(f"the value of input {name!r} holds a number that is not finite")
    if given.size == 1:
        return np.full(shape, given.ravel()[0])
    if given.size != np.prod(shape):
        raise InvalidInputError(f"the value of input {name!r} has shape {given.shape}; expected is {shape}")
    return given.reshape(shape)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:8]) + (", ..." if len(names) > 8 else "")
