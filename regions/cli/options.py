"""The options that commands share, alone or in groups, and how their words become objects.

Nothing is computed here; every message names what was typed and what would be accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regions.cli.standard_input import named_file
from regions.cli.standard_input import read_complex as read_complex
from regions.errors import InvalidDomainError, InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from regions.domain import Domain
    from regions.network.relu_network import Network

_DOMAIN, _ENGINE = "Domain", "Enumeration"


class Kind(StrEnum):
    """Which facets belong to the locus."""

    gradient = "gradient"
    activation = "activation"


KindOption = Annotated[Kind, typer.Option(help="gradient: facets where the Jacobian jumps.")]

NetworkPath = Annotated[
    Path,
    typer.Argument(
        metavar="NET",
        help="Network: .npz, .onnx, .nnet, .keras, .h5; .pt2, .pt, .joblib with --trust-code; - is stdin.",
    ),
]
ComplexPath = Annotated[
    Path, typer.Argument(metavar="OUT.regions", help="Cells of `regions enumerate -o`; - is stdin.")
]
TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        "--allow-code",
        help="Read pickled torch or scikit-learn models. Reading one RUNS CODE that its author put there.",
    ),
]
OutputName = Annotated[
    str | None,
    typer.Option(
        "--output-name", metavar="NAME", help="Output to read, if there are several (default the first)."
    ),
]
InputValues = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME=VALUE|FILE.npy",
        help="Value of an input, if the model has several; again for the next. All but one need one.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]

BoxOption = Annotated[
    tuple[str, str] | None,
    typer.Option(
        metavar="LO HI", help="Input box: numbers, or comma lists (-1,0 1,2).", rich_help_panel=_DOMAIN
    ),
]
FixOption = Annotated[
    str | None,
    typer.Option(
        metavar="I=V,...", help="With --box: inputs that are fixed, and at what.", rich_help_panel=_DOMAIN
    ),
]
FreeOption = Annotated[
    str | None,
    typer.Option(
        metavar="I,...",
        help="With --box and --at: the inputs that are free; all others are fixed.",
        rich_help_panel=_DOMAIN,
    ),
]
AtOption = Annotated[
    Path | None,
    typer.Option(
        metavar="X.npy", help="With --free: the point that fixes the other inputs.", rich_help_panel=_DOMAIN
    ),
]
SliceOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="A.npy B.npy ...",
        help="Square in the plane of three points, or cube through 2 to 9 points, in one dimension less.",
        rich_help_panel=_DOMAIN,
    ),
]
SegmentOption = Annotated[
    tuple[Path, Path] | None,
    typer.Option(metavar="A.npy B.npy", help="Segment between two points.", rich_help_panel=_DOMAIN),
]
MarginOption = Annotated[
    float | None,
    typer.Option(
        help="With --slice: room around the points, relative. (default: 0.1)", rich_help_panel=_DOMAIN
    ),
]
CenterOption = Annotated[
    Path | None,
    typer.Option(metavar="X.npy", help="Square around a point, in a plane.", rich_help_panel=_DOMAIN),
]
HalfWidthOption = Annotated[
    float | None,
    typer.Option(help="With --center or --data: half the square's side.", rich_help_panel=_DOMAIN),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DATA.npy",
        help="The plane of the data's first two principal axes (default: two random directions).",
        rich_help_panel=_DOMAIN,
    ),
]
DirectionSeedOption = Annotated[
    int, typer.Option(help="Seed of the random directions.", rich_help_panel=_DOMAIN)
]
ClipOption = Annotated[
    tuple[str, str] | None,
    typer.Option(
        metavar="LO HI", help="Clip a slice to an input box (pixel range).", rich_help_panel=_DOMAIN
    ),
]

WholeSpaceOption = Annotated[
    bool,
    typer.Option("--whole-space", help="All of the input space, without a box.", rich_help_panel=_DOMAIN),
]

EngineOption = Annotated[
    str,
    typer.Option(
        help="auto, planar, cells, lp, or both: run vertices and LPs, and compare.", rich_help_panel=_ENGINE
    ),
]
ArithmeticOption = Annotated[
    str, typer.Option(help="How signs are decided: certified (proven) or float.", rich_help_panel=_ENGINE)
]
MaxCellsOption = Annotated[
    int | None, typer.Option(help="Stop there; the result says TRUNCATED.", rich_help_panel=_ENGINE)
]
MaxSecondsOption = Annotated[
    float | None,
    typer.Option(
        help="Stop then, compilation not counted; the result says TRUNCATED.", rich_help_panel=_ENGINE
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option(help="Threads (default: all cores).", rich_help_panel=_ENGINE)
]


@dataclass(frozen=True)
class DomainWords:
    """The options that name a domain, as typed."""

    box: BoxOption = None
    fix: FixOption = None
    free: FreeOption = None
    at: AtOption = None
    slice: SliceOption = None
    segment: SegmentOption = None
    margin: MarginOption = None
    center: CenterOption = None
    half_width: HalfWidthOption = None
    data: DataOption = None
    direction_seed: DirectionSeedOption = 0
    clip: ClipOption = None
    whole_space: WholeSpaceOption = False

    def build(self, network: Network) -> Domain:
        """Return the domain, checked against the network's input."""
        self._check_combination()
        n = network.input_dim
        if self.box is not None:
            return self._box(self.box, n)
        from regions.domain import Segment, Slice, WholeSpace

        if self.whole_space:
            return WholeSpace(n)
        if self.segment is not None:
            start, end = (read_point(path, n) for path in self.segment)
            return Segment(start, end)
        clip = None if self.clip is None else _bounds(self.clip, "--clip", n)
        if self.slice is not None:
            margin = 0.1 if self.margin is None else self.margin
            return Slice.through(*(read_point(path, n) for path in self.slice), margin=margin, clip=clip)
        assert self.half_width is not None  # by _check_combination
        center = None if self.center is None else read_point(self.center, n)
        if self.data is not None:
            data = read_points(self.data, n)
            return Slice.pca(data, center, half_width=self.half_width, clip=clip)
        assert center is not None  # by _check_combination
        return Slice.around(center, self._directions(n), self.half_width, clip)

    def _box(self, words: tuple[str, str], n: int) -> Domain:
        """Return the input box with what --fix, or --free and --at, fix of it."""
        from regions.domain import Box

        low, high = _bounds(words, "--box", n)
        fixed = {} if self.fix is None else fixed_inputs(self.fix, n)
        if self.free is not None:
            assert self.at is not None  # by _check_combination
            point, free = read_point(self.at, n), input_numbers(self.free, n)
            fixed.update((k, float(point[k])) for k in range(n) if k not in free)
        for k, value in fixed.items():
            low[k] = high[k] = value
        return Box(low, high)

    def _directions(self, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        import numpy as np

        if n == 2:
            return np.array([1.0, 0.0]), np.array([0.0, 1.0])
        first, second = np.random.default_rng(self.direction_seed).normal(size=(2, n))
        return first, second

    def _check_combination(self) -> None:
        around = self.center is not None or self.data is not None
        chosen = [
            name
            for name, given in (
                ("--box", self.box is not None),
                ("--slice", self.slice is not None),
                ("--segment", self.segment is not None),
                ("--center/--data", around),
                ("--whole-space", self.whole_space),
            )
            if given
        ]
        if len(chosen) != 1:
            found = " and ".join(chosen) if chosen else "none"
            raise InvalidDomainError(
                "say where to look with one of --box LO HI, --slice A.npy B.npy ..., "
                "--segment A.npy B.npy, --center X.npy --half-width H [--data X.npy], or --whole-space; "
                f"got {found}"
            )
        if around and self.half_width is None:
            raise InvalidDomainError("--center and --data need --half-width H, half the side of the square")
        for name, value, needs, present in (
            ("--half-width", self.half_width, "--center or --data", around),
            ("--fix", self.fix, "--box", self.box is not None),
            ("--free", self.free, "--box and --at", self.box is not None and self.at is not None),
            ("--at", self.at, "--box and --free", self.box is not None and self.free is not None),
            ("--margin", self.margin, "--slice", self.slice is not None),
            ("--clip", self.clip, "a slice", around or self.slice is not None),
        ):
            if value is not None and not present:
                raise InvalidDomainError(f"{name} goes with {needs}; got {chosen[0]} without")
        if self.fix is not None and self.free is not None:
            raise InvalidDomainError("give --fix or --free with --at, not both")


@dataclass(frozen=True)
class ReadingWords:
    """The options by which a network's file is read, as typed."""

    output_name: OutputName = None
    input: InputValues = None
    trust_code: TrustCode = False

    def load(self, path: Path) -> Network:
        """Read the network of a file."""
        from regions.network.loaders import load_network

        values = dict(map(_input_value, self.input or ()))
        with named_file(path, "network") as file:
            return load_network(file, allow_code=self.trust_code, output=self.output_name, inputs=values)


def _input_value(words: str) -> tuple[str, Any]:
    """Return the name of an input and its value: numbers, or the array of a .npy file."""
    name, equals, value = words.partition("=")
    if not (name and equals and value):
        raise InvalidInputError(f"--input {words!r}: give NAME=VALUE, NAME=V,V,... or NAME=FILE.npy")
    if value.endswith(".npy"):
        return name, read_array(Path(value))
    try:
        return name, [float(part) for part in value.split(",")]
    except ValueError as error:
        raise InvalidInputError(f"--input {words!r}: {value!r} is no number, list or .npy file") from error


@dataclass(frozen=True)
class EngineWords:
    """The options of an enumeration, as typed."""

    engine: EngineOption = "auto"
    arithmetic: ArithmeticOption = "certified"
    max_cells: MaxCellsOption = None
    workers: WorkersOption = None

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `enumerate_cells` and `count_cells`."""
        return {
            "engine": self.engine,
            "arithmetic": self.arithmetic,
            "max_cells": self.max_cells,
            "workers": self.workers,
        }


def with_each_point(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with `--slice` before each of the points that follow it.

    These are two words, and all that follow and end in .npy.

    Examples
    --------
    >>> with_each_point(["count", "--slice", "a.npy", "b.npy", "c.npy", "net.npz"])
    ['count', '--slice', 'a.npy', '--slice', 'b.npy', '--slice', 'c.npy', 'net.npz']
    """
    spread: list[str] = []
    points = -1  # taken since the last --slice; -1 outside of one
    for word in words:
        taken = points >= 0 and not word.startswith("-") and (points < 2 or word.endswith(".npy"))
        points = 0 if word == "--slice" else points + 1 if taken else -1
        spread += ["--slice", word] if points > 1 else [word]
    return spread


def numbers(text: str, what: str) -> list[float]:
    """Return the numbers of a comma list.

    Raises
    ------
    InvalidInputError
        If a part is no number.

    Examples
    --------
    >>> numbers("-1,0.5", "--box")
    [-1.0, 0.5]
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InvalidInputError(
            f"{what}: {text!r} is no number and no comma list of numbers such as -1,0.5"
        ) from None


def read_point(path: Path, input_dim: int) -> NDArray[np.float64]:
    """Read one point of the input space from a .npy file; an image is flattened row by row.

    Raises
    ------
    InvalidInputError
        If the file is missing, no numeric .npy array, or has another number of entries.
    """
    array = read_array(path).ravel()
    if array.size != input_dim:
        raise InvalidInputError(f"{path} holds {array.size} numbers; the network has {input_dim} inputs")
    return array


def read_points(path: Path, input_dim: int) -> NDArray[np.float64]:
    """Read points of the input space, (k, input_dim), from a .npy file; images are flattened.

    Raises
    ------
    InvalidInputError
        If the file is missing, no numeric .npy array, or its rows have another length.
    """
    array = read_array(path)
    rows = array.reshape(1, -1) if array.size == input_dim else array.reshape(max(len(array), 1), -1)
    if array.size == 0 or rows.shape[1] != input_dim:
        raise InvalidInputError(
            f"{path} has shape {array.shape}; give points as (k, {input_dim}), one per row"
        )
    return rows


def read_array(path: Path) -> NDArray[np.float64]:
    """Read a numeric array of at least one dimension from a .npy file, as float64.

    Raises
    ------
    InvalidInputError
        If the file is missing, no .npy array, or not numeric.
    """
    import numpy as np

    if not path.is_file():
        raise InvalidInputError(f"{path}: no such file")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InvalidInputError(f"{path} is no .npy array of numbers; write one with numpy.save") from error
    if not isinstance(array, np.ndarray):
        names = ", ".join(array.files[:6])
        raise InvalidInputError(f"{path} is an .npz archive ({names}); save one array with numpy.save")
    if array.dtype.kind not in "biuf":
        raise InvalidInputError(f"{path} holds {array.dtype}, not real numbers")
    return np.atleast_1d(array.astype(np.float64))


def writable(path: Path) -> Path:
    """Return the path itself, if a file can be written there: tried before the work and not after it.

    Raises
    ------
    InvalidInputError
        If a file cannot be written there.
    """
    from regions.reports import check_writable

    check_writable(path)
    return path


def _bounds(words: tuple[str, str], option: str, n: int) -> tuple[list[float], list[float]]:
    """Return the lower and upper bounds of all inputs; a single number holds for every one.

    Examples
    --------
    >>> _bounds(("-1", "0.5,2"), "--box", 2)
    ([-1.0, -1.0], [0.5, 2.0])
    """
    bounds = [numbers(text, option) for text in words]
    for text, values in zip(words, bounds, strict=True):
        if len(values) not in (1, n):
            raise InvalidDomainError(
                f"{option}: {text!r} has {len(values)} numbers, the network has {n} inputs; give one, or {n}"
            )
    low, high = (values * n if len(values) == 1 else values for values in bounds)
    return low, high


def input_numbers(text: str, n: int) -> list[int]:
    """Return the inputs that a comma list names.

    Raises
    ------
    InvalidDomainError
        If a part is no input of the network, or named twice.

    Examples
    --------
    >>> input_numbers("3,0", 5)
    [3, 0]
    """
    found: list[int] = []
    for part in text.split(","):
        if not part.strip().isdecimal() or int(part) >= n or int(part) in found:
            raise InvalidDomainError(f"{part!r} in {text!r}: give each of the inputs 0 to {n - 1} once")
        found.append(int(part))
    return found


def fixed_inputs(text: str, n: int) -> dict[int, float]:
    """Return which inputs a list such as 2=0.0,5=1 fixes, and at what.

    Raises
    ------
    InvalidDomainError
        If a part is not of the form INPUT=VALUE, or an input is none of the network's, or named twice.

    Examples
    --------
    >>> fixed_inputs("2=0.5,0=-1", 3)
    {2: 0.5, 0: -1.0}
    """
    parts = [part.partition("=") for part in text.split(",")]
    for _, sign, value in parts:
        if not sign or not value.strip():
            raise InvalidDomainError(f"--fix: {text!r}; give INPUT=VALUE, several with commas: 2=0.0,5=1")
    inputs = input_numbers(",".join(name for name, _, _ in parts), n)
    return dict(zip(inputs, numbers(",".join(value for _, _, value in parts), "--fix"), strict=True))
