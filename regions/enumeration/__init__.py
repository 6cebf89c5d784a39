"""Enumerating and counting cells: two engines, by vertices and by linear programs, behind one door."""

from regions.enumeration.enumerate import CellCount, count_cells, enumerate_cells
from regions.enumeration.folder_listing import join_listing

__all__ = ["CellCount", "count_cells", "enumerate_cells", "join_listing"]
