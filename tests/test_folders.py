"""Laws of folders of cells without vertices or end, of densities on them, and of joins that were ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import network_on_box
from test_listings import PROBLEMS, assert_same, bytes_of, random_network, small_blocks  # noqa: F401

from regions import (
    Box,
    BudgetExceededError,
    CellComplex,
    GaussianDensity,
    InvalidInputError,
    Polyhedron,
    StoredComplex,
    WholeSpace,
    enumerate_cells,
    export_graph,
    gradient_tail,
    locus_volume,
    sum_over_cells,
)
from regions.cli import main
from regions.enumeration import facet_files, join_listing, spool, stored_listing
from regions.enumeration.limits import Stop

TABLE = ("cell_a", "cell_b", "side", "layer", "unit", "jump", "place")
HIGH = random_network((9, 4, 3, 2), 4), Box([-1.0] * 9, [1.0] * 9)


def rows_of(cells: CellComplex) -> list[tuple[Any, ...]]:
    """The facet table as rows, in an order of their own.

    Where the second cell is missing, any of the candidates of a max unit may be named.
    """
    columns = [getattr(cells.facets, name) for name in TABLE]
    if cells.network.max_units is not None:
        columns[TABLE.index("unit")] = np.where(cells.facets.cell_b == -2, 0, cells.facets.unit)
    return sorted(zip(*(np.nan_to_num(column, nan=-1.0).tolist() for column in columns), strict=True))


@pytest.mark.sweep(3)
@pytest.mark.parametrize("max_cells", [None, 9])
@pytest.mark.parametrize("name", ["polytopes", "doubled", "max3", "maxout", "slopes", "one cell", "high"])
def test_linear_programs_list_to_a_folder_what_they_list(
    name: str, max_cells: int | None, tmp_path: Path
) -> None:
    network, domain = HIGH if name == "high" else PROBLEMS[name]
    kept = enumerate_cells(network, domain, engine="lp", volumes=False, max_cells=max_cells)
    stored = enumerate_cells(network, domain, engine="lp", max_cells=max_cells, output=tmp_path / "cells")
    found = stored.load()
    assert (stored.n_cells, found.status, found.certificate) == (kept.n_cells, kept.status, kept.certificate)
    for one, other in (
        (found.patterns, kept.patterns),
        (found.witnesses, kept.witnesses),
        (found.n_facets, kept.n_facets),
    ):
        assert np.array_equal(one, other, equal_nan=True)
    assert rows_of(found) == rows_of(kept) and np.isnan(found.facets.volume).all()
    assert stored.volume_kind == found.volume_kind == "none" and np.isnan(stored.volume_sum)
    with pytest.raises(InvalidInputError, match="needs the volumes"):
        locus_volume(stored, allow_truncated=True)


def test_a_listing_without_volumes_writes_graphs(tmp_path: Path) -> None:
    network, domain = PROBLEMS["doubled"]
    kept = enumerate_cells(network, domain, engine="lp", volumes=False)
    stored = enumerate_cells(network, domain, engine="lp", output=tmp_path / "cells")
    texts = [export_graph(kept, tmp_path / "0.csv"), export_graph(stored, tmp_path / "1.csv")]
    lines = [sorted(file.read_text().splitlines()) for files in texts for file in files]
    assert lines[:2] == lines[2:]


SPACES = {
    "plane": (random_network((2, 6, 4, 2), 1), WholeSpace(2)),
    "space": (random_network((3, 4, 3, 1), 2), WholeSpace(3)),
    "cone": (random_network((2, 5, 4, 1), 3), Polyhedron([[-1.0, 0.0], [1.0, -2.0]], [0.5, 1.0])),
}


@pytest.mark.sweep(1)
@pytest.mark.parametrize("name", SPACES)
def test_a_folder_without_end_is_that_of_memory(name: str, tmp_path: Path) -> None:
    network, domain = SPACES[name]
    kept = enumerate_cells(network, domain)
    stored = enumerate_cells(network, domain, output=tmp_path / "cells")
    assert isinstance(stored, StoredComplex)
    assert kept.clipped is not None and stored.clipped is not None
    found = stored.load()
    assert_same(found, kept)
    assert found.clipped is not None
    assert_same(found.clipped, kept.clipped)
    assert np.array_equal(found.bounded, kept.bounded)
    assert stored.n_unbounded == int((~kept.bounded).sum()) > 0
    assert next(stored.cell_blocks()).bounded.tolist()[:3] == kept.bounded.tolist()[:3]
    numbers, others = stored.to_dict(), kept.to_dict()
    assert numbers.pop("folder") == str(stored.folder) and numbers.pop("seconds") and others.pop("seconds")
    assert numbers == others
    stored.check()
    for density in (None, GaussianDensity(np.zeros(domain.dimension), 0.7)):
        one, other = (locus_volume(cells, density).to_dict() for cells in (stored, kept))
        assert one == other
    sums = [sum_over_cells(cells, density, eps=0.01).to_dict() for cells in (stored, kept)]
    for key, value in sums[0].items():
        assert value == sums[1][key] or np.allclose(value, sums[1][key], rtol=1e-12), key
    with pytest.raises(InvalidInputError, match="clipped"):
        next(stored.facets_with_cells())
    files = zip(export_graph(kept, tmp_path / "0.csv"), export_graph(stored, tmp_path / "1.csv"), strict=True)
    assert all(one.read_bytes() == other.read_bytes() for one, other in files)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("engine", ["planar", "cells"])
@pytest.mark.parametrize("name", ["polygons", "polytopes"])
def test_densities_weigh_cells_of_folders_as_in_memory(name: str, engine: str, tmp_path: Path) -> None:
    network, domain = PROBLEMS[name]
    if engine == "planar" and domain.dimension > 2:
        pytest.skip("polygons only")
    kept = enumerate_cells(network, domain, engine=engine)
    stored = enumerate_cells(network, domain, engine=engine, output=tmp_path / "cells")
    density = GaussianDensity(np.full(domain.dimension, 0.2), 0.7)
    one, other = (sum_over_cells(cells, density, eps=0.01) for cells in (stored, kept))
    # cubature refines where the simplices that it gets together need it
    room = one.mass_error + other.mass_error
    assert abs(one.mass - other.mass) <= room < 1e-8
    assert one.mass == pytest.approx(density.mass(domain)[0], abs=1e-8)
    assert np.array_equal(one.c_grad, other.c_grad) and np.array_equal(one.lipschitz, other.lipschitz)
    reach = max(1.0, float(one.lipschitz.max()) * float(one.c_grad.max()))
    for name in ("total_variation", "local_rank", "unit_gradients", "not_good", "not_good_anywhere"):
        assert np.allclose(getattr(one, name), getattr(other, name), rtol=0.0, atol=room * reach * 10), name
    for p in (density, None):
        tails = [gradient_tail(cells, p, eta=0.3) for cells in (stored, kept)]
        assert abs(tails[0].total - tails[1].total) <= tails[0].error + tails[1].error + 1e-12
        assert tails[0].total > 0.0


def test_masses_that_miss_cells_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, domain = PROBLEMS["polytopes"]
    stored = enumerate_cells(network, domain, output=tmp_path / "cells")
    blocks = StoredComplex.facets_with_cells
    monkeypatch.setattr(StoredComplex, "facets_with_cells", lambda self: list(blocks(self))[1:])
    with pytest.raises(Exception, match="miss their volumes"):
        sum_over_cells(stored, GaussianDensity(np.zeros(3), 0.7), eps=0.01)


def over_after(monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    """Let the time be up when it was looked at so often in joining."""
    left = [looks]

    def is_over(self: Stop) -> bool:
        left[0] -= 1
        return left[0] < 0

    monkeypatch.setattr(Stop, "is_over", is_over)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("looks", [0, 2, 5, 1_000_000])
@pytest.mark.parametrize("engine", ["cells", "lp"])
def test_a_joining_that_ran_out_of_time_is_taken_up_again(
    engine: str, looks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, domain = PROBLEMS["max3"]
    whole = enumerate_cells(network, domain, engine=engine, output=tmp_path / "whole")
    folder = tmp_path / "cells"
    with monkeypatch.context() as patch:
        over_after(patch, looks)
        if looks > 1000:
            enumerate_cells(network, domain, engine=engine, output=folder)
        else:
            with pytest.raises(BudgetExceededError, match="regions join"):
                enumerate_cells(network, domain, engine=engine, output=folder)
            with pytest.raises(InvalidInputError, match="regions join"):
                CellComplex.open(folder)
            with pytest.raises(BudgetExceededError, match="regions join"):
                join_listing(folder)
    joined = join_listing(folder, workers=1)
    assert bytes_of(joined) == bytes_of(whole)
    assert (joined.certificate, joined.status) == (whole.certificate, whole.status)
    assert joined.engine_reason == whole.engine_reason and joined.volume_kind == whole.volume_kind
    assert sorted(path.name for path in folder.iterdir()) == sorted(p.name for p in whole.folder.iterdir())
    assert join_listing(folder).n_cells == whole.n_cells


@pytest.mark.slow
def test_the_search_leaves_time_for_the_joining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((facet_files, "BLOCK"), (stored_listing, "BLOCK"), (spool, "ROWS")):
        monkeypatch.setattr(module, name, 1 << 16)
    monkeypatch.setattr(spool, "SECONDS_TO_JOIN", (0.0, 0.01, 0.0))
    network, domain = network_on_box(4, (60, 60))  # some minutes
    try:
        stored = enumerate_cells(network, domain, output=tmp_path / "cells", max_seconds=0.25)
    except BudgetExceededError:  # on a machine that has other things to do
        stored = join_listing(tmp_path / "cells")
    assert stored.certificate.stopped_by == "max_seconds" and stored.n_cells > 0
    stored.check()


def test_at_most_half_of_the_time_is_kept_back() -> None:
    stop = Stop(100.0)
    for seconds, left in ((0.0, 100.0), (30.0, 70.0), (1e9, 50.0)):
        stop.kept_back = lambda seconds=seconds: seconds  # type: ignore[misc]
        assert left - 1.0 < (stop.left() or 0.0) <= left and not stop.is_set()
    assert Stop().left() is None and not Stop().is_over()


def test_an_interrupted_joining_is_taken_up_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    network, domain = PROBLEMS["doubled"]
    network.save(tmp_path / "net.npz")
    whole = enumerate_cells(network, domain, output=tmp_path / "whole")
    folder = str(tmp_path / "cells")

    def interrupted(self: Stop) -> bool:
        self.interrupt()
        return False

    words = ["enumerate", str(tmp_path / "net.npz"), "--box", "-1", "1", "--folder", folder]
    with monkeypatch.context() as patch:
        patch.setattr(Stop, "is_over", interrupted)
        assert main(words) == 130
        assert f"`regions join {folder}` goes on" in " ".join(capsys.readouterr().err.split())
    assert main(["locus", folder]) == 2
    assert "regions join" in capsys.readouterr().err
    assert main(["join", folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells"] == whole.n_cells
    assert main(["join", folder]) == 0 and "COMPLETE" not in capsys.readouterr().err
    assert bytes_of(CellComplex.open(folder)) == bytes_of(whole)
    assert main(["join", str(tmp_path)]) == 2


def test_a_search_that_was_changed_is_not_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, domain = PROBLEMS["doubled"]
    with monkeypatch.context() as patch:
        over_after(patch, 0)
        with pytest.raises(BudgetExceededError):
            enumerate_cells(network, domain, output=tmp_path / "cells")
    note = tmp_path / "cells" / "work" / "search.json"
    whole = note.read_text()
    for text, says in (
        (whole[:100], "damaged"),
        (json.dumps({**json.loads(whole), "format": "other"}), "format"),
        (json.dumps({**json.loads(whole), "searches": "0"}), "another version"),
        (json.dumps({**json.loads(whole), "network": "0"}), "another network"),
    ):
        note.write_text(text)
        with pytest.raises(InvalidInputError, match=says):
            join_listing(tmp_path / "cells")
    note.write_text(whole)
    assert join_listing(tmp_path / "cells").n_cells == enumerate_cells(network, domain).n_cells


def test_folders_of_the_first_format_are_read(tmp_path: Path) -> None:
    network, domain = PROBLEMS["doubled"]
    stored = enumerate_cells(network, domain, output=tmp_path / "cells")
    header = json.loads((stored.folder / "listing.json").read_text())
    old = {name: value for name, value in header.items() if name not in ("volume_kind", "n_unbounded")}
    (stored.folder / "listing.json").write_text(json.dumps({**old, "format": "regions listing 1"}))
    assert_same(CellComplex.open(stored.folder).load(), stored.load())
