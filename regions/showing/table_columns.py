"""Rows of objects for other programs: Arrow, pandas, polars, and whoever reads Arrow streams.

A class says what its columns are; the packages are optional and imported when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from regions.errors import InvalidInputError

__all__ = ["Tabular", "optional_package"]


def optional_package(name: str, extra: str, purpose: str) -> Any:
    """Import an optional package, or raise InvalidInputError that says which extra to install.

    Examples
    --------
    >>> optional_package("nosuch", "tables", "to_nosuch()")
    Traceback (most recent call last):
    regions.errors.InvalidInputError: to_nosuch() needs nosuch; install it: pip install 'relu-regions[tables]'
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InvalidInputError(
            f"{purpose} needs {name}; install it: pip install 'relu-regions[{extra}]'"
        ) from error


class Tabular:
    """What objects with rows share: their columns as tables of Arrow, pandas and polars.

    Examples
    --------
    >>> class Squares(Tabular):
    ...     def _columns(self):
    ...         return {"x": np.arange(3.0), "square": np.arange(3.0) ** 2}
    >>> Squares().to_arrow().column_names
    ['x', 'square']
    """

    def _columns(self) -> Mapping[str, Any]:
        """Return the columns by name: (n,) arrays, (n, k) arrays of floats, or lists that may hold None."""
        raise NotImplementedError

    def to_arrow(self) -> Any:
        """Return the rows as a `pyarrow.Table`, numbers without a copy.

        Columns of points, such as centroids, are lists of fixed size.

        Raises
        ------
        InvalidInputError : if pyarrow is not installed
        """
        pyarrow = optional_package("pyarrow", "tables", "to_arrow()")
        return pyarrow.table({name: _arrow(pyarrow, part) for name, part in self._columns().items()})

    def to_pandas(self) -> Any:
        """Return the rows as a `pandas.DataFrame`; points become a column for each coordinate.

        Raises
        ------
        InvalidInputError : if pandas is not installed
        """
        pandas = optional_package("pandas", "tables", "to_pandas()")
        flat: dict[str, Any] = {}
        for name, part in self._columns().items():
            if isinstance(part, np.ndarray) and part.ndim == 2:
                flat |= {f"{name}_{k}": part[:, k] for k in range(part.shape[1])}
            else:
                flat[name] = part
        return pandas.DataFrame(flat)

    def to_polars(self) -> Any:
        """Return the rows as a `polars.DataFrame`; columns of points are arrays of fixed width.

        Raises
        ------
        InvalidInputError : if polars is not installed
        """
        polars = optional_package("polars", "tables", "to_polars()")
        return polars.DataFrame([polars.Series(name, part) for name, part in self._columns().items()])

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the rows as an Arrow stream, by which DuckDB, polars, pandas and others read them."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)


def _arrow(pyarrow: Any, values: Any) -> Any:
    """Return one column; numbers that lie one after another are not copied."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        numbers = pyarrow.array(np.ascontiguousarray(values).ravel())
        return pyarrow.FixedSizeListArray.from_arrays(numbers, values.shape[1])
    return pyarrow.array(values)
