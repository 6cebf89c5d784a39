"""Cell complexes: what an enumeration found, as arrays, with its certificate; files."""

from regions.complexes.cell_complex import CellComplex, Certificate, Completeness

__all__ = ["CellComplex", "Certificate", "Completeness"]
