"""Kernels that Python calls: kept as steps are, so that the next process calls them without numba.

An `entry` takes arrays, numbers, memories of searches and named tuples of these. Its machine code gets an
array as its address and lengths, like the arrays of a memory (`views`), so it holds no reference and
allocates nothing, and one file holds all of it (`step_files`). It is compiled once for each combination of
types that it meets; what it returns is what its annotation says: int, float, bool, None, or a tuple of these.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cached_property
from threading import Lock
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np

from regions.kernels.memory.compiling import INSIDE, JIT_DISABLED, Kernel
from regions.kernels.memory.layouts import Memory
from regions.kernels.memory.step_files import machine_code

Function = TypeVar("Function", bound=Callable[..., Any])

_NATIVE = {int: ctypes.c_int64, float: ctypes.c_double, bool: ctypes.c_bool}
_POINTER = ctypes.c_void_p


def entry(function: Function) -> Function:
    """A kernel that Python calls, kept in a file."""
    return function if JIT_DISABLED else Entry(function)  # type: ignore[return-value]


class Entry(Kernel):
    """A kernel that is called with addresses and numbers; Python's lock is free meanwhile.

    Parameters
    ----------
    function : the function; its arguments that are arrays must be C-contiguous
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function, INSIDE, inside=False)
        self._native: dict[tuple[Any, ...], Callable[..., int]] = {}
        self._lock = Lock()

    def __call__(self, *arguments: Any) -> Any:
        kinds: list[Any] = []
        words: list[Any] = []
        for argument in arguments:
            _take(argument, kinds, words)
        key = tuple(kinds)
        native = self._native.get(key) or self._load(key)
        result, error = self._result(), _POINTER()
        failed = native(ctypes.byref(result), ctypes.byref(error), *words)
        if failed:  # only NUMBA_BOUNDSCHECK=1 makes kernels raise
            raise IndexError(f"kernel {self.__name__}: an index is out of bounds")
        found = [getattr(result, name) for name, *_ in self._result._fields_]
        return tuple(found) if self._several else found[0] if found else None

    def _load(self, kinds: tuple[Any, ...]) -> Callable[..., int]:
        """Make what these types of arguments need callable: from its file, or compiled now."""
        with self._lock:  # threads begin with the same kernel at the same time
            if kinds not in self._native:
                wanted = f"({', '.join(map(_described, kinds))}) -> {self._results}"
                address = machine_code(self, wanted, lambda: self._signature(kinds))
                words = [word for kind in kinds for word in _words(kind)]
                # numba's convention: the result and the description of an error go to two addresses
                prototype = ctypes.CFUNCTYPE(ctypes.c_int32, _POINTER, _POINTER, *words)
                self._native[kinds] = prototype(address)
            return self._native[kinds]

    def _signature(self, kinds: tuple[Any, ...]) -> Any:
        from regions.kernels.memory.layout_types import entry_signature

        return entry_signature(kinds, self._results, self._several)

    @cached_property
    def _annotation(self) -> Any:
        return get_type_hints(self.py_func)["return"]

    @cached_property
    def _several(self) -> bool:
        """Whether it returns a tuple."""
        return bool(get_args(self._annotation))

    @cached_property
    def _results(self) -> tuple[str, ...]:
        """Name the types that it returns."""
        found = get_args(self._annotation) or (self._annotation,)
        return tuple(one.__name__ for one in found if one is not type(None))

    @cached_property
    def _result(self) -> type[ctypes.Structure]:
        """Lay out what it returns, as C does."""
        native = {kind.__name__: word for kind, word in _NATIVE.items()}
        fields = [(f"result{k}", native[name]) for k, name in enumerate(self._results)]
        return type(f"{self.__name__}_result", (ctypes.Structure,), {"_fields_": fields})


def _take(argument: Any, kinds: list[Any], words: list[Any]) -> None:
    """Append the type of an argument, and what its machine code gets."""
    if isinstance(argument, np.ndarray):
        if not argument.flags.c_contiguous:
            raise ValueError(f"kernels take contiguous arrays; one of shape {argument.shape} is not")
        kinds.append((argument.dtype.str, argument.ndim))
        words.append(argument.__array_interface__["data"][0])
        words.extend(argument.shape)
    elif isinstance(argument, tuple):
        inner: list[Any] = []
        for one in argument:
            _take(one, inner, words)
        kinds.append((type(argument), *inner))
    elif isinstance(argument, Memory):
        kinds.append(type(argument))
        words.append(argument._address)
    else:
        kind = _number(argument)
        kinds.append(kind)
        words.append(kind(argument))


def _number(argument: Any) -> Callable[[Any], Any]:
    if isinstance(argument, bool | np.bool_):
        return bool
    return int if isinstance(argument, int | np.integer) else float


def _words(kind: Any) -> list[Any]:
    """Types of what the machine code gets for an argument."""
    if isinstance(kind, type):
        return [_NATIVE.get(kind, _POINTER)]
    first, *rest = kind
    if isinstance(first, str):
        return [_POINTER, *[ctypes.c_int64] * rest[0]]
    return [word for one in rest for word in _words(one)]


def _described(kind: Any) -> str:
    """Write the type of an argument so that it names what was compiled for it."""
    if isinstance(kind, type):
        layout = getattr(kind, "layout", None)
        return kind.__name__ if layout is None else f"{layout.name}#{layout.digest:08x}"
    first, *rest = kind
    if isinstance(first, str):
        return f"{first}[{rest[0]}]"
    return f"{first.__qualname__}({', '.join(map(_described, rest))})"
