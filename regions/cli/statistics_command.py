"""`regions statistics`: what the units do on the domain of a listing, and the published bounds beside it."""

from __future__ import annotations

from regions.cli.options import AsJson, ComplexPath, read_complex
from regions.cli.session import print_json, print_text


def statistics(cells: ComplexPath, json: AsJson = False) -> None:
    """Say which units are dead, always active or coincident, their rates, and how far published bounds are.

    The bounds on the number of cells are published ones for networks of these widths.
    """
    from regions.analysis.unit_statistics import network_statistics

    found = network_statistics(read_complex(cells))
    if json:
        print_json(found.to_dict())
    else:
        print_text(found.table())
