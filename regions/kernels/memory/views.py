"""The numba types behind `layouts`: a search's memory, its arrays and its records, as bare addresses.

numba's own arrays carry reference counts, strides and negative indices; in kernels that read one number
here and one there, that is most of the machine code. A view is an address and its lengths: everything is
contiguous, indices are not negative, no references are counted. `NUMBA_BOUNDSCHECK=1` checks the indices.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin, lower_getattr, lower_getattr_generic, lower_setattr_generic
from numba.core.typing.templates import (
    AbstractTemplate,
    AttributeTemplate,
    infer_getattr,
    infer_global,
    signature,
)
from numba.extending import models, register_model

from regions.kernels.memory.compiling import BOUNDS_CHECKED

WORD = ir.IntType(64)


class ViewType(types.Type):
    """A contiguous array that somebody else keeps alive; `fields` name the int64 fields of records."""

    def __init__(self, dtype: types.Type, axes: int, fields: tuple[str, ...] = ()) -> None:
        self.dtype, self.axes, self.fields = dtype, axes, fields
        super().__init__(name=f"view({dtype}, {axes}, {','.join(fields)})")


class RecordType(types.Type):
    """One record of a view, by its address."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        self.fields = fields
        super().__init__(name=f"record({','.join(fields)})")


@register_model(ViewType)
class _ViewModel(models.StructModel):
    def __init__(self, dmm, fe_type):  # type: ignore[no-untyped-def]
        members = [("data", types.CPointer(fe_type.dtype))]
        members += [(f"length{k}", types.int64) for k in range(fe_type.axes)]
        super().__init__(dmm, fe_type, members)


@register_model(RecordType)
class _RecordModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):  # type: ignore[no-untyped-def]
        super().__init__(dmm, fe_type, WORD.as_pointer())


def make_view(context, builder, typ, address, shape):  # type: ignore[no-untyped-def]
    """A view of the memory at an address (a word or a pointer), with these lengths."""
    view = cgutils.create_struct_proxy(typ)(context, builder)
    kind = view.data.type
    view.data = address if address.type == kind else builder.inttoptr(address, kind)
    for k, length in enumerate(shape):
        setattr(view, f"length{k}", length)
    return view._getvalue()


def _parts(context, builder, typ, value):  # type: ignore[no-untyped-def]
    view = cgutils.create_struct_proxy(typ)(context, builder, value=value)
    return view.data, [getattr(view, f"length{k}") for k in range(typ.axes)]


def _indices(index: types.Type) -> list[types.Type]:
    return list(index.types) if isinstance(index, types.BaseTuple) else [index]


def _is_slice(index: types.Type) -> bool:
    return isinstance(index, types.SliceType) and not index.has_step


def _item_type(view: ViewType, index: types.Type) -> types.Type | None:
    """What an index picks: a number or record, or a view where axes are left or the last index is a slice."""
    indices = _indices(index)
    if len(indices) > view.axes:
        return None
    *before, last = indices
    if not all(isinstance(one, types.Integer | types.IntEnumMember) for one in before):
        return None
    if _is_slice(last) and len(indices) == view.axes:
        return ViewType(view.dtype, 1, view.fields)
    if not isinstance(last, types.Integer | types.IntEnumMember):
        return None
    left = view.axes - len(indices)
    if left:
        return ViewType(view.dtype, left, view.fields)
    return RecordType(view.fields) if view.fields else view.dtype


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args, kws):  # type: ignore[no-untyped-def]
        if len(args) == 2 and isinstance(args[0], ViewType):
            item = _item_type(args[0], args[1])
            return signature(item, *args) if item is not None else None
        return None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args, kws):  # type: ignore[no-untyped-def]
        if len(args) == 3 and isinstance(args[0], ViewType):
            item = _item_type(args[0], args[1])
            if item is not None and not isinstance(item, ViewType):
                return signature(types.none, args[0], args[1], item)
        return None


def _place(context, builder, typ, value, index_type, index):  # type: ignore[no-untyped-def]
    """The address that indices lead to, the lengths of the axes left, and the bounds of a slice, if any."""
    data, lengths = _parts(context, builder, typ, value)
    kinds = _indices(index_type)
    numbers = cgutils.unpack_tuple(builder, index) if isinstance(index_type, types.BaseTuple) else [index]
    offset, bounds = None, None
    for axis, (kind, number) in enumerate(zip(kinds, numbers, strict=True)):
        if _is_slice(kind):
            part = cgutils.create_struct_proxy(kind)(context, builder, value=number)
            # an open end is stored as the largest integer
            stop = builder.select(
                builder.icmp_signed("<", part.stop, lengths[axis]), part.stop, lengths[axis]
            )
            number, bounds = part.start, builder.sub(stop, part.start)
        else:
            number = context.cast(builder, number, kind, types.int64)
            if BOUNDS_CHECKED:
                _check(context, builder, number, lengths[axis])
        scaled = builder.mul(offset, lengths[axis], flags=("nsw",)) if offset is not None else None
        offset = number if scaled is None else builder.add(scaled, number, flags=("nsw",))
    left = lengths[len(kinds) :]
    for length in left:
        offset = builder.mul(offset, length, flags=("nsw",))
    if typ.fields:
        offset = builder.mul(offset, WORD(len(typ.fields)), flags=("nsw",))
    return builder.gep(data, [offset], inbounds=True), left, bounds


def _check(context, builder, number, length):  # type: ignore[no-untyped-def]
    with cgutils.if_unlikely(builder, builder.icmp_unsigned(">=", number, length)):
        context.call_conv.return_user_exc(builder, IndexError, ("index is out of bounds",))


@lower_builtin(operator.getitem, ViewType, types.Any)
def _lower_getitem(context, builder, sig, args):  # type: ignore[no-untyped-def]
    place, left, bounds = _place(context, builder, sig.args[0], args[0], sig.args[1], args[1])
    if isinstance(sig.return_type, ViewType):
        return make_view(context, builder, sig.return_type, place, left if bounds is None else [bounds])
    if isinstance(sig.return_type, RecordType):
        return place
    stored = context.data_model_manager[sig.return_type]
    return stored.from_data(builder, builder.load(place))


@lower_builtin(operator.setitem, ViewType, types.Any, types.Any)
def _lower_setitem(context, builder, sig, args):  # type: ignore[no-untyped-def]
    place, _, _ = _place(context, builder, sig.args[0], args[0], sig.args[1], args[1])
    if isinstance(sig.args[2], RecordType):
        for k in range(len(sig.args[2].fields)):
            builder.store(builder.load(builder.gep(args[2], [WORD(k)])), builder.gep(place, [WORD(k)]))
    else:
        stored = context.data_model_manager[sig.args[2]]
        builder.store(stored.as_data(builder, args[2]), place)
    return context.get_dummy_value()


@infer_getattr
class _ViewAttributes(AttributeTemplate):
    key = ViewType

    def resolve_shape(self, typ):  # type: ignore[no-untyped-def]
        return types.UniTuple(types.int64, typ.axes)


@lower_getattr(ViewType, "shape")
def _lower_shape(context, builder, typ, value):  # type: ignore[no-untyped-def]
    _, lengths = _parts(context, builder, typ, value)
    return context.make_tuple(builder, types.UniTuple(types.int64, typ.axes), lengths)


@infer_getattr
class _RecordAttributes(AttributeTemplate):
    key = RecordType

    def generic_resolve(self, typ, attr):  # type: ignore[no-untyped-def]
        return types.int64 if attr in typ.fields else None


@lower_getattr_generic(RecordType)
def _lower_field(context, builder, typ, record, attr):  # type: ignore[no-untyped-def]
    return builder.load(builder.gep(record, [WORD(typ.fields.index(attr))]))


@lower_setattr_generic(RecordType)
def _lower_set_field(context, builder, sig, args, attr):  # type: ignore[no-untyped-def]
    record, value = args
    builder.store(value, builder.gep(record, [WORD(sig.args[0].fields.index(attr))]))


def invariant(builder: Any, place: Any) -> Any:
    """Load a word that does not change while a kernel runs, so that LLVM may take it out of loops."""
    word = builder.load(place)
    word.set_metadata("invariant.load", builder.module.add_metadata([]))
    return word
