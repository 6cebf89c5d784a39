"""The smallest step from a point to where the network predicts something else, over all cells in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.complexes import Arithmetic, Completeness, check_arithmetic
from regions.enumeration.limits import Stop
from regions.errors import InvalidInputError, SolverError
from regions.exploration.centered_cells import CenteredCells, with_row
from regions.exploration.endless_margins import EndlessMargins
from regions.exploration.local_search import Progress, Search, check_limits
from regions.exploration.search_frame import Frame, check_network, checked_center, frame_of
from regions.network.relu_network import Network
from regions.optimize import Norm, Projection
from regions.showing import Shown

if TYPE_CHECKING:
    from regions.domain import Domain

__all__ = ["MinimalPerturbation", "minimal_perturbation"]

FloatArray = NDArray[np.float64]
BEYOND = 1e-9  # first step beyond the decision boundary, relative, when looking for a point that shows it
MOST_DOUBLINGS = 24


@dataclass(frozen=True, eq=False)
class MinimalPerturbation(Shown):
    """How far a prediction holds around a centre.

    Attributes
    ----------
    norm : 2.0 or inf
    status : Completeness
        COMPLETE: `upper` is the distance of the nearest other prediction (the bounds differ by 1e-6 relative
        at most), or none is in the domain and both are inf. TRUNCATED: only the bounds hold; where none was
        found, `lower` is how far the search went.
    lower, upper : float, in input units
        No point nearer than `lower` predicts otherwise (in floating point); points at `upper`, on a decision
        boundary, do right beyond it. inf if none was found.
    point : (n0,) float64, a little beyond that boundary; None if none was found
    prediction, new_prediction : int, the largest output at the centre and at `point`; of a network with one
        output 1 where it is positive, else 0
    n_cells : int, cells entered
    undecided_rows : int
        Of their rows; if not 0 the status is TRUNCATED, and `lower` at most the first such cell's distance.
    seconds : float
    """

    norm: float
    status: Completeness
    lower: float
    upper: float
    point: FloatArray | None
    prediction: int
    new_prediction: int | None
    n_cells: int
    undecided_rows: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings."""
        return {
            **vars(self),
            "norm": Norm.of(self.norm).word,
            "status": self.status.name,
            "point": None if self.point is None else self.point.tolist(),
        }

    def _headline(self) -> str:
        if self.new_prediction is None:
            return f"none within {self.lower:.6g}, {self.status.value}"
        return (
            f"{self.prediction} becomes {self.new_prediction} within {self.lower:.6g} to {self.upper:.6g}, "
            f"norm {Norm.of(self.norm).word}, {self.status.value}"
        )


def minimal_perturbation(
    network: Network,
    center: ArrayLike,
    domain: Domain | None = None,
    *,
    norm: float = 2,
    max_cells: int | None = 10_000,
    max_seconds: float | None = None,
    arithmetic: Arithmetic = "certified",
    progress: Progress | None = None,
) -> MinimalPerturbation:
    """Find the smallest step from a point that changes the network's prediction, exact or bounded.

    Cells are entered in the order of their distance; in each, the nearest point where another output is as
    large is a convex program. Once the next cell is farther than the best point, that is the answer. Where
    nothing is found within the reach of numbers and the domain has no end, the search goes on over all cells,
    and proves of each that no other output is as large anywhere in it (`endless_margins`), or finds where.

    Parameters
    ----------
    network : Network, whose prediction is its largest output, or the sign of its only one
    center : (n0,) numbers
    domain : Domain, optional; steps stay inside. Default: everything, as for `explore`
    norm : 2 or inf, of the step, in input units
    max_cells : int or None
    max_seconds : float or None
    arithmetic, progress : as in `explore`

    Returns
    -------
    MinimalPerturbation

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used, or the prediction at the centre is a tie.
    SolverError
        If no solver gives an answer that passes the check.

    References
    ----------
    Jordan, Lewis and Dimakis, Provable Certificates for Adversarial Examples: Fitting a Ball in the Union of
    Polytopes, NeurIPS 2019.

    Examples
    --------
    >>> from regions import Network
    >>> network = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [-1.0]])
    >>> found = minimal_perturbation(network, [-1.0, 0.5])
    >>> found.status.name, round(found.upper, 6), found.prediction, found.new_prediction
    ('COMPLETE', 0.5, 0, 1)
    """
    check_limits("minimal_perturbation", {"max_cells": max_cells, "max_seconds": max_seconds})
    check_arithmetic(arithmetic)
    measure, certified = Norm.of(norm), arithmetic == "certified"
    check_network(network)
    with Stop(max_seconds) as stop:
        point = checked_center(network, center)
        frame = frame_of(network, point, domain)
        around = CenteredCells(network, frame, measure)
        best = _NearestOther(network, frame, around)
        search = Search(network, frame, certified, None, around.far, True, around)
        search.run(max_cells, progress, stop, best.visit)
        if frame.whole and best.upper == np.inf and not (search.stopped_by or any(search.undecided)):
            best.go_on_everywhere(search, stop)
            search.run(max_cells, progress, stop, best.visit)
        found = _packaged(search, best, around, stop.seconds)
        stop.deliver(search.stopped_by)
    return found


def _packaged(
    search: Search, best: _NearestOther, around: CenteredCells, seconds: float
) -> MinimalPerturbation:
    """Say what a search by distance has shown of the nearest other prediction."""
    everywhere = best.margins is not None
    if everywhere:
        seen_all = not (search.stopped_by or any(search.undecided) or best.open)
        lower = best.lower if seen_all else min(best.lower, around.far)
        clear = seen_all
    else:
        left = search.next_distance() if search.stopped_by else np.inf
        lower = min(best.lower, best.first_doubt, left, around.far if search.frame.endless else np.inf)
        unseen = search.frame.endless and best.upper == np.inf
        clear = not (search.stopped_by or any(search.undecided) or unseen)
    shown = best.shown()
    return MinimalPerturbation(
        norm=around.norm.value,
        status=Completeness.COMPLETE if clear else Completeness.TRUNCATED,
        lower=lower,
        upper=best.upper,
        point=shown,
        prediction=best.prediction,
        new_prediction=None if shown is None else prediction_of(search.network.forward(shown)),
        n_cells=len(search.entered),
        undecided_rows=sum(search.undecided),
        seconds=seconds,
    )


def prediction_of(output: FloatArray) -> int:
    """Return the number of the largest output; of one output 1 if it is positive, else 0."""
    return int(output[0] > 0.0) if output.size == 1 else int(np.argmax(output))


class _NearestOther:
    """The nearest point with another prediction, in the cells entered so far."""

    def __init__(self, network: Network, frame: Frame, around: CenteredCells) -> None:
        self.network, self.frame, self.around = network, frame, around
        output = network.forward(frame.domain.to_input(frame.at))
        self.prediction = prediction_of(output)
        ranked = np.sort(output)
        if (output.size == 1 and output[0] == 0.0) or (output.size > 1 and ranked[-1] == ranked[-2]):
            raise InvalidInputError(
                "the prediction at the center is a tie: it is on a decision boundary, any step may do"
            )
        self.upper = self.lower = self.first_doubt = np.inf
        self._step: tuple[FloatArray, FloatArray] | None = None  # the offset found, and a direction beyond
        self.margins: EndlessMargins | None = None  # once all cells are asked for
        self.open = 0  # cells of which the nearest point was not found

    def _margins(self, pattern: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
        """Return rows (G, g): another output is as large where G u + g >= 0 in one of them."""
        G, g = self.around.output(pattern)
        if g.size == 1:
            sign = -1.0 if self.prediction == 1 else 1.0
            return sign * G, sign * g
        others = np.arange(g.size) != self.prediction
        return G[others] - G[self.prediction], g[others] - g[self.prediction]

    def go_on_everywhere(self, search: Search, stop: Stop) -> None:
        """Ask all cells, beginning with those entered so far, for other predictions at any distance."""
        self.margins = EndlessMargins(self.network, self.frame, self.prediction)
        for cell in search.entered:
            if stop.is_set():
                self.open += 1
                break
            self._visit_to_its_end(search, cell, self.margins)
        search.widen()

    def _visit_to_its_end(self, search: Search, cell: int, margins: EndlessMargins) -> None:
        """Find the nearest other prediction in a cell, unless it is proven that there is none in it."""
        pattern = search.states(cell)
        surely = margins.surely_negative(pattern)
        for a, c, negative in zip(*self._margins(pattern), surely, strict=True):
            if negative:
                continue
            if not a.any():  # one difference on the whole cell
                self.open += c < 0.0
                if c >= 0.0:
                    self._take(search.nearest(cell), a)
                continue
            rows = self.around.rows(pattern)
            try:
                found = self.around.nearest_within(with_row(rows, -a, float(c)), self.upper, f"cell {cell}")
            except SolverError:
                self.open += 1
                continue
            if found is not None:
                self._take(found, a)

    def visit(self, search: Search, cell: int) -> None:
        """Find the nearest other prediction in a cell; what is found limits the search."""
        if self.margins is not None:
            self._visit_to_its_end(search, cell, self.margins)
            return
        reached = search.nearest(cell)
        if search.undecided[-1] and self.first_doubt == np.inf:
            self.first_doubt = reached.lower
        pattern = search.states(cell)
        rows = self.around.rows(pattern)
        for a, c in zip(*self._margins(pattern), strict=True):
            if not a.any():
                if c >= 0.0:
                    self._take(reached, a)
                continue
            part = with_row(rows, -a, float(c))
            away = -float(self.around.clearances(part)[-1])
            if away >= self.upper:
                continue
            found = self.around.nearest_within(part, min(self.upper, self.around.far), f"cell {cell}")
            if found is not None:
                self._take(found, a)
        search.radius = min(search.radius, self.upper)

    def _take(self, found: Projection, direction: FloatArray) -> None:
        """Take up a point where another output is as large, and a direction in which it becomes larger."""
        self.lower = min(self.lower, found.lower)
        if found.point is not None and found.distance < self.upper:
            self.upper = found.distance
            self._step = found.point, direction

    def shown(self) -> FloatArray | None:
        """Find a point a little beyond the boundary found, with another prediction; None if there is none."""
        if self._step is None:
            return None
        u, direction = self._step
        size = max(self.upper, 1e-9)
        if not direction.any():
            direction = u
        maximum = self.around.norm is Norm.MAXIMUM and direction is not u
        along = np.sign(direction) if maximum else direction / max(float(np.linalg.norm(direction)), 1e-300)
        center = self.frame.domain.to_input(self.frame.at)
        for k in range(MOST_DOUBLINGS):
            x: FloatArray = center + self.around.basis @ (u + BEYOND * 2.0**k * size * along)
            inside = self.frame.free or self.frame.domain.contains(
                self.frame.domain.to_intrinsic(x), BEYOND * size
            )
            if inside and prediction_of(self.network.forward(x)) != self.prediction:
                return x
        return None
