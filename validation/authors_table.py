"""The section on published code, run as it is: a function of the table that `authors` stores."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from validation.forest import Line, draw_forest
from validation.framework import Folder, markdown_table, prose, read_rows
from validation.intervals import geometric_mean
from validation.paper import SectionWithAppendix

__all__ = ["authors_section"]

Row = dict[str, Any]

_NINETY_FIVE = 1.959963984540054


def authors_section(root: Path) -> SectionWithAppendix | None:
    """Return the section, if there is a table."""
    path = root / "results" / "authors_values.csv"
    if not path.exists():
        return None
    rows = read_rows(path)
    local, counts = (
        [row for row in rows if row["what"] == what] for what in ("local complexity", "cross-polytope count")
    )
    origins = {(row["file"], row["repository"], row["commit"], row["date"], row["sha256"]) for row in rows}
    told = "; ".join(
        f"`{Path(file).stem}` of {repository or 'no repository'}"
        f"{f' at {commit[:12]} ({date})' if commit else ''}, SHA-256 {digest[:12]}"
        for file, repository, commit, date, digest in sorted(origins, key=str)
    )
    method = prose(
        f"""The functions that the authors published, unchanged, on the problems of the benchmark that they
        can take (hidden layers of one width, points of the input space): {told}. Nothing else in these files
        is run, and none is shipped; `python -m validation --authors FILE [FILE]` does it again with files
        that you have. Beside each value stand ours of the same formula, the co-area estimator, and the exact
        value."""
    )
    _draw(Folder(root, "authors"), local, counts)
    found = [_told_of_values(local)] if local else []
    found += [_told_of_counts(counts)] if counts else []
    return SectionWithAppendix(
        question="What does the code that the authors published give, run as it is?",
        method=method,
        table="",
        appendix=_table(rows),
        finding=" ".join(found),
        limits="One commit of each repository, on small networks whose hidden layers have one width.",
        figures=(("forest", _CAPTION),),
        headline=_sentence(local) if local else "",
    )


_CAPTION = (
    "Published code over the exact value: as it is, and its value over sigma sqrt(2 pi); below, the "
    "cross-polytope count over the number of units that meet the neighbourhood"
)


def _told_of_values(rows: list[Row]) -> str:
    agree = [abs(_z(row, "theirs", "same")) for row in rows]
    plain = [row["theirs"] / row["exact"] for row in rows]
    scaled = [row["normalised"] / row["exact"] for row in rows]
    return prose(
        f"""The published local complexity is our re-implementation's (largest |z| {max(agree):.2f} of
        {len(rows)}),
        and {min(plain):.3g} to {max(plain):.3g} times the exact local complexity: its kernel lacks the factor
        1 / (sigma sqrt(2 pi)), it stands at 0 instead of at the unit's own bias, and units that do not reach
        the output count. With that factor put back the value is {min(scaled):.3g} to {max(scaled):.3g} times
        the exact one, {geometric_mean(scaled)[0]:.3g} in the geometric mean."""
    )


def _told_of_counts(rows: list[Row]) -> str:
    agree = [abs(_z(row, "theirs", "same")) for row in rows]
    ratios = [row["theirs"] / row["exact"] for row in rows]
    return prose(
        f"""The published cross-polytope count differs from ours by at most |z| = {max(agree):.2f} of
        {len(rows)}, and
        is {min(ratios):.3g} to {max(ratios):.3g} times the number of units whose zero set meets the
        neighbourhood, which it cannot exceed but by chance."""
    )


def _sentence(rows: list[Row]) -> str:
    plain = [row["theirs"] / row["exact"] for row in rows]
    at = sorted({row["size"] for row in rows})
    return prose(
        f"""The published function, run as it is on {len({row["problem"] for row in rows})} networks, gives
        {min(plain):.2g} to {max(plain):.2g} times the exact local complexity at sigma {at[0]:g} to
        {at[-1]:g}."""
    )


def _z(row: Row, one: str, other: str) -> float:
    spread = math.hypot(row[f"{one}_stderr"], row[f"{other}_stderr"])
    return float((row[one] - row[other]) / spread) if spread > 0.0 else 0.0


def _draw(folder: Folder, local: list[Row], counts: list[Row]) -> None:
    from matplotlib import pyplot as plt

    def line(row: Row, label: str, factor: float) -> Line:
        ratio = factor * row["theirs"] / row["exact"]
        half = (
            _NINETY_FIVE
            * ratio
            * math.hypot(row["theirs_stderr"] / row["theirs"], row["exact_stderr"] / row["exact"])
        )
        return Line(label, ratio, ratio - half, ratio + half)

    lines: list[Line] = []
    if local:
        lines.append(Line("local complexity, as it is"))
        lines += [line(row, _label(row), 1.0) for row in local]
        lines.append(Line("over sigma sqrt(2 pi)"))
        lines += [line(row, _label(row), row["normalised"] / row["theirs"]) for row in local]
    if counts:
        lines.append(Line("cross-polytope count"))
        lines += [line(row, row["problem"], 1.0) for row in counts]
    figure, axis = plt.subplots(layout="constrained", figsize=(7.0, 0.9 + 0.15 * len(lines)))
    draw_forest(axis, lines, 1.0, "published over exact (95 %)", scale="log")
    folder.save_figure("forest", figure)


def _label(row: Row) -> str:
    return f"{row['problem']}, sigma {row['size']:g}"


def _table(rows: list[Row]) -> str:
    def told(row: Row, name: str) -> str:
        return f"{row[name]:.4g} ± {_NINETY_FIVE * row[f'{name}_stderr']:.2g}"

    body = [
        [
            f"{row['what']}, {row['problem']}, {'sigma' if row['what'] == 'local complexity' else 'radius'} "
            f"{row['size']:g}",
            *(told(row, name) for name in ("theirs", "same", "right", "exact")),
            f"{row['theirs'] / row['exact']:.3f}",
        ]
        for row in rows
    ]
    header = [
        "problem",
        "published code",
        "ours, the same formula",
        "co-area, or our count",
        "exact",
        "ratio",
    ]
    return markdown_table(header, body)
