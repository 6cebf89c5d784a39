"""What a property is: sets of inputs, and for each the outputs that none of its points may have.

Read from VNN-LIB files, or made from a domain and lists of halfspaces. Whether it holds is left to
`property_check`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.properties.vnnlib_files import Conjunction, Inequality, read_vnnlib
from regions.domain import Box, Domain, Polytope
from regions.errors import InvalidDomainError, InvalidInputError
from regions.network.relu_network import Network
from regions.showing import Shown

FloatArray = NDArray[np.float64]


class OutputPolytope(NamedTuple):
    """The outputs y with A @ y <= b.

    Attributes
    ----------
    A : (k, out) float64
    b : (k,) float64
    """

    A: FloatArray
    b: FloatArray


class Case(NamedTuple):
    """A set of inputs, and the sets of outputs that none of its points may have."""

    domain: Domain
    unsafe: tuple[OutputPolytope, ...]


@dataclass(frozen=True, eq=False)
class Property(Shown):
    """No point of a domain has an output in one of some polytopes; several domains, each with its own.

    Parameters
    ----------
    cases : sequence of (domain, unsafe)
        `unsafe` is a sequence of pairs (A, b): the outputs y with A @ y <= b must not be reached.
    name : str, for reports

    Raises
    ------
    InvalidInputError
        If there is no case or no output polytope, or arrays do not fit.

    Examples
    --------
    >>> from regions import Box
    >>> low = Property([(Box([0.0], [1.0]), [([[1.0, 0.0]], [0.0]), ([[0.0, 1.0]], [0.0])])], "y > 0")
    >>> len(low.cases[0].unsafe), low.cases[0].unsafe[1].A.tolist()
    (2, [[0.0, 1.0]])
    """

    cases: tuple[Case, ...]
    name: str = ""

    def __init__(
        self,
        cases: Iterable[tuple[Domain, Sequence[tuple[ArrayLike, ArrayLike]]]],
        name: str = "",
    ) -> None:
        checked = []
        for domain, unsafe in cases:
            if not isinstance(domain, Domain) or not domain.is_bounded:
                raise InvalidInputError(
                    f"a case of a property needs a bounded domain and got a {type(domain).__name__}"
                )
            checked.append(Case(domain, tuple(output_polytope(*pair) for pair in unsafe)))
            if not checked[-1].unsafe:
                raise InvalidInputError("a case of a property needs a set (A, b) of unsafe outputs")
        object.__setattr__(self, "cases", tuple(checked))
        object.__setattr__(self, "name", name)

    @classmethod
    def load(cls, path: str | os.PathLike[str], network: Network) -> Property:
        """Read a property from a VNN-LIB 1.0 file.

        Parameters
        ----------
        path : path of the file
        network : Network, whose inputs and outputs the file must declare

        Returns
        -------
        Property
            A case for each set of inputs. Decimals are rounded to the nearest float64: the property is about
            these floats. A disjunct whose inputs are empty is left out; there may be no case left.

        Raises
        ------
        InvalidInputError
            If the file is missing or none of VNN-LIB 1.0, an inequality mixes inputs and outputs, or an input
            has no bounds.
        InvalidDomainError
            If a set of inputs is a single point or flat but for fixed inputs.
        """
        found = read_vnnlib(Path(path))
        if (found.inputs, found.outputs) != (network.input_dim, network.output_dim):
            raise InvalidInputError(
                f"{path}: the property has {found.inputs} inputs and {found.outputs} outputs, the network "
                f"{network.input_dim} and {network.output_dim}"
            )
        grouped: dict[frozenset[Inequality], list[OutputPolytope]] = {}
        try:
            for conjunction in found.cases:
                where, what = _split(conjunction)
                if not any(not one.terms and one.bound < 0 for one in conjunction):
                    grouped.setdefault(where, []).append(_polytope(what, found.outputs))
            domains = ((_inputs(where, found.inputs), unsafe) for where, unsafe in grouped.items())
            cases = [(domain, unsafe) for domain, unsafe in domains if domain is not None]
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error}") from error
        except InvalidDomainError as error:
            raise InvalidDomainError(f"{path}: the inputs: {error}") from error
        return cls(cases, Path(path).name)

    def check(self, network: Network) -> None:
        """Raise an error unless the domains and the outputs are those of a network."""
        for domain, unsafe in self.cases:
            if domain.input_dim != network.input_dim:
                raise InvalidDomainError(
                    f"the property is in {domain.input_dim} input dimensions, the network takes "
                    f"{network.input_dim}"
                )
            for A, _ in unsafe:
                if A.shape[1] != network.output_dim:
                    raise InvalidInputError(
                        f"the property is about {A.shape[1]} outputs, the network has {network.output_dim}"
                    )


def output_polytope(A: ArrayLike, b: ArrayLike) -> OutputPolytope:
    """Return halfspaces of outputs as arrays, checked.

    Raises
    ------
    InvalidInputError
        If shapes do not fit, or a number is not finite.

    Examples
    --------
    >>> output_polytope([1.0, -1.0], 0.0).A.shape  # one row
    (1, 2)
    """
    try:
        rows, bounds = np.atleast_2d(np.array(A, np.float64)), np.atleast_1d(np.array(b, np.float64))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"unsafe outputs (A, b) must be arrays of numbers: {error}") from None
    if rows.ndim != 2 or bounds.shape != rows.shape[:1] or rows.size == 0:
        raise InvalidInputError(
            f"unsafe outputs: A has shape {rows.shape} and b {bounds.shape}; they must be (k, out) and (k,)"
        )
    if not (np.isfinite(rows).all() and np.isfinite(bounds).all()):
        raise InvalidInputError("unsafe outputs (A, b) hold NaN or infinity; every number must be finite")
    rows.setflags(write=False)
    bounds.setflags(write=False)
    return OutputPolytope(rows, bounds)


def _split(conjunction: Conjunction) -> tuple[frozenset[Inequality], list[Inequality]]:
    """Return the inequalities of inputs, and those of outputs; without those of neither."""
    where, what = set(), []
    for one in conjunction:
        kinds = {kind for kind, _, _ in one.terms}
        if len(kinds) == 2:
            raise InvalidInputError("an inequality mixes inputs and outputs, which is not read here")
        if kinds == {"X"}:
            where.add(one)
        elif kinds:
            what.append(one)
    return frozenset(where), what


def _row(one: Inequality, size: int) -> tuple[FloatArray, float]:
    row = np.zeros(size)
    for _, number, factor in one.terms:
        row[number] = float(factor)
    return row, float(one.bound)


def _polytope(what: list[Inequality], outputs: int) -> OutputPolytope:
    """Return the outputs of a conjunction; all outputs where nothing is said of them."""
    if not what:
        return output_polytope(np.zeros((1, outputs)), np.zeros(1))
    rows, bounds = zip(*(_row(one, outputs) for one in what), strict=True)
    return output_polytope(np.array(rows), np.array(bounds))


def _inputs(where: frozenset[Inequality], inputs: int) -> Domain | None:
    """Return the set of inputs of a conjunction, None if it is empty: a box, or a polytope in one."""
    lows: list[Fraction | None] = [None] * inputs
    highs: list[Fraction | None] = [None] * inputs
    others = []
    for one in where:
        if len(one.terms) > 1:
            others.append(one)
            continue
        _, number, factor = one.terms[0]
        bound = one.bound / factor
        if factor > 0:
            known = highs[number]
            highs[number] = bound if known is None else min(known, bound)
        else:
            known = lows[number]
            lows[number] = bound if known is None else max(known, bound)
    low, high = [], []
    for number, (least, most) in enumerate(zip(lows, highs, strict=True)):
        if least is None or most is None:
            missing = "lower" if least is None else "upper"
            raise InvalidInputError(f"input X_{number} has no {missing} bound in some case")
        if least > most:
            return None
        low.append(float(least))
        high.append(float(most))
    if not others:
        return Box(low, high)
    rows, bounds = zip(*(_row(one, inputs) for one in others), strict=True)
    eye = np.eye(inputs)
    return Polytope(np.vstack([eye, -eye, rows]), np.concatenate([high, np.negative(low), bounds]))
