"""Layouts: every array and register of a search, declared once; kernels read them as attributes.

A `Layout` names what a search holds. `layout.make(arrays)` gives one object whose attributes are plain
numpy arrays and numbers; a compiled kernel gets the same object as one pointer, and `search.points[0, v]`
loads the array's address from it. So a kernel takes one argument, and reads alike in Python and compiled.
`compiling` decides what is compiled, and when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from zlib import crc32

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, types
from numba.core import cgutils
from numba.core.imputils import lower_builtin, lower_getattr_generic, lower_setattr_generic
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, signature
from numba.core.typing.typeof import typeof_impl
from numba.extending import NativeValue, models, register_model, unbox
from numba.np.numpy_support import from_dtype
from numpy.typing import DTypeLike, NDArray

from regions.kernels.memory.views import WORD, ViewType, invariant, make_view

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
U64: TypeAlias = NDArray[np.uint64]

WORDS_PER_ARRAY = 4  # address, and up to three lengths
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


def ints(axes: str, meaning: str) -> Array:
    """Declare an array of int64."""
    return _array(axes, np.int64, meaning)


def words(axes: str, meaning: str) -> Array:
    """Declare an array of uint64: bit sets, keys."""
    return _array(axes, np.uint64, meaning)


def records(axes: str, fields: Iterable[str], meaning: str) -> Array:
    """Declare an array of records with int64 fields, which kernels read as `search.nodes[top].layer`."""
    return _array(axes, np.dtype([(name, np.int64) for name in fields], align=True), meaning)


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
    steps : dict, name -> numba types of the arguments behind the search; steps return int64
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
        for name in self.steps:
            lower_builtin((self.name, name), MemoryType, types.VarArg(types.Any))(_lower_step(self, name))

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
        self.held: dict[str, NDArray[Any]] = {}

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    def use(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take these arrays instead of those of the same names.

        Raises
        ------
        ValueError
            If one is not of the declared type and number of axes, or not C-contiguous.
        """
        for name, array in arrays.items():
            self.layout.check(name, array)
            at = self.layout.places[name]
            self._table[at] = array.__array_interface__["data"][0]
            self._table[at + 1 : at + 1 + array.ndim] = array.shape
            # a record array, so that `nodes[0].layer` reads alike in Python and compiled
            self.held[name] = array
            shown = array.view(np.recarray) if array.dtype.names else array
            setattr(self, name, shown)
            if config.DISABLE_JIT and not array.dtype.names:
                setattr(self, FLAT + name, array.reshape(-1))

    def bind(self, steps: Mapping[str, Any]) -> None:
        """Take these kernels as steps; each is compiled now, unless it is in the cache."""
        for name, kernel in steps.items():
            if config.DISABLE_JIT:
                setattr(self, name, partial(kernel, self))
            else:
                self._table[self.layout.places[name]] = address_of(kernel, self.layout, name)

    def clear(self) -> None:
        """Set all registers to 0."""
        self._table[: len(self.layout.counters) + len(self.layout.numbers)] = 0


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


class MemoryType(types.Type):
    """The numba type of a search's memory: a pointer to its table."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        super().__init__(name=f"{layout.name}#{layout.digest:08x}")

    def __reduce__(self) -> Any:
        # numba's cache lists the signatures of a kernel; those of layouts that this process, or this
        # version, does not have must be readable too
        return _type_of_name, (self.name,)


_types: dict[str, MemoryType] = {}


def type_of(layout: Layout) -> MemoryType:
    """The numba type of a layout's memories."""
    if layout.name not in _types:
        _types[layout.name] = MemoryType(layout)
    return _types[layout.name]


def step_signature(layout: Layout, name: str) -> Any:
    """The numba signature of a step."""
    arguments = [getattr(types, kind.strip()) for kind in layout.steps[name].split(",")]
    return signature(types.int64, type_of(layout), *arguments)


def address_of(kernel: Any, layout: Layout, name: str) -> int:
    """Return the address of a step's machine code; the first call compiles it, or loads it from the cache."""
    wanted = step_signature(layout, name)
    compiled = kernel.overloads.get(wanted.args)
    if compiled is None:
        kernel.compile(wanted)
        compiled = kernel.overloads[wanted.args]
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


@register_model(MemoryType)
class _MemoryModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):  # type: ignore[no-untyped-def]
        super().__init__(dmm, fe_type, WORD.as_pointer())


def _type_of_name(name: str) -> types.Type:
    """The type of a declared layout, or one that equals none of them."""
    return next((known for known in _types.values() if known.name == name), types.Opaque(name))


@typeof_impl.register(Memory)
def _typeof_memory(value, context):  # type: ignore[no-untyped-def]
    return type_of(value.layout)


@unbox(MemoryType)
def _unbox_memory(typ, obj, c):  # type: ignore[no-untyped-def]
    number = c.pyapi.object_getattr_string(obj, "_address")
    address = c.pyapi.long_as_longlong(number)
    c.pyapi.decref(number)
    error = cgutils.is_not_null(c.builder, c.pyapi.err_occurred())
    return NativeValue(c.builder.inttoptr(address, WORD.as_pointer()), is_error=error)


@infer_getattr
class _MemoryAttributes(AttributeTemplate):
    key = MemoryType

    def generic_resolve(self, typ, attr):  # type: ignore[no-untyped-def]
        layout = typ.layout
        if attr in layout.counters:
            return types.int64
        if attr in layout.numbers:
            return types.float64
        if attr in layout.steps:
            return types.BoundFunction(_step_template(layout, attr), typ)
        flat = attr.startswith(FLAT)
        array = layout.arrays.get(attr.removeprefix(FLAT))
        if array is None:
            return None
        return _view_type(array, flat)


def _view_type(array: Array, flat: bool) -> types.Type:
    """The numba type of an attribute; a flat one is a bare pointer, or checked where indices are."""
    fields = array.dtype.names or ()
    kind = types.int64 if fields else from_dtype(array.dtype)
    if flat and not config.BOUNDSCHECK:
        return types.CPointer(kind)
    return ViewType(kind, 1 if flat else len(array.axes), fields)


@lower_getattr_generic(MemoryType)
def _lower_read(context, builder, typ, table, attr):  # type: ignore[no-untyped-def]
    layout = typ.layout
    if attr in layout.counters or attr in layout.numbers:
        return builder.load(_register(builder, layout, table, attr))
    flat = attr.startswith(FLAT)
    name = attr.removeprefix(FLAT)
    typ = _view_type(layout.arrays[name], flat)
    at = layout.places[name]
    address = invariant(builder, _place(builder, table, at))
    if isinstance(typ, types.CPointer):
        return builder.inttoptr(address, context.get_value_type(typ))
    axes = len(layout.arrays[name].axes)
    shape = [invariant(builder, _place(builder, table, at + 1 + k)) for k in range(axes)]
    return make_view(context, builder, typ, address, [_product(builder, shape)] if flat else shape)


@lower_setattr_generic(MemoryType)
def _lower_write(context, builder, sig, args, attr):  # type: ignore[no-untyped-def]
    table, value = args
    builder.store(value, _register(builder, sig.args[0].layout, table, attr))


def _place(builder, table, at):  # type: ignore[no-untyped-def]
    return builder.gep(table, [ir.Constant(WORD, at)])


def _register(builder, layout, table, name):  # type: ignore[no-untyped-def]
    place = _place(builder, table, layout.places[name])
    return place if name in layout.counters else builder.bitcast(place, ir.DoubleType().as_pointer())


def _product(builder, factors):  # type: ignore[no-untyped-def]
    total = factors[0]
    for factor in factors[1:]:
        total = builder.mul(total, factor)
    return total


def _step_template(layout, name):  # type: ignore[no-untyped-def]
    wanted = step_signature(layout, name)

    class StepTemplate(AbstractTemplate):
        key = (layout.name, name)

        def generic(self, args, kws):  # type: ignore[no-untyped-def]
            if kws or len(args) != len(wanted.args) - 1:
                return None
            return signature(types.int64, *wanted.args[1:], recvr=self.this)

    return StepTemplate


def _lower_step(layout, name):  # type: ignore[no-untyped-def]
    def call(context, builder, sig, args):  # type: ignore[no-untyped-def]
        wanted = step_signature(layout, name)
        kind = context.call_conv.get_function_type(wanted.return_type, wanted.args)
        word = invariant(builder, _place(builder, args[0], layout.places[name]))
        function = builder.inttoptr(word, kind.as_pointer())
        status, result = context.call_conv.call_function(
            builder, function, wanted.return_type, wanted.args, args
        )
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return result

    return call
