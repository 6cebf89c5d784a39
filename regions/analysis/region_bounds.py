"""Published bounds on the number of activation regions of networks of some widths, as whole numbers.

They speak of the widths alone; how many cells a network has is counted by `enumeration`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb, factorial, prod
from typing import Literal

from regions.errors import InvalidInputError
from regions.network.relu_network import Network
from regions.showing import Shown

__all__ = ["RegionBound", "region_bounds"]

Kind = Literal["upper", "reached", "order"]


@dataclass(frozen=True)
class RegionBound(Shown):
    """A published bound for the widths of a network.

    Attributes
    ----------
    name : str, its source
    statement : str, the formula in words of widths n_l, inputs d, units N
    kind : "upper" (no network of these widths has more), "reached" (some network has at least so many), or
        "order" (how the expected number grows at initialisation; constants are taken as 1)
    value : int, rounded down for an order
    """

    name: str
    statement: str
    kind: Kind
    value: int

    def slack(self, cells: int) -> float:
        """Return how many times a number of cells goes into the bound.

        Examples
        --------
        >>> RegionBound("mine", "2^N", "upper", 16).slack(8)
        2.0
        """
        if cells < 1:
            raise InvalidInputError(f"cells is {cells}; a network has at least one cell")
        quotient = self.value // cells
        return float("inf") if quotient.bit_length() > 1000 else self.value / cells


@dataclass(frozen=True)
class _Widths:
    """What the bounds need of a network: for each layer of units, what they are and what flows through.

    Attributes
    ----------
    inputs : int, d
    ranks : for each layer the numbers of candidates of its cutting units, 2 for units with two slopes
    through : for each layer the least width between the layer before and this one's units, its own included
    """

    inputs: int
    ranks: tuple[tuple[int, ...], ...]
    through: tuple[int, ...]

    @classmethod
    def of(cls, network: Network, inputs: int) -> _Widths:
        ranks, through, narrow, start = [], [], inputs, 0
        cutting = network.cutting
        for bias, relu, sizes in zip(network.biases, network.relu, network.maxima, strict=True):
            narrow = min(narrow, bias.size)
            if not relu:
                continue
            counts = [1] * bias.size if sizes is None else sizes.tolist()
            layer, row = [], start
            for count in counts:
                if count > 1:
                    layer.append(count)
                elif cutting[row]:
                    layer.append(2)
                row += count
            ranks.append(tuple(layer))
            through.append(narrow)
            narrow, start = len(counts), row
        return cls(inputs, tuple(ranks), tuple(through))


def region_bounds(network: Network, dimension: int | None = None) -> tuple[RegionBound, ...]:
    """Return the published bounds that apply to a network, in one list.

    Parameters
    ----------
    network : Network
    dimension : int, of the domain; default the number of inputs
        On a slice or with fixed inputs the network is one of so many inputs.

    Returns
    -------
    tuple of RegionBound
        Upper bounds for all kinds of units; those of Serra et al., Montufar et al. (2014) and Hanin and
        Rolnick for networks of ReLUs only, that of Tseran and Montufar for networks of max units only.

    Raises
    ------
    InvalidInputError
        If the dimension is less than 1 or more than the inputs.

    Notes
    -----
    A unit with two slopes has two sides, a max unit of k candidates k. A layer of units of the ranks k_i on a
    space of m dimensions has at most sum over j <= m of e_j(k_1 - 1, ...) regions, with the elementary
    symmetric polynomials e_j: Zaslavsky's number for ReLUs.

    The orders are no bounds. That of Tseran and Montufar is `regions_formula` in `formula.py` of the authors'
    published code (github.com/hanna-tseran/maxout_complexity), where T = 2^5 c_bias c_grad, with T = 1 and a
    volume of 1. T is not computed here; where there are fewer units than inputs, it is all patterns, K^N.

    References
    ----------
    Zaslavsky (1975). Montufar et al., On the number of linear regions of deep neural networks (2014), theorem
    5. Montufar, Notes on the number of linear regions of deep neural networks (2017). Serra, Tjandraatmadja
    and Ramalingam, Bounding and counting linear regions of deep neural networks (2018), theorem 1. Hanin and
    Rolnick, Deep ReLU networks have surprisingly few activation patterns (2019), theorem 5. Montufar, Ren and
    Zhang, Sharp bounds for the number of regions of maxout networks (2021). Tseran and Montufar, On the
    expected complexity of maxout networks (2021), the bound on the expected number of activation regions.

    Examples
    --------
    >>> import numpy as np
    >>> weights = [np.ones((3, 2)), np.ones((3, 3)), np.ones((1, 3))]
    >>> net = Network.from_arrays(weights, [[0] * 3, [0] * 3, [0]])
    >>> [(bound.name, bound.value) for bound in region_bounds(net)][:3]
    [('all patterns', 64), ('Montufar 2017', 49), ('Serra 2018', 40)]
    """
    inputs = network.input_dim if dimension is None else dimension
    if not 1 <= inputs <= network.input_dim:
        raise InvalidInputError(f"dimension is {dimension}; give a number from 1 to {network.input_dim}")
    widths = _Widths.of(network, inputs)
    flat = [rank for layer in widths.ranks for rank in layer]
    found = [
        RegionBound("all patterns", "the product of all ranks, 2^N for ReLUs", "upper", prod(flat)),
        RegionBound(
            "Montufar 2017" if network.max_units is None else "Montufar, Ren, Zhang 2021",
            "prod_l sum_{j <= m_l} e_j(ranks - 1), m_l the least width up to layer l",
            "upper",
            _layer_by_layer(widths),
        ),
    ]
    if flat and _all_max_units(network):
        found.append(_expected_of_maxout(inputs, len(flat), max(flat)))
    if not network.is_relu or not flat:
        return tuple(found)
    n = [len(layer) for layer in widths.ranks]
    found.append(
        RegionBound(
            "Serra 2018",
            "sum over (j_1, ..., j_L) of prod_l C(n_l, j_l), j_l <= min(d, n_1 - j_1, ..., n_l)",
            "upper",
            _serra(widths),
        )
    )
    if min(n) >= inputs:
        value = prod((k // inputs) ** inputs for k in n[:-1]) * sum(comb(n[-1], j) for j in range(inputs + 1))
        statement = "prod_{l < L} floor(n_l / d)^d * sum_{j <= d} C(n_L, j)"
        found.append(RegionBound("Montufar 2014", statement, "reached", value))
    order = sum(n) ** inputs // factorial(inputs) if sum(n) >= inputs else 2 ** sum(n)
    found.append(
        RegionBound("Hanin, Rolnick 2019", "N^d / d! for a unit of volume, its T = 1", "order", order)
    )
    return tuple(found)


def _all_max_units(network: Network) -> bool:
    """Tell whether all units that cut are max units."""
    layers = zip(network.relu, network.maxima, strict=True)
    return all(sizes is not None and bool((sizes > 1).all()) for relu, sizes in layers if relu)


def _expected_of_maxout(inputs: int, units: int, rank: int) -> RegionBound:
    """Return the order of the expected number of cells of maxout networks, that of ReLUs where the rank is 2.

    Examples
    --------
    >>> _expected_of_maxout(2, 10, 2).value, _expected_of_maxout(2, 10, 3).value, 10**2 * 2**2 // 2
    (200, 6750, 200)
    """
    if units < inputs:
        return RegionBound("Tseran, Montufar 2021", "K^N", "order", rank**units)
    value = (rank * units) ** inputs * comb(inputs * rank, 2 * inputs) // factorial(inputs)
    statement = "(K N)^d C(d K, 2 d) / d! for a unit of volume, K the largest rank, T = 1"
    return RegionBound("Tseran, Montufar 2021", statement, "order", value)


def _symmetric(values: Sequence[int], most: int) -> int:
    """Return the sum of the elementary symmetric polynomials of the degrees 0 to `most`.

    Examples
    --------
    >>> _symmetric([1, 1, 1], 2), _symmetric([2, 2], 1)
    (7, 5)
    """
    sums = [1] + [0] * most
    for value in values:
        for degree in range(most, 0, -1):
            sums[degree] += value * sums[degree - 1]
    return sum(sums)


def _layer_by_layer(widths: _Widths) -> int:
    total, least = 1, widths.inputs
    for ranks, through in zip(widths.ranks, widths.through, strict=True):
        total *= _symmetric([rank - 1 for rank in ranks], min(least, len(ranks)))
        least = min(least, through)
    return total


def _serra(widths: _Widths) -> int:
    """Return the sum of theorem 1, layer by layer: on m dimensions, j of n units leave n - j active."""
    n = [len(layer) for layer in widths.ranks]

    @cache
    def regions(layer: int, dimensions: int) -> int:
        if layer == len(n):
            return 1
        space = min(dimensions, widths.through[layer])
        return sum(
            comb(n[layer], j) * regions(layer + 1, min(space, n[layer] - j))
            for j in range(min(space, n[layer]) + 1)
        )

    return regions(0, widths.inputs)
