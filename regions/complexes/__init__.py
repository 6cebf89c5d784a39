"""Cell complexes: what an enumeration found, as arrays, with its certificate; files.

Below the engines: the vertices of a cell, which are not stored, come through `CellGeometry`.
"""

from regions.complexes.cell import Cell
from regions.complexes.cell_complex import CellComplex
from regions.complexes.certificate import (
    Arithmetic,
    Certificate,
    Completeness,
    StoppedBy,
    Tolerances,
    check_arithmetic,
)
from regions.complexes.facet_table import FacetTable
from regions.complexes.stored_complex import StoredComplex

__all__ = [
    "Arithmetic",
    "Cell",
    "CellComplex",
    "Certificate",
    "Completeness",
    "FacetTable",
    "StoppedBy",
    "StoredComplex",
    "Tolerances",
    "check_arithmetic",
]
