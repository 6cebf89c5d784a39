"""Which estimator, and how many draws of it, for an error of 1 %: by dimension, sigma and depth.

From the stored runs of the experiment on estimators. Several densities on one network are one case.
The grid says what to take; the table, with what either would cost, stands behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from validation.framework import markdown_table
from validation.intervals import geometric_mean

__all__ = ["decision_grid", "decision_table"]

Row = dict[str, Any]

# the estimators without bias, as the stored table calls them
_COAREA, _LINES = "co-area", "Crofton lines"
_WANTED = 0.01
# fewer networks have no interval worth stating
_ENOUGH = 3


def decision_table(rows: Sequence[Row], per: int) -> str:
    """Return the table in markdown.

    Parameters
    ----------
    rows : of the stored table, with the relative `spread` of a run of `per` draws and its `seconds`
    per : int, draws of a run

    Examples
    --------
    >>> def row(estimator, case, spread, seconds):
    ...     of = {"network": case, "dimension": 2, "sigma": 0.1, "depth": 1, "case": case}
    ...     return of | {"estimator": estimator, "spread": spread, "seconds": seconds}
    >>> rows = [row("co-area", "a", 0.02, 1.0), row("Crofton lines", "a", 0.02, 0.1)]
    >>> rows += [row("co-area", "b", 0.02, 1.0), row("Crofton lines", "b", 0.02, 0.11)]
    >>> print(decision_table(rows, 1000).splitlines()[2])
    | d = 2, sigma 0.1, depth 1 | 2 | 4,000 | 4 s | 4,000 | 0.42 s | 9.5 | Crofton lines (2 networks) |
    """
    body = []
    for (place, sigma, depth), cases in sorted(_grouped(rows).items()):
        coarea, lines, ratios = _compared(cases, per)
        middle, low, high = geometric_mean(ratios)
        body.append(
            [
                f"{place}, sigma {sigma:g}, depth {depth}",
                str(len(ratios)),
                *_told(coarea),
                *_told(lines),
                f"{middle:.2g} ({low:.2g} to {high:.2g})" if len(ratios) >= _ENOUGH else f"{middle:.2g}",
                _choice(ratios, [one[1] / other[1] for one, other in zip(coarea, lines, strict=True)]),
            ]
        )
    header = ["for 1 %", "networks", "co-area samples", "time", "Crofton lines", "time", "ratio", "take"]
    return markdown_table(header, body)


def decision_grid(rows: Sequence[Row], per: int) -> str:
    """Return what to take and how much of it, a line for each dimension and depth, a column for each sigma.

    Parameters
    ----------
    rows, per : as for `decision_table`

    Examples
    --------
    >>> of = {"network": "a", "dimension": 2, "sigma": 0.1, "depth": 1, "case": "a", "spread": 0.02}
    >>> costs = (("co-area", 1.0), ("Crofton lines", 0.1))
    >>> rows = [of | {"estimator": name, "seconds": seconds} for name, seconds in costs]
    >>> print(decision_grid(rows, 1000).splitlines()[2])
    | d = 2, depth 1 | 1 | 4,000 lines, 0.4 s |
    """
    found = _grouped(rows)
    sigmas = sorted({sigma for _, sigma, _ in found})
    body = []
    for place, depth in sorted({(place, depth) for place, _, depth in found}):
        cells, count = [], 0
        for sigma in sigmas:
            cases = found.get((place, sigma, depth))
            cells.append(_advice(cases, per) if cases else "")
            count = max(count, len(_by_network(cases, per)) if cases else 0)
        body.append([f"{place}, depth {depth}", str(count), *cells])
    return markdown_table(["for 1 %", "networks", *[f"sigma {sigma:g}" for sigma in sigmas]], body)


def _advice(cases: dict[str, dict[str, Row]], per: int) -> str:
    coarea, lines, ratios = _compared(cases, per)
    choice = _choice(ratios, [one[1] / other[1] for one, other in zip(coarea, lines, strict=True)])
    told = {name: _told(own) for name, own in ((_COAREA, coarea), (_LINES, lines))}
    words = {_COAREA: "samples", _LINES: "lines"}
    parts = [f"{told[name][0]} {words[name]}, {told[name][1]}" for name in told if choice.startswith(name)]
    return parts[0] if parts else f"{told[_COAREA][0]} samples or {told[_LINES][0]} lines"


def _grouped(rows: Sequence[Row]) -> dict[tuple[str, float, int], dict[str, dict[str, Row]]]:
    """Return the runs of both estimators by case, for each place, sigma and depth."""
    found: dict[tuple[str, float, int], dict[str, dict[str, Row]]] = {}
    for row in rows:
        if row["estimator"] in (_COAREA, _LINES):
            place = "digits, planes" if row["network"].startswith("digits") else f"d = {row['dimension']}"
            own = found.setdefault((place, row["sigma"], row["depth"]), {})
            own.setdefault(row["case"], {})[row["estimator"]] = row
    return found


def _compared(
    cases: dict[str, dict[str, Row]], per: int
) -> tuple[list[tuple[float, float]], list[tuple[float, float]], list[float]]:
    """Return draws and seconds of both for each case, and the ratio of times for each network."""
    coarea, lines = ([_for_percent(pair[name], per) for pair in cases.values()] for name in (_COAREA, _LINES))
    return coarea, lines, _by_network(cases, per)


def _for_percent(row: Row, per: int) -> tuple[float, float]:
    """Draws and seconds of a run of that error, which falls with the root of the draws; at least two."""
    draws = max(float(row["spread"] / _WANTED) ** 2 * per, 2.0)
    return draws, draws / per * row["seconds"]


def _by_network(cases: dict[str, dict[str, Row]], per: int) -> list[float]:
    """Return the ratio of times for each network, the geometric mean over its densities."""
    logs: dict[str, list[float]] = {}
    for pair in cases.values():
        coarea, lines = (_for_percent(pair[name], per)[1] for name in (_COAREA, _LINES))
        # planes through one network are of one network
        logs.setdefault(pair[_LINES]["network"].partition(" plane ")[0], []).append(
            float(np.log(coarea / lines))
        )
    return [float(np.exp(np.mean(own))) for own in logs.values()]


def _told(needed: list[tuple[float, float]]) -> tuple[str, str]:
    """Medians over the cases; draws to two digits."""
    middle, time = (float(value) for value in np.median(needed, axis=0))
    digits = 1 - int(np.floor(np.log10(middle)))
    return f"{round(middle, digits):,.0f}", f"{time:.2g} s" if time >= 0.1 else f"{1e3 * time:.2g} ms"


def _choice(ratios: list[float], of_cases: list[float]) -> str:
    """Name the cheaper one where the interval says which it is, or of few networks all their cases."""
    n = len(ratios)
    few = "" if n >= _ENOUGH else f" ({n} network{'s' if n > 1 else ''})"
    _, low, high = geometric_mean(ratios)
    if few:
        low, high = min(of_cases), max(of_cases)
    if low > 1.0:
        return f"{_LINES}{few}"
    return f"{_COAREA}{few}" if high < 1.0 else "equal within noise"
