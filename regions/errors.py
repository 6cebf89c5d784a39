"""The exceptions of the package: every failure that a user can act on is a `RegionsError`.

Leaves the wording to the place that raises: what came in, what was expected, what to do. For arguments
that are one of a few words there is one wording, here.
"""

from __future__ import annotations

from collections.abc import Iterable


class RegionsError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidNetworkError(RegionsError, ValueError):
    """The network cannot be used: shapes, non-finite weights, unsupported layers."""


class InvalidDomainError(RegionsError, ValueError):
    """The domain is empty, unbounded, degenerate or does not fit the network."""


class InvalidInputError(RegionsError, ValueError):
    """Any other argument or file that cannot be used."""


class SolverError(RegionsError, RuntimeError):
    """A numerical solver ended without a usable answer."""


class CertificateError(RegionsError, RuntimeError):
    """A result failed its own check; it must not be used."""


class BudgetExceededError(RegionsError, RuntimeError):
    """A stated budget of memory, capacity or time was hit."""


def check_choice(what: str, given: object, choices: Iterable[str]) -> None:
    """Raise InvalidInputError unless an argument is one of the words that it may be.

    Parameters
    ----------
    what : name of the argument
    given : its value
    choices : the words, such as `typing.get_args` of a Literal

    Examples
    --------
    >>> check_choice("kind", "bends", ("gradient", "activation"))
    Traceback (most recent call last):
    regions.errors.InvalidInputError: kind is 'bends'; choose 'gradient' or 'activation'
    """
    words = tuple(str(word) for word in choices)
    if not (isinstance(given, str) and given in words):
        shown = [repr(word) for word in words]
        listed = " or ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
        raise InvalidInputError(f"{what} is {given!r}; choose {listed}")
