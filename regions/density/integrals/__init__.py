"""Integrals over simplices with error bounds; arrays in, arrays out."""
