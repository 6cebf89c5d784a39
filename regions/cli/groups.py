"""Commands whose options come in groups: one parameter, a dataclass, stands for an option of each field.

So the options that several commands share are declared once. What the groups are is left to `options`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints

__all__ = ["grouped"]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Give typer a command with one option for each field of its dataclass parameters.

    Parameters
    ----------
    command : function; a parameter whose type is a dataclass (of options, or again of dataclasses) is a group

    Returns
    -------
    function
        It takes the options by name, gathers the groups and calls the command.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Size:
    ...     width: int
    ...     height: int = 1
    >>> def area(size: Size, unit: str = "m2") -> None:
    ...     print(size.width * size.height, unit)
    >>> inspect.signature(grouped(area))
    <Signature (*, width: int, height: int = 1, unit: str = 'm2')>
    >>> grouped(area)(width=2, height=3, unit="cm2")
    6 cm2
    """
    own = inspect.signature(command, eval_str=True).parameters

    def spread(**words: Any) -> None:
        command(**{name: _gathered(name, one.annotation, words) for name, one in own.items()})

    parts = [part for name, one in own.items() for part in _parts(name, one.annotation, one.default)]
    spread.__name__, spread.__doc__, spread.__module__ = command.__name__, command.__doc__, command.__module__
    spread.__annotations__ = {part.name: part.annotation for part in parts}
    spread.__signature__ = inspect.Signature(parts)  # type: ignore[attr-defined]
    return spread


def _parts(name: str, annotation: Any, default: Any) -> Iterator[inspect.Parameter]:
    """Return the options of one parameter: itself, or those of its fields."""
    if not _is_group(annotation):
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        return
    hints = get_type_hints(annotation, include_extras=True)
    for field in fields(annotation):
        given = inspect.Parameter.empty if field.default is MISSING else field.default
        yield from _parts(field.name, hints[field.name], given)


def _gathered(name: str, annotation: Any, words: dict[str, Any]) -> Any:
    """Return the value of one parameter, made of the words for its fields if it is a group."""
    if not _is_group(annotation):
        return words[name]
    hints = get_type_hints(annotation, include_extras=True)
    return annotation(**{one.name: _gathered(one.name, hints[one.name], words) for one in fields(annotation)})


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and is_dataclass(annotation)
