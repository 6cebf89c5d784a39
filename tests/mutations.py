"""Damaged copies of files: bytes turned, numbers set to extremes, parts cut out, doubled or moved."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

EXTREMES = (
    b"\x00" * 8,
    b"\xff" * 8,
    b"\xff" * 7 + b"\x7f",
    b"\x80\x80\x80\x80\x10",
    b"\xff\xff\xff\x7f",
    b"9" * 12,
)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a copy with one to three changes."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(changed)))
        # headers are at the ends of files, and matter most
        if rng.random() < 0.5:
            place = int(min(rng.geometric(0.02), len(changed))) - 1
            place = place if rng.random() < 0.6 else len(changed) - 1 - place
        length = int(rng.integers(1, 40))
        match int(rng.integers(6)):
            case 0:
                changed[place] ^= 1 << int(rng.integers(8))
            case 1:
                changed[place] = int(rng.integers(256))
            case 2:
                extreme = EXTREMES[int(rng.integers(len(EXTREMES)))]
                changed[place : place + len(extreme)] = extreme
            case 3:
                del changed[place : place + length]
            case 4:
                changed[place:place] = changed[place : place + length]
            case 5:
                other = int(rng.integers(len(changed)))
                changed[place : place + length] = changed[other : other + length]
        if not changed:
            changed = bytearray(b"\x00")
    return bytes(changed)


def mutated_archive(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a copy of a zip file in which one entry is damaged, and its checksum is right."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(changed, "w") as copy:
        members = archive.infolist()
        damaged = int(rng.integers(len(members)))
        for k, member in enumerate(members):
            content = archive.read(member) or b"\x00"
            copy.writestr(member.filename, mutated(content, rng) if k == damaged else content)
    return changed.getvalue()


def mutated_message(message: Any, rng: np.random.Generator) -> None:
    """Change one to three fields of a protobuf message, in place, so that it can still be parsed."""
    for _ in range(rng.integers(1, 4)):
        fields = list(_fields(message))
        holder, field = fields[int(rng.integers(len(fields)))]
        value = getattr(holder, field.name)
        if field.is_repeated:
            k, other = (int(rng.integers(len(value))) for _ in range(2))
            match int(rng.integers(4)):
                case 0:
                    del value[k]
                case 1:
                    value.append(value[k])
                case 2 if field.type == field.TYPE_MESSAGE:
                    value[k].CopyFrom(value[other])
                case 2:
                    value[k] = value[other]
                case _ if field.type == field.TYPE_MESSAGE:
                    value[k].Clear()
                case _:
                    value[k] = _extreme(value[k], rng)
        elif field.type == field.TYPE_MESSAGE or field.type == field.TYPE_ENUM or rng.random() < 0.3:
            holder.ClearField(field.name)
        else:
            setattr(holder, field.name, _extreme(value, rng))


def _fields(message: Any) -> Iterator[tuple[Any, Any]]:
    """Every field that is set, with the message that has it."""
    for field, value in message.ListFields():
        yield message, field
        if field.type == field.TYPE_MESSAGE:
            for part in value if field.is_repeated else [value]:
                yield from _fields(part)


def _extreme(value: Any, rng: np.random.Generator) -> Any:
    match value:
        case bool():
            return not value
        case int():
            choices = (0, 1, -1, 2, 3, 7, value + 1, value - 1, 2**31 - 1, -(2**31), 10**6)
            return choices[int(rng.integers(len(choices)))]
        case float():
            choices = (0.0, -1.0, 1e300, float("nan"), float("inf"), 5e-324)
            return choices[int(rng.integers(len(choices)))]
        case bytes():
            return value[: int(rng.integers(len(value) + 1))] or b"\xff"
        case _:
            return ("", "x", "y", "a", value + value)[int(rng.integers(5))]
