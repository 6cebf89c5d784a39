"""Linear programs over the rows of a cell, and the search that asks them."""
