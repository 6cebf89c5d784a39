"""The commands as one application, and what becomes of errors: an exit code and one line on stderr."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from regions.cli import (
    animate,
    benchmark_command,
    commands,
    compare,
    demo,
    difference,
    explore,
    inequality_report,
    info,
    join,
    mesh,
    plot_command,
    property_command,
    run_commands,
    statistics_command,
    validate,
    verify,
    warmup,
)
from regions.cli.options import with_each_point
from regions.cli.session import Answer, err, print_json, say_decisions
from regions.errors import RegionsError

__all__ = ["app", "run"]

app = typer.Typer(
    name="regions",
    help="Exact linear regions of ReLU networks.",
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: dict[str, Callable[..., None]] = {
    "count": commands.count,
    "enumerate": commands.enumerate_,
    "join": join.join,
    "graph": commands.graph,
    "locus": commands.locus,
    "verify": verify.verify,
    "property": property_command.property_,
    "statistics": statistics_command.statistics,
    "validate": validate.validate,
    "compare": compare.compare,
    "benchmark": benchmark_command.benchmark,
    "inequalities": inequality_report.inequalities,
    "explore": explore.explore,
    "mesh": mesh.mesh,
    "difference": difference.difference,
    "plot": plot_command.plot,
    "animate": animate.animate,
    "demo": demo.demo,
    "info": info.info,
    "warmup": warmup.warmup,
}
_CORRECTABLE = 2


class _Interrupted(Exception):
    """A KeyboardInterrupt, past typer: that makes an exit code of one, and says nothing."""


def _command(function: Callable[..., None]) -> Callable[..., None]:
    """Return the command with a way for its interrupts to come out of typer."""

    @functools.wraps(function)
    def run(**words: Any) -> None:
        try:
            function(**words)
        except KeyboardInterrupt as error:
            raise _Interrupted from error

    return run


for _name, _function in _COMMANDS.items():
    app.command(_name)(_command(_function))

_runs = typer.Typer(
    help="Counts that outlive a process: make a folder, work on it, ask how far it is.", no_args_is_help=True
)
for _name, _function in run_commands.COMMANDS.items():
    _runs.command(_name)(_command(_function))
app.add_typer(_runs, name="run")


def _show_version(wanted: bool) -> None:
    if wanted:
        from regions import __version__

        print(f"regions {__version__}")  # noqa: T201
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say on stderr what the library decides; before the command.")
    ] = False,
) -> None:
    """Exact linear regions of ReLU networks: counts, graphs, locus volumes, pictures."""
    if verbose:
        say_decisions()


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit code, as `main` has them."""
    as_json, Answer.given = "--json" in words, False
    try:
        code = app(with_each_point(words), prog_name="regions", standalone_mode=False)
    except RegionsError as error:
        return _fail(str(error), as_json)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}", as_json)
    except MemoryError as error:
        return _fail(f"out of memory: {error}; limit the result with --max-cells", as_json)
    except (_Interrupted, typer.Abort) as error:
        raise KeyboardInterrupt from error
    except Exception as error:
        # Errors of usage: typer carries its own copy of click, whose classes are private there.
        if not hasattr(error, "format_message"):
            raise
        command = f" {words[0]}" if words and words[0] in (*_COMMANDS, "run") else ""
        return _fail(f"{error.format_message()} (see regions{command} --help)", as_json)
    return code if isinstance(code, int) else 0


def _fail(message: str, as_json: bool) -> int:
    """Say a message in one line on stderr, with --json as an object on stdout too; return the exit code."""
    text = " ".join(message.split())
    if as_json and not Answer.given:
        print_json({"error": text})
    err().print(f"error: {text}", markup=False, style="red")
    return _CORRECTABLE
