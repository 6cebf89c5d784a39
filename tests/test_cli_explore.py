"""Laws of `regions explore`: what it prints and saves, and how it fails."""

from __future__ import annotations

import json

import numpy as np
import pytest
from networks import random_network
from programs import assert_fails_in_one_line

from regions import Exploration, Network, explore, minimal_perturbation
from regions.exploration import search_frame


@pytest.fixture
def files(tmp_path):
    """A network of twelve inputs seen through five units, and a point."""
    rng = np.random.default_rng(3)
    network = random_network(rng, (12, 5, 4, 2))
    network.save(tmp_path / "net.npz")
    np.save(tmp_path / "x.npy", rng.normal(size=(3, 4)))
    return network, str(tmp_path / "net.npz"), str(tmp_path / "x.npy")


def test_the_command_prints_and_saves_what_the_library_finds(run, files, tmp_path):
    network, net, point = files
    center = np.load(point).ravel()
    words = ["explore", net, "--center", point, "--max-cells", "8", "--distances", "2", "--perturbation", "2"]
    code, out, err = run(*words, "-o", tmp_path / "out.npz", "--json")
    # a machine's first run says that it compiles
    assert code == 0 and all(line.startswith(("compiling", "  ")) for line in err.splitlines())
    printed = json.loads(out)
    found = explore(network, center, max_cells=8)
    assert printed["status"] == found.status.name
    assert printed["patterns"] == found.to_dict()["patterns"]
    assert printed["distances"]["2"]["values"] == found.distances().values.tolist()
    step = minimal_perturbation(network, center, max_cells=8)
    assert printed["perturbation"]["upper"] == (step.upper if np.isfinite(step.upper) else None)
    assert np.array_equal(Exploration.load(tmp_path / "out.npz").patterns, found.patterns)
    code, out, err = run(*words, "-o", tmp_path / "out.json")
    assert (code, err) == (0, "")
    assert "nearest facet" in out
    assert "smallest change (L2)" in out
    stored = json.loads((tmp_path / "out.json").read_text())
    assert stored["facets"] == printed["facets"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--distances", "3"], "choose 2 or inf"),
        (["--radius", "-1"], "radius=-1.0"),
        (["--max-hops", "-1"], "max_hops=-1"),
        (["--max-seconds", "0"], "max_seconds=0.0"),
        (["--box", "5", "6"], "not in the domain"),
        (["-o", "out.txt"], ".npz or .json"),
    ],
)
def test_mistakes_are_answered_in_one_line(run, files, words, says):
    _, net, point = files
    assert_fails_in_one_line(run("explore", net, "--center", point, *words), says)


def test_what_was_not_searched_is_said(run, tmp_path, monkeypatch):
    net, point = tmp_path / "net.npz", tmp_path / "point.npy"
    rng = np.random.default_rng(2)
    Network.from_arrays([rng.normal(size=(5, 3)), np.ones((1, 5))], [[0.1] * 5, [0.0]]).save(net)
    np.save(point, [0.1, 0.2, 0.3])
    code, out, _ = run("explore", net, "--center", point, "--json", "--max-cells", "100000")
    assert (code, json.loads(out)["status"], json.loads(out)["reach"]) == (0, "COMPLETE", None)
    monkeypatch.setattr(search_frame, "searched_whole", lambda network: False)
    words = ["explore", net, "--center", point, "--max-hops", "1"]
    code, out, _ = run(*words)
    assert code == 0 and "TRUNCATED: only the box of" in out
    code, out, _ = run(*words, "--max-seconds", "1e-9", "--json")
    found = json.loads(out)
    assert (code, found["status"], found["stopped_by"]) == (0, "TRUNCATED", "max_seconds")
    assert len(found["reasons"]) == 2


def test_other_domains_than_a_box_are_explored(run, tmp_path):
    rng = np.random.default_rng(3)
    network = Network.from_arrays([rng.normal(size=(5, 3)), rng.normal(size=(2, 5))], [[0.1] * 5, [0.0] * 2])
    network.save(tmp_path / "net.npz")
    points = rng.normal(size=(3, 3))
    files = [tmp_path / f"p{k}.npy" for k in range(3)]
    for file, point in zip(files, points, strict=True):
        np.save(file, point)
    start = ["explore", tmp_path / "net.npz", "--center", files[0], "--json"]
    box = ["--box", "-9", "9", "--free", "0,2", "--at", files[0]]
    slice_of_three = ["--slice", *files, "--margin", "0.5"]
    for words in (["--whole-space"], box, slice_of_three, ["--segment", *files[:2]]):
        code, out, err = run(*start, *words)
        assert (code, err) == (0, "")
        counted = run("count", tmp_path / "net.npz", *words, "--json")[1]
        assert json.loads(out)["n_cells"] == json.loads(counted)["cells"]
