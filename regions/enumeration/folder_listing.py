"""What `enumerate_cells` does with `output`: a search into parts, which is noted, and then joined.

A search that is over is noted beside its parts, so that a joining that was ended by a limit, by Ctrl-C or
with its process is taken up again by `join_listing`. How parts are joined is in `stored_listing`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from regions.complexes import StoredComplex
from regions.complexes.listing_files import HEADER, NETWORK, SEARCHED, WORK, read_header
from regions.complexes.stored_complex import write_in_blocks
from regions.domain import Domain, domain_from_dict
from regions.enumeration.executors import Problem, search_tree
from regions.enumeration.ledger import Outcome
from regions.enumeration.limits import Limits, Stop, check_seconds
from regions.enumeration.planning import Plan, plan_search
from regions.enumeration.search import Signs, TaskResult
from regions.enumeration.search_digest import search_digest
from regions.enumeration.spool import Spool, StoredPart
from regions.enumeration.stored_listing import new_folder, write_listing
from regions.enumeration.threads import Progress, compile_search
from regions.errors import BudgetExceededError, InvalidInputError
from regions.kernels.memory.states import Mode
from regions.network.relu_network import Network
from regions.reports import write_text

__all__ = ["join_listing", "list_to_folder"]

Folder = str | os.PathLike[str]
FORMAT = "regions search 1"


def list_to_folder(
    plan: Plan,
    problem: Problem,
    output: Folder,
    limits: Limits,
    workers: int | None,
    executor: Executor | None,
    progress: Progress | None,
) -> StoredComplex:
    """List the cells of a bounded domain to a new folder.

    The limit of seconds holds for all of it: the search is ended so early that the joining fits.

    Raises
    ------
    BudgetExceededError
        If the time was up before the facets were joined.
    """
    max_cells, domain = limits.get("max_cells"), problem.domain
    if plan.engine != "lp":
        compile_search(plan.make, Mode.COLLECT)
    with new_folder(output) as place, Stop(limits.get("max_seconds")) as stop:
        spool = Spool(place / WORK, plan.net)
        plan = plan.spooled(spool)
        stop.kept_back = spool.seconds_to_join
        if plan.engine == "lp":
            from regions.enumeration.programs.spooled_programs import search_by_facets

            outcome = search_by_facets(plan, domain, max_cells, progress, stop)
        else:
            outcome = search_tree((plan, problem, workers), Mode.COLLECT, executor, max_cells, progress, stop)
        stop.kept_back = None
        seconds = stop.seconds
        _note(place, plan, domain, outcome, seconds)
        check = _checker(place, outcome, stop)
        return write_listing(
            plan, domain, outcome, place, seconds, volume_kind=_volume_kind(plan.engine), check=check
        )


def keep_in_folder(output: Folder, list_cells: Callable[[], Any]) -> StoredComplex:
    """List cells in memory, and write them to a new folder."""
    with new_folder(output) as place:
        return write_in_blocks(list_cells(), place)


def join_listing(
    folder: Folder, *, workers: int | None = None, max_seconds: float | None = None
) -> StoredComplex:
    """Join the facets of a listing whose search is over, where the joining was ended early.

    Parameters
    ----------
    folder : as was given to `enumerate_cells` as `output`
    workers : number of threads, default one per core
    max_seconds : float above 0, after which it gives up; the folder stays as it is then

    Returns
    -------
    StoredComplex
        The listing that `enumerate_cells` would have returned; also where it is finished already.

    Raises
    ------
    InvalidInputError
        If the folder holds no such search, or one by code that searches otherwise, or parts are damaged.
    BudgetExceededError
        If the time was up before.
    CertificateError
        If the result fails one of its checks.
    """
    check_seconds(max_seconds)
    place = Path(folder)
    if (place / HEADER).is_file():
        return StoredComplex.open(place)
    note = _read_note(place)
    network, domain = _problem_of(place, note)  # which is kept: the plan refers to it weakly
    plan = _plan_of(place, note, network, domain, workers)
    outcome = _outcome_of(note)
    with Stop(max_seconds) as stop:
        check = _checker(place, outcome, stop)
        kind = _volume_kind(plan.engine)
        found = write_listing(plan, domain, outcome, place, note["seconds"], volume_kind=kind, check=check)
    shutil.rmtree(place / WORK, ignore_errors=True)
    return found


def _volume_kind(engine: str) -> str:
    return "none" if engine == "lp" else "vertices"


def _checker(place: Path, outcome: Outcome, stop: Stop) -> Callable[[], None]:
    """Return what ends the joining when the time is up, or Ctrl-C comes that did not end the search."""
    before = stop.interrupted

    def check() -> None:
        if stop.is_over():
            raise BudgetExceededError(
                f"max_seconds were over before the facets of {outcome.cells} cells were joined; all is "
                f"kept in {str(place)!r}: `regions join {place}` goes on, or regions.enumeration.join_listing"
            )
        if stop.interrupted and not before:
            raise KeyboardInterrupt

    return check


def _note(place: Path, plan: Plan, domain: Domain, outcome: Outcome, seconds: float) -> None:
    """Note that a search is over, and all that its joining needs."""
    network = plan.net.network
    network.save(place / NETWORK)
    results = outcome.results
    note = {
        "format": FORMAT,
        "network": network.digest(),
        "domain": domain.to_dict(),
        "engine": plan.engine,
        "engine_reason": plan.reason,
        "arithmetic": "certified" if plan.net.certified else "float",
        "searches": search_digest(plan.engine, True),
        "complete": outcome.complete,
        "stopped_by": outcome.stopped_by,
        "cells": outcome.cells,
        "volume": hex(sum(result.volume for result in results)),
        "signs": [sum(result.certificate[k] for result in results) for k in range(3)],
        "parts": [str(part) for result in results for part in result.parts],
        "seconds": seconds,
    }
    write_text(json.dumps(note, indent=1) + "\n", place / WORK / SEARCHED, "search")


def _read_note(place: Path) -> dict[str, Any]:
    """Read what was noted of a search.

    Raises
    ------
    InvalidInputError
        If the folder holds none, or it is damaged.
    """
    file = place / WORK / SEARCHED
    if not file.is_file():
        read_header(place)  # which says what is missing
    try:
        note = json.loads(file.read_text(encoding="utf-8"))
        if note["format"] != FORMAT:
            raise InvalidInputError(f"{str(file)!r} has format {note['format']!r}, not {FORMAT!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{str(file)!r} is damaged: {error}") from error
    return dict(note)


def _problem_of(place: Path, note: dict[str, Any]) -> tuple[Network, Domain]:
    """Return the network and the domain of a search that was noted."""
    network = Network.load(place / NETWORK)
    if network.digest() != note["network"]:
        raise InvalidInputError(f"{str(place / NETWORK)!r} is another network than was searched")
    return network, domain_from_dict(note["domain"])


def _plan_of(
    place: Path, note: dict[str, Any], network: Network, domain: Domain, workers: int | None
) -> Plan:
    """Return the plan that a search had."""
    engine = note["engine"]
    if note["searches"] != search_digest(engine, True):
        raise InvalidInputError(
            f"the search in {str(place)!r} was made by another version of the package, whose parts may not "
            "be as this one reads them: join with that one"
        )
    plan = plan_search(network, domain, engine, note["arithmetic"], workers, volumes=engine != "lp")
    return replace(plan, reason=note["engine_reason"]).spooled(Spool(place / WORK, plan.net))


def _outcome_of(note: dict[str, Any]) -> Outcome:
    """Return the outcome that was noted, as one result."""
    whole = TaskResult(
        cells=note["cells"],
        volume=int(note["volume"], 16),
        certificate=Signs(*note["signs"]),
        parts=[StoredPart.parse(text) for text in note["parts"]],
        complete=note["complete"],
    )
    return Outcome([whole], note["complete"], note["stopped_by"])
