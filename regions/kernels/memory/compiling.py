"""How kernels are compiled and kept: each large step once, on its own; small ones into whatever calls them.

numba optimises a function again inside each of its callers. So only what Python calls (`entry`, see
`entries`) and the steps of a search (`step`, called through their addresses, see `layouts`) are kept; the
functions that these are made of (`part`, `inlined`) exist inside them only.

numba itself is imported when the first kernel is compiled, or one is called that makes arrays of its own
(`allocating`): to import it and to set it up takes longer than most counts, and what is kept in files
(`step_files`) does without it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache, cached_property, update_wrapper
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

# without reference counts: kernels borrow all arrays, and none allocates; division by 0 gives inf or nan
_BORROWING: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_INSIDE: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INSIDE = {**_BORROWING, **_INSIDE}  # of all that is called through its address, or not from outside

_problems: list[str] = []
_before_numba: list[Callable[[], None]] = []


def cache_problems() -> list[str]:
    """Why compiled kernels are not kept for the next process, each reason once; empty where they are."""
    return list(_problems)


def note_problem(problem: str) -> None:
    """Remember why a kernel is not kept."""
    if problem not in _problems:
        _problems.append(problem)


def _setting(name: str) -> bool:
    """A switch of numba's: as numba read it, or, where numba is not imported, from the environment."""
    numba = sys.modules.get("numba.core.config")
    if numba is None and Path(".numba_config.yaml").is_file():
        from numba.core import config as numba  # type: ignore[no-redef]
    if numba is not None:
        return bool(getattr(numba, name))
    return os.environ.get(f"NUMBA_{name}", "").strip() not in ("", "0")


JIT_DISABLED = _setting("DISABLE_JIT")
BOUNDS_CHECKED = _setting("BOUNDSCHECK")


def before_numba(prepare: Callable[[], None]) -> None:
    """Call `prepare` just before a kernel needs numba for the first time; at once where numba is there."""
    if "numba" in sys.modules:
        prepare()
    else:
        _before_numba.append(prepare)


class Kernel:
    """A function that numba compiles when it is first needed.

    Parameters
    ----------
    function : the function
    options : of `numba.njit`
    inside : bool, whether it exists inside other kernels only
    kept : bool, whether numba keeps what it compiles in its cache
    """

    def __init__(
        self, function: Callable[..., Any], options: dict[str, Any], *, inside: bool, kept: bool = False
    ) -> None:
        update_wrapper(self, function)
        self.__name__ = function.__name__
        self.py_func = function
        self._options, self._inside, self._kept = options, inside, kept

    @cached_property
    def dispatcher(self) -> Any:
        """What numba makes of the function."""
        while _before_numba:
            _before_numba.pop()()
        from numba import njit

        from regions.kernels.memory import layout_types  # noqa: F401  # numba learns what kernels take
        from regions.kernels.memory.part_libraries import compiler

        passes = compiler(borrowing="_nrt" in self._options, part=self._inside)
        dispatcher = _one_type(njit(pipeline_class=passes, **self._options)(self.py_func))
        return _keep(dispatcher) if self._kept else dispatcher

    @property
    def _numba_type_(self) -> Any:
        # numba asks this of a name that it meets in another kernel
        return self.dispatcher._numba_type_

    def __call__(self, *arguments: Any) -> Any:
        return self.dispatcher(*arguments)


class Operation:
    """A machine operation that numba does not offer by itself; its numba definition is in another module."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    @property
    def _numba_type_(self) -> Any:
        from importlib import import_module

        from numba.core.registry import cpu_target

        definition = getattr(import_module(self._module), self._name)
        cpu_target.typing_context.refresh()
        return cpu_target.typing_context.resolve_value_type(definition)


def part(function: Function) -> Function:
    """A kernel that other kernels call."""
    return _kernel(function, INSIDE, inside=True)


def inlined(function: Function) -> Function:
    """A short kernel that is to be part of the machine code of its callers."""
    return _kernel(function, {"forceinline": True, **INSIDE}, inside=True)


def allocating_part(function: Function) -> Function:
    """A kernel that makes arrays of its own and that other kernels call."""
    return _kernel(function, {"nogil": True, **_INSIDE}, inside=True)


def step(function: Function) -> Function:
    """A large step of a search, compiled on its own and kept in a file (see `layouts` and `step_files`)."""
    return _kernel(function, INSIDE)


def allocating(function: Function) -> Function:
    """A kernel that Python calls and that makes arrays of its own, kept."""
    return _kernel(function, {"nogil": True}, kept=True)


def _kernel(
    function: Function, options: dict[str, Any], *, inside: bool = False, kept: bool = False
) -> Function:
    if JIT_DISABLED:
        return function
    return Kernel(function, options, inside=inside, kept=kept)  # type: ignore[return-value]


def _one_type(dispatcher: Any) -> Any:
    """Make a constant a number like any other: numba would compile a kernel again for each constant."""
    from numba import types

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


def _keep(dispatcher: Any) -> Any:
    """Keep what a dispatcher compiles in numba's cache, or, where no folder can be written, do without."""
    from numba.core.caching import IndexDataCacheFile

    try:
        dispatcher.enable_caching()
        kept = dispatcher._cache
        # numba would take a kernel for unchanged as long as its own file is, would not ask for checks, and
        # could not read what another version of this package kept: so each has files of its own
        stamp = f"{kernels_digest()[:16]}{'-checked' if BOUNDS_CHECKED else ''}"
        kept._cache_file = IndexDataCacheFile(
            cache_path=kept.cache_path,
            filename_base=f"{kept._impl.filename_base}-{stamp}",
            source_stamp=stamp,
        )
    except (OSError, RuntimeError) as error:
        note_problem(f"{type(error).__name__}: {error}")
        return dispatcher
    save = kept.save_overload

    def save_if_possible(signature: Any, result: Any) -> None:
        try:
            save(signature, result)
        except OSError as error:
            note_problem(f"{type(error).__name__}: {error}")

    kept.save_overload = save_if_possible
    return dispatcher
