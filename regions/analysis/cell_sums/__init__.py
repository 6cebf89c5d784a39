"""Exact sums over the cells of a network: local rank, total variation, gradients, goodness of units.

`jacobians` has the Jacobians of many cells at once, `simplex_pieces` the cells cut into simplices and their
masses; `sums` puts them together. Sums over facets are left to `locus`, averages over bias noise to
`validation` and `inequalities`.
"""

from regions.analysis.cell_sums.simplex_pieces import cell_masses
from regions.analysis.cell_sums.sums import CellSums, GradientTail, gradient_tail, sum_over_cells

__all__ = ["CellSums", "GradientTail", "cell_masses", "gradient_tail", "sum_over_cells"]
