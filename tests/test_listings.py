"""Laws of listings in folders: they hold what is listed in memory, whoever made them, and sums read them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import network_on_box

from regions import (
    Box,
    CellComplex,
    CertificateError,
    GaussianDensity,
    InvalidInputError,
    Network,
    Run,
    Segment,
    Slice,
    StoredComplex,
    adjacency_graph,
    enumerate_cells,
    export_graph,
    locus_volume,
    sum_over_cells,
    write_graph,
)
from regions.cli import main
from regions.enumeration import facet_files, spool, stored_listing
from regions.enumeration.search import Budget

pytest.importorskip("pyarrow")

CELLS = ("patterns", "volumes", "centroids", "witnesses", "n_vertices", "n_facets", "rings")
FACETS = ("cell_a", "cell_b", "side", "layer", "unit", "volume", "jump", "place")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut a hundred cells as others would be cut by the million."""
    for module, sizes in (
        (facet_files, {"BLOCK": 16, "HALVES_IN_FILE": 32, "JUMPS_AT_ONCE": 23, "MOST_FILES": 4}),
        (stored_listing, {"BLOCK": 16}),
        (spool, {"ROWS": 11}),
    ):
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)


def random_network(shape: tuple[int, ...], seed: int = 0, **more: Any) -> Network:
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(shape))
    weights = [rng.normal(size=(b, a)) for a, b in pairs]
    return Network.from_arrays(weights, [0.3 * rng.normal(size=b) for _, b in pairs], **more)


def doubled_units() -> Network:
    """Make a network in which several units bend on one line, and one is dead."""
    rows = np.array([[1.0, 0.5], [1.0, 0.5], [-2.0, -1.0], [0.3, 1.0], [0.0, 0.0]])
    second = np.array([[1.0, -1.0, 0.5, 1.0, 0.0], [0.5, 1.0, 0.0, -1.0, 1.0]])
    return Network.from_arrays([rows, second, [[1.0, 1.0]]], [[0.1, 0.1, -0.2, 0.0, 1.0], [-0.1, 0.2], [0.0]])


def maxout_network(d: int) -> Network:
    """Make a network of two max units of three rows and two of two, in two layers."""
    rng = np.random.default_rng(d)
    weights = [rng.normal(size=shape) for shape in [(6, d), (4, 2), (1, 2)]]
    return Network.from_arrays(weights, [0.3 * rng.normal(size=len(w)) for w in weights], maxima=[3, 2, None])


SQUARE, CUBE = Box([-1.0, -1.0], [1.0, 1.0]), Box([-1.0] * 3, [1.0] * 3)
PROBLEMS = {
    "polygons": (random_network((2, 9, 7, 3)), SQUARE),
    "polytopes": (random_network((3, 6, 5, 2)), CUBE),
    "intervals": (random_network((4, 8, 6, 1)), Segment([-1.0] * 4, [1.0, 0.5, 2.0, 1.0])),
    "slice": (
        random_network((5, 8, 6, 1), 3),
        Slice.around(np.zeros(5), (np.eye(5)[0], np.eye(5)[3]), 1.0),
    ),
    "doubled": (doubled_units(), SQUARE),
    "slopes": (random_network((2, 6, 5, 1), 5, slopes=[(0.1, 1.0), (-1.0, 1.0), None]), SQUARE),
    "maxout": (maxout_network(2), SQUARE),
    "max3": (maxout_network(3), CUBE),
    "one cell": (Network.from_arrays([[[1.0, 1.0]]], [[0.0]], relu=[False]), SQUARE),
}


def assert_same(found: CellComplex, expected: CellComplex) -> None:
    for one, other, names in ((found, expected, CELLS), (found.facets, expected.facets, FACETS)):
        for name in names:
            a, b = getattr(one, name), getattr(other, name)
            assert (a is None) == (b is None), name
            if a is not None:
                assert a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True), name
    assert (found.status, found.certificate) == (expected.status, expected.certificate)


@pytest.mark.kernels
@pytest.mark.sweep(2)
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_folder_holds_what_memory_does_to_the_last_bit(name: str, tmp_path: Path) -> None:
    network, domain = PROBLEMS[name]
    kept = enumerate_cells(network, domain, workers=1)
    stored = enumerate_cells(network, domain, workers=1, output=tmp_path / "cells")
    assert isinstance(stored, StoredComplex)
    assert_same(stored.load(), kept)
    assert (stored.n_cells, stored.n_facets) == (kept.n_cells, len(kept.facets))
    assert stored.n_interior_facets == int(kept.facets.interior.sum())
    assert stored.volume_sum == pytest.approx(kept.volume_sum, rel=1e-12)
    assert sorted(path.name for path in stored.folder.iterdir()) == [
        "cells.parquet",
        "facets.parquet",
        "listing.json",
        "network.npz",
    ]
    stored.check()


@pytest.mark.parametrize("max_cells", [1, 16, 40])
def test_the_first_cells_are_those_of_memory(max_cells: int, tmp_path: Path) -> None:
    network, domain = PROBLEMS["polygons"]
    stored = enumerate_cells(network, domain, output=tmp_path / "cells", max_cells=max_cells, workers=2)
    assert_same(stored.load(), enumerate_cells(network, domain, max_cells=max_cells))
    assert not stored.certificate.complete and stored.certificate.stopped_by == "max_cells"


def bytes_of(stored: StoredComplex) -> list[bytes]:
    return [(stored.folder / name).read_bytes() for name in ("cells.parquet", "facets.parquet")]


@pytest.mark.kernels
def test_no_byte_depends_on_who_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regions.enumeration.threads.ALONE_SECONDS", 0.0)
    network, domain = network_on_box(3, (12, 8))
    made = [
        enumerate_cells(network, domain, output=tmp_path / f"{k}", workers=workers)
        for k, workers in enumerate((1, 2, 5))
    ]
    monkeypatch.setattr("regions.enumeration.executors.LEAST_SECONDS", 0.001)
    with ThreadPoolExecutor(3) as pool:
        made.append(enumerate_cells(network, domain, output=tmp_path / "pool", executor=pool))
    assert made[0].n_cells > 200
    assert all(bytes_of(one) == bytes_of(made[0]) for one in made[1:])


@pytest.mark.sweep(3)
@pytest.mark.parametrize("kind", ["gradient", "activation"])
@pytest.mark.parametrize("name", ["polygons", "polytopes", "intervals", "doubled", "max3"])
def test_a_locus_read_in_blocks_is_that_of_memory(name: str, kind: Any, tmp_path: Path) -> None:
    network, domain = PROBLEMS[name]
    kept = enumerate_cells(network, domain)
    stored = enumerate_cells(network, domain, output=tmp_path / "cells")
    d = domain.dimension
    for density in (None, GaussianDensity(np.zeros(d), 0.7)):
        one, other = (locus_volume(cells, density, kind) for cells in (stored, kept))
        assert (one.n_facets, one.is_lower_bound) == (other.n_facets, False)
        if density is None:
            assert one.to_dict() == other.to_dict()
        else:  # cubature refines where the simplices that it gets together need it
            for a, b in (
                (one.total, other.total),
                (one.by_unit, other.by_unit),
                (one.by_layer, other.by_layer),
            ):
                assert np.abs(np.subtract(a, b)).max() <= one.error + other.error + 1e-14
            assert 0.0 < one.error < 1e-8 * one.total


@pytest.mark.sweep(1)
@pytest.mark.parametrize("name", ["polygons", "polytopes", "intervals"])
def test_sums_over_cells_read_in_blocks_are_those_of_memory(name: str, tmp_path: Path) -> None:
    network, domain = PROBLEMS[name]
    kept = enumerate_cells(network, domain)
    stored = enumerate_cells(network, domain, output=tmp_path / "cells")
    # those of other densities beyond the plane are in test_folders
    densities = [None, GaussianDensity(np.zeros(domain.dimension), 0.7)]
    for density in densities[: 1 if domain.dimension > 2 else 2]:
        one, other = (sum_over_cells(cells, density, eps=0.01).to_dict() for cells in (stored, kept))
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert value == other[key] or np.allclose(value, other[key], rtol=1e-12, atol=1e-15), key


@pytest.mark.sweep(4)
@pytest.mark.parametrize("format", ["graphml", "csv", "parquet", "npz"])
@pytest.mark.parametrize("name", ["polygons", "polytopes"])
def test_graph_files_of_blocks_are_those_of_networkx(name: str, format: str, tmp_path: Path) -> None:
    network, domain = PROBLEMS[name]
    kept = enumerate_cells(network, domain)
    stored = enumerate_cells(network, domain, output=tmp_path / "cells")
    through = write_graph(adjacency_graph(kept), tmp_path / f"networkx.{format}")
    for k, cells in enumerate((kept, stored)):
        files = export_graph(cells, tmp_path / f"blocks{k}.{format}")
        for one, other in zip(files, through, strict=True):
            if format == "npz":
                from scipy import sparse

                assert (sparse.load_npz(one).tocsr() != sparse.load_npz(other)).nnz == 0
            elif format == "parquet":
                import pyarrow.parquet as pq

                a, b = pq.read_table(one), pq.read_table(other)
                assert a.equals(b) and a.schema.metadata == b.schema.metadata
            else:
                assert one.read_bytes() == other.read_bytes()


def test_formats_that_need_the_graph_in_memory_say_so(tmp_path: Path) -> None:
    network, domain = PROBLEMS["doubled"]
    stored = enumerate_cells(network, domain, output=tmp_path / "cells")
    with pytest.raises(InvalidInputError, match="in memory"):
        export_graph(stored, tmp_path / "graph.gexf")
    assert export_graph(stored.load(), tmp_path / "graph.gexf")[0].is_file()


@pytest.mark.parametrize("file", ["listing.json", "cells.parquet", "facets.parquet", "network.npz"])
def test_a_damaged_or_unfinished_folder_is_refused(file: str, tmp_path: Path) -> None:
    network, domain = PROBLEMS["doubled"]
    stored = enumerate_cells(network, domain, output=tmp_path / "cells")
    path = stored.folder / file
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b""):
        path.write_bytes(damaged)
        with pytest.raises(InvalidInputError):
            CellComplex.open(stored.folder)
    path.unlink()
    with pytest.raises(InvalidInputError):
        CellComplex.open(stored.folder)
    if file != "listing.json":
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 1
        path.write_bytes(changed)
        with pytest.raises(InvalidInputError, match=r"changed|Bad CRC"):
            CellComplex.open(stored.folder).check()


def test_what_cannot_be_listed_to_a_folder_is_refused_before_the_search(tmp_path: Path) -> None:
    network, domain = PROBLEMS["polygons"]
    for options in ({"engine": "both"}, {"engine": "lp", "volumes": True}, {"volumes": True}):
        with pytest.raises(InvalidInputError, match="output="):
            enumerate_cells(network, domain, output=tmp_path / "cells", **options)  # type: ignore[call-overload]
    with pytest.raises(InvalidInputError, match="leave executor out"), ThreadPoolExecutor(1) as pool:
        enumerate_cells(network, domain, engine="lp", output=tmp_path / "cells", executor=pool)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InvalidInputError, match="not empty"):
        enumerate_cells(network, domain, output=tmp_path)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("max_cells", [None, 60])
def test_colliding_keys_are_refused_and_leave_nothing(
    max_cells: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_words(network: Network, domain: Box, n_units: int) -> dict[str, np.ndarray]:
        return {name: np.zeros(n_units + 1, np.uint64) for name in ("unit_keys", "facet_keys")}

    monkeypatch.setattr("regions.enumeration.compiled_network.facet_words", no_words)
    with pytest.raises(CertificateError):
        enumerate_cells(random_network((2, 9, 7, 3), 8), SQUARE, output=tmp_path / "c", max_cells=max_cells)
    assert list((tmp_path / "c").iterdir()) == []


def test_a_part_that_changed_on_the_way_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = spool.Sink.close

    def lose_a_file(self: spool.Sink) -> list[spool.StoredPart]:
        parts = close(self)
        for part in parts:
            self.spool.files(part.name)[1].write_bytes(b"PAR1")
        return parts

    monkeypatch.setattr(spool.Sink, "close", lose_a_file)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        enumerate_cells(*PROBLEMS["doubled"], output=tmp_path / "cells")


def test_parts_come_back_as_they_went(tmp_path: Path) -> None:
    assert spool.StoredPart.parse(str(spool.StoredPart("ab", 3, 14))) == ("ab", 3, 14)


def test_the_command_line_lists_to_a_folder_and_reads_it(tmp_path: Path, capsys: Any) -> None:
    network, _ = PROBLEMS["doubled"]
    network.save(tmp_path / "net.npz")
    file, folder = tmp_path / "out.regions", tmp_path / "cells"
    found = []
    for place in (["-o", str(file)], ["--folder", str(folder)]):
        assert main(["enumerate", str(tmp_path / "net.npz"), "--box", "-1", "1", *place, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    kept, stored = found
    assert stored.pop("folder") == str(folder) and kept.pop("file") == str(file)
    assert stored.pop("volume_sum") == pytest.approx(kept.pop("volume_sum"))
    kept.pop("seconds"), stored.pop("seconds")
    assert stored == kept
    for command in (["locus", "--json"], ["graph", "-o", str(tmp_path / "graph.graphml"), "--json"]):
        texts = []
        for place in (file, folder):
            assert main([command[0], str(place), *command[1:]]) == 0
            texts.append(capsys.readouterr().out)
        assert texts[0] == texts[1]
    assert main(["enumerate", str(tmp_path / "net.npz"), "--box", "-1", "1"]) == 2
    assert "--folder" in capsys.readouterr().err


def run_parts(run: Run) -> tuple[set[str], set[str]]:
    """The parts that tasks name, and those that have files."""
    with closing(sqlite3.connect(run.folder / "run.sqlite")) as base:
        named = {text.split(":")[0] for (text,) in base.execute("SELECT part FROM parts")}
    return named, {path.name.split(".")[0] for path in (run.folder / "parts").iterdir()}


@pytest.mark.sweep(1)
@pytest.mark.parametrize("name", ["polygons", "polytopes"])
def test_a_run_in_small_pieces_lists_what_one_call_lists(name: str, tmp_path: Path) -> None:
    network, domain = PROBLEMS[name]
    expected = enumerate_cells(network, domain, output=tmp_path / "expected")
    run = Run.create(tmp_path / "run", network, domain, mode="list")
    with pytest.raises(InvalidInputError, match="not finished"):
        run.merge(tmp_path / "merged")
    # a lease so short that workers are taken for dead, and tasks are done twice
    assert Run.open(run.folder).work(workers=3, budget=Budget(steps=20), lease=0.002)
    named, files = run_parts(run)
    assert named == files and len(named) > 3
    merged = run.merge(tmp_path / "merged")
    assert bytes_of(merged) == bytes_of(expected)
    assert merged.certificate == expected.certificate and merged.engine_reason == expected.engine_reason
    assert run.result().cells == merged.n_cells
    assert bytes_of(run.merge(tmp_path / "again")) == bytes_of(expected)


def test_a_listing_whose_parts_were_changed_is_not_merged(tmp_path: Path) -> None:
    network, domain = PROBLEMS["doubled"]
    run = Run.create(tmp_path / "run", network, domain, mode="list")
    run.work(workers=1)
    (part,) = run_parts(run)[0]
    path = run.folder / "parts" / f"{part}.cells.parquet"
    whole = bytearray(path.read_bytes())
    for place in (20, len(whole) // 3):
        changed = whole.copy()
        changed[place] ^= 4
        path.write_bytes(changed)
        with pytest.raises((InvalidInputError, CertificateError)):
            run.merge(tmp_path / "merged")
    path.unlink()
    with pytest.raises(InvalidInputError, match="cannot be read"):
        run.merge(tmp_path / "merged")
    path.write_bytes(whole)
    with closing(sqlite3.connect(run.folder / "run.sqlite")) as base, base:
        base.execute("UPDATE parts SET part = replace(part, ':', ':1')")
    with pytest.raises(CertificateError, match="changed"):
        run.merge(tmp_path / "merged")


def test_runs_that_cannot_list_say_so(tmp_path: Path) -> None:
    network, domain = PROBLEMS["doubled"]
    for options in ({"engine": "lp"}, {"check_volumes": False}, {"mode": "draw"}):
        with pytest.raises(InvalidInputError):
            Run.create(tmp_path / "run", network, domain, **{"mode": "list", **options})
    run = Run.create(tmp_path / "run", network, domain)
    run.work(workers=1)
    with pytest.raises(InvalidInputError, match="counts"):
        run.merge(tmp_path / "merged")


@pytest.mark.slow
def test_a_listing_survives_kills(tmp_path: Path, rng: np.random.Generator) -> None:
    network, domain = network_on_box(3, (20, 14))
    expected = enumerate_cells(network, domain, output=tmp_path / "expected")
    run = Run.create(tmp_path / "run", network, domain, mode="list")
    code = (
        "import sys; from regions import Run; from regions.enumeration.search import Budget;"
        "run = Run.open(sys.argv[1]); print('ready', flush=True);"
        "run.work(workers=2, budget=Budget(steps=40), lease=0.2)"
    )
    for _ in range(4):
        worker = subprocess.Popen(
            [sys.executable, "-c", code, str(run.folder)], stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.1, 1.0))
        worker.kill()
        worker.wait()
        worker.stdout.close()
    time.sleep(0.3)
    assert run.work(budget=Budget(steps=2000))
    assert bytes_of(run.merge(tmp_path / "merged")) == bytes_of(expected)


def test_a_run_lists_on_the_command_line(tmp_path: Path, capsys: Any) -> None:
    network, _ = PROBLEMS["doubled"]
    network.save(tmp_path / "net.npz")
    folder, cells = str(tmp_path / "run"), str(tmp_path / "cells")
    create = ["run", "create", str(tmp_path / "net.npz"), "--box", "-1", "1", "-o", folder, "--mode", "list"]
    for words in (create, ["run", "work", folder], ["run", "merge", folder, "-o", cells, "--json"]):
        capsys.readouterr()
        assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cells"], found["folder"]) == (CellComplex.open(cells).n_cells, cells)


@pytest.mark.parametrize("mode", ["count", "list"])
def test_a_run_on_an_executor_is_that_of_threads(mode: Any, tmp_path: Path) -> None:
    network, domain = PROBLEMS["polygons"]
    run = Run.create(tmp_path / "run", network, domain, mode=mode)
    with ThreadPoolExecutor(2) as pool:
        assert run.work(executor=pool, budget=Budget(cells=7))
    assert run.status().done > 3
    expected = enumerate_cells(network, domain, output=tmp_path / "expected")
    assert run.result().n_cells == expected.n_cells
    if mode == "list":
        assert bytes_of(run.merge(tmp_path / "merged")) == bytes_of(expected)


def test_a_run_whose_workers_are_lost_says_so_and_goes_on(tmp_path: Path) -> None:
    network, domain = PROBLEMS["polygons"]
    run = Run.create(tmp_path / "run", network, domain)

    class Broken(ThreadPoolExecutor):
        def submit(self, *words: Any, **more: Any) -> Any:
            if run.status().done:
                raise BrokenExecutor("all gone")
            return super().submit(*words, **more)

    with Broken(2) as pool, pytest.raises(InvalidInputError, match=r"lost .*what was found is kept"):
        run.work(executor=pool, budget=Budget(cells=7))
    assert run.status().done == 1
    assert run.work(workers=1)
    assert run.result().n_cells == enumerate_cells(network, domain).n_cells


@pytest.mark.slow
def test_a_run_lists_on_dasks_workers(tmp_path: Path, capsys: Any) -> None:
    distributed = pytest.importorskip("distributed")
    network, domain = PROBLEMS["polygons"]
    expected = enumerate_cells(network, domain, output=tmp_path / "expected")
    run = Run.create(tmp_path / "run", network, domain, mode="list")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        words = ["run", "work", str(run.folder), "--dask", cluster.scheduler_address, "--json"]
        assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["finished"]
    assert bytes_of(run.merge(tmp_path / "merged")) == bytes_of(expected)
    assert main(["run", "work", str(run.folder), "--dask", "tcp://127.0.0.1:9"]) == 2
    assert "no scheduler" in capsys.readouterr().err
