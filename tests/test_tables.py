"""Laws of tables: the rows of cells, facets, comparisons, histories and sums, as other programs read them."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from networks import random_network

import regions
from regions import Box, CroftonLines, UniformDensity
from regions.errors import InvalidInputError
from regions.estimators import Estimate
from regions.validation.tracking.history import Record

pyarrow = pytest.importorskip("pyarrow")

NETWORK = random_network(3, (2, 7, 5, 3), gain=1.2, bias_scale=0.3)
BOX = Box([-1.0, -2.0], [1.0, 2.0])


@pytest.fixture(scope="module")
def cells():
    return regions.enumerate_cells(NETWORK, BOX, workers=1)


@pytest.fixture(scope="module")
def tables(cells):
    density = UniformDensity(BOX)
    estimates = {"mine": Estimate(1.0, 0.1, 10)}
    records = (
        Record(0, "box", "COMPLETE", 4, 0.1, locus=1.5, locus_by_layer=(1.0, 0.5), scalars={"loss": 2.0}),
        Record(10, "box", "TRUNCATED", 9, 0.2, estimates=estimates),
    )
    return {
        "cells": cells,
        "facets": cells.facets,
        "sums": regions.sum_over_cells(cells, eps=0.1),
        "history": regions.History(records),
        "comparison": regions.compare_estimators(
            [CroftonLines()], NETWORK, BOX, density, rng=0, n_seeds=2, budgets=[10, 20]
        ),
    }


def test_arrow_has_the_rows_of_cells(cells):
    table = cells.to_arrow()
    assert table.num_rows == cells.n_cells
    assert table["cell"].to_pylist() == list(range(cells.n_cells))
    assert table["pattern"].to_pylist() == [cells.pattern_hex(i) for i in range(cells.n_cells)]
    assert table["volume"].to_pylist() == cells.volumes.tolist()
    assert table["centroid"].to_pylist() == cells.centroids.tolist()


def test_numbers_are_not_copied(cells):
    table = cells.to_arrow()
    for name, array in (("volume", cells.volumes), ("n_vertices", cells.n_vertices)):
        assert table[name].chunk(0).buffers()[1].address == array.ctypes.data
    assert table["centroid"].chunk(0).flatten().buffers()[1].address == cells.centroids.ctypes.data
    facets = cells.facets.to_arrow()
    for name in ("cell_a", "cell_b", "layer", "unit", "volume", "jump"):
        assert facets[name].chunk(0).buffers()[1].address == getattr(cells.facets, name).ctypes.data


def test_facets_join_with_cells_by_their_numbers(cells):
    facets, table = cells.facets.to_arrow(), cells.to_arrow()
    inner = facets.filter(pyarrow.compute.greater_equal(facets["cell_b"], 0))
    joined = inner.join(table.select(["cell", "volume"]), "cell_a", "cell", right_suffix="_of_cell")
    assert joined.num_rows == int(cells.facets.interior.sum())
    by_number = dict(zip(joined["facet"].to_pylist(), joined["volume_of_cell"].to_pylist(), strict=True))
    for row, volume in by_number.items():
        assert volume == cells.volumes[cells.facets.cell_a[row]]


def test_whoever_reads_arrow_streams_reads_all_tables(tables):
    for name, one in tables.items():
        read = pyarrow.RecordBatchReader.from_stream(one).read_all()
        assert read.schema == one.to_arrow().schema, name
        assert str(read.to_pydict()) == str(one.to_arrow().to_pydict()), name  # nan is written as nan


def test_rows_of_histories_and_comparisons_are_their_records(tables):
    history = tables["history"].to_arrow()
    assert history["step"].to_pylist() == [0, 10] and history["loss"].to_pylist() == [2.0, None]
    assert history["locus_1"].to_pylist() == [0.5, None] and history["mine stderr"].to_pylist() == [None, 0.1]
    comparison = tables["comparison"]
    rows = comparison.to_arrow()
    assert rows["budget"].to_pylist() == [10, 20]
    assert rows["bias"].to_pylist() == [one.bias for one in comparison.judgements]
    assert rows["exact"].to_pylist() == [one.exact.mean for one in comparison.judgements]


def test_sums_over_cells_have_a_row_for_each_cell(tables):
    sums = tables["sums"]
    table = sums.to_arrow()
    assert table["mass"].to_pylist() == sums.cell_mass.tolist()
    assert table["rank_1"].to_pylist() == sums.cell_ranks[:, 1].tolist()


def test_empty_histories_are_empty_tables():
    assert regions.History(()).to_arrow().num_rows == 0


def test_pandas_has_the_same_rows_with_a_column_for_each_coordinate(tables):
    pytest.importorskip("pandas")
    for name, one in tables.items():
        frame, table = one.to_pandas(), one.to_arrow()
        assert len(frame) == table.num_rows, name
    cells = tables["cells"]
    frame = cells.to_pandas()
    assert np.array_equal(frame[["centroid_0", "centroid_1"]], cells.centroids)
    assert frame.volume.sum() == pytest.approx(BOX.volume)


def test_polars_has_the_same_rows(tables):
    polars = pytest.importorskip("polars")
    for name, one in tables.items():
        frame = one.to_polars()
        assert frame.height == one.to_arrow().num_rows, name
        assert polars.DataFrame(one).equals(polars.DataFrame(one.to_arrow())), name
    assert tables["cells"].to_polars()["volume"].to_list() == tables["cells"].volumes.tolist()


def test_duckdb_asks_tables_by_their_names(tables):
    duckdb = pytest.importorskip("duckdb")
    facets = tables["facets"].to_arrow()  # noqa: F841 (named in the question)
    [(n,)] = duckdb.sql("select count(*) from facets where cell_b >= 0").fetchall()
    assert n == int(tables["facets"].interior.sum())


@pytest.mark.parametrize("name", ["pyarrow", "pandas", "polars"])
def test_a_package_that_is_missing_is_named_with_what_to_install(cells, name, monkeypatch):
    method = {"pyarrow": "to_arrow", "pandas": "to_pandas", "polars": "to_polars"}[name]

    def absent(module):
        if module == name:
            raise ImportError(f"No module named {name!r}")
        return importlib.import_module(module)

    monkeypatch.setattr("regions.showing.table_columns.import_module", absent)
    with pytest.raises(InvalidInputError, match=rf"{method}\(\) needs {name}; .*'relu-regions\[tables\]'"):
        getattr(cells, method)()
