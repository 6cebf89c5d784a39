"""The exceptions of the package: every failure that a user can act on is a `RegionsError`.

Leaves the wording to the place that raises: what came in, what was expected, what to do.
"""


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
