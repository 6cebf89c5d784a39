"""The command line: `regions count`, `enumerate`, `graph`, `locus`, `validate`, `compare`, `plot`, ...

Turns words into calls of the library and results into tables or JSON; the only part that prints.
Exit codes: 0 done, 2 something to correct (one line on stderr), 130 interrupted by Ctrl-C, with
what was found so far printed and saved as TRUNCATED.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from regions.cli import commands, compare, demo, explore, inequality_report, validate
from regions.cli.session import INTERRUPTED, err
from regions.errors import RegionsError

__all__ = ["app", "main"]

app = typer.Typer(
    name="regions",
    help="Exact linear regions of ReLU networks.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("count")(commands.count)
app.command("enumerate")(commands.enumerate_)
app.command("graph")(commands.graph)
app.command("locus")(commands.locus)
app.command("validate")(validate.validate)
app.command("compare")(compare.compare)
app.command("inequalities")(inequality_report.inequalities)
app.command("explore")(explore.explore)
app.command("plot")(commands.plot)
app.command("demo")(demo.demo)

_CORRECTABLE = 2


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
) -> None:
    """Exact linear regions of ReLU networks: counts, graphs, locus volumes, pictures."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : words after the program's name; default those of the process

    Returns
    -------
    int
        0 done; 2 for anything the user can correct, said in one line on stderr; 130 after Ctrl-C.

    Examples
    --------
    >>> main(["--version"])
    regions 0.1.0
    0
    """
    words = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    try:
        code = app(words, prog_name="regions", standalone_mode=False)
    except RegionsError as error:
        return _fail(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}")
    except MemoryError as error:
        return _fail(f"out of memory: {error}; limit the result with --max-cells")
    except (KeyboardInterrupt, typer.Abort):
        err().print("interrupted", style="yellow")
        return INTERRUPTED
    except Exception as error:
        # Errors of usage: typer carries its own copy of click, whose classes are private there.
        if not hasattr(error, "format_message"):
            raise
        known = {command.name for command in app.registered_commands}
        command = f" {words[0]}" if words and words[0] in known else ""
        return _fail(f"{error.format_message()} (see regions{command} --help)")
    return code if isinstance(code, int) else 0


def _fail(message: str) -> int:
    """One line on stderr, whatever the message."""
    text = " ".join(message.split())
    err().print(f"error: {text}", markup=False, style="red")
    return _CORRECTABLE
