"""The way from an object to its picture, though `plotting` stands above the rooms of all objects.

The module is imported when the first picture is asked for, so that nothing else loads matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

_PROVIDER = "regions.plotting"


def plotter(name: str) -> Callable[..., Any]:
    """Return the function of `regions.plotting` that has this name.

    Examples
    --------
    >>> plotter("plot_cells").__name__
    'plot_cells'
    """
    function: Callable[..., Any] = getattr(import_module(_PROVIDER), name)
    return function
