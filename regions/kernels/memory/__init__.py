"""What all kernels stand on: the arrays of a search, bits, short vectors."""
