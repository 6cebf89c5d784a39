"""Layouts: every array and register of a search, declared once; kernels read them as attributes.

A `Layout` names what a search holds. `layout.make(arrays)` gives one object whose attributes are plain
numpy arrays and numbers; a compiled kernel gets the same object as one pointer, and `search.points[0, v]`
loads the array's address from it. So a kernel takes one argument, and reads alike in Python and compiled.
`compiling` decides what is compiled, and when.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from mmap import ACCESS_COPY, mmap
from typing import TYPE_CHECKING, Any, TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import DTypeLike, NDArray

from regions.kernels.memory.compiling import JIT_DISABLED, Kernel
from regions.kernels.memory.step_files import NativeStep, machine_code

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
U64: TypeAlias = NDArray[np.uint64]

WORDS_PER_ARRAY = 4  # address, and up to three lengths
LINE = 64  # bytes of a line of the processor's cache
FLAT = "flat_"  # search.flat_points[i]: entry i of `points`, its rows one after the other

SearchMemory: TypeAlias = Any  # what kernels take: the memory of a search, with the attributes of its layout
_layouts: dict[str, Layout] = {}


@dataclass(frozen=True)
class Array:
    """One declared array.

    Attributes
    ----------
    axes : tuple of str, what each axis counts
    dtype : numpy dtype
    meaning : str
    """

    axes: tuple[str, ...]
    dtype: np.dtype[Any]
    meaning: str


def floats(axes: str, meaning: str) -> Array:
    """Declare an array of float64, such as `floats("d, vertices", "coordinates")`."""
    return _array(axes, np.float64, meaning)


def singles(axes: str, meaning: str) -> Array:
    """Declare an array of float32."""
    return _array(axes, np.float32, meaning)


def ints(axes: str, meaning: str) -> Array:
    """Declare an array of int64."""
    return _array(axes, np.int64, meaning)


def words(axes: str, meaning: str) -> Array:
    """Declare an array of uint64: bit sets, keys."""
    return _array(axes, np.uint64, meaning)


def records(axes: str, fields: Iterable[str], meaning: str) -> Array:
    """Declare an array of records with int64 fields, which kernels read as `search.nodes[top].layer`."""
    return _array(axes, np.dtype([(name, np.int64) for name in fields], align=True), meaning)


def aligned_zeros(*shape: int, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Make an array of zeros that begins with a line of the processor's cache, for long loops over its rows.

    Examples
    --------
    >>> made = aligned_zeros(3, 8)
    >>> made.shape, made.__array_interface__["data"][0] % LINE
    ((3, 8), 0)
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.zeros(size + LINE, np.uint8)
    first = -room.__array_interface__["data"][0] % LINE
    return room[first : first + size].view(dtype).reshape(shape)


def _array(axes: str, dtype: DTypeLike, meaning: str) -> Array:
    return Array(tuple(axis.strip() for axis in axes.split(",")), np.dtype(dtype), meaning)


@dataclass(frozen=True)
class Layout:
    """What a search holds: integer registers, float registers, arrays, and its large steps.

    A step is a kernel that is compiled on its own and called through its address, `search.split(top, c)`.
    All its callers share one compiled copy, and which kernel it is depends on the search: polygons and
    polytopes are split by different ones.

    Attributes
    ----------
    name : str, unique
    counters : dict, name -> meaning of each int64 register
    numbers : dict, name -> meaning of each float64 register
    arrays : dict, name -> Array
    steps : dict, name -> types of the arguments behind the search, "int64" or "float64"; steps return int64
    """

    name: str
    counters: Mapping[str, str]
    numbers: Mapping[str, str]
    arrays: Mapping[str, Array]
    steps: Mapping[str, str] = field(default_factory=dict)
    places: dict[str, int] = field(init=False, repr=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        if self.name in _layouts:
            raise ValueError(f"layout {self.name!r} is declared already")
        names = [*self.counters, *self.numbers, *self.steps, *self.arrays]
        double = {name for name in names if names.count(name) > 1 or name.startswith(FLAT)}
        if double:
            raise ValueError(f"layout {self.name!r}: names {sorted(double)} are taken")
        places = {name: k for k, name in enumerate([*self.counters, *self.numbers, *self.steps])}
        registers = len(places)
        places.update({name: registers + WORDS_PER_ARRAY * k for k, name in enumerate(self.arrays)})
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "size", registers + WORDS_PER_ARRAY * len(self.arrays))
        _layouts[self.name] = self

    @property
    def digest(self) -> int:
        """A number that changes with the declaration, so that no kernel compiled for another is loaded."""
        arrays = [(name, array.axes, str(array.dtype)) for name, array in self.arrays.items()]
        return crc32(repr((list(self.counters), list(self.numbers), self.steps, arrays)).encode())

    def make(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """Make the memory of a search with these arrays; the others are empty, all registers are 0."""
        made = _class_of(self)()
        made.use({name: self.empty(name) for name in self.arrays if name not in arrays})
        made.use(arrays)
        return made

    def empty(self, name: str) -> NDArray[Any]:
        """Make an array without entries, of the declared type."""
        array = self.arrays[name]
        return np.zeros((0,) * len(array.axes), array.dtype)

    def check(self, name: str, array: NDArray[Any]) -> None:
        """Raise ValueError unless an array is what the layout says."""
        declared = self.arrays.get(name)
        if declared is None:
            raise ValueError(f"layout {self.name!r} has no array {name!r}")
        fits = array.dtype == declared.dtype and array.ndim == len(declared.axes)
        if not fits or not array.flags.c_contiguous:
            raise ValueError(
                f"{self.name}.{name}: {array.dtype} of shape {array.shape}, contiguous "
                f"{array.flags.c_contiguous}; declared as {declared.dtype} ({', '.join(declared.axes)})"
            )


class Memory:
    """The registers and arrays of one search; each layout has a subclass with these as attributes."""

    layout: Layout

    def __init__(self) -> None:
        table = np.zeros(self.layout.size, np.int64)
        self._table = table
        self._numbers = table.view(np.float64)
        self._address = int(table.__array_interface__["data"][0])
        self._bytes = -1
        self.held: dict[str, NDArray[Any]] = {}

    if TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        """Make what Python asks for the first time: an array as kernels see it, or a step to be called."""
        kinds = self.layout.steps.get(name)
        if kinds is None:
            plain = name.removeprefix(FLAT)
            if plain not in self.layout.arrays or name == "held":
                raise AttributeError(f"layout {self.layout.name!r} has no {name!r}")
            array = self.held[plain]
            # a record array, so that `nodes[0].layer` reads alike in Python and compiled
            shown = array.view(np.recarray) if array.dtype.names else array
            shown = shown if plain == name else array.reshape(-1)
            setattr(self, name, shown)
            return shown
        address = int(self._table[self.layout.places[name]])
        made = NativeStep(name, address, self._address, argument_kinds(kinds))
        setattr(self, name, made)
        return made

    @property
    def _numba_type_(self) -> Any:
        from regions.kernels.memory.layout_types import type_of

        return type_of(self.layout)

    def use(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take these arrays instead of those of the same names.

        Raises
        ------
        ValueError
            If one is not of the declared type and number of axes, or not C-contiguous.
        """
        self._bytes = -1
        for name, array in arrays.items():
            self.layout.check(name, array)
            at = self.layout.places[name]
            self._table[at] = array.__array_interface__["data"][0]
            self._table[at + 1 : at + 1 + array.ndim] = array.shape
            self.held[name] = array
            self.__dict__.pop(name, None)
            self.__dict__.pop(FLAT + name, None)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        if self._bytes < 0:
            self._bytes = sum(array.nbytes for array in self.held.values())
        return self._bytes

    def blueprint(self, shared: Collection[str]) -> Blueprint:
        """Describe the arrays of this memory, so that others like it can be made while it is in use.

        Parameters
        ----------
        shared : names of arrays that these are to have in common with it
        """
        own, total = {}, 0
        for name, array in self.held.items():
            if name not in shared:
                own[name] = (array.shape, array.dtype, total)
                total += -(-array.nbytes // LINE) * LINE
        bound = self.__dict__ if JIT_DISABLED else {}
        steps = {name: bound[name].func for name in self.layout.steps if name in bound}
        common = {name: self.held[name] for name in shared}
        return Blueprint(self.layout, self._table.copy(), common, own, total, steps)

    def bind(self, steps: Mapping[str, Any]) -> None:
        """Take these kernels as steps; each is compiled now, unless it is in the cache."""
        for name, kernel in steps.items():
            if JIT_DISABLED:
                setattr(self, name, partial(kernel, self))
            else:
                self.__dict__.pop(name, None)
                self._table[self.layout.places[name]] = address_of(kernel, self.layout, name)

    def clear(self) -> None:
        """Set all registers to 0."""
        self._table[: len(self.layout.counters) + len(self.layout.numbers)] = 0

    def registers(self) -> I64:
        """Return a copy of all registers, which `set_registers` takes back."""
        return self._table[: len(self.layout.counters) + len(self.layout.numbers)].copy()

    def set_registers(self, registers: I64) -> None:
        """Set all registers at once."""
        self._table[: registers.shape[0]] = registers


def _counter(at: int, meaning: str) -> property:
    def read(self: Memory) -> int:
        return int(self._table[at])

    def write(self: Memory, value: int) -> None:
        self._table[at] = value

    return property(read, write, doc=meaning)


def _number(at: int, meaning: str) -> property:
    def read(self: Memory) -> float:
        return float(self._numbers[at])

    def write(self: Memory, value: float) -> None:
        self._numbers[at] = value

    return property(read, write, doc=meaning)


@dataclass(frozen=True)
class Blueprint:
    """What memories of one kind have in common: steps, some arrays, and the shapes of the others."""

    layout: Layout
    table: I64
    shared: dict[str, NDArray[Any]]
    own: dict[str, tuple[tuple[int, ...], np.dtype[Any], int]]  # shape, dtype, first byte
    size: int
    steps: dict[str, Any]

    def make(self) -> Any:
        """Make a memory with arrays of its own that are 0, all in one piece: in a twentieth of the time."""
        made = _class_of(self.layout)()
        made._table[:] = self.table
        # pages that nobody has touched cost nothing, and are 0; a forked process has copies of its own
        piece = np.frombuffer(mmap(-1, max(self.size, 1), access=ACCESS_COPY), np.uint8)
        address = int(piece.__array_interface__["data"][0])
        for name, (_, _, first) in self.own.items():
            made._table[self.layout.places[name]] = address + first
        made.held = _Held(self, piece)
        made._bytes = self.size + sum(array.nbytes for array in self.shared.values())
        for name, kernel in self.steps.items():
            setattr(made, name, partial(kernel, made))
        return made


class _Held(dict[str, "NDArray[Any]"]):
    """The arrays of a memory that was made by a blueprint; one that Python never asks for is never made."""

    def __init__(self, blueprint: Blueprint, piece: NDArray[np.uint8]) -> None:
        super().__init__(blueprint.shared)
        self._blueprint, self._piece = blueprint, piece

    def __missing__(self, name: str) -> NDArray[Any]:
        shape, dtype, first = self._blueprint.own[name]
        self[name] = array = np.ndarray(shape, dtype, self._piece.data, first)
        return array

    def values(self) -> Any:
        """Return all arrays, also those that were not made so far."""
        for name in self._blueprint.own:
            self[name]
        return super().values()

    def items(self) -> Any:
        """Return all arrays with their names, also those that were not made so far."""
        self.values()
        return super().items()


_classes: dict[str, type[Memory]] = {}


def _class_of(layout: Layout) -> type[Memory]:
    if layout.name not in _classes:
        members: dict[str, Any] = {"layout": layout}
        for name, meaning in layout.counters.items():
            members[name] = _counter(layout.places[name], meaning)
        for name, meaning in layout.numbers.items():
            members[name] = _number(layout.places[name], meaning)
        _classes[layout.name] = type(layout.name, (Memory,), members)
    return _classes[layout.name]


def argument_kinds(declared: str) -> list[str]:
    """Return the types of a step's arguments, as its layout declares them."""
    return [kind.strip() for kind in declared.split(",")] if declared.strip() else []


_addresses: dict[tuple[Kernel, str, str], int] = {}


def address_of(kernel: Any, layout: Layout, name: str) -> int:
    """Return the address of a step's machine code; the first call compiles it, or loads it from its file."""
    key = (kernel, layout.name, name)
    if key not in _addresses:
        wanted = f"{layout.name}#{layout.digest:08x}({layout.steps[name]})"
        _addresses[key] = machine_code(kernel, wanted, partial(_signature, layout, name))
    return _addresses[key]


def _signature(layout: Layout, name: str) -> Any:
    from regions.kernels.memory.layout_types import step_signature

    return step_signature(layout, name)
