"""`regions join`: cells in a folder whose search is over, but whose facets were not joined in time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regions.cli.commands import complex_facts, summary
from regions.cli.options import AsJson, MaxSecondsOption, WorkersOption
from regions.cli.session import print_facts, print_json, watched
from regions.cli.stored_cells import joined_later

__all__ = ["join"]


def join(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that `regions enumerate --folder` left unfinished.")
    ],
    workers: WorkersOption = None,
    max_seconds: MaxSecondsOption = None,
    json: AsJson = False,
) -> None:
    """Join the facets of cells in a folder, where a limit or Ctrl-C ended that early."""
    from regions.enumeration import join_listing

    with watched("joining"), joined_later(folder):
        found = join_listing(folder, workers=workers, max_seconds=max_seconds)
    if json:
        print_json({**summary(found), "folder": str(folder)})
    else:
        print_facts({**complex_facts(found), "folder": str(folder)})
