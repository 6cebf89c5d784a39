"""`check_property`: whether a property holds, decided exactly; and on which part of the domain it does not.

Samples find most counterexamples; bounds drop boxes that are safe; the cells of what is left are searched for
ones whose outputs are unsafe or nearly so, and these are decided in rational arithmetic.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.box_branching import (
    MOST_BOXES,
    BoxBranching,
    exact_volume,
    undecided_boxes,
)
from regions.analysis.properties.cells_in_turn import cells_in_turn
from regions.analysis.properties.certified_volumes import TOGETHER, CertifiedVolumes, VolumeSums, overlap
from regions.analysis.properties.counterexamples import MOST_TRIED, SEED, Judge, better
from regions.analysis.properties.property_report import (
    Counterexample,
    PropertyReport,
    Share,
    Verdict,
)
from regions.analysis.properties.property_spec import Case, Property
from regions.analysis.properties.union_balls import ball_in_union
from regions.analysis.properties.violating_pieces import (
    InscribedBall,
    UnsafeParts,
    ViolatingPiece,
    largest_ball,
)
from regions.complexes import StoppedBy
from regions.domain import Domain
from regions.enumeration.limits import Stop, check_seconds
from regions.enumeration.threads import Progress
from regions.errors import InvalidInputError
from regions.network.patterns import distinct_rows, pack, unpack
from regions.network.relu_network import Network

__all__ = ["check_property"]

FIRST_BOXES, VERDICT_BOXES = 128, 1 << 16  # bounded before cells are listed for the first time, and in all
LISTING = 0.5  # of the time that bounds took, spent on lists of cells before there are no more bounds
LEAST_SECONDS = 0.05  # of a list of cells
NEAR = 2.0**-40  # how far from unsafe, relative to the outputs, cells are looked at exactly

FloatArray = NDArray[np.float64]


def check_property(
    network: Network,
    spec: Property | str | os.PathLike[str] | tuple[Domain, Sequence[Any]],
    *,
    volume: bool | Literal["interval"] = False,
    max_seconds: float | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    most_boxes: int | None = None,
) -> PropertyReport:
    """Decide whether a property holds; say at which input it does not, and on how much of the domain.

    Parameters
    ----------
    network : Network
    spec : Property, path of a VNN-LIB 1.0 file, or (domain, unsafe)
        `unsafe` is a list of pairs (A, b): the outputs y with A @ y <= b must not be reached. The domains are
        bounded, of at most 12 dimensions unless bounds decide.
    volume : bool, whether to go on after a counterexample: all violating pieces, their exact volume, and the
        largest ball in them, with a bound that none exceeds; or "interval", which has the share alone, in an
        interval that is proven with floats: some hundred times sooner, to about five digits
    max_seconds : float, after which what is not decided is UNKNOWN, and shares are intervals
    workers : number of threads, default one per core
    progress : called about ten times a second with cells found and the fraction of the search done
    most_boxes : int, how many boxes are bounded before cells are listed without limit; 0 for none; by
        default 65,536 for a verdict, 512 for the share

    Returns
    -------
    PropertyReport
        A verdict HOLDS means that no real point of the domain has unsafe outputs, borders included, for the
        stored weights without rounding. VIOLATED comes with a rational counterexample.

    Raises
    ------
    InvalidInputError, InvalidDomainError, InvalidNetworkError
        If an argument cannot be used.
    CertificateError
        If a counterexample fails its own check.

    Notes
    -----
    A cell is looked at exactly if it has a point whose outputs are within a small distance of unsafe ones. A
    point with unsafe outputs is in the closure of such a cell, so that none is missed, and whether the closed
    cell holds one is decided by its exact vertices. Cost: about that of `count_cells` on what bounds leave;
    for the share, 10 to 40 ms more for each violating cell of 5 inputs, and 0.1 ms for an interval.

    References
    ----------
    Katz et al., Reluplex (2017); Marzari et al., The #DNN-Verification problem (2023), for the share.

    Examples
    --------
    >>> from regions import Box, Network
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> report = check_property(absolute, (Box([-1.0], [1.0]), [([[-1.0]], [-0.75])]), volume=True)
    >>> str(report.verdict), report.share.low, len(report.pieces), report.ball.radius  # |x| >= 3/4
    ('violated', Fraction(1, 4), 2, 0.125)
    >>> check_property(absolute, (Box([-1.0], [1.0]), [([[1.0]], [-0.5])])).answer
    'unsat'
    """
    if not isinstance(network, Network):
        raise InvalidInputError(f"network is a {type(network).__name__}; load_network reads one from a file")
    check_seconds(max_seconds)
    if not (isinstance(volume, bool) or volume == "interval"):
        raise InvalidInputError(f'volume is {volume!r}; give True, False or "interval"')
    given = _property(network, spec)
    given.check(network)
    with Stop(max_seconds) as stop:
        search = _Search(network, volume, stop, workers, progress, most_boxes)
        found = [search.case(case, number) for number, case in enumerate(given.cases)]
        report = search.report(found, given.name)
        stop.deliver(cast(StoppedBy, report.stopped_by))
    return report


def _property(network: Network, spec: Any) -> Property:
    if isinstance(spec, Property):
        return spec
    if isinstance(spec, str | os.PathLike):
        return Property.load(spec, network)
    if isinstance(spec, tuple) and len(spec) == 2:
        return Property([spec])
    raise InvalidInputError(
        f"spec is a {type(spec).__name__}; give a Property, the path of a .vnnlib file, or (domain, unsafe)"
    )


@dataclass
class _Found:
    """What is known of one case."""

    case: Case
    volume: Fraction = Fraction(0)
    counterexample: Counterexample | None = None
    decided: bool = True
    listed: bool = True  # whether `pieces` are all
    safe: Fraction = Fraction(0)
    pieces: list[ViolatingPiece] = field(default_factory=list)
    sums: VolumeSums | None = None  # instead of the pieces, where intervals are asked for


class _Search:
    """The work on the cases of a property, with its limits."""

    def __init__(
        self,
        network: Network,
        volume: bool | Literal["interval"],
        stop: Stop,
        workers: int | None,
        progress: Progress | None,
        most_boxes: int | None,
    ) -> None:
        self.network, self.volume, self.most_boxes = network, volume, most_boxes
        self.workers, self.progress = workers, progress
        self.stop = stop
        self.cells = self.boxes = self.violating = 0
        self.stopped_by = ""
        self.done = False  # a counterexample is known, and nothing else is asked for

    def over(self) -> bool:
        """Tell whether the time is up or Ctrl-C has come, and note it."""
        if not self.stopped_by and self.stop.is_set():
            self.stopped_by = "interrupt" if self.stop.interrupted else "max_seconds"
        return bool(self.stopped_by)

    def case(self, case: Case, number: int) -> _Found:
        """Search one case."""
        found = _Found(case)
        if self.done:
            return found
        judge = Judge(self.network, case, number)
        found.counterexample = judge.sampled()
        parts = UnsafeParts(self.network, case, number)
        exactly = self.volume is True
        if exactly:
            self._measure(found, judge, parts)
        elif found.counterexample is None:
            self._branch(found, judge, parts)
        if self.volume and not exactly:
            self._enclose(found, parts)
        found.decided = found.counterexample is not None or not self.stopped_by
        self.done = found.counterexample is not None and not self.volume
        return found

    def _branch(self, found: _Found, judge: Judge, parts: UnsafeParts) -> None:
        """Bound boxes, let points descend and list cells of what is left in turn, until all is decided."""
        branching = BoxBranching(self.network, found.case, self.workers, judge.examine)
        most = VERDICT_BOXES if self.most_boxes is None else self.most_boxes
        rng, listing, last = np.random.default_rng(SEED), 0.0, False
        begin = time.perf_counter()
        while not (last or found.counterexample is not None or self.over()):
            more = min(max(FIRST_BOXES, branching.boxes), most - branching.boxes)
            if more > 0 and branching.grow(more, self.stop, self._show):
                found.counterexample = judge.found
                break
            last = branching.grown or branching.boxes >= most
            if not last and judge.examine(branching.sample(more // 2, rng), descend=True):
                found.counterexample = judge.found
                break
            for node, part in branching.left():
                now = time.perf_counter()
                room = LISTING * (now - begin - listing) - listing
                if self.over() or (room <= 0.0 and not last) or found.counterexample is not None:
                    break
                if self._is_safe(found, judge, parts, part, None if last else max(room, LEAST_SECONDS)):
                    branching.settle(node)
                listing += time.perf_counter() - now
        self.boxes += branching.boxes

    def _show(self, decided: float) -> None:
        if self.progress is not None:
            self.progress(self.cells, decided)

    def _is_safe(
        self, found: _Found, judge: Judge, parts: UnsafeParts, part: Domain, seconds: float | None
    ) -> bool:
        """Tell whether the list of cells shows a part of the domain to be safe; not if it is cut short."""
        for first_only in (True, False):  # if the first cells were near misses, all of them are looked at
            patterns, ended = self._patterns(found.case, part, first_only, seconds)
            self._decide(found, judge, parts, patterns)
            if found.counterexample is not None or ended != "enough":
                return found.counterexample is None and not ended
        return False

    def _patterns(
        self, case: Case, part: Domain, first_only: bool, seconds: float | None = None
    ) -> tuple[NDArray[np.bool_], str]:
        """Return the patterns of cells that have points with unsafe outputs, or nearly unsafe ones.

        The second value says what ended the list early, "" if nothing did.
        """
        near, members = _with_conditions(self.network, case, NEAR)
        packed, ended = self._listed(near, members, part, first_only, seconds)
        n_units = self.network.n_units
        states = unpack(packed, near.n_units)[:, :n_units]
        return unpack(distinct_rows(pack(states)), n_units), ended

    def _listed(
        self,
        near: Network,
        members: list[list[int]],
        part: Domain,
        first_only: bool,
        seconds: float | None = None,
    ) -> tuple[NDArray[np.uint8], str]:
        """Return the packed patterns of the cells of a network with conditions that meet those of one set."""
        from regions.enumeration.vertices.pattern_search import list_patterns  # slow to import

        def choose(packed: NDArray[np.uint8]) -> NDArray[np.bool_]:
            return np.logical_or.reduce(_memberships(packed, near, self.network.n_units, members))

        left = self.stop.left()
        cut = seconds is not None and (left is None or seconds < left)
        packed, cells, ended = list_patterns(
            near,
            part,
            choose,
            first_only=first_only,
            by_outputs=True,
            max_seconds=seconds if cut else left,
            workers=self.workers,
            progress=None if cut else self.progress,
        )
        self.cells += cells
        if ended != "enough" and not (cut and ended == "max_seconds"):
            self.stopped_by = self.stopped_by or ended
        return packed, ended

    def _decide(self, found: _Found, judge: Judge, parts: UnsafeParts, patterns: NDArray[np.bool_]) -> None:
        """Look for a counterexample in cells, and for one that survives rounding in the first few."""
        tried = 0
        for pattern in patterns:
            if self.over():
                return
            part = parts.part(pattern)
            if part is None:
                continue
            found.counterexample = better(found.counterexample, judge.inside(part))
            tried += 1
            if found.counterexample.float32 or tried == MOST_TRIED:
                return

    def _measure(self, found: _Found, judge: Judge, parts: UnsafeParts) -> None:
        """Find the violating pieces of a case, and a counterexample deep inside the largest one."""
        found.volume = parts.domain_volume
        most = MOST_BOXES if self.most_boxes is None else self.most_boxes
        remainder = undecided_boxes(self.network, found.case, most, self.workers)
        self.boxes += remainder.boxes
        found.safe = remainder.safe_volume if remainder.domains else found.volume
        gathered = [np.zeros((0, self.network.n_units), np.bool_)]
        for part in remainder.domains:
            if self.over():
                break
            gathered.append(self._patterns(found.case, part, first_only=False)[0])
        patterns = unpack(distinct_rows(pack(np.concatenate(gathered))), self.network.n_units)
        found.listed = not self.stopped_by
        for pattern in patterns:
            if self.over():
                found.listed = False
                break
            found.pieces += parts.pieces(pattern)
        if found.pieces:
            ball = largest_ball(sorted(found.pieces, key=lambda one: -one.volume)[:MOST_TRIED])
            if ball is not None and ball.radius > 0.0:
                found.counterexample = better(judge.exact(ball.centre), found.counterexample)
        elif found.counterexample is None:
            self._decide(found, judge, parts, patterns)

    def _enclose(self, found: _Found, parts: UnsafeParts) -> None:
        """Find intervals for the violating volumes of a case, part by part: what is not done may violate."""
        found.volume = parts.domain_volume
        found.sums = VolumeSums(len(found.case.unsafe))
        if found.counterexample is None:
            if self.over():
                found.sums.leave(found.volume)
            return
        most = MOST_BOXES if self.most_boxes is None else self.most_boxes
        remainder = undecided_boxes(self.network, found.case, most, self.workers)
        self.boxes += remainder.boxes
        domains = remainder.domains
        if overlap(domains):
            domains = (found.case.domain,)
        exact, members = _with_conditions(self.network, found.case, 0.0)
        seen = [np.zeros((0, self.network.n_units), np.bool_)]
        for part in domains:
            if not self.over():
                for packed, low, high in self._violating(exact, members, part):
                    found.sums.add(low, high, _memberships(packed, exact, self.network.n_units, members))
                    seen.append(unpack(packed, exact.n_units)[:, : self.network.n_units])
            if self.over():
                found.sums.leave(found.volume if part is found.case.domain else exact_volume(*part.bounds()))
        self.violating += len(distinct_rows(pack(np.concatenate(seen))))

    def _violating(
        self, exact: Network, members: list[list[int]], part: Domain
    ) -> Iterator[tuple[NDArray[np.uint8], FloatArray, FloatArray]]:
        """Yield packed patterns of cells that violate, with ends of intervals for their volumes."""
        volumes, before = CertifiedVolumes(exact, part), self.cells

        def look(cells: int, done: float) -> bool:
            self.cells = before + cells
            self._show(done)
            return self.over()

        if volumes.by_floats:
            for cells, packed in cells_in_turn(exact, part, members, look):
                yield packed, *(volumes.of_cells(packed, cells) if cells else volumes.bounds(packed))
            return
        packed, _ = self._listed(exact, members, part, first_only=False)
        for start in range(0, len(packed), TOGETHER):
            if self.over():
                return
            block = packed[start : start + TOGETHER]
            yield block, *volumes.bounds(block)

    def _ball(self, found: _Found, number: int) -> InscribedBall | None:
        """Return the largest ball in the violating set of a case, as far as it is known."""
        judge = Judge(self.network, found.case, number)
        return ball_in_union(found.pieces, found.case.domain, judge.is_safe, found.listed)

    def report(self, found: list[_Found], name: str) -> PropertyReport:
        """Put together what was found of the cases."""
        examples = [one.counterexample for one in found if one.counterexample is not None]
        example = min(examples, key=lambda one: (not one.float32, not one.float64)) if examples else None
        if example is not None:
            verdict = Verdict.VIOLATED
        else:
            verdict = Verdict.HOLDS if all(one.decided for one in found) else Verdict.UNKNOWN
        share, ball = None, None
        by_disjunct: tuple[tuple[Share, ...], ...] = ()
        pieces = [piece for one in found for piece in one.pieces]
        if self.volume and found:
            total = sum((one.volume for one in found), Fraction(0))
            low, high = (sum(parts, Fraction(0)) for parts in zip(*map(_volumes, found), strict=True))
            high = min(high, total)
            share = Share(low / total, high / total)
            by_disjunct = tuple(_by_disjunct(one) for one in found)
            ball = _largest([self._ball(one, number) for number, one in enumerate(found)])
        return PropertyReport(
            verdict=verdict,
            counterexample=example,
            share=share,
            by_disjunct=by_disjunct,
            ball=ball,
            pieces=tuple(pieces),
            violating_cells=self.violating or len({(one.case, one.pattern.tobytes()) for one in pieces}),
            cells=self.cells,
            boxes=self.boxes,
            seconds=self.stop.seconds,
            stopped_by=self.stopped_by,
            name=name,
        )


def _volumes(found: _Found, disjunct: int | None = None) -> tuple[Fraction, Fraction]:
    """Return bounds of the violating volume of a case, of all disjuncts or of one."""
    if found.sums is not None:
        low, high = found.sums.bounds(disjunct)
        return low, min(high, found.volume)
    pieces = [one for one in found.pieces if disjunct is None or disjunct in one.disjuncts]
    low = sum((one.volume for one in pieces), Fraction(0))
    return low, low if found.listed else found.volume - found.safe


def _by_disjunct(found: _Found) -> tuple[Share, ...]:
    volumes = [_volumes(found, k) for k in range(len(found.case.unsafe))]
    return tuple(Share(low / found.volume, high / found.volume) for low, high in volumes)


def _largest(balls: Sequence[InscribedBall | None]) -> InscribedBall | None:
    """Return the largest of some balls; none is larger than the largest of the bounds."""
    known = [ball for ball in balls if ball is not None]
    if not known:
        return None
    best = max(known, key=lambda ball: ball.radius)
    return replace(best, upper=max(ball.upper for ball in known))


def _memberships(
    packed: NDArray[np.uint8], near: Network, n_units: int, members: list[list[int]]
) -> list[NDArray[np.bool_]]:
    """Return for each set of unsafe outputs in which cells of a network with conditions all of it are met."""
    states = unpack(packed, near.n_units)[:, n_units:]
    return [np.asarray(~states[:, rows].any(axis=1)) for rows in members]


def _with_conditions(network: Network, case: Case, room: float) -> tuple[Network, list[list[int]]]:
    """Return the network with a unit for each halfspace of unsafe outputs, active where it is left.

    A unit is inactive up to a distance beyond its halfspace that is `room` relative to the outputs: where
    that is not 0, a point on its border is in the closure of cells in whose interior the unit is inactive.
    The lists say which units belong to one set of outputs; the network's outputs are the sums of these.
    """
    rows: dict[bytes, int] = {}
    kept: list[tuple[FloatArray, np.float64]] = []
    members: list[list[int]] = []
    for A, b in case.unsafe:
        members.append([])
        for row, bound in zip(A, b, strict=True):
            key = row.tobytes() + bound.tobytes()
            if key not in rows:
                rows[key] = len(rows)
                kept.append((row, bound))
            members[-1].append(rows[key])
    A, b = np.array([row for row, _ in kept]), np.array([bound for _, bound in kept])
    middle = network.forward(case.domain.to_input(case.domain.interior_point()))
    sizes = np.abs(A) @ np.abs(middle) + np.abs(b)
    sizes = np.where(sizes > 0.0, sizes, 1.0)
    near = b + room * sizes
    sums = np.array([np.bincount(units, minlength=len(kept)) > 0 for units in members], np.float64)
    return Network(
        (*network.operators, A, sums),  # type: ignore[arg-type]
        (*network.biases, -near, np.zeros(len(members))),
        (*network.relu, True, False),
        network.name,
        (*network.slopes, None, None),
        (*network.maxima, None, None),
    ), members
