"""How kernels are compiled and kept: each large step once, on its own; small ones into whatever calls them.

numba optimises a function again inside each of its callers. So the cache keeps only what Python calls
(`entry`) and the steps of a search (`step`, called through their addresses, see `layouts`); the functions
that these are made of (`part`, `inlined`) exist inside them only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from numba import config, njit, types
from numba.core.caching import IndexDataCacheFile

Function = TypeVar("Function", bound=Callable[..., Any])

# without reference counts: kernels borrow all arrays, and none allocates; division by 0 gives inf or nan
_BORROWING: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_INSIDE: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

_problems: list[str] = []


def cache_problems() -> list[str]:
    """Why compiled kernels are not kept for the next process, each reason once; empty where they are."""
    return list(_problems)


def part(function: Function) -> Function:
    """A kernel that other kernels call."""
    return _one_type(njit(**_BORROWING, **_INSIDE)(function))


def inlined(function: Function) -> Function:
    """A short kernel that is to be part of the machine code of its callers."""
    return _one_type(njit(forceinline=True, **_BORROWING, **_INSIDE)(function))


def allocating_part(function: Function) -> Function:
    """A kernel that makes arrays of its own and that other kernels call."""
    return _one_type(njit(nogil=True, **_INSIDE)(function))


def step(function: Function) -> Function:
    """A large step of a search, compiled on its own and kept."""
    return _kept(njit(**_BORROWING, **_INSIDE)(function))  # type: ignore[no-any-return]


def entry(function: Function) -> Function:
    """A kernel that Python calls, kept."""
    return _kept(njit(**_BORROWING)(function))  # type: ignore[no-any-return]


def allocating(function: Function) -> Function:
    """A kernel that Python calls and that makes arrays of its own, kept."""
    return _kept(njit(nogil=True)(function))  # type: ignore[no-any-return]


def _one_type(dispatcher: Any) -> Any:
    """Make a constant a number like any other: numba would compile a kernel again for each constant."""
    if config.DISABLE_JIT:
        return dispatcher
    resolve = dispatcher.get_call_template

    def resolve_numbers(arguments: Any, keywords: Any) -> Any:
        return resolve(
            tuple(map(types.unliteral, arguments)), {k: types.unliteral(v) for k, v in keywords.items()}
        )

    dispatcher.get_call_template = resolve_numbers
    return dispatcher


@cache
def kernels_digest() -> str:
    """Return a digest of the source of all kernels: a kernel holds the code of others, from other files."""
    digest = sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _kept(dispatcher: Any) -> Any:
    """Keep what a dispatcher compiles in numba's cache, or, where no folder can be written, do without."""
    if config.DISABLE_JIT:
        return dispatcher
    try:
        dispatcher.enable_caching()
        kept = dispatcher._cache
        # numba would take a kernel for unchanged as long as its own file is, would not ask for checks, and
        # could not read what another version of this package kept: so each has files of its own
        stamp = f"{kernels_digest()[:16]}{'-checked' if config.BOUNDSCHECK else ''}"
        kept._cache_file = IndexDataCacheFile(
            cache_path=kept.cache_path,
            filename_base=f"{kept._impl.filename_base}-{stamp}",
            source_stamp=stamp,
        )
    except (OSError, RuntimeError) as error:
        _note(f"{type(error).__name__}: {error}")
        return dispatcher
    save = kept.save_overload

    def save_if_possible(signature: Any, result: Any) -> None:
        try:
            save(signature, result)
        except OSError as error:
            _note(f"{type(error).__name__}: {error}")

    kept.save_overload = save_if_possible
    return dispatcher


def _note(problem: str) -> None:
    if problem not in _problems:
        _problems.append(problem)
