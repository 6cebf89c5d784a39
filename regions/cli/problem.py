"""What `validate`, `inequalities` and `compare` share: reading a problem, and giving the report about it.

Each of them asks the library one question about a network, a domain and a density; the question is theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer

from regions.cli.interruption import signals
from regions.cli.options import (
    AsJson,
    DomainWords,
    EngineWords,
    MaxSecondsOption,
    NetworkPath,
    ReadingWords,
    writable,
)
from regions.cli.session import leave_if, print_json, print_text, watched
from regions.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy as np

    from regions.complexes import StoppedBy
    from regions.density import Density
    from regions.domain import Domain
    from regions.network.relu_network import Network

__all__ = ["NoiseKind", "NoiseOption", "Problem", "ProblemWords", "answer", "leave_if_interrupted"]


class NoiseKind(StrEnum):
    """What --noise may be."""

    absolute = "absolute"
    relative = "relative"


NoiseOption = Annotated[
    NoiseKind,
    typer.Option(help="Noise of sigma for every unit, or of sigma times each unit's spread over the data."),
]


@dataclass(frozen=True)
class ProblemWords:
    """The options that name a problem and say where its report goes, as typed."""

    net: NetworkPath
    where: DomainWords
    how: EngineWords
    reading: ReadingWords
    density: Annotated[
        str,
        typer.Option(
            metavar="uniform|gaussian:...|ball:...|kde:...",
            help="Density of the data, as for `regions locus`.",
        ),
    ] = "uniform"
    max_seconds: MaxSecondsOption = None
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also save as JSON.")] = None
    json: AsJson = False

    def check(self) -> None:
        """Raise InvalidInputError where no work is needed to see that an option cannot be used."""
        if self.output is not None:
            writable(self.output)
        if self.seed < 0:
            raise InvalidInputError(f"--seed is {self.seed}; it must be at least 0")

    def build(self) -> Problem:
        """Read the network, and make the objects that the words name."""
        import numpy as np

        from regions.density import from_spec

        network = self.reading.load(self.net)
        domain = self.where.build(network)
        rng = np.random.default_rng(self.seed)
        options = {**self.how.arguments(), "max_seconds": self.max_seconds}
        return Problem(network, domain, from_spec(self.density, domain), rng, options)


@dataclass(frozen=True)
class Problem:
    """A network on a domain with a density, random numbers, and the options of the enumeration."""

    network: Network
    domain: Domain
    density: Density
    rng: np.random.Generator
    options: dict[str, Any]


class Report(Protocol):
    """What is found about a problem; `stopped_by` says what cut it short, if anything did."""

    @property
    def stopped_by(self) -> StoppedBy: ...
    def to_dict(self) -> dict[str, Any]: ...
    def table(self) -> str: ...
    def save(self, path: Path) -> None: ...


Found = TypeVar("Found", bound=Report)


def answer(words: ProblemWords, label: str, unit: str, ask: Callable[[Problem], Found]) -> Found:
    """Ask a question about a problem, with progress; print and save the report.

    Parameters
    ----------
    words : ProblemWords
    label, unit : str, of the progress: what is done, and what is counted
    ask : function of the problem, whose options hold the progress

    Returns
    -------
    The report.
    """
    words.check()
    problem = words.build()
    with watched(label, unit) as progress:
        problem.options["progress"] = progress
        report = ask(problem)
    with signals.after_writing():
        if words.json:
            print_json({**report.to_dict(), "seed": words.seed})
        else:
            print_text(report.table())
        if words.output is not None:
            report.save(words.output)
    return report


def leave_if_interrupted(report: Report, draws: str) -> None:
    """End the command with its own exit code if Ctrl-C left out some of the draws that were asked for."""
    leave_if(report.stopped_by == "interrupt", f"these are the {draws} that were done")
