"""Ctrl-C and SIGTERM on the command line: the first one ends the work, and what was found is kept.

Printing and saving what was found is left to the commands. Imports next to nothing, as it comes first.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["INTERRUPTED", "signals"]

INTERRUPTED = 130
# a signal so soon after another is taken for the same: an impatient finger, or a scheduler that repeats
_QUIET_SECONDS = 1.0


class Signals:
    """The signals that a command got, each turned into one KeyboardInterrupt.

    A signal within a second of the one before is ignored, as it would end what prints and saves the
    result. While a file is written the first one waits until it is whole.

    Attributes
    ----------
    happened : bool, whether there was any since `taken` began
    """

    def __init__(self) -> None:
        self.happened = False
        self._last = -float("inf")
        self._writing = 0
        self._waits = False

    @contextmanager
    def taken(self, restore: bool = True) -> Iterator[None]:
        """Take the signals of the process, if this is its main thread, and give them back at the end.

        A process that ends then keeps them (`restore` False), so that a signal does not end it sooner.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.happened, self._last = False, -float("inf")
        numbers = [signal.SIGINT, signal.SIGTERM]
        before = [(number, signal.signal(number, self._handle)) for number in numbers]
        try:
            yield
        finally:
            if restore:
                for number, handler in before:
                    signal.signal(number, handler)

    @contextmanager
    def after_writing(self) -> Iterator[None]:
        """Let the first signal wait until a file is written; one that comes later ends the writing."""
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1
        if self._waits:
            self._waits = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        repeated = now - self._last < _QUIET_SECONDS
        self.happened, self._last = True, now
        if repeated:
            return
        if self._writing and not self._waits:
            self._waits = True
            sys.stderr.write("writing the result first; Ctrl-C again gives it up\n")
            return
        self._waits = False
        raise KeyboardInterrupt


signals = Signals()
