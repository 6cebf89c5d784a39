"""What the units of a network do on a domain, by its cells: dead, always active, coincident; activity rates.

The published bounds on the number of cells stand beside the number that was found; they are those of
`region_bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regions.analysis.arguments import check_bounded, check_complex
from regions.analysis.region_bounds import RegionBound, region_bounds
from regions.errors import InvalidInputError
from regions.network.patterns import unit_place
from regions.showing import Shown

if TYPE_CHECKING:
    from regions.complexes import CellComplex

__all__ = ["NetworkStatistics", "network_statistics"]


@dataclass(frozen=True, eq=False)
class NetworkStatistics(Shown):
    """What the units of a network do on a domain; units by their flat numbers.

    Attributes
    ----------
    cells : int
    complete : bool, whether these are all cells; else what is said holds on the cells that were listed
    dead : tuple of int, units that are inactive in all cells; of a max unit, candidates that never win
    always_active : tuple of int, units that cut nowhere in the domain and are active
    linear : tuple of int, units without breakpoint, whose two slopes are the same
    rates : (n_units,) float64, the part of the volume on which a unit is active
    coincident : tuple of tuples of int, units of one zero set in the domain: all cells show them in the same
        state, or all in opposite ones
    bounds : tuple of RegionBound
    description : str, of the network, for reports
    places : tuple of (layer, unit), by flat number
    """

    cells: int
    complete: bool
    dead: tuple[int, ...]
    always_active: tuple[int, ...]
    linear: tuple[int, ...]
    rates: NDArray[np.float64]
    coincident: tuple[tuple[int, ...], ...]
    bounds: tuple[RegionBound, ...]
    description: str
    places: tuple[tuple[int, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return numbers, lists and strings, ready for JSON; large bounds are text."""
        return {
            "network": self.description,
            "cells": self.cells,
            "complete": self.complete,
            "dead": list(self.dead),
            "always_active": list(self.always_active),
            "linear": list(self.linear),
            "rates": self.rates.tolist(),
            "coincident": [list(group) for group in self.coincident],
            "bounds": [
                {
                    "name": bound.name,
                    "statement": bound.statement,
                    "kind": bound.kind,
                    "value": str(bound.value),
                    "slack": bound.slack(self.cells),
                }
                for bound in self.bounds
            ],
        }

    def table(self) -> str:
        """Return everything as one table of text, the units layer by layer."""
        lines = [f"{self.description}", f"cells  {self.cells:,}{'' if self.complete else ' (TRUNCATED)'}", ""]
        lines.append(f"{'layer':>5}  {'units':>5}  {'dead':>4}  {'always':>6}  {'linear':>6}  mean rate")
        for layer in sorted({place[0] for place in self.places}):
            units = [k for k, place in enumerate(self.places) if place[0] == layer]
            counts = [len(set(units) & set(kind)) for kind in (self.dead, self.always_active, self.linear)]
            rate = float(self.rates[units].mean())
            lines.append(
                f"{layer:>5}  {len(units):>5}  {counts[0]:>4}  {counts[1]:>6}  {counts[2]:>6}  {rate:.4f}"
            )
        if self.coincident:
            groups = "; ".join(", ".join(map(str, group)) for group in self.coincident)
            lines += ["", f"coincident units  {groups}"]
        lines += ["", f"{'bound':<26}{'kind':<9}{'value':>14}  bound / cells"]
        for bound in self.bounds:
            slack = bound.slack(self.cells)
            value = f"{bound.value:,}" if bound.value < 10**9 else _scientific(bound.value)
            lines.append(f"{bound.name:<26}{bound.kind:<9}{value:>14}  {slack:.4g}")
        return "\n".join(lines)


def network_statistics(complex: CellComplex) -> NetworkStatistics:
    """Return what the units do on the domain of a complex, with the published bounds on its number of cells.

    Parameters
    ----------
    complex : CellComplex of a bounded domain, with volumes

    Returns
    -------
    NetworkStatistics
        States are exact: those of the listed patterns. Rates are sums of volumes, rounded.

    Raises
    ------
    InvalidInputError
        If the complex has no cells or no volumes.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> weights = [[[1.0], [2.0], [-1.0], [1.0]], [[1.0] * 4]]
    >>> net = Network.from_arrays(weights, [[0.0, 0.0, 0.0, 5.0], [0.0]])
    >>> found = network_statistics(enumerate_cells(net, Box([-1.0], [3.0])))
    >>> found.always_active, found.coincident, found.rates.tolist()
    ((3,), ((0, 1, 2),), [0.75, 0.75, 0.25, 1.0])
    """
    check_complex(complex)
    check_bounded(complex, "statistics of units")
    complex.require_volumes("activity rates")
    network, states = complex.network, complex.unpacked_patterns()
    if not len(states):
        raise InvalidInputError("the complex lists no cells; enumerate some first")
    active, inactive, cutting = states.all(axis=0), ~states.any(axis=0), network.cutting
    offsets = network.unit_offsets
    return NetworkStatistics(
        cells=complex.n_cells,
        complete=complex.status.name == "COMPLETE",
        dead=_numbers(np.asarray(inactive)),
        always_active=_numbers(np.asarray(active & cutting)),
        linear=_numbers(~cutting),
        rates=complex.volumes @ states / complex.volumes.sum(),
        coincident=_coincident(states, cutting & ~active & ~inactive),
        bounds=region_bounds(network, complex.dimension),
        description=network.describe(),
        places=tuple(unit_place(offsets, unit) for unit in range(network.n_units)),
    )


def _numbers(chosen: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(chosen).tolist())


def _coincident(states: NDArray[np.bool_], varying: NDArray[np.bool_]) -> tuple[tuple[int, ...], ...]:
    """Return groups of units whose states are the same in all cells, or opposite in all."""
    groups: dict[bytes, list[int]] = {}
    for unit in np.flatnonzero(varying).tolist():
        column = states[:, unit] ^ states[0, unit]
        groups.setdefault(np.packbits(column).tobytes(), []).append(unit)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _scientific(value: int) -> str:
    """Return a large whole number in scientific notation, however large.

    Examples
    --------
    >>> _scientific(12345 * 10**400)
    '1.234e+404'
    """
    digits = str(value)
    return f"{digits[0]}.{digits[1:4]}e+{len(digits) - 1}"
