"""How kernels are compiled: each large step once, on its own; small ones into whatever calls them.

numba optimises a function again inside everybody that calls it. So only what Python calls (`entry`) and
the steps of a search (`step`, called through their addresses, see `layouts`) are kept in the cache;
the functions that they are made of (`part`, `inlined`) exist inside them only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

# without reference counts: kernels borrow all arrays, and none allocates; division by 0 gives inf or nan
_BORROWING: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_INSIDE: dict[str, Any] = {**_BORROWING, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def part(function: Function) -> Function:
    """A kernel that other kernels call."""
    return njit(**_INSIDE)(function)  # type: ignore[no-any-return]


def inlined(function: Function) -> Function:
    """A short kernel that is to be part of the machine code of its callers."""
    return njit(forceinline=True, **_INSIDE)(function)  # type: ignore[no-any-return]


def step(function: Function) -> Function:
    """A large step of a search, compiled on its own and kept in the cache."""
    return njit(cache=True, **_INSIDE)(function)  # type: ignore[no-any-return]


def entry(function: Function) -> Function:
    """A kernel that Python calls, kept in the cache."""
    return njit(cache=True, **_BORROWING)(function)  # type: ignore[no-any-return]


def allocating(function: Function) -> Function:
    """A kernel that Python calls and that makes arrays of its own."""
    return njit(cache=True, nogil=True)(function)  # type: ignore[no-any-return]


def allocating_part(function: Function) -> Function:
    """A kernel that makes arrays of its own and that other kernels call."""
    return njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[no-any-return]
