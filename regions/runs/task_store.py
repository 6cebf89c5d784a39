"""The tasks of a run and their results in one SQLite file, which several processes write at once.

A transaction is all or nothing, also where a process is killed in it. Who searches, and how long, is left to
`run_workers`; that finished tasks are the whole tree is shown in `proof`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from regions.enumeration.search import WHOLE, Signs, Task, TaskResult
from regions.errors import InvalidInputError

APPLICATION = 0x52656C75  # in the file's header: a run of this package
FORMAT = 1
BUSY_SECONDS = 60.0
MOST_COUNTED = 1024  # waiting tasks, where only few or many matters

_SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
    path BLOB PRIMARY KEY, parent BLOB, state INTEGER NOT NULL, worker TEXT, parts INTEGER, cells INTEGER,
    volume TEXT, decisions INTEGER, exact_signs INTEGER, exact_positions INTEGER, seconds REAL, digest TEXT
) WITHOUT ROWID;
CREATE TABLE parts (path BLOB PRIMARY KEY, part TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX waiting ON tasks (length(path), path) WHERE state = 0;
CREATE INDEX taken ON tasks (worker) WHERE state = 1;
CREATE TABLE workers (
    name TEXT PRIMARY KEY, process INTEGER, threads INTEGER, idle INTEGER, expires REAL
) WITHOUT ROWID;
"""
_RELEASE = """
UPDATE tasks SET state = 0, worker = NULL
WHERE state = 1 AND worker NOT IN (SELECT name FROM workers WHERE expires > ?)
"""
_ENTER = """
UPDATE tasks SET state = 2, worker = NULL, parts = ?, cells = ?, volume = ?, decisions = ?, exact_signs = ?,
    exact_positions = ?, seconds = ?, digest = ?
WHERE path = ?
"""
_TOTALS = """
SELECT count(*), coalesce(sum(cells), 0), coalesce(sum(seconds), 0.0) FROM tasks WHERE state = 2
"""


class State(IntEnum):
    """What has become of a task."""

    WAITING = 0
    TAKEN = 1
    DONE = 2


class Row(NamedTuple):
    """A task as it is stored; what follows `state` is None where it is not done, `part` where it has none."""

    path: bytes
    parent: bytes | None
    state: int
    parts: int | None
    cells: int | None
    volume: str | None
    signs: Signs
    seconds: float | None
    digest: str | None
    part: str | None


@dataclass(frozen=True)
class Totals:
    """How many tasks there are of each kind, and what those that are done add up to."""

    waiting: int
    taken: int
    done: int
    cells: int
    seconds: float


class TaskStore:
    """One connection to the file of a run; a thread uses it at a time.

    Parameters
    ----------
    path : of the file, which must be there

    Raises
    ------
    InvalidInputError
        If it is no such file, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InvalidInputError(
                f"{str(path.parent)!r} holds no run; `regions run create NET <domain> -o FOLDER` makes one"
            )
        self._base = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            with self._readable():
                self._check_kind()
                self._base.execute("PRAGMA journal_mode = WAL")
                self._base.execute("PRAGMA synchronous = NORMAL")
                self.facts: Mapping[str, str] = dict(self._base.execute("SELECT name, value FROM facts"))
        except BaseException:
            self._base.close()
            raise

    @classmethod
    def create(cls, path: Path, facts: Mapping[str, str]) -> TaskStore:
        """Make the file, with the whole tree as the one task; it is there whole, or not at all."""
        beside = path.with_name(f".{path.name}.part")
        beside.unlink(missing_ok=True)
        base = sqlite3.connect(beside, isolation_level=None)
        try:
            base.executescript(_SCHEMA)
            base.executemany("INSERT INTO facts VALUES (?, ?)", list(facts.items()))
            base.execute(
                "INSERT INTO tasks (path, parent, state) VALUES (?, NULL, ?)", (WHOLE.path, State.WAITING)
            )
        finally:
            base.close()
        beside.rename(path)
        return cls(path)

    def close(self) -> None:
        """End the connection."""
        self._base.close()

    def check(self) -> None:
        """Raise InvalidInputError if SQLite finds the file damaged."""
        with self._readable():
            found = self._base.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise InvalidInputError(f"{str(self.path)!r} is damaged ({found}); take a copy that is whole")

    def _check_kind(self) -> None:
        kind = self._base.execute("PRAGMA application_id").fetchone()[0]
        if kind != APPLICATION:
            raise InvalidInputError(f"{str(self.path)!r} is a database, but no run of this package")
        version = self._base.execute("PRAGMA user_version").fetchone()[0]
        if version != FORMAT:
            raise InvalidInputError(
                f"{str(self.path)!r} has format {version}, and this version of the package reads {FORMAT}"
            )

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn what SQLite says of a file that it cannot read into our error."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "disk" in str(error):
                raise InvalidInputError(f"{str(self.path)!r} cannot be used now: {error}") from error
            raise InvalidInputError(f"{str(self.path)!r} is no readable run: {error}") from error
        except sqlite3.DatabaseError as error:
            raise InvalidInputError(
                f"{str(self.path)!r} is no readable run ({error}); it may be damaged or of another kind"
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Make changes that are kept all together, or not at all."""
        with self._readable():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                self._base.rollback()
                raise

    def beat(self, worker: str, process: int, threads: tuple[int, int], expires: float) -> None:
        """Say that a worker lives until `expires`; `threads`: how many it has, and how many have no task."""
        with self._writing() as base:
            base.execute(
                "INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?, ?)", (worker, process, *threads, expires)
            )

    def leave(self, worker: str) -> None:
        """Forget a worker, and put back what it has not done."""
        with self._writing() as base:
            base.execute("DELETE FROM workers WHERE name = ?", (worker,))
            base.execute(_RELEASE, (time.time(),))

    def take(self, worker: str) -> tuple[Task, int] | None:
        """Give a task to a worker, one nearest the root; returns it and how many wait, up to some number.

        Tasks of workers that have not been heard of in time wait again. None: no task waits.
        """
        with self._writing() as base:
            base.execute(_RELEASE, (time.time(),))
            found = base.execute(
                "SELECT path FROM tasks WHERE state = 0 ORDER BY length(path), path LIMIT 1"
            ).fetchone()
            if found is None:
                return None
            base.execute("UPDATE tasks SET state = 1, worker = ? WHERE path = ?", (worker, *found))
            waiting = base.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM tasks WHERE state = 0 LIMIT {MOST_COUNTED})"
            ).fetchone()[0]
        return Task(found[0]), waiting

    def enter(self, result: TaskResult, seconds: float) -> bool:
        """Keep a result and what it gives back; returns False, and changes nothing, if that task is done.

        Raises
        ------
        InvalidInputError
            If there is no such task, so that the result is of another run.
        """
        with self._writing() as base:
            known = base.execute("SELECT state, parent FROM tasks WHERE path = ?", (result.path,)).fetchone()
            if known is None:
                raise InvalidInputError(f"the run has no task {result.path.hex() or 'whole'}")
            if known[0] == State.DONE:
                return False
            signs = Signs(*map(int, result.certificate))
            numbers = (len(result.remainder), int(result.cells), hex(result.volume))
            part = "".join(map(str, result.parts)) or None
            digest = self.digest_of(result.path, known[1], numbers, signs, part)
            base.execute(_ENTER, (*numbers, *signs, float(seconds), digest, result.path))
            if part is not None:
                base.execute("INSERT INTO parts VALUES (?, ?)", (result.path, part))
            base.executemany(
                "INSERT INTO tasks (path, parent, state) VALUES (?, ?, 0)",
                [(task.path, result.path) for task in result.remainder],
            )
        return True

    def digest_of(
        self,
        path: bytes,
        parent: bytes | None,
        numbers: tuple[int, int, str],
        signs: Signs,
        part: str | None,
    ) -> str:
        """Return what shows that a stored result is as it was entered, in this run.

        `numbers`: how many tasks it gave back, its cells, the sum of their volumes; `part`: where they are.
        """
        content = (self.facts["name"], path, parent, *numbers, *signs, *([] if part is None else [part]))
        return blake2b(repr(content).encode(), digest_size=16).hexdigest()

    def rows(self) -> Iterator[Row]:
        """List all tasks in the order of their paths."""
        names = "path, parent, state, parts, cells, volume, decisions, exact_signs, exact_positions, seconds"
        lists = self.facts.get("mode") == "list"
        source = "part FROM tasks LEFT JOIN parts USING (path)" if lists else "NULL FROM tasks"
        with self._readable():
            for row in self._base.execute(f"SELECT {names}, digest, {source} ORDER BY path"):
                path, parent, state, parts, cells, volume, *signs, seconds, digest, part = row
                yield Row(path, parent, state, parts, cells, volume, Signs(*signs), seconds, digest, part)

    def unfinished(self) -> list[bytes]:
        """List the paths of the tasks that are not done, in order."""
        with self._readable():
            return [
                row[0] for row in self._base.execute("SELECT path FROM tasks WHERE state < 2 ORDER BY path")
            ]

    def totals(self) -> Totals:
        """Count the tasks, and add up those that are done."""
        with self._readable():
            self._base.execute("BEGIN")  # one state of the file for all of them
            try:
                (waiting,) = self._base.execute("SELECT count(*) FROM tasks WHERE state = 0").fetchone()
                (taken,) = self._base.execute("SELECT count(*) FROM tasks WHERE state = 1").fetchone()
                done, cells, seconds = self._base.execute(_TOTALS).fetchone()
            finally:
                self._base.rollback()
        return Totals(waiting, taken, done, cells, seconds)

    def is_finished(self) -> bool:
        """Tell whether every task is done."""
        with self._readable():
            for state in (State.WAITING, State.TAKEN):
                found = self._base.execute(f"SELECT 1 FROM tasks WHERE state = {int(state)} LIMIT 1")
                if found.fetchone() is not None:
                    return False
        return True

    def threads(self, but: str = "") -> tuple[int, int]:
        """Return how many threads all live workers but one have, and how many of them have no task."""
        with self._readable():
            found = self._base.execute(
                "SELECT coalesce(sum(threads), 0), coalesce(sum(idle), 0) FROM workers "
                "WHERE expires > ? AND name <> ?",
                (time.time(), but),
            ).fetchone()
        return int(found[0]), int(found[1])
