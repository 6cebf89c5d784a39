"""What a caller chooses by a word or a number, as enums; this is where such a choice is checked."""

from __future__ import annotations

from enum import Enum

from regions.errors import InvalidInputError


class Norm(Enum):
    """A norm in which distances are measured; its value is the order, as in `numpy.linalg.norm`."""

    EUCLIDEAN = 2.0
    MAXIMUM = float("inf")

    @classmethod
    def of(cls, order: object) -> Norm:
        """Return the norm of an order, 2 or inf, or raise `InvalidInputError`.

        Examples
        --------
        >>> Norm.of(2), Norm.of(float("inf"))
        (<Norm.EUCLIDEAN: 2.0>, <Norm.MAXIMUM: inf>)
        """
        try:
            return cls(order)
        except ValueError:
            raise InvalidInputError(f"norm {order!r}; choose 2 or inf") from None

    @property
    def word(self) -> str:
        """The norm as it stands in files and on the command line: "2" or "inf"."""
        return f"{self.value:g}"
