"""Linear programs over the rows of a cell, and the walk that asks them."""
