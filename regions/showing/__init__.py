"""How public objects show themselves: a short repr, a table in notebooks, a dictionary, tables for others.

One mixin each: `Shown` for every object, `Tabular` for those with rows. What an object says of itself is left
to its class, pictures for papers to `plotting`.
"""

from regions.showing.displays import Shown, plain, shortened
from regions.showing.plot_hook import plotter
from regions.showing.table_columns import Tabular, optional_package

__all__ = ["Shown", "Tabular", "optional_package", "plain", "plotter", "shortened"]
