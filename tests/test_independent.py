"""The independent check proves what is right and refutes what is not, with the standard library alone."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from judging import complex_of
from strategies import Case, examples, random_case, rational_networks
from test_complex_files import CASES, made
from test_saved_files import rewrite

from regions.analysis import independent
from regions.analysis.independent import NotDecided, Proof, prove
from regions.complexes import CellComplex, Completeness
from regions.network.npz_members import read_members

SOURCE = Path(independent.__file__)


def proof_of(cells: CellComplex, folder: Path) -> Proof:
    cells.save(folder / "cells.regions")
    return prove(str(folder / "cells.regions"))


def test_it_imports_the_standard_library_only() -> None:
    tree = ast.parse(SOURCE.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names and {name.split(".")[0] for name in names} <= sys.stdlib_module_names
    assert not any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("relu_at_end", [False, True])
@pytest.mark.sweep(6)
def test_right_lists_are_proven(tmp_path: Path, name: str, relu_at_end: bool) -> None:
    cells = made(name, relu_at_end=relu_at_end)
    proof = proof_of(cells, tmp_path)
    assert proof.proven and proof.cells == cells.n_cells
    assert cells.network.digest() in proof.lines[0]
    if cells.status is Completeness.COMPLETE:
        assert f"exactly these {cells.n_cells} cells: their exact volumes sum to" in proof.lines[-1]
    else:
        assert "PROVEN: the" in proof.lines[-2] and "not proven: completeness" in proof.lines[-1]


@pytest.mark.parametrize(("d", "engine"), [(4, "lp"), (5, "lp"), (4, "cells")])
@pytest.mark.sweep(2)
def test_in_many_dimensions_facets_prove_it(tmp_path: Path, d: int, engine: str) -> None:
    options = {"volumes": False} if engine == "lp" else {}
    proof = proof_of(complex_of(random_case(d, (5, 3), seed=d), engine=engine, **options), tmp_path)
    assert proof.proven and "facets inside the domain is one of two of them" in proof.lines[-1]


@examples(40)
@given(rational_networks())
def test_degenerate_networks_are_proven_both_ways(
    tmp_path_factory: pytest.TempPathFactory, case: Case
) -> None:
    cells = complex_of(case)
    folder = tmp_path_factory.mktemp("degenerate")
    assert proof_of(cells, folder).proven
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(independent, "LARGEST_BY_VOLUMES", 0)
        proof = prove(str(folder / "cells.regions"))
    assert proof.proven and proof.cells == cells.n_cells


def flip(patterns: Any, cell: int, unit: int) -> Any:
    changed = patterns.copy()
    changed[cell, unit // 8] ^= np.uint8(1 << unit % 8)
    return changed


def edited(old: str, new: str) -> Callable[[Any], Any]:
    return lambda header: np.array(str(header).replace(old, new))


WRONG: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a cell is missing": ("patterns", lambda a: a[1:]),
    "none is listed": ("patterns", lambda a: a[:0]),
    "a cell is listed twice": ("patterns", lambda a: a[[0, *range(len(a))]]),
    "a unit's bit is another": ("patterns", lambda a: flip(a, 3, 1)),
    "a bit is set beyond the units": ("patterns", lambda a: a | np.uint8(128)),
    "a weight is another": ("W0", lambda a: a * np.array([[1.0]] * (len(a) - 1) + [[-1.0]])),
    "a bias is another": ("b0", lambda a: a + 0.125),
    "a domain is larger": ("header", edited('"low": [-', '"low": [-1')),
    "a domain is smaller": ("header", edited('"high": [1.0', '"high": [0.5')),
}


@pytest.mark.parametrize("name", list(WRONG))
@pytest.mark.parametrize("by", ["volumes", "facets"])
def test_wrong_lists_are_refuted(tmp_path: Path, name: str, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(independent, "LARGEST_BY_VOLUMES", 3 if by == "volumes" else 0)
    cells = complex_of(random_case(2, (5, 3), seed=2))
    cells.save(tmp_path / "cells.regions")
    array, change = WRONG[name]

    def spoil(arrays: dict[str, Any]) -> None:
        before = arrays[array]
        arrays[array] = change(before)
        assert arrays[array].tobytes() != before.tobytes()

    rewrite(tmp_path / "cells.regions", spoil)
    proof = prove(str(tmp_path / "cells.regions"))
    assert not proof.proven and proof.lines[-1].startswith("REFUTED")


def test_every_missing_cell_is_noticed(tmp_path: Path) -> None:
    cells = complex_of(random_case(3, (4, 2), seed=1))
    for gone in range(0, cells.n_cells, 5):
        cells.save(tmp_path / "cells.regions")
        rewrite(
            tmp_path / "cells.regions",
            lambda arrays, gone=gone: arrays.update(patterns=np.delete(arrays["patterns"], gone, axis=0)),
        )
        assert not prove(str(tmp_path / "cells.regions")).proven


def test_nothing_is_claimed_of_what_is_too_large_or_unreadable(tmp_path: Path) -> None:
    file = tmp_path / "cells.regions"
    cells = made("box d=2")
    cells.save(file)
    with pytest.raises(NotDecided, match=f"{cells.n_cells} cells in 2 dimensions.*smaller domain or a slice"):
        prove(str(file), limit=3)
    complex_of(random_case(7, (2,), seed=1), engine="lp", volumes=False).save(file)
    with pytest.raises(NotDecided, match="in 7 dimensions"):
        prove(str(file))
    made("segment").save(file)
    rewrite(file, lambda arrays: arrays.pop("domain_basis"))  # as version 0.1 wrote them
    with pytest.raises(NotDecided, match="domain_basis"):
        prove(str(file))
    for content in (b"", b"PK", bytes(100)):
        file.write_bytes(content)
        with pytest.raises(NotDecided, match="no readable file"):
            prove(str(file))
    with pytest.raises(NotDecided, match=r"nothing\.regions"):
        prove(str(tmp_path / "nothing.regions"))


def test_a_direction_that_leads_elsewhere_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "cells.regions"
    made("segment").save(file)
    rewrite(file, lambda arrays: arrays.update(domain_basis=-arrays["domain_basis"]))
    with pytest.raises(NotDecided, match="from one end of the segment to the other"):
        prove(str(file))


@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("b0", lambda a: np.append(a, 0.0)),
        ("W0", lambda a: np.hstack([a, a[:, :1]])),
        ("W1", lambda a: a[:, :-1]),
        ("patterns", lambda a: a.astype(np.float64)),
    ],
)
def test_layers_that_do_not_fit_are_not_read(
    tmp_path: Path, array: str, change: Callable[[Any], Any]
) -> None:
    file = tmp_path / "cells.regions"
    made("box d=2").save(file)
    rewrite(file, lambda arrays: arrays.update({array: change(arrays[array])}))
    with pytest.raises(NotDecided, match=r"do not fit|of a type that is not read"):
        prove(str(file))


def test_it_runs_alone_without_any_package(tmp_path: Path) -> None:
    file = tmp_path / "cells.regions"
    cells = made("box d=3")
    cells.save(file)
    words = [sys.executable, "-I", "-S", str(SOURCE)]
    run = subprocess.run([*words, str(file)], capture_output=True, text=True)
    assert run.returncode == 0 and f"exactly these {cells.n_cells} cells" in run.stdout
    rewrite(file, lambda arrays: arrays.update(patterns=arrays["patterns"][1:]))
    run = subprocess.run([*words, str(file)], capture_output=True, text=True)
    assert run.returncode == 1 and "REFUTED: cells are missing" in run.stdout
    run = subprocess.run([*words, str(file), "3"], capture_output=True, text=True)
    assert run.returncode == 1 and "NOT DECIDED" in run.stderr and not run.stdout


def test_the_command_says_the_same(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    file = tmp_path / "cells.regions"
    made("box d=2").save(file)
    code, out, _ = run("verify", file, "--independent")
    assert code == 0 and "PROVEN" in out
    code, out, _ = run("verify", file, "--json")
    assert code == 0 and json.loads(out)["ok"] is True
    code, _, err = run("verify", file, "--independent", "--max-cells", 3)
    assert code == 2 and "not decided" in err
    rewrite(file, lambda arrays: arrays.update(patterns=arrays["patterns"][1:]))
    code, out, _ = run("verify", file, "--independent", "--json")
    assert code == 1 and json.loads(out)["proven"] is False
    assert read_members(file)["patterns"].shape[0] == made("box d=2").n_cells - 1
