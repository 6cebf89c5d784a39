"""Writing figures to files, with names and suffixes checked first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from regions.errors import InvalidInputError
from regions.reports import replacing


def save_figure(figure: Figure | Axes, path: str | Path, *, dpi: int = 300) -> Path:
    """Write a figure, cropped to its contents, without a time stamp.

    Parameters
    ----------
    figure : matplotlib Figure, or Axes of one
    path : file to write; the suffix names the format (png, pdf, svg, ...)
    dpi : dots per inch of pixel formats, and of the cells in vector formats where more than
        20,000 of them are drawn as an image

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InvalidInputError
        If matplotlib has no such format, `dpi` is not positive or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import matplotlib.pyplot as plt
    >>> _, ax = plt.subplots()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(ax, f"{folder}/empty.png", dpi=50).name
    'empty.png'
    """
    target = figure_path(path)
    whole = figure if isinstance(figure, Figure) else figure.get_figure(root=True)
    if not isinstance(whole, Figure):
        raise InvalidInputError(f"{type(figure).__name__} belongs to no figure; pass a Figure or its Axes")
    suffix = target.suffix.lstrip(".").lower()
    if dpi <= 0:
        raise InvalidInputError(f"dpi is {dpi}; it must be positive")
    stamp = {"pdf": "CreationDate", "svg": "Date"}.get(suffix)
    metadata = {stamp: None} if stamp else None
    # pixels of crowded cells hardly shrink, however long one tries
    packed: dict[str, Any] = {"pil_kwargs": {"compress_level": 2}} if suffix == "png" else {}
    with replacing(target, "picture") as stream:
        whole.savefig(
            stream, format=suffix, dpi=dpi, bbox_inches="tight", pad_inches=0.03, metadata=metadata, **packed
        )
    return target


def figure_path(path: str | Path) -> Path:
    """The path itself, if its suffix names a format that matplotlib writes: to be asked before the work.

    Raises
    ------
    InvalidInputError : if it does not

    Examples
    --------
    >>> figure_path("out.png").name
    'out.png'
    """
    target = Path(path)
    known = FigureCanvasBase.get_supported_filetypes()
    if target.suffix.lstrip(".").lower() not in known:
        raise InvalidInputError(
            f"cannot write {target.name!r}: use a suffix among {', '.join(sorted(known))}"
        )
    return target
