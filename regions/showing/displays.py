"""What every public object shows: a repr of a few lines, a table in a notebook, a dictionary of plain values.

A class says what matters by `_headline` and `_facts`; those that say nothing show their fields. Nothing here
knows any class.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import numpy as np

__all__ = ["MOST_COLUMNS", "MOST_LINES", "Shown", "plain", "shortened"]

MOST_LINES, MOST_COLUMNS = 10, 100  # of a repr
MOST_ROWS = 40  # of a table in a notebook
_VALUE_COLUMNS = 120  # of one value in such a table
_FEW = 6  # numbers of an array that are written out

_BOX = "display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start"
_TABLE = "border-collapse:collapse;font-size:90%"
_CELL = "text-align:left;vertical-align:top;padding:0.1em 0.9em 0.1em 0"


class Shown:
    """What public objects share: `repr`, `_repr_html_` and `to_dict`, made of what their class says.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Sums(Shown):
    ...     total: float
    ...     parts: np.ndarray
    >>> Sums(1.5, np.array([0.5, 1.0]))
    Sums(total=1.5, parts=[0.5, 1.0])
    >>> Sums(1.5, np.linspace(0.0, 1.0, 1000))
    Sums(total=1.5, parts=float64 (1000,), 0 to 1)
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__repr__" not in vars(cls):  # a dataclass would make one, which writes every number
            cls.__repr__ = _inherited_repr(cls)  # type: ignore[method-assign]

    def _headline(self) -> str:
        """Return what stands behind the name of the class, in one line; "" to show the fields instead."""
        describe = getattr(self, "describe", None)
        return str(describe()) if callable(describe) else ""

    def _facts(self) -> Mapping[str, Any]:
        """Return what matters, by names, in the order of the table."""
        return _fields_of(self)

    def _notes(self) -> Mapping[str, Any]:
        """Return which of the facts stand in the repr below the headline."""
        return {} if self._headline() else self._facts()

    def _picture(self) -> str:
        """Return a small picture as SVG, or nothing."""
        return ""

    def __repr__(self) -> str:
        name, headline, notes = type(self).__name__, self._headline(), self._notes()
        if not headline:
            line = f"{name}({', '.join(f'{key}={shortened(value)}' for key, value in notes.items())})"
            if len(line) <= MOST_COLUMNS and "\n" not in line:
                return line
        return _block(_titled(name, headline), notes)

    def _repr_html_(self) -> str:
        title = _titled(type(self).__name__, self._headline())
        return _table(title, self._facts(), self._picture())

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings, lists and dictionaries, ready for JSON."""
        return {name: plain(value) for name, value in _fields_of(self).items()}


def _inherited_repr(cls: type[Shown]) -> Callable[[Shown], str]:
    """Return the repr that a class has from its bases."""
    inherited: Callable[[Shown], str] = super(cls, cls).__repr__  # type: ignore[assignment]
    return inherited


def _fields_of(value: Any) -> dict[str, Any]:
    if not is_dataclass(value):
        return {name: part for name, part in vars(value).items() if not name.startswith("_")}
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _titled(name: str, headline: str) -> str:
    """Return the name of a class and what stands behind it, which may begin with the name.

    Examples
    --------
    >>> _titled("Box", "Box [0, 1]"), _titled("Network", "network: 2 -> 3"), _titled("Certificate", "")
    ('Box [0, 1]', 'Network: 2 -> 3', 'Certificate')
    """
    if headline.lower().startswith(name.lower()):
        return name + headline[len(name) :]
    return f"{name}: {headline}" if headline else name


def _block(title: str, notes: Mapping[str, Any]) -> str:
    """Return a title and one line for each fact, in angle brackets."""
    said = {name: value for name, value in notes.items() if not (isinstance(value, str) and not value)}
    width = max(map(len, said), default=0)
    lines = [f"<{title}", *(f"  {name:<{width}}  {_bare(value)}" for name, value in said.items())]
    if len(lines) > MOST_LINES:
        left = len(lines) - MOST_LINES + 1
        lines = [*lines[: MOST_LINES - 1], f"  ... and {left} more: see to_dict()"]
    return "\n".join(_cut(line, MOST_COLUMNS - 1) for line in lines) + ">"


def _bare(value: Any) -> str:
    """Return a value in a few words, words themselves without quotes."""
    return " ".join(value.split()) if isinstance(value, str) else shortened(value)


def shortened(value: Any) -> str:
    """Return a value in a few words: arrays by type, shape and range, long fractions rounded.

    Examples
    --------
    >>> shortened(np.arange(3)), shortened(np.linspace(-1.0, 1.0, 50)), shortened("a" * 100)[-9:]
    ('[0, 1, 2]', 'float64 (50,), -1 to 1', "aaaa...'")
    """
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, Shown):
        return _cut(" ".join(repr(value).split()), _VALUE_COLUMNS)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return repr(_cut(" ".join(value.split()), _VALUE_COLUMNS - 2))
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, Fraction):
        return str(value) if len(str(value)) <= 2 * _FEW else f"about {float(value)!r}"
    if isinstance(value, Mapping):
        parts = [f"{key}: {shortened(part)}" for key, part in _first(value.items())]
        return _several(parts, len(value), "{}")
    if isinstance(value, tuple | list):
        return _several([shortened(part) for part in _first(value)], len(value), "[]")
    return _cut(" ".join(repr(value).split()), _VALUE_COLUMNS)


def _first(values: Iterable[Any]) -> list[Any]:
    return [value for _, value in zip(range(_FEW), values, strict=False)]


def _several(parts: list[str], n: int, brackets: str) -> str:
    rest = f", ... {n:,} in all" if n > len(parts) else ""
    return _cut(f"{brackets[0]}{', '.join(parts)}{rest}{brackets[1]}", _VALUE_COLUMNS)


def _array(values: np.ndarray[Any, Any]) -> str:
    """Return a short array itself, of a longer one what it is."""
    if values.ndim <= 1 and values.size <= _FEW:
        return str(values.tolist())
    text = f"{values.dtype} {values.shape}"
    if values.size == 0 or values.dtype.kind not in "iuf":
        return text
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if known.size == 0:
        return text
    return f"{text}, {known.min():.6g} to {known.max():.6g}"


def _cut(text: str, columns: int) -> str:
    """Return a text of at most so many columns.

    Examples
    --------
    >>> _cut("abcdefgh", 6), _cut("abc", 6)
    ('abc...', 'abc')
    """
    return text if len(text) <= columns else f"{text[: columns - 3]}..."


def _table(title: str, facts: Mapping[str, Any], picture: str) -> str:
    """Return a table of two columns as HTML, with a picture beside it; everything in it is escaped."""
    shown = list(facts.items())
    rows = [_row(name, value) for name, value in shown[:MOST_ROWS]]
    if len(shown) > MOST_ROWS:
        rows.append(_row("...", f"{len(shown) - MOST_ROWS} more in to_dict()"))
    caption = f'<caption style="{_CELL};caption-side:top"><b>{_escaped(title)}</b></caption>'
    table = f'<table style="{_TABLE}">{caption}<tbody>{"".join(rows)}</tbody></table>'
    return f'<div style="{_BOX}">{table}{picture}</div>'


def _row(name: str, value: Any) -> str:
    if isinstance(value, str):  # words stand there as they are, over several lines where need be
        text = _escaped(_cut(value, 20 * _VALUE_COLUMNS)).replace("\n", "<br/>")
    else:
        text = _escaped(shortened(value))
    return f'<tr><th style="{_CELL}">{_escaped(name)}</th><td style="{_CELL}">{text}</td></tr>'


def _escaped(text: str) -> str:
    """Return a text as it stands in HTML; as `html.escape`, without the import of its table of entities."""
    for sign, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("'", "#x27")):
        text = text.replace(sign, f"&{name};")
    return text


def plain(value: Any) -> Any:
    """Return a value as numbers, strings, lists and dictionaries; what JSON lacks becomes None.

    Examples
    --------
    >>> plain({"a": np.array([1.0, math.inf]), 3: (np.int64(2), None)})
    {'a': [1.0, None], '3': [2, None]}
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else None
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        return [plain(part) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(part) for name, part in _fields_of(value).items()}
    return str(value) if isinstance(value, PurePath) else shortened(value)
