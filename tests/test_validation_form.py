"""The form of the study: published code from a file, tables that are reused, a page that needs no other
file."""

from __future__ import annotations

import doctest
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regions.errors import InvalidInputError
from regions.validation.benchmark import benchmark_problems

ROOT = Path(__file__).resolve().parents[1]
# after everything else: the package under test stays the one that is installed
sys.path.append(str(ROOT))

from validation import authors, fingerprint, forest, intervals, paper, report  # noqa: E402
from validation.__main__ import main  # noqa: E402
from validation.authors_table import authors_section  # noqa: E402
from validation.experiments import EXPERIMENTS  # noqa: E402
from validation.fingerprint import reached_code  # noqa: E402
from validation.framework import Check, Experiment, Folder, Pool, Section, read_rows  # noqa: E402
from validation.typeset import write_html  # noqa: E402

# the published formula and signature, in words of our own; what stands around it is what published scripts do
STAND_IN = '''
import a_service_that_is_not_installed
import torch
from tqdm import tqdm


class MLP(torch.nn.Module):
    def __init__(self, input_dim, hidden_dim, output_dim, n_layers, first_std=1, std=1):
        super().__init__()
        sizes = [input_dim] + [hidden_dim] * n_layers
        self.layers = torch.nn.ModuleList([torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])])
        self.output_layer = torch.nn.Linear(hidden_dim, output_dim)


def compute_local_complexity(model, dloader, config):
    """Kernel exp(-u^2 / (2 sigma^2)) at u = z - b, times gradient norms, under noise on all biases."""
    means = []
    for inputs, _ in tqdm(dloader, desc="local complexity"):
        noisy = MLP(config.input_dim, config.hidden_dim, config.output_dim, config.n_layers).to("cuda")
        noisy.load_state_dict(model.state_dict())
        h, total = inputs.cuda(), 0.0
        J = torch.eye(config.input_dim).expand(len(h), -1, -1)
        with torch.no_grad():
            for layer in noisy.layers:
                layer.bias += config.sigma * torch.randn_like(layer.bias)
                u, J = h @ layer.weight.T, layer.weight @ J
                total = total + (torch.exp(-(u**2) / (2 * config.sigma**2)) * J.norm(dim=2)).sum(dim=1)
                on = u + layer.bias > 0
                h, J = (u + layer.bias) * on, J * on[:, :, None]
        means.append(total.mean().item())
    return sum(means) / len(means)


raise RuntimeError("a training begins here")
'''
COUNT_STAND_IN = """
import torch


def get_ortho_hull_around_samples(x, r=1, n=10, seed=None):
    d = x.shape[1]
    frame = torch.linalg.qr(torch.randn(d, n // 2, dtype=torch.float64).cuda())[0].T * r
    return torch.cat([x[:, None] + frame, x[:, None] - frame], dim=1)


def get_intersections_for_samples(
    samples, model, layer_names, activation_buffer, sampler, sampler_params, batch_size
):
    hulls = sampler(samples.cuda(), **sampler_params)
    model.forward(hulls.reshape(-1, samples.shape[1]))
    counts = []
    for name in layer_names:
        signs = torch.sign(activation_buffer[name]).reshape(len(samples), hulls.shape[1], -1)
        counts.append((signs != signs[:, :1]).any(dim=1).sum(dim=-1))
    counts = torch.stack(counts, dim=1).float()
    return counts, counts / 1.0
"""


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_docstrings_of_the_form_run() -> None:
    for module in (authors, fingerprint, forest, intervals, paper, report):
        assert doctest.testmod(module).failed == 0


def test_published_code_from_a_file_stands_beside_ours_and_the_exact_value(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    files = [tmp_path / "analysis.py", tmp_path / "count.py"]
    for file, text in zip(files, (STAND_IN, COUNT_STAND_IN), strict=True):
        file.write_text(text)
    authors.measure(files, tmp_path, effort=(12, 4000, 40), problems="he 2-16x1*sigma 0.1")
    local, count = read_rows(tmp_path / "results" / authors.TABLE)
    for row, exact in ((local, "same"), (count, "exact")):
        spread = math.hypot(row["theirs_stderr"], row[f"{exact}_stderr"])
        assert abs(row["theirs"] - row[exact]) < 4 * spread
    assert abs(local["right"] - local["exact"]) < 4 * math.hypot(local["right_stderr"], local["exact_stderr"])
    assert local["theirs"] < 0.5 * local["exact"]
    assert local["normalised"] == pytest.approx(local["theirs"] / (0.1 * math.sqrt(2 * math.pi)))
    estimate = authors.published_estimator(files[0])
    easy, plane = (benchmark_problems(name)[0] for name in ("he 2-16x1*sigma 0.1", "digits*"))
    found = estimate(easy.network, easy.density, easy.sigma, 2000, rng(), domain=easy.domain)
    assert abs(found.mean - local["same"]) < 5 * math.hypot(found.stderr, local["same_stderr"])
    with pytest.raises(InvalidInputError, match="knows no domain"):
        estimate(plane.network, plane.density, plane.sigma, 100, rng(), domain=plane.domain)
    section = authors_section(tmp_path)
    assert section is not None
    assert "`analysis` of no repository" in section.method
    assert "| cross-polytope count, he 2-16x1, uniform, radius 0.05 |" in section.appendix
    assert "times the exact local complexity" in section.headline
    assert (tmp_path / "figures" / "authors_forest.png").exists()


def test_a_file_without_the_functions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("def estimate():\n    return 1\n")
    with pytest.raises(ValueError, match="defines neither"):
        authors.measure([tmp_path / "other.py"], tmp_path, problems="nothing")


def write_one(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    runs.append(1)
    folder.write_csv("draws", [{"value": len(runs)}])


def section(config: dict[str, Any], folder: Folder) -> Section:
    check = Check("there is one", True, "")
    return Section("Which?", "One. " * 2, "| z |\n|:--|\n| 1 |", "It is one.", "None.", checks=(check,))


runs: list[int] = []


def test_tables_are_kept_until_code_configuration_or_they_themselves_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = {"now": "a"}
    monkeypatch.setattr("validation.__main__.fingerprint", lambda *_: digest["now"])
    monkeypatch.setattr("validation.report.fingerprint", lambda *_: digest["now"])
    one = Experiment(EXPERIMENTS[0].name, "A test", write_one, section)
    runs.clear()

    def times(*more: str) -> int:
        assert main(["--out", str(tmp_path), "--workers", "1", *more], [one]) == 0
        return len(runs)

    assert [times(), times(), times("--again"), times()] == [1, 1, 2, 2]
    assert "kept" in capsys.readouterr().out
    digest["now"] = "b"
    assert [times(), times()] == [3, 3]
    (tmp_path / "results" / f"{one.name}_draws.csv").write_text("value\n7\n")
    assert [times(), times()] == [4, 4]
    assert [times("--quick"), times("--quick")] == [5, 6]


def test_digests_follow_code_that_can_be_reached_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fingerprint._ROOTS, "made_up", tmp_path)

    def code(**texts: str) -> str:
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text)
        for cache in (fingerprint._source, fingerprint._file):
            cache.cache_clear()
        return "".join(reached_code("made_up.top", "run"))

    top = (
        "from made_up.low import used\nLIMIT = 3\n"
        "def run():\n    return used(LIMIT)\ndef other():\n    return 1\n"
    )
    low = (
        "def used(n):\n    'One.'\n    return deeper(n)  # why\n"
        "def deeper(n):\n    return n\ndef unused():\n    return 2\n"
    )
    first = code(top=top, low=low)
    assert code(low=low.replace("One", "Two").replace("# why", "# because")) == first
    assert code(low=low.replace("return 2", "return 5")) == first
    assert code(top=top.replace("return 1", "return 9"), low=low) == first
    assert code(top=top, low=low.replace("return n", "return 2 * n")) != first
    assert code(top=top.replace("LIMIT = 3", "LIMIT = 4"), low=low) != first


@pytest.mark.slow
def test_experiments_reach_the_kernels_and_no_pictures() -> None:
    places = [piece.split("\x1f")[0] for piece in reached_code("validation.experiments.crofton", "run")]
    assert "regions.kernels.vertices.polygons" in places
    assert not [place for place in places if place.startswith(("regions.plotting", "regions.cli"))]


def test_long_tables_and_those_of_z_stand_behind_where_there_is_a_figure() -> None:
    short, of_z = "| a |\n|:--|\n| 1 |", "| a | largest \\|z\\| |\n|:--|--:|\n| 1 | 2 |"
    many = "| a |\n|:--|\n" + "\n".join(["| 1 |"] * 30)
    assert paper.split_tables(short, True) == (short, "")
    for table in (of_z, many):
        assert paper.split_tables(f"{short}\n\n{table}\n\nIts note.", True) == (
            short,
            f"{table}\n\nIts note.",
        )
        assert paper.split_tables(table, False) == (table, "")
        assert paper.fold(table).startswith("<details><summary>Table: a")
        assert table in paper.fold(table)


def test_a_method_is_broken_into_paragraphs_of_one_length_between_sentences() -> None:
    sentence = "This one has five words. "
    parts = paper.paragraphs(sentence * 80).split("\n\n")
    assert len(parts) == 3
    assert max(map(len, parts)) - min(map(len, parts)) <= len(sentence)
    assert " ".join(parts) == (sentence * 80).strip()
    assert paper.paragraphs("One.\n\nTwo\nwords.") == "One.\n\nTwo words."


def test_the_report_is_ordered_and_numbered_and_names_its_tables(tmp_path: Path) -> None:
    long = "| a |\n|:--|\n" + "\n".join(["| 1 |"] * 30)

    def told(config: dict[str, Any], folder: Folder) -> Section:
        of = folder.experiment
        return paper.SectionWithAppendix(
            "Which?", "So.", "| b |\n|:--|\n| 2 |", f"It is {of}.", "Few.",
            headline=f"Seen in {of}.", appendix=long,
            decisions="| for 1 % |\n|:--|" if of == "variants" else "",
        )  # fmt: skip

    named = {one.name: one for one in EXPERIMENTS}
    chosen = [replace(named[name], report=told) for name in ("training", "coverage", "variants")]
    for one in chosen:
        Folder(tmp_path, one.name).write_csv("rows", [{"value": 1}])
        report.record_run(tmp_path, one.name, "full", 1, 0.1)
    report.build_report(tmp_path, chosen)
    text = (tmp_path / "REPORT.md").read_text()
    heads = [line for line in text.split("\n") if line.startswith("#")]
    assert heads[1:10] == [
        "## Abstract", "## 1. Notation", "## 2. Related work", "## 3. Estimators",
        "### 3.1 Which estimator, how many samples, for 1 %", f"### 3.2 {named['variants'].title}",
        f"### 3.3 {named['coverage'].title}", "## 4. Training", f"### 4.1 {named['training'].title}",
    ]  # fmt: skip
    assert "## 5. Limits" in heads and "*3.2.* Few." in text and "*4.1.* Few." in text
    main, _, behind = text.partition("## Appendix A. Tables")
    assert long not in main and behind.count(long) == 3
    assert "Stored in `coverage_rows.csv`." in behind
    # what the abstract has is not said again
    assert main.count("Seen in variants.") == 1
    assert "**Seen in coverage.** It is coverage." in main


def test_the_page_holds_its_pictures_and_leads_to_its_sections(tmp_path: Path) -> None:
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(1, 1))
    axis.plot([0, 1])
    Folder(tmp_path, "one").save_figure("line", figure)
    table = "| a | b |\n|:--|--:|\n| 1 | 2 |"
    parts = ["# A title", "## Abstract", "Some *words*.", "![A line](figures/one_line.png)", table]
    (tmp_path / "REPORT.md").write_text(
        "\n\n".join([*parts, "## 1. Next", "### 1.1 Then", "End.", "## Appendix A", "### Tables"])
    )
    page = write_html(tmp_path).read_text()
    assert page.count("data:image/png;base64,") == 1
    assert "figures/" not in page
    assert "<table>" in page and "<em>words</em>" in page
    assert '<a href="#section-2">1. Next</a>' in page and '<h2 id="section-2">1. Next</h2>' in page
    assert '<h3 id="section-3">1.1 Then</h3>' in page and "<h3>Tables</h3>" in page


@pytest.mark.slow
def test_the_studentised_bootstrap_covers_better_than_the_normal_interval_where_tails_are_heavy() -> None:
    rng = np.random.default_rng(0)
    held = np.zeros(2)
    for _ in range(300):
        draws = np.exp(rng.standard_normal(40))
        low, high = intervals.bootstrap_t(draws, rng, 200)
        half = 1.96 * draws.std(ddof=1) / np.sqrt(40)
        truth = np.exp(0.5)
        held += [low < truth < high, abs(draws.mean() - truth) < half]
    assert held[0] / 300 > 0.9 > held[1] / 300


def test_pooled_values_weigh_by_their_errors() -> None:
    middle, low, high = forest.pooled([1.0, 3.0], [1.0, 3.0])
    assert middle == pytest.approx(1.2)
    assert high - middle == pytest.approx(middle - low) == pytest.approx(0.9**0.5)
    assert forest.pooled([1.0, 2.0], [0.0, 0.0]) == (1.5, 1.5, 1.5)
