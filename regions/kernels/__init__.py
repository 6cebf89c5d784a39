"""All numba code of the package: arrays in, arrays out, numpy and numba only.

Casting, checking and reporting belong to the modules above; nothing here raises or prints.
"""
