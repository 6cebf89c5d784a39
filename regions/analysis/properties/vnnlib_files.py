"""VNN-LIB 1.0 files: declared inputs and outputs, and assertions that join linear inequalities by and and or.

A file says what a counterexample is. It is read into a disjunction of cases, each a conjunction; numbers are
kept as the decimals that they are. What is made of them is left to `property_spec`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from regions.errors import InvalidInputError

__all__ = ["Inequality", "VnnlibFile", "parse_vnnlib", "read_vnnlib"]

MOST_CASES = 1 << 16  # of the disjunction that a file amounts to
_TOKEN = re.compile(r"\s*(?:;[^\n]*|([()])|([^\s();]+))")
_VARIABLE = re.compile(r"([XY])_(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LEFT_ALONE = ("set-logic", "set-info", "set-option", "check-sat", "get-model", "exit")


@dataclass(frozen=True)
class Inequality:
    """The sum of coefficient times variable is at most a bound.

    Attributes
    ----------
    terms : tuple of (kind, number, coefficient): kind "X" or "Y", coefficient a Fraction that is not 0
    bound : Fraction
    """

    terms: tuple[tuple[str, int, Fraction], ...]
    bound: Fraction


Conjunction = tuple[Inequality, ...]


@dataclass(frozen=True)
class VnnlibFile:
    """What a file says: how many inputs and outputs there are, and what a counterexample is.

    Attributes
    ----------
    inputs, outputs : int
    cases : tuple of conjunctions; a counterexample satisfies all inequalities of one of them
    """

    inputs: int
    outputs: int
    cases: tuple[Conjunction, ...]


def read_vnnlib(path: str | Path) -> VnnlibFile:
    """Read a VNN-LIB 1.0 file.

    Raises
    ------
    InvalidInputError
        If there is no such file, or it is none; the message names the file.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InvalidInputError(f"{path}: cannot read the property: {reason}") from error
    try:
        return parse_vnnlib(text)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def parse_vnnlib(text: str) -> VnnlibFile:
    """Read the text of a VNN-LIB 1.0 file.

    Parameters
    ----------
    text : str
        Commands `declare-const` of variables X_i (inputs) and Y_j (outputs), numbered from 0, and `assert` of
        formulas made of `and`, `or`, `<=` and `>=` over sums of variables with constant factors.

    Returns
    -------
    VnnlibFile

    Raises
    ------
    InvalidInputError
        If anything else is in it, a variable is not declared or missing, a product is not linear, or there
        would be more than 65,536 cases.

    Examples
    --------
    >>> found = parse_vnnlib('''
    ... (declare-const X_0 Real) (declare-const Y_0 Real)
    ... (assert (and (<= X_0 1.0) (>= X_0 -0.1))) (assert (or (<= Y_0 2) (>= Y_0 3)))''')
    >>> found.inputs, found.outputs, len(found.cases)
    (1, 1, 2)
    >>> found.cases[0][1]
    Inequality(terms=(('X', 0, Fraction(-1, 1)),), bound=Fraction(1, 10))
    """
    declared: set[tuple[str, int]] = set()
    cases: list[Conjunction] = [()]
    for command in _expressions(text):
        name = command[0] if isinstance(command, list) and command else command
        if name in ("declare-const", "declare-fun"):
            declared.add(_declared(command, declared))
        elif name == "assert":
            if len(command) != 2:
                raise InvalidInputError(f"{_shown(command)} must hold one formula")
            cases = _product(cases, _formula(command[1], declared))
        elif name not in _LEFT_ALONE:
            raise InvalidInputError(f"{_shown(command)} is no command of VNN-LIB 1.0 that is read here")
    counts = []
    for kind, what in (("X", "input"), ("Y", "output")):
        numbers = sorted(number for one, number in declared if one == kind)
        if not numbers:
            raise InvalidInputError(f"no {what} {kind}_0 is declared")
        if numbers != list(range(len(numbers))):
            raise InvalidInputError(f"the {what}s must be declared from {kind}_0 on without gaps")
        counts.append(len(numbers))
    return VnnlibFile(counts[0], counts[1], tuple(cases))


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Yield parentheses and words, with the number of the line that they are in."""
    line = 1
    for match in _TOKEN.finditer(text):
        word = match.group(1) or match.group(2)
        line += text.count("\n", match.start(), match.end())
        if word:
            yield word, line


def _expressions(text: str) -> list[Any]:
    """Return the s-expressions of a text: words, and lists of such."""
    stack: list[list[Any]] = [[]]
    opened: list[int] = []
    for word, line in _tokens(text):
        if word == "(":
            stack.append([])
            opened.append(line)
        elif word == ")":
            if len(stack) == 1:
                raise InvalidInputError(f"line {line}: a parenthesis is closed that was not opened")
            closed = stack.pop()
            opened.pop()
            stack[-1].append(closed)
        else:
            stack[-1].append(word)
    if opened:
        raise InvalidInputError(f"the parenthesis opened in line {opened[-1]} is not closed")
    return stack[0]


def _shown(expression: Any) -> str:
    """Return an expression as text, cut short."""
    text = expression if isinstance(expression, str) else "(" + " ".join(map(_shown, expression)) + ")"
    return text if len(text) <= 60 else text[:57] + "..."


def _declared(command: list[Any], before: set[tuple[str, int]]) -> tuple[str, int]:
    """Return the variable that a command declares."""
    is_plain = command[0] == "declare-const" and len(command) == 3
    is_function = command[0] == "declare-fun" and len(command) == 4 and command[2] == []
    if not (is_plain or is_function) or command[-1] != "Real" or not isinstance(command[1], str):
        raise InvalidInputError(f"{_shown(command)}: expected (declare-const X_0 Real)")
    match = _VARIABLE.fullmatch(command[1])
    if match is None:
        raise InvalidInputError(f"{_shown(command)}: inputs are X_0, X_1, ..., outputs Y_0, Y_1, ...")
    variable = match.group(1), int(match.group(2))
    if variable in before:
        raise InvalidInputError(f"{command[1]} is declared twice")
    return variable


def _formula(expression: Any, declared: set[tuple[str, int]]) -> list[Conjunction]:
    """Return the cases of a formula."""
    if not isinstance(expression, list) or not expression or not isinstance(expression[0], str):
        raise InvalidInputError(f"{_shown(expression)} is no formula")
    name, parts = expression[0], expression[1:]
    if name == "and":
        cases: list[Conjunction] = [()]
        for part in parts:
            cases = _product(cases, _formula(part, declared))
        return cases
    if name == "or":
        return _checked([case for part in parts for case in _formula(part, declared)])
    if name not in ("<=", ">="):
        raise InvalidInputError(f"{_shown(expression)}: formulas are made of and, or, <= and >=")
    if len(parts) != 2:
        raise InvalidInputError(f"{_shown(expression)} must compare two terms")
    left, right = (_linear(part, declared) for part in parts)
    if name == ">=":
        left, right = right, left
    terms = dict(left)
    for variable, factor in right.items():
        terms[variable] = terms.get(variable, Fraction(0)) - factor
    bound = -terms.pop(None, Fraction(0))
    kept = sorted((variable, factor) for variable, factor in terms.items() if variable and factor)
    return [(Inequality(tuple((kind, n, factor) for (kind, n), factor in kept), bound),)]


Linear = dict[tuple[str, int] | None, Fraction]  # None: the constant


def _linear(expression: Any, declared: set[tuple[str, int]]) -> Linear:
    """Return the coefficients of a term."""
    if isinstance(expression, str):
        match = _VARIABLE.fullmatch(expression)
        if match is not None:
            variable = match.group(1), int(match.group(2))
            if variable not in declared:
                raise InvalidInputError(f"{expression} is not declared")
            return {variable: Fraction(1)}
        if _NUMBER.fullmatch(expression) is None:
            raise InvalidInputError(f"{expression!r} is neither a number nor a variable")
        return {None: Fraction(expression)}
    if not expression or expression[0] not in ("+", "-", "*") or len(expression) < 2:
        raise InvalidInputError(f"{_shown(expression)}: terms are made of +, - and *")
    first, *others = (_linear(part, declared) for part in expression[1:])
    if expression[0] == "*":
        for other in others:
            constant, varying = (first, other) if set(first) <= {None} else (other, first)
            if not set(constant) <= {None}:
                raise InvalidInputError(f"{_shown(expression)} is not linear")
            first = {name: constant.get(None, Fraction(0)) * factor for name, factor in varying.items()}
        return first
    if expression[0] == "-" and not others:
        return {name: -factor for name, factor in first.items()}
    total, sign = dict(first), 1 if expression[0] == "+" else -1
    for other in others:
        for name, factor in other.items():
            total[name] = total.get(name, Fraction(0)) + sign * factor
    return total


def _product(first: list[Conjunction], second: list[Conjunction]) -> list[Conjunction]:
    """Return the cases of a conjunction of two disjunctions."""
    if len(first) * len(second) > MOST_CASES:
        raise InvalidInputError(f"the assertions amount to more than {MOST_CASES:,} cases")
    return [a + b for a in first for b in second]


def _checked(cases: list[Conjunction]) -> list[Conjunction]:
    if len(cases) > MOST_CASES:
        raise InvalidInputError(f"the assertions amount to more than {MOST_CASES:,} cases")
    return cases
