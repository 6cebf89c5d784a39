"""Programs that tests start and judge from outside: refused commands, interrupted scripts."""

from __future__ import annotations

import signal
import subprocess
import sys
import time


def assert_fails_in_one_line(result: tuple[int, str, str], says: str) -> None:
    """The exit code, stdout and stderr of a command are those of one that had something to correct."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1
    assert says in err


def interrupted(
    script: str,
    *arguments: str,
    exit_code: int = 0,
    number: int = signal.SIGINT,
    again_after: float | None = None,
) -> str:
    """What a Python script prints that gets Ctrl-C as soon as it has printed "ready", but for that line.

    Another signal may be sent instead, and the same once more some seconds after the first.
    """
    words = [sys.executable, "-c", script, *arguments]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        start = time.perf_counter()
        running.send_signal(number)
        if again_after is not None:
            time.sleep(again_after)
            running.send_signal(number)
        out, _ = running.communicate(timeout=120)
    finally:
        running.kill()
    assert running.returncode == exit_code and time.perf_counter() - start < 60
    return out
