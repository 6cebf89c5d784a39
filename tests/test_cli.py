"""Laws of the command line: what programs read, what people read, and how it fails."""

from __future__ import annotations

import inspect
import json
import os
import runpy
import signal
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from networks import random_network
from programs import assert_fails_in_one_line, interrupted

from regions.analysis.linear_regions.convex_pieces import ConvexPartition
from regions.cli import commands, compare, inequality_report, validate
from regions.cli.options import DomainWords, EngineWords, ReadingWords
from regions.cli.problem import ProblemWords
from regions.errors import BudgetExceededError, InvalidDomainError, RegionsError
from regions.network.relu_network import Network

COUNT_KEYS = {"cells", "status", "dimension", "engine", "seconds", "volume_sum", "network", "domain"}


@pytest.fixture
def net(tmp_path):
    """A file with a network of two inputs whose cells in [-1, 1]^2 are the four quadrants."""
    path = tmp_path / "quadrants.npz"
    Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [[0.0, 0.0], [0.0]]).save(path)
    return str(path)


@pytest.fixture
def wide(tmp_path):
    """A file with a random network of 20 inputs."""
    path = tmp_path / "wide.npz"
    random_network(0, (20, 12, 10, 3), gain=1.0, bias_scale=0.2).save(path)
    return str(path)


@pytest.fixture
def points(tmp_path):
    """Files with three points of 20 coordinates, and one with many."""
    rng = np.random.default_rng(1)
    files = []
    for name in "abc":
        files.append(str(tmp_path / f"{name}.npy"))
        np.save(files[-1], rng.normal(size=20))
    np.save(tmp_path / "data.npy", rng.normal(size=(30, 4, 5)))
    return files, str(tmp_path / "data.npy")


def test_help_loads_nothing_heavy():
    heavy = ("numba", "matplotlib", "networkx", "scipy", "torch")
    script = (
        "import sys; from regions.cli import main; main(['--help']); main(['count', '--help']);"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_is_the_packages(run):
    import regions

    assert run("--version") == (0, f"regions {regions.__version__}\n", "")


def test_no_words_show_the_commands(run):
    code, out, _ = run()
    assert code == 0
    for command in ("count", "enumerate", "graph", "locus", "validate", "plot", "demo"):
        assert command in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["count", "nowhere.npz", "--box", "-1", "1"], "nowhere.npz"),
        (["count", "NET"], "--box LO HI"),
        (["count", "NET", "--box", "1", "-1"], "low > high in coordinate 0"),
        (["count", "NET", "--box", "-1", "one"], "'one'"),
        (["count", "NET", "--box", "-1,-1,-1", "1"], "3 numbers, the network has 2 inputs"),
        (["count", "NET", "--box", "-1"], "--box"),
        (["count", "NET", "--box", "nan", "1"], "finite"),
        (["count", "NET", "--box", "-1", "1", "--margin", "0.5"], "--slice"),
        (["count", "NET", "--box", "-1", "1", "--clip", "0", "1"], "a slice"),
        (["count", "NET", "--box", "-1", "1", "--center", "x.npy"], "--box and --center"),
        (["count", "NET", "--center", "x.npy"], "--half-width"),
        (["count", "NET", "--segment", "x.npy", "y.npy"], "x.npy: no such file"),
        (["count", "NET", "--box", "-1", "1", "--nosuch"], "--nosuch"),
        (["count", "NET", "--box", "-1", "1", "--workers", "two"], "regions count --help"),
        (["count", "NET", "--box", "-1", "1", "--definition", "linear"], "'linear' is not one of"),
        (["cuont", "NET"], "cuont"),
        (["enumerate", "NET", "--box", "-1", "1"], "--output"),
        (["enumerate", "NET", "--box", "-1", "1", "-o", "/no/such/folder/x.regions"], "no folder"),
        (["graph", "nowhere.regions", "-o", "g.graphml"], "nowhere.regions"),
        (["locus", "nowhere.regions"], "regions enumerate"),
        (["plot", "NET", "-o", "x.png"], "no readable cell complex"),
        (["demo", "--box", "-1", "1"], "go together"),
        (["validate", "NET", "--box", "-1", "1", "--sigma", "0.1", "--density", "cauchy"], "cauchy"),
        (["validate", "NET", "--box", "-1", "1", "--sigma", "0.1", "--seed", "-3"], "--seed"),
    ],
)
def test_mistakes_are_answered_in_one_line(run, net, words, says):
    assert_fails_in_one_line(run(*[net if word == "NET" else word for word in words]), says)


def test_bad_arrays_are_named(run, wide, tmp_path):
    for name, content, says in (
        ("text.npy", b"not an array", "no .npy array"),
        ("empty.npy", b"", "no .npy array"),
    ):
        (tmp_path / name).write_bytes(content)
        assert_fails_in_one_line(
            run("count", wide, "--center", tmp_path / name, "--half-width", "1"), f"{name} is {says}"
        )
    np.save(tmp_path / "short.npy", np.zeros(3))
    result = run("count", wide, "--center", tmp_path / "short.npy", "--half-width", "1")
    assert_fails_in_one_line(result, "3 numbers; the network has 20 inputs")
    np.save(tmp_path / "words.npy", np.array(["a"]))
    result = run("count", wide, "--center", tmp_path / "words.npy", "--half-width", "1")
    assert_fails_in_one_line(result, "not real numbers")


def test_models_that_run_code_need_the_flag_that_says_so(run, tmp_path):
    path = tmp_path / "model.joblib"
    path.write_bytes(b"anything")
    assert_fails_in_one_line(run("count", path, "--box", "-1", "1"), "can run any code")
    _, out, _ = run("count", "--help")
    assert "RUNS CODE" in " ".join(out.split())


def test_a_box_may_be_given_by_numbers_or_by_lists(net):
    network = Network.load(net)
    boxes = [
        DomainWords(box=words).build(network) for words in (("-1", "1"), ("-1,-1", "1,1"), ("-1", "1,1"))
    ]
    assert boxes[0] == boxes[1] == boxes[2]


def test_every_way_to_name_a_slice_gives_a_slice(wide, points):
    from regions.domain import Segment, Slice

    network = Network.load(wide)
    (a, b, c), data = points
    from pathlib import Path

    x = [np.load(f) for f in (a, b, c)]
    through = DomainWords(slice=(Path(a), Path(b), Path(c)), margin=0.5).build(network)
    assert through == Slice.through(*x, margin=0.5)
    clipped = DomainWords(slice=(Path(a), Path(b), Path(c)), clip=("-2", "2")).build(network)
    assert clipped == Slice.through(*x, clip=(-2.0, 2.0))
    cloud = np.load(data).reshape(30, 20)
    pca = DomainWords(center=Path(a), data=Path(data), half_width=2.0).build(network)
    assert pca == Slice.pca(cloud, x[0], half_width=2.0)
    assert DomainWords(data=Path(data), half_width=2.0).build(network) == Slice.pca(cloud, half_width=2.0)
    assert DomainWords(segment=(Path(a), Path(b))).build(network) == Segment(x[0], x[1])
    around = [DomainWords(center=Path(a), half_width=1.0, direction_seed=s).build(network) for s in (0, 0, 1)]
    assert around[0] == around[1] != around[2]
    with pytest.raises(InvalidDomainError):
        DomainWords(slice=(Path(a), Path(a), Path(b))).build(network)


@pytest.mark.parametrize("box", [["-1", "1"], ["-1,-1", "1,1"], ["-1e0", "+1"]])
def test_count_prints_the_agreed_keys(run, net, box):
    code, out, err = run("count", net, "--box", *box, "--json")
    found = json.loads(out)
    assert code == 0
    assert "error" not in err  # the first run on a machine says that it compiles
    assert found.keys() >= COUNT_KEYS
    assert (found["cells"], found["status"], found["dimension"]) == (4, "COMPLETE", 2)
    assert found["volume_sum"] == pytest.approx(4.0)


def test_count_sums_volumes_where_the_library_does_or_where_asked(run, tmp_path):
    path = tmp_path / "octants.npz"
    Network.from_arrays([np.eye(3), np.ones((1, 3))], [np.zeros(3), [0.0]]).save(path)
    found = json.loads(run("count", path, "--box", "-1", "1", "--check-volumes", "--json")[1])
    assert (found["cells"], found["volume_sum"]) == (8, pytest.approx(8.0))
    found = json.loads(run("count", path, "--box", "-1", "1", "--json")[1])
    assert (found["cells"], found["volume_sum"]) == (8, None)  # d = 3: as count_cells does
    assert json.loads(run("count", path, "--box", "-1", "1", "--no-check-volumes", "--json")[1])["cells"] == 8


def test_count_for_people_names_network_domain_and_engine(run, net):
    code, out, _ = run("count", net, "--box", "-1", "1")
    assert code == 0
    words = [line.split()[0] for line in out.splitlines()]
    assert words == ["network", "domain", "cells", "volume", "proven", "engine", "why", "time"]


def test_a_limit_gives_a_truncated_count_and_no_error(run, wide, points):
    (a, b, c), _ = points
    code, out, _ = run("count", wide, "--slice", a, b, c, "--max-cells", "3", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["status"] == "TRUNCATED" and found["cells"] >= 3
    _, out, _ = run("count", wide, "--slice", a, b, c, "--max-cells", "3")
    assert "at least" in out and "TRUNCATED: stopped by --max-cells" in out


def test_time_that_is_up_gives_a_truncated_result_and_no_error(run, net, tmp_path):
    words = ["--box", "-1", "1", "--max-seconds", "1e-9"]
    code, out, _ = run("count", net, *words, "--json")
    found = json.loads(out)
    assert (code, found["status"]) == (0, "TRUNCATED")
    assert found["certificate"]["stopped_by"] == "max_seconds"
    code, out, _ = run("enumerate", net, *words, "-o", tmp_path / "part.regions")
    assert code == 0 and "TRUNCATED: stopped by --max-seconds" in out
    assert_fails_in_one_line(run("count", net, *words[:-1], "-1"), "max_seconds=-1.0")


def test_engine_and_workers_do_not_change_the_count(run, wide, points):
    (a, b, c), _ = points
    counts = {
        json.loads(run("count", wide, "--slice", a, b, c, "--json", *extra)[1])["cells"]
        for extra in ([], ["--engine", "planar"], ["--workers", "1"], ["--workers", "2"])
    }
    assert len(counts) == 1


def test_the_whole_chain_of_files_fits_together(run, wide, points, tmp_path):
    import networkx as nx

    (a, b, c), _ = points
    cells, graph, picture = (tmp_path / name for name in ("out.regions", "g.graphml", "fig.png"))
    domain = ["--slice", a, b, c, "--margin", "0.5"]
    counted = json.loads(run("count", wide, *domain, "--json")[1])
    listed = json.loads(run("enumerate", wide, *domain, "-o", cells, "--json")[1])
    assert listed["cells"] == counted["cells"] and listed["status"] == "COMPLETE"
    code, out, _ = run("graph", cells, "--format", "graphml", "-o", graph, "--json")
    assert code == 0
    assert json.loads(out)["nodes"] == nx.read_graphml(graph).number_of_nodes() == listed["cells"]
    assert json.loads(out)["edges"] == listed["interior_facets"]
    for color in ("pattern", "volume", "jacobian", "layer", "class"):
        code, _, _ = run("plot", cells, "-o", picture, "--color", color, "--points", a, "--dpi", "50")
        assert code == 0 and picture.stat().st_size > 1000
    code, _, _ = run("plot", cells, "-o", picture, "--graph", "--dpi", "50")
    assert code == 0
    assert_fails_in_one_line(run("plot", cells, "-o", tmp_path / "fig.docx"), "png")
    assert_fails_in_one_line(run("graph", cells, "-o", tmp_path / "g.xyz"), "graphml")


def test_locus_prints_the_agreed_keys(run, net, tmp_path):
    cells = tmp_path / "out.regions"
    run("enumerate", net, "--box", "-1", "1", "-o", cells)
    found = json.loads(run("locus", cells, "--json", "--by", "layer")[1])
    assert found.keys() >= {"kind", "total", "error", "by_layer"}
    assert found["kind"] == "gradient"
    # relu(x) + relu(y) bends on the two axes of the square.
    assert found["total"] == pytest.approx(4.0) and found["by_layer"] == pytest.approx([4.0])
    weighed = json.loads(run("locus", cells, "--density", "uniform", "--json")[1])
    assert weighed["total"] == pytest.approx(1.0)
    gaussian = json.loads(run("locus", cells, "--density", "gaussian:mean=0,0;std=0.5", "--json")[1])
    # A density of the plane, on each axis: its value at 0 times the mass within two sigmas.
    assert gaussian["total"] == pytest.approx(2 * 0.797884560803 * 0.954499736104, rel=1e-9)
    by_unit = json.loads(run("locus", cells, "--by", "unit", "--kind", "activation", "--json")[1])["by_unit"]
    assert [row[:2] for row in by_unit] == [[0, 0], [0, 1]]
    code, out, _ = run("locus", cells, "--by", "layer")
    assert code == 0 and "total" in out


def test_locus_of_a_truncated_file_is_called_a_lower_bound(run, wide, points, tmp_path):
    (a, b, c), _ = points
    cells = tmp_path / "out.regions"
    code, _, _ = run("enumerate", wide, "--slice", a, b, c, "--max-cells", "4", "-o", cells)
    assert code == 0
    code, out, _ = run("locus", cells)
    assert code == 0 and "at least" in out
    assert json.loads(run("locus", cells, "--json")[1])["status"] == "TRUNCATED"


def test_locus_bounds_are_proven_and_enclose_the_value(run, net, tmp_path):
    cells = tmp_path / "out.regions"
    run("enumerate", net, "--box", "-1", "2", "-o", cells)
    words = ["locus", cells, "--enclosure"]
    found = json.loads(run(*words, "--json", "--by", "unit")[1])
    # the two axes of the square, each of length 3: rational, so the bounds are that number
    assert found["enclosure"] == {
        "total": [6.0, 6.0],
        "by_layer": [[6.0, 6.0]],
        "by_unit": [[0, 0, 3.0, 3.0], [0, 1, 3.0, 3.0]],
    }
    weighed = json.loads(run(*words, "--density", "uniform", "--json")[1])
    low, high = weighed["enclosure"]["total"]
    assert low < high and low <= 2 / 3 <= high
    assert abs(low - weighed["total"]) < 1e-15
    assert "enclosure" not in json.loads(run("locus", cells, "--json")[1])
    code, out, _ = run(*words, "--by", "unit")
    assert code == 0 and "proven" in out and "6.0 to 6.0" in out
    assert out.splitlines()[-1].split() == ["0", "1", "3", "3.0", "3.0"]


def test_a_locus_that_has_no_enclosure_is_refused_in_one_line(run, tmp_path):
    path, cells = tmp_path / "octants.npz", tmp_path / "out.regions"
    Network.from_arrays([np.eye(3), np.ones((1, 3))], [np.zeros(3), [0.0]]).save(path)
    run("enumerate", path, "--box", "-1", "1", "-o", cells)
    result = run("locus", cells, "--enclosure", "--density", "gaussian:mean=0,0,0;std=0.5")
    assert_fails_in_one_line(result, "d <= 2")


def test_ctrl_c_during_an_enclosure_ends_in_one_line(run, net, tmp_path, monkeypatch):
    from regions.analysis import locus

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    cells = tmp_path / "out.regions"
    run("enumerate", net, "--box", "-1", "1", "-o", cells)
    monkeypatch.setattr(locus, "locus_enclosure", interrupt)
    code, out, err = run("locus", cells, "--enclosure")
    assert (code, out) == (130, "")
    assert err.startswith("interrupted") and err.count("\n") == 1


@pytest.fixture
def published(tmp_path):
    """relu(relu(x) - y) - relu(x), whose six counts are 7, 5, 4, 3, 3, 3."""
    path = tmp_path / "published.npz"
    weights = [[[1, 0], [0, 1], [0, -1]], [[1, -1, 1], [1, 0, 0]], [[1, -1]]]
    Network.from_arrays(weights, [[0, 0, 0], [0, 0], [0]]).save(path)
    return path


ROW = {"activation": 7, "cell": 5, "convex": 4, "open": 3, "closed": 3, "affine": 3}


def test_count_by_all_definitions_gives_the_published_row(run, published):
    words = ["count", published, "--box", "-1", "1", "--definition"]
    found = json.loads(run(*words, "all", "--json")[1])
    assert found["regions"] == ROW and list(found["regions"]) == list(ROW)
    assert found["status"] == "COMPLETE" and found["cells"] == 5
    code, out, _ = run(*words, "all")
    table = dict(line.split()[:2] for line in out.splitlines() if line.split()[0] in ROW)
    assert code == 0 and table == {name: str(n) for name, n in ROW.items()}


@pytest.mark.parametrize("name", ROW)
def test_count_by_one_definition_gives_that_number(run, published, name):
    found = json.loads(run("count", published, "--box", "-1", "1", "--definition", name, "--json")[1])
    if name == "cell":  # the plain count
        assert found["cells"] == ROW[name] and "regions" not in found
    else:
        assert found["regions"] == {name: ROW[name]}


def test_counts_that_are_bounds_are_named_as_such(run, published, monkeypatch):
    from regions.analysis.linear_regions import six_counts

    def too_many(cells, **_):
        raise BudgetExceededError("too many faces")

    monkeypatch.setattr(six_counts, "face_lattice", too_many)
    monkeypatch.setattr(six_counts.LinearRegions, "_convex", ConvexPartition(3, 4, np.zeros(5, np.int64)))
    words = ["count", published, "--box", "-1", "1", "--definition"]
    found = json.loads(run(*words, "all", "--json")[1])["regions"]
    assert found["activation"] == {"lower": 5, "upper": None}
    assert found["convex"] == {"lower": 3, "upper": 4}
    _, out, _ = run(*words, "all")
    assert "at least 5" in out and "3 to 4" in out
    assert_fails_in_one_line(run(*words, "activation"), "smaller domain")


def test_regions_are_counted_in_full_lists_only(run, published, monkeypatch):
    from regions.enumeration import enumerate

    words = ["count", published, "--box", "-1", "1", "--definition", "open"]
    assert_fails_in_one_line(
        run(*words, "--max-cells", "2"), "at least 2 (TRUNCATED: stopped by --max-cells)"
    )
    assert_fails_in_one_line(run(*words, "--max-seconds", "1e-9"), "stopped by --max-seconds")
    whole = enumerate.enumerate_cells

    def interrupted(*given, max_cells, **options):
        cells = whole(*given, max_cells=2, **options)
        return replace(cells, certificate=replace(cells.certificate, stopped_by="interrupt"))

    monkeypatch.setattr(enumerate, "enumerate_cells", interrupted)
    code, out, err = run(*words)
    assert (code, out) == (130, "")
    assert "at least" in err and "TRUNCATED" in err


def test_validate_prints_the_agreed_keys_and_repeats(run, net, tmp_path):
    words = ["validate", net, "--box", "-1", "1", "--sigma", "0.2", "--samples", "4000"]
    words += ["--bias-draws", "20", "--seed", "5", "--json"]
    code, out, _ = run(*words, "-o", tmp_path / "report.json")
    found = json.loads(out)
    assert code == 0
    for name in ("exact", "estimate"):
        assert found[name].keys() == {"mean", "stderr", "n"}
    assert abs(found["z"]) < 4
    again = json.loads(run(*words)[1])
    assert (again["exact"], again["estimate"], again["z"]) == (found["exact"], found["estimate"], found["z"])
    assert json.loads((tmp_path / "report.json").read_text())["z"] == found["z"]
    code, out, _ = run(*words[:-1])
    assert code == 0 and "z = " in out


def test_demo_runs_and_writes_what_it_lists(run, net, tmp_path, monkeypatch, capsys):
    from pathlib import Path

    from regions.cli import demo

    monkeypatch.setattr(demo, "_SAMPLES", 2000)
    monkeypatch.setattr(demo, "_BIAS_DRAWS", 5)
    folder = tmp_path / "demo"
    code, out, _ = run("demo", "-o", folder, "--network", net, "--box", "-1", "1", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["slice"]["status"] == found["five_dimensions"]["status"] == "COMPLETE"
    assert found["own"]["cells"] == 4
    assert found["graph"]["nodes"] == found["slice"]["cells"]
    assert all(abs(report["z"]) < 4 for report in found["validation"])
    assert {Path(path).name for path in found["files"]} == {path.name for path in folder.iterdir()}
    assert all(Path(path).stat().st_size > 100 for path in found["files"])
    # the last line opens the door to the tutorial, which runs as it is
    capsys.readouterr()
    steps = folder / "first_steps.py"
    demo._say_end(demo._Demo(folder, True, None, found), steps)
    assert f"`python {steps}`" in capsys.readouterr().out.splitlines()[-1]
    runpy.run_path(str(steps))
    said = capsys.readouterr().out
    assert f"{found['slice']['cells']:,} cells" in said and "377 cells" in said
    assert (folder / "first_picture.png").stat().st_size > 10_000


INTERRUPTED = """
import io, sys, threading
from contextlib import redirect_stdout
from regions.cli import main

small, large, *tail = sys.argv[1:]
with redirect_stdout(io.StringIO()):
    main(["enumerate", small, "--box", "-0.05", "0.05", *tail])  # compiles
threading.Timer(1.0, print, ["ready"], {"flush": True}).start()
sys.exit(main(["enumerate", large, "--box", "-9", "9", *tail]))
"""


@pytest.mark.sweep(1)
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_and_one_soon_after_keep_what_was_found(tmp_path, number):
    small, large, cells = tmp_path / "small.npz", tmp_path / "large.npz", tmp_path / "out.regions"
    random_network(0, (6, 40, 1)).save(small)
    random_network(0, (6, 40, 40, 1)).save(large)
    words = [str(small), str(large), "--workers", "2", "-o", str(cells), "--json"]
    printed = interrupted(INTERRUPTED, *words, exit_code=130, number=number, again_after=0.2)
    found = json.loads(printed)
    assert found["status"] == "TRUNCATED" and found["cells"] > 0
    from regions.complexes.cell_complex import CellComplex

    assert CellComplex.load(cells).n_cells == found["cells"]


def test_errors_of_the_library_never_show_a_traceback(run, net, monkeypatch):
    from regions.cli import commands

    def fail(*_):
        raise RegionsError("first line\nsecond line")

    monkeypatch.setattr(commands.DomainWords, "build", fail)
    assert_fails_in_one_line(run("count", net, "--box", "-1", "1"), "first line second line")


def test_ctrl_c_outside_an_enumeration_has_its_own_code(run, net, monkeypatch):
    from regions.cli import commands

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands.DomainWords, "build", interrupt)
    assert run("count", net, "--box", "-1", "1")[0] == 130


def test_commands_on_a_problem_share_its_options():
    groups = [ProblemWords, DomainWords, EngineWords, ReadingWords]
    shared = {field.name for group in groups for field in fields(group)} - {"where", "how", "reading"}
    for command in (validate.validate, compare.compare, inequality_report.inequalities):
        assert shared <= inspect.signature(command).parameters.keys()
    for command in (commands.count, commands.enumerate_):
        assert {field.name for group in groups[1:] for field in fields(group)} <= inspect.signature(
            command
        ).parameters.keys()


def test_a_full_disk_names_the_file_and_leaves_the_answer_on_the_screen(run, net, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    cells = tmp_path / "out.regions"
    words = ["enumerate", net, "--box", "-1", "1", "-o", cells, "--json"]
    assert run(*words)[0] == 0
    before = cells.read_bytes()
    for again in (words, ["graph", cells, "-o", tmp_path / "out.graphml", "--json"]):
        with monkeypatch.context() as patched:
            patched.setattr("regions.reports.os.fsync", full)
            code, out, err = run(*again)
        assert code == 2 and json.loads(out)["status"] == "COMPLETE"
        assert "No space left on device" in err and str(tmp_path / "out.") in err
    assert cells.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"quadrants.npz", "out.regions"}


@pytest.mark.slow
def test_cells_of_three_dimensions_are_drawn_apart_and_cut_open(run, tmp_path):
    pytest.importorskip("plotly")
    net, cells = tmp_path / "net.npz", tmp_path / "out.regions"
    random_network(1, (3, 6, 4, 1)).save(net)
    assert run("enumerate", net, "--box", "-1", "1", "-o", cells)[0] == 0
    sizes = []
    for more in ([], ["--cut", "2=0.5"], ["--color", "layer"]):
        picture = tmp_path / f"{len(sizes)}.png"
        assert run("plot", cells, "-o", picture, "--dpi", "40", *more)[0] == 0
        sizes.append(picture.read_bytes())
    assert len(set(sizes)) == 3
    page = tmp_path / "page.html"
    assert run("plot", cells, "-o", page, "--color", "volume", "--cut", "1")[0] == 0
    assert '"sliders":[' in page.read_text()
    paper = ["plot", cells, "-o", tmp_path / "out.png"]
    assert_fails_in_one_line(run(*paper, "--cut", "2"), "give it as 2=0.5")
    assert_fails_in_one_line(run(*paper, "--cut", "2=7"), "misses the domain")


def test_a_page_to_turn_shows_points_and_boundary_and_refuses_what_it_cannot(run, tmp_path):
    pytest.importorskip("plotly")
    net, cells, page = tmp_path / "net.npz", tmp_path / "out.regions", tmp_path / "out.html"
    Network.from_arrays([np.eye(2), [[1.0, -1.0]]], [[0.5, 0.0], [0.25]]).save(net)
    assert run("enumerate", net, "--box", "-1", "1", "-o", cells)[0] == 0
    np.save(tmp_path / "points.npy", [[0.5, 0.5], [0.0, -0.5]])
    words = ["plot", cells, "-o", page]
    for more, shown in (
        (["--points", tmp_path / "points.npy"], {"points", "decision boundary"}),
        (["--no-boundary"], set()),
        (["--boundary"], {"decision boundary"}),
        (["--boundary", "--color", "class"], {"decision boundary", "> 0", "≤ 0"}),
        (["--color", "layer", "--no-boundary"], {"layer 0"}),
    ):
        assert run(*words, *more)[0] == 0
        text = page.read_text().replace("\\u003e", ">")
        names = ("points", "decision boundary", "> 0", "≤ 0", "layer 0")
        assert {name for name in names if f'"name":{json.dumps(name)}' in text} == shown
    for more, option in (
        (["--graph"], "--graph"),
        (["--dpi", "9"], "--dpi"),
    ):
        assert_fails_in_one_line(run(*words, *more), f"an .html picture knows no {option}")
    assert_fails_in_one_line(run(*words, "--cut", "2=1"), "--cut '2=1': give it as 2:")
    assert_fails_in_one_line(run(*words, "--cut", "2"), "cut is 2")
    paper = ["plot", cells, "-o", tmp_path / "out.png", "--graph"]
    for more in (["--boundary"], ["--points", "x.npy"]):
        assert_fails_in_one_line(run(*paper, *more), f"a picture of the graph knows no {more[0]}")
