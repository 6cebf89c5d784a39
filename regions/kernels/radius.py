"""Rigorous position radii of vertices, from their own hyperplanes (certified arithmetic)."""

from numba import njit

from regions.kernels import state
from regions.kernels.table import I64, f1, f2, f3


@njit(cache=True, nogil=True)
def set_row(t: I64, slot: int, unit: int, hyperplane: int) -> None:
    """Keep a unit's row (coefficients, constant, error) as that of a hyperplane."""
    rows_of = f2(t, state.ROWS_OF)
    slots = f3(t, state.SLOTS)
    for i in range(t[state.DIMENSION] + 2):
        rows_of[hyperplane, i] = slots[slot, i, unit]


@njit(cache=True, nogil=True)
def set_radius(t: I64, slot: int, unit: int, vertex: int) -> None:
    """Bound the distance from a computed vertex to the true one."""
    freg = f1(t, state.FREG)
    radii = f1(t, state.RADII)
    radii[vertex] = freg[state.RADIUS]
