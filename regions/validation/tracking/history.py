"""The records of a training run: rows that do not change, as series, table, JSON and CSV.

They are plain numbers; making them is left to `records`, drawing them to `plotting`.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidInputError
from regions.estimators import Estimate
from regions.reports import finite, heading, read_as, save_json, write_text
from regions.showing import Shown, Tabular, plotter
from regions.showing.svg_pictures import curve_svg
from regions.validation.local_complexity import read_estimate

__all__ = ["History", "Record", "Series"]

FloatArray = NDArray[np.float64]
_FORMAT = "regions history 1"

# quantities that have a value for each ReLU layer, named with its number at the end
_LAYERED = {
    "locus": "locus_by_layer",
    "local_rank": "local_rank_by_layer",
    "c_grad": "c_grad_by_layer",
    "lipschitz": "lipschitz_by_layer",
}
# what a record says of itself, in this order; a user's own names must be others
EXACT = (
    "cells",
    "locus",
    "activation_locus",
    "local_rank",
    "total_variation",
    "c_grad",
    "lipschitz",
    "local_complexity",
    "cell_distance",
    "boundary_distance",
)
# those of them that are means of draws or of points, with a standard error
_MEANS = ("local_complexity", "cell_distance", "boundary_distance")
_RESERVED = (*EXACT, "step", "domain", "status", "seconds", "estimates", "scalars")


class Series(NamedTuple):
    """One quantity over the steps: `steps, values, stderr = history.series(...)`.

    Parameters
    ----------
    steps : (n,) int64
    values : (n,) float64, nan where a record has no such value (a TRUNCATED one has no exact values)
    stderr : (n,) float64, standard errors; 0 for what is exact, nan where there is no value
    """

    steps: NDArray[np.int64]
    values: FloatArray
    stderr: FloatArray


@dataclass(frozen=True)
class Record(Shown):
    """The network at one step, on one domain. What was not asked for, or could not be had, is None.

    Integrals are against the density over the domain, Jacobians those in intrinsic coordinates.

    Parameters
    ----------
    step : int, optimizer steps done; 0 is before training
    domain : str, its name
    status : "COMPLETE" or "TRUNCATED"; then `cells` is a lower bound and other exact values are None
    cells : int, exact number of cells if COMPLETE
    seconds : float, wall time of this record
    locus : float, integral of the density over the nonlinear locus, in (d-1)-volume per d-volume
    locus_by_layer : (n_relu_layers,) tuple
    activation_locus : float, the same over the activation locus
    local_rank_by_layer : (n_relu_layers,) tuple, integral of #{singular values of J_l > eps}
    total_variation : float, integral of the Frobenius norm of the network's Jacobian
    c_grad_by_layer : (n_relu_layers,) tuple, max over cells of the spectral norm of J_l
    lipschitz_by_layer : (n_relu_layers,) tuple, Lipschitz constants of the rest of the network
    local_complexity : Estimate, exact but for the average over bias noise
    cell_distance, boundary_distance : Estimate, means over the given points of the distances, exact for each,
        from the end of its cell and from where the prediction changes, in the whole input space
    estimates : dict of Estimate, by the names of the estimators
    scalars : dict of float, what the training loop said: loss, accuracy, ...

    Examples
    --------
    >>> record = Record(10, "box", "COMPLETE", 4, 0.01, local_rank_by_layer=(2.0, 1.0))
    >>> record.local_rank, record.locus
    (1.5, None)
    """

    step: int
    domain: str
    status: str
    cells: int
    seconds: float
    locus: float | None = None
    locus_by_layer: tuple[float, ...] | None = None
    activation_locus: float | None = None
    local_rank_by_layer: tuple[float, ...] | None = None
    total_variation: float | None = None
    c_grad_by_layer: tuple[float, ...] | None = None
    lipschitz_by_layer: tuple[float, ...] | None = None
    local_complexity: Estimate | None = None
    cell_distance: Estimate | None = None
    boundary_distance: Estimate | None = None
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    scalars: Mapping[str, float] = field(default_factory=dict)

    @property
    def n_cells(self) -> int:
        """The number of cells, as `cells`."""
        return self.cells

    @property
    def complete(self) -> bool:
        """Whether all cells were found, so that `cells` is their number."""
        return self.status == "COMPLETE"

    @property
    def local_rank(self) -> float | None:
        """Mean of the local ranks over the layers; 0 without a layer."""
        ranks = self.local_rank_by_layer
        return None if ranks is None else math.fsum(ranks) / max(len(ranks), 1)

    @property
    def c_grad(self) -> float | None:
        """C_grad of the paper: the largest of all layers; 0 without a layer."""
        return None if self.c_grad_by_layer is None else max(self.c_grad_by_layer, default=0.0)

    @property
    def lipschitz(self) -> float | None:
        """The largest Lipschitz constant of all layers; 0 without a layer."""
        return None if self.lipschitz_by_layer is None else max(self.lipschitz_by_layer, default=0.0)

    def value(self, name: str) -> Estimate | None:
        """A quantity with its standard error, 0 for what is exact; None if it is not there.

        A number at the end of `locus`, `local_rank`, `c_grad` and `lipschitz` means that layer.

        Examples
        --------
        >>> record = Record(10, "box", "COMPLETE", 4, 0.01, local_rank_by_layer=(2.0, 1.0))
        >>> record.value("local_rank_0").mean, record.value("loss")
        (2.0, None)
        """
        found: Any = None
        if name == "cells":
            found = self.cells if self.complete else None
        elif name in EXACT or name == "seconds":
            found = getattr(self, name)
        elif name in self.estimates:
            found = self.estimates[name]
        elif name in self.scalars:
            found = self.scalars[name]
        elif (match := re.fullmatch(r"([a-z_]+)_(\d+)", name)) and match[1] in _LAYERED:
            layers = getattr(self, _LAYERED[match[1]]) or ()
            found = layers[int(match[2])] if int(match[2]) < len(layers) else None
        if found is None or isinstance(found, Estimate):
            return found
        return Estimate(float(found), 0.0, 1)

    def names(self) -> list[str]:
        """The quantities that this record has a value for, those of single layers left out."""
        exact = [name for name in EXACT if name == "cells" or getattr(self, name) is not None]
        return [*exact, *self.estimates, *self.scalars]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, ready for JSON; what is not finite becomes None."""
        return dict(finite(asdict(self)))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Record:
        """The record that `to_dict` gave."""
        # version 0.1 had no distances
        values: dict[str, Any] = {
            one.name: plain.get(one.name) if one.name in _MEANS else plain[one.name] for one in fields(cls)
        }
        for name in _LAYERED.values():
            values[name] = None if values[name] is None else tuple(_number(part) for part in values[name])
        for name in _MEANS:
            values[name] = None if values[name] is None else read_estimate(values[name])
        values["estimates"] = {name: read_estimate(one) for name, one in values["estimates"].items()}
        values["scalars"] = {name: _number(one) for name, one in values["scalars"].items()}
        return cls(**values)


@dataclass(frozen=True)
class History(Shown, Tabular):
    """All records of a training run, in the order of their steps.

    Parameters
    ----------
    records : tuple of Record, one for each step and domain
    network : str, one line on the network as it was first recorded
    domains : dict of str, one line on each domain by its name
    densities : dict of str, the same of the densities
    settings : dict of numbers and strings: sigma, eps, n_samples, n_bias, ...

    Examples
    --------
    >>> history = History((Record(0, "box", "COMPLETE", 4, 0.01), Record(10, "box", "COMPLETE", 7, 0.01)))
    >>> history.series("cells").values
    array([4., 7.])
    """

    records: tuple[Record, ...]
    network: str = ""
    domains: Mapping[str, str] = field(default_factory=dict)
    densities: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    def __str__(self) -> str:
        return self.table()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the domains, in the order of the records."""
        return tuple(dict.fromkeys(record.domain for record in self.records))

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that were recorded, each once."""
        return tuple(dict.fromkeys(record.step for record in self.records))

    @property
    def quantities(self) -> tuple[str, ...]:
        """What `series` knows, in the order of the table; quantities of single layers left out."""
        there = {name for record in self.records for name in record.names()}
        exact = [name for name in EXACT if name in there]
        others = (name for record in self.records for name in (*record.estimates, *record.scalars))
        return tuple(dict.fromkeys([*exact, *others]))

    def of(self, domain: str | None = None) -> tuple[Record, ...]:
        """The records of one domain; its name can be left out if there is only one.

        Raises
        ------
        InvalidInputError : if there is no such domain, or several and none is named
        """
        names = self.names
        if domain is None:
            if len(names) > 1:
                raise InvalidInputError(f"name one of the {len(names)} domains: {', '.join(names)}")
            return self.records
        if domain not in names:
            raise InvalidInputError(f"no domain {domain!r}; there are {', '.join(names) or 'none yet'}")
        return tuple(record for record in self.records if record.domain == domain)

    def series(self, name: str, domain: str | None = None) -> Series:
        """One quantity on one domain, over the steps.

        Parameters
        ----------
        name : one of `quantities`, or `seconds`; with `_l` behind `locus`, `local_rank`, `c_grad` and
            `lipschitz` that of ReLU layer l, counted from 0
        domain : name of the domain; can be left out if there is only one

        Returns
        -------
        Series of steps, values and standard errors, `(n,)` each

        Raises
        ------
        InvalidInputError : if no record of the domain has such a value, or there is no such domain
        """
        records = self.of(domain)
        found = [record.value(name) for record in records]
        # all may be TRUNCATED, yet the number of cells was asked for
        if not any(one is not None for one in found) and name != "cells":
            raise InvalidInputError(
                f"no record has {name!r}; there are {', '.join(self.quantities) or 'no records yet'}"
            )
        nothing = Estimate(math.nan, math.nan, 0)
        values = [nothing if one is None else one for one in found]
        return Series(
            np.array([record.step for record in records], dtype=np.int64),
            np.array([one.mean for one in values], dtype=np.float64),
            np.array([one.stderr for one in values], dtype=np.float64),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, ready for JSON."""
        return {
            "format": _FORMAT,
            "network": self.network,
            "domains": dict(self.domains),
            "densities": dict(self.densities),
            "settings": dict(self.settings),
            "records": [record.to_dict() for record in self.records],
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything as JSON, or the rows alone as CSV if the name ends in .csv.

        Raises
        ------
        InvalidInputError : if the file cannot be written
        """
        if Path(path).suffix.lower() != ".csv":
            save_json(self.to_dict(), path, "history")
            return
        columns = self._columns()
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        write_text(text.getvalue(), path, "history")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read what `save` wrote as JSON (CSV is for other programs); numbers come back bit for bit.

        Raises
        ------
        InvalidInputError : if the file cannot be read, is of another kind or damaged
        """
        return read_as(cls._from_dict, path, "history", _FORMAT)

    @classmethod
    def _from_dict(cls, plain: dict[str, Any]) -> History:
        records = tuple(Record.from_dict(record) for record in plain["records"])
        notes = [dict(plain[name]) for name in ("domains", "densities", "settings")]
        return cls(records, str(plain["network"]), *notes)

    def table(self) -> str:
        """The records as a table in plain text for each domain; TRUNCATED counts are marked `>=`."""
        lines = []
        for name in self.names:
            lines += heading(self.network, self._described(name), self.densities.get(name, ""))
            rows = self.of(name)
            columns = [one for one in self.quantities if any(one in row.names() for row in rows)]
            cells = [["step", *columns, "seconds"]]
            for row in rows:
                texts = [_text(row, column) for column in columns]
                cells.append([str(row.step), *texts, f"{row.seconds:.3g}"])
            widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
            for row_of_cells in cells:
                texts = [f"{cell:>{width}}" for cell, width in zip(row_of_cells, widths, strict=True)]
                lines.append("  ".join(texts))
        return "\n".join(lines)

    def _described(self, name: str) -> str:
        described = self.domains.get(name, "")
        return f"{name}: {described}" if described else name

    def plot(self, quantities: Sequence[str] | None = None, **options: Any) -> Any:
        """Draw the quantities over the steps, as `plotting.plot_history` does, and return the Figure."""
        return plotter("plot_history")(self, quantities, **options)

    def _columns(self) -> dict[str, Any]:
        rows = [_flat(record) for record in self.records]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}

    def _headline(self) -> str:
        steps = self.steps
        between = f", steps {steps[0]:,} to {steps[-1]:,}" if steps else ""
        return f"{len(self)} records{between}"

    def _notes(self) -> dict[str, Any]:
        return {"domains": list(self.names), "quantities": ", ".join(self.quantities)}

    def _facts(self) -> dict[str, Any]:
        network = {"network": self.network} if self.network else {}
        return {**network, "domains": list(self.names), "table": self.table()}

    def _picture(self) -> str:
        if len(self.names) != 1:
            return ""
        cells = self.series("cells")
        return curve_svg(cells.steps.astype(np.float64), cells.values)


def check_free(name: str, what: str) -> None:
    """Raise InvalidInputError if a user's name for something is one that records use."""
    layered = re.fullmatch(r"([a-z_]+)_\d+", name)
    if name in _RESERVED or (layered and layered[1] in _LAYERED):
        raise InvalidInputError(f"{what} cannot be called {name!r}: records have a quantity of that name")


def _text(record: Record, name: str) -> str:
    if name == "cells" and not record.complete:
        return f">= {record.cells}"
    value = record.value(name)
    if value is None:
        return "-"
    if name == "cells":
        return str(record.cells)
    return f"{value.mean:.5g} ± {value.stderr:.2g}" if value.stderr else f"{value.mean:.5g}"


def _flat(record: Record) -> dict[str, Any]:
    """A record as one row: a column for each layer, two for each estimate."""
    row: dict[str, Any] = {name: getattr(record, name) for name in ("step", "domain", "status", "cells")}
    for name in EXACT[1:]:
        if name in _MEANS:
            continue
        row[name] = getattr(record, name)
        for layer, value in enumerate(getattr(record, _LAYERED.get(name, ""), None) or ()):
            row[f"{name}_{layer}"] = value
    exact = {name: one for name in _MEANS if (one := getattr(record, name)) is not None}
    for name, one in {**exact, **record.estimates}.items():
        row |= {name: one.mean, f"{name} stderr": one.stderr}
    return {**row, **record.scalars, "seconds": record.seconds}


def _number(plain: float | None) -> float:
    return math.nan if plain is None else float(plain)
