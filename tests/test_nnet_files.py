"""Laws of `.nnet` files: the formula of the format, in every dialect and in both units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regions.errors import RegionsError
from regions.network.loaders import from_nnet, load_network

LINES = [
    *("2,2,1,3,", "2,3,1,", "0,", "-1.0,-1.0,", "1.0,1.0,", "0.5,-2.0,7.0,", "2.0,4.0,8.0,"),
    *("1.0,2.0,", "-1.0,0.5,", "0.0,3.0,", "0.25,", "-0.5,", "1.0,", "1.0,-2.0,3.0,", "0.125,"),
]
WEIGHTS = [np.array([[1.0, 2.0], [-1.0, 0.5], [0.0, 3.0]]), np.array([[1.0, -2.0, 3.0]])]
BIASES = [np.array([0.25, -0.5, 1.0]), np.array([0.125])]


def written(folder: Path, lines: list[str]) -> Path:
    path = folder / "net.nnet"
    path.write_text("\n".join(lines) + "\n")
    return path


def plain(x: np.ndarray) -> np.ndarray:
    return np.maximum(x @ WEIGHTS[0].T + BIASES[0], 0.0) @ WEIGHTS[1].T + BIASES[1]


def test_both_units_are_the_formula_of_the_format(tmp_path: Path, rng: np.random.Generator) -> None:
    path, x = written(tmp_path, LINES), rng.normal(size=(20, 2))
    inside = plain((x - [0.5, -2.0]) / [2.0, 4.0])
    np.testing.assert_allclose(load_network(path).forward(x), inside * 8.0 + 7.0, rtol=1e-13)
    bare = from_nnet(path, normalise=False)
    np.testing.assert_array_equal(bare.weights[0], WEIGHTS[0])
    np.testing.assert_allclose(bare.forward(x), plain(x), rtol=1e-13)
    assert load_network(path).name == "net (inputs and outputs in the units of the file)"
    assert bare.name == "net (inputs and outputs normalised)"


@pytest.mark.parametrize(
    "dialect",
    ["comments", "no commas at line ends", "words in the unused line", "blank lines", "weights on one line"],
)
def test_dialects_are_one_network(dialect: str, tmp_path: Path) -> None:
    lines = list(LINES)
    match dialect:
        case "comments":
            lines = ["// Neural Network File Format by Kyle Julian, Stanford 2016", "//", *lines]
        case "no commas at line ends":
            lines = [line.rstrip(",") for line in lines]
        case "words in the unused line":
            lines[2] = "This line extraneous"
        case "blank lines":
            lines = [part for line in lines for part in (line, "")]
        case _:
            lines = [*lines[:7], "".join(lines[7:])]
    assert load_network(written(tmp_path, lines)) == from_nnet(written(tmp_path, LINES))


def test_a_missing_output_normalisation_is_none(tmp_path: Path) -> None:
    lines = [*LINES[:5], "0.5,-2.0,", "2.0,4.0,", *LINES[7:]]
    whole = [*LINES[:5], "0.5,-2.0,0.0,", "2.0,4.0,1.0,", *LINES[7:]]
    assert load_network(written(tmp_path, lines)) == load_network(written(tmp_path, whole))


def test_without_normalisation_the_layers_are_those_of_the_file(tmp_path: Path) -> None:
    network = load_network(written(tmp_path, [*LINES[:5], "0,0,0,", "1,1,1,", *LINES[7:]]))
    assert (network.n_layers, network.name) == (2, "net")


@pytest.mark.parametrize(
    ("line", "text", "reason"),
    [
        (0, "3,2,1,3,", "says 3 layers"),
        (1, "2,0,1,", "2, 0, 1"),
        (5, "0.5,", "1 numbers of normalisation for 2 inputs"),
        (6, "2.0,0.0,1.0", "range of 0"),
        (8, "-1.0,", "13 numbers, but it holds 12"),
        (8, "-1.0,word,", "malformed"),
        (8, "nan,1.0,", "nan"),
        (1, "2,99999999999,1,", "entries"),
        (0, "2", "malformed"),
    ],
)
def test_files_that_do_not_fit_together_say_so(line: int, text: str, reason: str, tmp_path: Path) -> None:
    lines = list(LINES)
    lines[line] = text
    with pytest.raises(RegionsError, match=reason):
        load_network(written(tmp_path, lines))


def test_nnet_files_of_others_load(reference_data: Path) -> None:
    sizes = {
        "hcas_pra0_tau00": (3, 25, 25, 25, 25, 25, 5),
        "vertcas_pra01": (4, 45, 45, 45, 45, 45, 45, 9),
        "tiny_taxinet": (128, 16, 8, 8, 2),
        "twin_ladder_10": (10, 20, 1),
        "spiky": (1, 6, 4, 3, 1),
    }
    for name, expected in sizes.items():
        path = reference_data / "zoo" / f"{name}.nnet"
        if not path.is_file():
            pytest.skip("no zoo of other people's networks beside the reference data")
        network = from_nnet(path, normalise=False)
        assert (network.input_dim, *network.widths, network.output_dim) == expected
        whole = load_network(path)
        assert whole.widths == network.widths
