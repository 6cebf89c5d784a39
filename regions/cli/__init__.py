"""The command line: `regions count`, `enumerate`, `graph`, `locus`, `validate`, `compare`, `plot`, ...

Turns words into calls of the library and results into tables or JSON; the only part that prints.
Exit codes: 0 done, 1 a file that `verify` does not find right, 2 something to correct (one line on stderr),
130 interrupted by Ctrl-C or SIGTERM, with what was found so far printed and saved as TRUNCATED.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from regions.cli.interruption import INTERRUPTED, signals
from regions.cli.stopwatch import watch

__all__ = ["main"]

ANOTHER_PACKAGE = (
    "error: the package `regions` found here is Astropy's, which was installed over relu-regions: both have "
    "this name. Run `pip uninstall regions relu-regions`, then install each in an environment of its own.\n"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Nothing heavy is imported before signals are taken care of, so that Ctrl-C is answered in one line
    from the beginning on.

    Parameters
    ----------
    arguments : words after the program's name; default those of the process

    Returns
    -------
    int
        0 done; 1 if `verify` finds a file wrong; 2 for anything the user can correct, said in one line on
        stderr; 130 after Ctrl-C or SIGTERM.

    Examples
    --------
    >>> main(["--version"])
    regions 0.2.0
    0
    """
    import regions

    if "count_cells" not in getattr(regions, "__all__", ()):  # to ask for the function would import a lot
        sys.stderr.write(ANOTHER_PACKAGE)
        return 2
    words = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    watch.restart()
    with signals.taken(restore=arguments is not None):
        try:
            from regions.cli.application import run

            return run(words)
        except KeyboardInterrupt:
            pass
        except Exception:
            # what an import or a library makes of an interrupt is open-ended
            if not signals.happened:
                raise
    sys.stderr.write("interrupted\n")
    return INTERRUPTED
