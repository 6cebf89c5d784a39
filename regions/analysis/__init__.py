"""What is computed from the cells: locus, enclosures, sums, linear regions, graphs, single cells."""
