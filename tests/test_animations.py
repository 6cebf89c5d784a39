"""Laws of moving pictures: each frame shows its checkpoint, or its step, and the file holds all of them."""

from __future__ import annotations

import json
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from regions import Box, History, InvalidInputError, Network, Segment, WholeSpace
from regions.plotting import animate_cells, animate_history, save_animation
from regions.plotting.colors import class_fills
from regions.validation.tracking import Record

SQUARE = Box([0.0, 0.0], [1.0, 1.0])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def halves(cut):
    """A network whose output is positive where x > cut, and whose only bend is at y = cut."""
    layers = [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0]]]
    return Network.from_arrays(layers, [[1.0, -cut], [-1.0 - cut]])


def frames_of(path):
    """The frames of a .gif as (n, height, width, 3) numbers in [0, 1]."""
    with Image.open(path) as movie:
        frames = []
        for k in range(movie.n_frames):
            movie.seek(k)
            frames.append(np.asarray(movie.convert("RGB")) / 255.0)
        return np.stack(frames), movie.info


def share_of(frame, colour, other):
    """How much of the pixels of two colours has the first."""
    first, second = ((np.abs(frame - rgb).max(axis=-1) < 0.02).sum() for rgb in (colour, other))
    return first / (first + second)


def test_each_frame_shows_the_cells_of_its_checkpoint(tmp_path):
    cuts = [0.3, 0.5, 0.75]
    movie = animate_cells([halves(cut) for cut in cuts], SQUARE, steps=[0, 10, 1000], points=[[0.1, 0.9]])
    path = save_animation(movie, tmp_path / "cells.gif", fps=5, dpi=60)
    frames, info = frames_of(path)
    assert len(frames) == 3 and info["duration"] == 200 and info["loop"] == 0
    below, above = class_fills(2)
    for frame, cut in zip(frames, cuts, strict=True):
        # points, lines and names stand on either side
        assert share_of(frame, below, above) == pytest.approx(cut, abs=0.02)
    # the bend at y = cut moves too: away from the legend, rows darken where it is
    assert len({frame[:, : frame.shape[1] // 2].tobytes() for frame in frames}) == 3


@pytest.mark.parametrize("color", ["volume", "pattern", "layer"])
def test_frames_have_common_colours(color):
    same = [halves(0.5), halves(0.5), halves(0.25)]
    movie = animate_cells(same, Segment([0.0, 0.0], [1.0, 1.0]), color)
    fills = []
    for k in range(3):
        movie._func(k)
        (title,) = (ax.get_title() for ax in movie._fig.axes if "step" in ax.get_title())
        fills.append([tuple(row) for row in movie._fig.axes[0].collections[0].get_facecolor()])
        assert title == f"step {k}: 2 cells"
    movie._draw_was_started = True
    assert fills[0] == fills[1]
    if color == "volume":
        assert not set(fills[0]) & set(fills[2])
    else:
        assert set(fills[0]) == set(fills[2])


@pytest.mark.slow
def test_a_history_is_unveiled_step_by_step(tmp_path):
    rows = [Record(step, "box", "COMPLETE", 4 + step, 0.01, total_variation=2.0) for step in (0, 1, 2, 5)]
    history = History(tuple(rows))
    path = save_animation(animate_history(history), tmp_path / "history.gif", dpi=60)
    frames, _ = frames_of(path)
    dark = [(frame.max(axis=-1) < 0.45).sum() for frame in frames[:, : -frames.shape[1] // 8]]
    assert len(dark) == 4 and all(a < b for a, b in pairwise(dark))


@pytest.mark.slow
def test_a_page_holds_every_frame(tmp_path):
    movie = animate_cells([halves(cut) for cut in (0.2, 0.4)], Segment([0.0, 0.0], [1.0, 1.0]), "jacobian")
    page = save_animation(movie, tmp_path / "training.html", dpi=40).read_text()
    assert page.count("data:image/png;base64") == 2 and "<title>training</title>" in page


def test_what_cannot_be_animated_is_refused(tmp_path, monkeypatch):
    two = [halves(0.2), halves(0.4)]
    for arguments, says in (
        (([], SQUARE), "no checkpoints"),
        (([two], SQUARE), "cannot track a builtins.list"),
        (([tmp_path / "nowhere.npz"], SQUARE), "nowhere.npz"),
        ((two, Box([0.0] * 2, [1.0] * 2), "pie"), "'pattern'"),
        ((two, WholeSpace(2)), "clipped"),
    ):
        with pytest.raises(InvalidInputError, match=says):
            animate_cells(*arguments)
    for steps, says in (([0], "one each"), ([1, 1], "do not rise")):
        with pytest.raises(InvalidInputError, match=says):
            animate_cells(two, SQUARE, steps=steps)
    monkeypatch.setattr("matplotlib.animation.FFMpegWriter.isAvailable", lambda: False)
    for name, options, says in (
        ("x.avi", {}, ".gif, .mp4, .html"),
        ("x.mp4", {}, "ffmpeg"),
        ("none/x.gif", {}, "no folder"),
        ("x.gif", {"fps": 0}, "fps is 0"),
        ("x.gif", {"dpi": 1.5}, "dpi is 1.5"),
    ):
        with pytest.raises(InvalidInputError, match=says):
            save_animation(None, tmp_path / name, **options)


@pytest.mark.slow
def test_the_command_takes_checkpoints_and_histories(run, tmp_path):
    files = [tmp_path / f"net_{step}.npz" for step in (0, 40)]
    for path, cut in zip(files, (0.2, 0.6), strict=True):
        halves(cut).save(path)
    movie = tmp_path / "cells.gif"
    code, out, _ = run("animate", *files, "--box", "0", "1", "-o", movie, "--fps", "2", "--json")
    assert code == 0 and json.loads(out) == {"file": str(movie), "frames": 2}
    frames, info = frames_of(movie)
    assert len(frames) == 2 and info["duration"] == 500
    saved = tmp_path / "history.json"
    History(tuple(Record(step, "box", "COMPLETE", 4, 0.01) for step in (0, 3))).save(saved)
    assert run("animate", saved, "-o", tmp_path / "history.html")[0] == 0
    for words, says in (
        ([saved, "--box", "0", "1", "-o", movie], "a history holds no cells"),
        ([*files, "-o", movie], "say where to look"),
        ([*files, "--box", "0", "1", "-o", tmp_path / "x.png"], ".gif, .mp4, .html"),
    ):
        code, _, err = run("animate", *words)
        assert code == 2 and says in err and err.count("\n") == 1
