"""What a terminal sees of compilation: which kernel, that it goes on, and where kernels are not kept."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.status import Status

# what modules of numba look for, and no kernel uses
_UNUSED = {"numba.np.arraymath": "scipy.linalg.cython_blas", "numba.core.typing.cffi_utils": "cffi"}
_LONG_SECONDS = 1.0  # what takes less is not worth a word
_said_uncached: list[bool] = []  # whether this process has said that kernels are not kept


@contextmanager
def announced_compilation() -> Iterator[None]:
    """Say on stderr what numba compiles, as soon as that takes more than a moment.

    A terminal sees one line that changes; a file gets a line for each kernel. Where all kernels are
    kept from earlier runs nothing is said.
    """
    from regions.kernels.memory.compiling import before_numba

    watches: list[Any] = []

    def watch() -> None:
        _leave_unused()
        from numba.core import event

        watches.append(_watcher())
        event.register("numba:compile", watches[-1])

    before_numba(watch)
    try:
        yield
    finally:
        for one in watches:
            from numba.core import event

            event.unregister("numba:compile", one)
            one.close()


def _leave_unused() -> None:
    """Load modules of numba without SciPy's BLAS and without cffi, which cost some tenths of a second.

    Only here, in a process of our own: numba then knows no matrix products, and no functions of cffi.
    """
    for module, unused in _UNUSED.items():
        if module in sys.modules or unused in sys.modules:
            continue
        sys.modules[unused] = None  # type: ignore[assignment]
        try:
            import_module(module)
        finally:
            del sys.modules[unused]


def _watcher() -> Any:
    from numba.core import event

    class Watcher(event.Listener):  # type: ignore[misc]
        """Keeps the time of compilations; those inside another one belong to it."""

        def __init__(self) -> None:
            self.notice = _Notice()
            self.depth = threading.local()

        def on_start(self, event: Any) -> None:
            self.depth.now = getattr(self.depth, "now", 0) + 1
            if self.depth.now == 1:
                self.notice.begin(_name_of(event))

        def on_end(self, event: Any) -> None:
            self.depth.now -= 1
            if self.depth.now == 0:
                self.notice.end()

        def close(self) -> None:
            self.notice.close()

    return Watcher()


def _name_of(event: Any) -> str:
    dispatcher = (event.data or {}).get("dispatcher")
    return str(getattr(getattr(dispatcher, "py_func", None), "__name__", "a kernel"))


class _Notice:
    """What is said of the kernels that are compiled one after the other."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._lock = threading.Lock()
        self._clock: threading.Timer | None = None
        self._status: Status | None = None
        self._spent = 0.0
        self._start = 0.0
        self._count = 0
        self._headed = False

    def begin(self, name: str) -> None:
        self._start = time.monotonic()
        self._count += 1
        self._clock = threading.Timer(max(_LONG_SECONDS - self._spent, 0.0), self._say, [name])
        self._clock.daemon = True
        self._clock.start()

    def end(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._spent += time.monotonic() - self._start

    def _say(self, name: str) -> None:
        with self._lock:
            if not self._console.is_terminal:
                if not self._headed:
                    self._console.print("compiling kernels, kept for later runs ...", style="dim")
                    self._headed = True
                self._console.print(f"  {name}", style="dim")
                return
            text = f"compiling kernels, kept for later runs: {name} (number {self._count})"
            if self._status is None:
                self._status = self._console.status(text)
                self._status.start()
            else:
                self._status.update(text)

    def close(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
        with self._lock:
            if self._status is not None:
                self._status.stop()
                self._status = None
        if self._count:
            self._say_uncached()

    def _say_uncached(self) -> None:
        from regions.kernels.memory.compiling import cache_problems

        problems = cache_problems()
        if problems and not _said_uncached:
            _said_uncached.append(True)
            self._console.print(
                f"compiled kernels are not kept ({problems[0]}); set NUMBA_CACHE_DIR to a folder that can "
                "be written",
                style="yellow",
                markup=False,
            )
