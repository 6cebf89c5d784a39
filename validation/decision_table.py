"""Which estimator, and how many draws of it, for an error of 1 %: by dimension, sigma and depth.

From the stored runs of the experiment on estimators. Several densities on one network are one case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from validation.framework import markdown_table
from validation.intervals import geometric_mean

__all__ = ["decision_table"]

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
    found: dict[tuple[str, float, int], dict[str, dict[str, Row]]] = {}
    for row in rows:
        if row["estimator"] in (_COAREA, _LINES):
            place = "digits, planes" if row["network"].startswith("digits") else f"d = {row['dimension']}"
            own = found.setdefault((place, row["sigma"], row["depth"]), {})
            own.setdefault(row["case"], {})[row["estimator"]] = row
    body = []
    for (place, sigma, depth), cases in sorted(found.items()):
        coarea, lines = (
            [_for_percent(pair[name], per) for pair in cases.values()] for name in (_COAREA, _LINES)
        )
        ratios = _by_network(cases, per)
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


def _for_percent(row: Row, per: int) -> tuple[float, float]:
    """Draws and seconds of a run of that error, which falls with the root of the draws; at least two."""
    draws = max(float(row["spread"] / _WANTED) ** 2 * per, 2.0)
    return draws, draws / per * row["seconds"]


def _by_network(cases: dict[str, dict[str, Row]], per: int) -> list[float]:
    """Return the ratio of times for each network, the geometric mean over its densities."""
    logs: dict[str, list[float]] = {}
    for pair in cases.values():
        coarea, lines = (_for_percent(pair[name], per)[1] for name in (_COAREA, _LINES))
        logs.setdefault(pair[_LINES]["network"], []).append(float(np.log(coarea / lines)))
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
