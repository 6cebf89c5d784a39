"""Homology over the field of two elements: the reduction of a boundary matrix, column by column.

Faces are numbered in the order of a filtration. Whose faces they are is left to `spaces` and `filtrations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Reduced", "betti_numbers", "reduced"]


@dataclass(frozen=True)
class Reduced:
    """What a filtration does to homology.

    Attributes
    ----------
    pairs : list of pairs of int, the face that makes a class and the one that fills it
    unpaired : list of int, faces that make a class which nothing fills
    """

    pairs: list[tuple[int, int]]
    unpaired: list[int]


def reduced(below: Sequence[Sequence[int]], dimensions: Sequence[int]) -> Reduced:
    """Reduce the boundary matrix of a filtration.

    Parameters
    ----------
    below : for each face the faces of one dimension less that bound it, all of smaller numbers
    dimensions : of each face

    References
    ----------
    Chen and Kerber, Persistent homology computation with a twist, 2011: from the highest dimension down, so
    that a face that makes a class needs no reduction.

    Examples
    --------
    >>> circle = [(), (), (), (0, 1), (1, 2), (0, 2)]
    >>> reduced(circle, [0, 0, 0, 1, 1, 1])
    Reduced(pairs=[(1, 3), (2, 4)], unpaired=[0, 5])
    """
    filler: dict[int, int] = {}  # of the class that a face makes
    columns: dict[int, set[int]] = {}
    filling: set[int] = set()
    by_dimension: dict[int, list[int]] = {}
    for face, dimension in enumerate(dimensions):
        by_dimension.setdefault(dimension, []).append(face)
    for dimension in sorted(by_dimension, reverse=True):
        for face in by_dimension[dimension]:
            if face in filler:  # what makes a class bounds nothing
                continue
            column = set(below[face])
            while column:
                youngest = max(column)
                if youngest not in filler:
                    filler[youngest] = face
                    columns[youngest] = column
                    filling.add(face)
                    break
                column ^= columns[youngest]
    pairs = sorted(filler.items())
    return Reduced(pairs, [f for f in range(len(below)) if f not in filler and f not in filling])


def betti_numbers(levels: Sequence[Sequence[Sequence[int]]]) -> tuple[int, ...]:
    """Return the Betti numbers of a complex.

    Parameters
    ----------
    levels : by dimension, for each face the numbers of the faces of one dimension less that bound it

    Examples
    --------
    >>> betti_numbers([[(), (), ()], [(0, 1), (1, 2), (0, 2)]])
    (1, 1)
    """
    below: list[list[int]] = []
    dimensions: list[int] = []
    before = 0
    for dimension, faces in enumerate(levels):
        start = len(below)
        below += [[before + face for face in bounding] for bounding in faces]
        dimensions += [dimension] * len(faces)
        before = start
    left = [dimensions[face] for face in reduced(below, dimensions).unpaired]
    return tuple(left.count(dimension) for dimension in range(len(levels)))
