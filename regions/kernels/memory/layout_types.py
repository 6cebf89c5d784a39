"""The numba types of layouts: how kernels read and write the memory of a search, and call its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin, lower_getattr_generic, lower_setattr_generic
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, signature
from numba.extending import NativeValue, models, register_model, unbox
from numba.np.numpy_support import from_dtype

from regions.kernels.memory.compiling import BOUNDS_CHECKED
from regions.kernels.memory.layouts import FLAT, Array, Layout, argument_kinds
from regions.kernels.memory.views import WORD, ViewType, invariant, make_view


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
_NUMBERS = {"int": types.int64, "float": types.float64, "bool": types.boolean}


def type_of(layout: Layout) -> MemoryType:
    """The numba type of a layout's memories."""
    if layout.name not in _types:
        _types[layout.name] = MemoryType(layout)
        for name in layout.steps:
            lower_builtin((layout.name, name), MemoryType, types.VarArg(types.Any))(_lower_step(layout, name))
    return _types[layout.name]


def step_signature(layout: Layout, name: str) -> Any:
    """The numba signature of a step."""
    arguments = [getattr(types, kind) for kind in argument_kinds(layout.steps[name])]
    return signature(types.int64, type_of(layout), *arguments)


def entry_signature(kinds: Sequence[Any], results: Sequence[str], several: bool) -> Any:
    """The numba signature of a kernel that Python calls (see `entries`).

    Parameters
    ----------
    kinds : types of the arguments: Python's, a memory's, (dtype, axes), or (named tuple, kinds of its fields)
    results : names of the types that it returns
    several : bool, whether these are a tuple
    """
    found = [_NUMBERS[name] for name in results]
    result = types.BaseTuple.from_types(found) if several else found[0] if found else types.none
    return signature(result, *map(_entry_type, kinds))


def _entry_type(kind: Any) -> types.Type:
    if isinstance(kind, type):
        return _NUMBERS.get(kind.__name__) or type_of(kind.layout)  # type: ignore[attr-defined]
    first, *rest = kind
    if isinstance(first, str):
        return ViewType(from_dtype(np.dtype(first)), rest[0])
    return types.BaseTuple.from_types([_entry_type(one) for one in rest], first)


def compile_for(kernel: Any, wanted: Any) -> tuple[Any, int]:
    """Compile a kernel for a signature; returns what numba made of it, and the address of its code."""
    dispatcher = kernel.dispatcher
    if wanted.args not in dispatcher.overloads:
        dispatcher.compile(wanted)
    compiled = dispatcher.overloads[wanted.args]
    return compiled, int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


@register_model(MemoryType)
class _MemoryModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):  # type: ignore[no-untyped-def]
        super().__init__(dmm, fe_type, WORD.as_pointer())


def _type_of_name(name: str) -> types.Type:
    """The type of a declared layout, or one that equals none of them."""
    return next((known for known in _types.values() if known.name == name), types.Opaque(name))


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
    if flat and not BOUNDS_CHECKED:
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
