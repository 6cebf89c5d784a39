"""Sums of products by indices (einsum), of one affine tensor and numbers, as a sparse operator."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from string import ascii_letters
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from regions.errors import InvalidNetworkError
from regions.network.loaders.affine_tensors import AffineTensor, Layering, check_entries

__all__ = ["contracted"]


def contracted(layering: Layering, equation: str, operands: Sequence[Any], where: str) -> AffineTensor:
    """Return `einsum(equation, *operands)`: one operand is a tensor, at most one other holds numbers.

    Parameters
    ----------
    layering : Layering
    equation : str, as numpy takes it: with or without `->`, and with `...` for axes that broadcast
    operands : one AffineTensor, and perhaps an array
    where : str, for messages

    Raises
    ------
    InvalidNetworkError
        If two operands depend on the input, there are more than two, or the equation does not fit them.
    """
    computed = [k for k, operand in enumerate(operands) if isinstance(operand, AffineTensor)]
    if len(computed) != 1 or len(operands) > 2:
        reason = "multiplies two computed values; that is not piecewise linear"
        raise InvalidNetworkError(
            f"{where} {reason if len(computed) > 1 else 'contracts more than two operands at once'}"
        )
    shapes = [tuple(operand.shape) for operand in operands]
    terms, result = _written_out(equation, shapes, where)
    x: AffineTensor = operands[computed[0]]
    # a letter that comes twice in a term takes the diagonal
    places, own = _diagonal(np.arange(x.index.size).reshape(x.shape), terms[computed[0]], where)
    numbers, other = np.ones(()), ""
    if len(operands) == 2:
        numbers, other = _diagonal(np.asarray(operands[1 - computed[0]]), terms[1 - computed[0]], where)
    sizes: dict[str, int] = {}
    for array, letters in ((places, own), (numbers, other)):
        for letter, n in zip(letters, array.shape, strict=True):
            if n != sizes.setdefault(letter, n):
                if 1 not in (n, sizes[letter]):
                    raise InvalidNetworkError(f"{where} has sizes {sizes[letter]} and {n} for one index")
                sizes[letter] = max(n, sizes[letter])
    if not set(result) <= set(sizes):
        raise InvalidNetworkError(f"{where} gives indices that no operand has: {equation!r}")
    shape = tuple(sizes[letter] for letter in result)
    check_entries("a contraction", prod(sizes.values()))
    every = "".join(sizes)
    source, factors = _spread(places, own, every, sizes), _spread(numbers, other, every, sizes)
    target = _spread(np.arange(prod(shape)).reshape(shape), result, every, sizes)
    kept = factors != 0.0
    operator = csr_array((factors[kept], (target[kept], source[kept])), (prod(shape), x.index.size))
    return layering.linear(x, operator, shape)


def _written_out(equation: str, shapes: list[tuple[int, ...]], where: str) -> tuple[list[str], str]:
    """Letters of each operand and of the result, with letters for what `...` stands for."""
    given, arrow, result = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    if len(terms) != len(shapes):
        raise InvalidNetworkError(f"{where} has {len(shapes)} operands for the equation {equation!r}")
    free = [letter for letter in ascii_letters if letter not in equation]
    more = [
        len(shape) - len(term.replace("...", "")) if "..." in term else 0
        for term, shape in zip(terms, shapes, strict=True)
    ]
    most = max(more)
    if min(more) < 0 or most > len(free):
        raise InvalidNetworkError(f"{where} has operands of shapes {shapes} for the equation {equation!r}")
    dots = "".join(free[:most])
    terms = [term.replace("...", dots[most - n :]) for term, n in zip(terms, more, strict=True)]
    if arrow:
        result = result.replace("...", dots)
    else:
        every = "".join(terms)
        once = sorted(letter for letter in set(every) if every.count(letter) == 1 and letter not in dots)
        result = dots + "".join(once)
    if any(len(term) != len(shape) for term, shape in zip(terms, shapes, strict=True)):
        raise InvalidNetworkError(f"{where} has operands of shapes {shapes} for the equation {equation!r}")
    return terms, result


def _diagonal(array: NDArray[Any], term: str, where: str) -> tuple[NDArray[Any], str]:
    """An array with each of its letters once."""
    letters = "".join(dict.fromkeys(term))
    try:
        return np.einsum(f"{term}->{letters}", array), letters
    except ValueError as error:
        raise InvalidNetworkError(f"{where}: {error}") from error


def _spread(array: NDArray[Any], letters: str, every: str, sizes: dict[str, int]) -> NDArray[Any]:
    """An array repeated along the letters that it has not, with all letters in their order."""
    known = [letter for letter in every if letter in letters]
    turned = np.transpose(array, [letters.index(letter) for letter in known])
    whole = turned.reshape([turned.shape[known.index(k)] if k in known else 1 for k in every])
    return np.broadcast_to(whole, [sizes[letter] for letter in every])
