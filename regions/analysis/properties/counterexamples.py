"""Points of a domain as counterexamples: found by samples and by descent, judged exactly and in floats."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.exact_forward import (
    exact_outputs,
    float_outputs,
    is_inside,
    is_unsafe,
    to_inputs,
    violated_disjunct,
)
from regions.analysis.properties.property_report import Counterexample
from regions.analysis.properties.property_spec import Case
from regions.analysis.properties.violating_pieces import middle
from regions.errors import CertificateError
from regions.network.relu_network import Network
from regions.network.slopes import RELU
from regions.rational import RationalPolytope

FloatArray = NDArray[np.float64]

SAMPLES = 4096
SEED = 0  # of the samples; the verdict does not depend on it
ROUNDS, KEPT, PER_POINT = 8, 32, 16  # of points near the best of the samples
FIRST_STEP = 0.2  # of the domain's sides
DESCENTS, DESCENT_STEPS = 256, 24  # of points that descend, and their steps
TINY = 2.0**-500
SHRINK = 0.8  # of steps, from one to the next
MOST_TRIED = 8  # points that are tried for a counterexample that survives rounding


def better(first: Counterexample | None, second: Counterexample | None) -> Counterexample:
    """Return the one of two counterexamples that survives more rounding, the first if both do."""
    given = [one for one in (first, second) if one is not None]
    return min(given, key=lambda one: (not one.float32, not one.float64))


class Judge:
    """Judges points of one case, exactly and in floats."""

    def __init__(self, network: Network, case: Case, number: int) -> None:
        self.network, self.case, self.number = network, case, number
        self.found: Counterexample | None = None  # by `examine`
        plain = all(sizes is None for sizes in network.maxima)
        self._can_descend = plain and case.domain.is_axis_parallel

    def sampled(self) -> Counterexample | None:
        """Return a counterexample among random points, if there is one: the one deepest inside.

        Where there is none, points near the best ones are tried, in smaller and smaller steps.
        """
        domain, rng = self.case.domain, np.random.default_rng(SEED)
        t = np.vstack([domain.interior_point(), domain.sample(SAMPLES - 1, rng)])
        depth = self._depth(t)
        low, high = domain.bounds()
        if domain.is_axis_parallel and depth.min() > 0.0:
            on_faces = np.where(rng.random(t.shape) < 0.5, low, high)
            t = np.vstack([t, np.where(rng.random(t.shape) < 0.5, on_faces, t)])
            depth = self._depth(t)
        if self._can_descend and depth.min() > 0.0:
            t = np.vstack([t, self._descended(t[-DESCENTS:])])
            depth = self._depth(t)
        for k in range(ROUNDS if domain.is_axis_parallel else 0):
            if depth.min() <= 0.0:
                break
            best = np.argsort(depth, kind="stable")[:KEPT]
            steps = rng.normal(size=(KEPT, PER_POINT, low.size)) * (high - low) * FIRST_STEP * 0.6**k
            moved = np.clip(t[best][:, None] + steps, low, high).reshape(-1, low.size)
            t = np.vstack([t[best], moved])
            depth = np.concatenate([depth[best], self._depth(moved)])
        return self._deepest(t, depth)

    def examine(self, t: FloatArray, descend: bool = False) -> bool:
        """Look at intrinsic points (n, d), or where they descend to; True if `found` is set."""
        if descend and self._can_descend:
            t = self._descended(t)
        self.found = self._deepest(t, self._depth(t))
        return self.found is not None

    def _deepest(self, t: FloatArray, depth: FloatArray) -> Counterexample | None:
        """Return the counterexample at the point that is deepest inside, as exact passes judge."""
        for k in np.argsort(depth, kind="stable")[:MOST_TRIED].tolist():
            if not depth[k] <= 0.0:
                break
            found = self._at([Fraction(x) for x in t[k].tolist()])
            if found is not None:
                return found
        return None

    def _descended(self, t: FloatArray) -> FloatArray:
        """Return the best points of descents towards each set of unsafe outputs, inside of a box.

        Steps go by the signs of the gradient of the depth. Where outputs are compared with each other it is
        divided by how far these are apart, or points gather where all outputs are nearly the same.
        """
        low, high = self.case.domain.bounds()
        found = []
        for A, b in self.case.unsafe:
            at, best, least = t, t.copy(), np.full(len(t), np.inf)
            for k in range(DESCENT_STEPS):
                depth, slopes = self._relative_depth(at, A, b)
                better = depth < least
                best[better], least[better] = at[better], depth[better]
                if (depth <= 0.0).any():
                    return best[least <= 0.0]
                at = np.clip(at - FIRST_STEP * SHRINK**k * (high - low) * np.sign(slopes), low, high)
            found.append(best)
        return np.concatenate(found)

    def _relative_depth(self, t: FloatArray, A: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the relative depth of points (n, d) in one set of unsafe outputs, and its gradient.

        Where it bends, the gradient is one of several.
        """
        network, domain = self.network, self.case.domain
        value, factors = domain.to_input(t), []
        layers = zip(network.operators, network.biases, network.relu, network.slopes, strict=True)
        for matrix, bias, relu, pair in layers:
            value = value @ matrix.T + bias
            left, right = RELU if pair is None else pair
            factors.append(np.where(value > 0.0, right, left) if relu else np.ones_like(value))
            value = value * factors[-1]
        margins = value @ A.T - b
        worst = margins.argmax(axis=1)
        depth, gradient = margins.max(axis=1), A[worst]
        if len(b) > 1:
            away = value - value.mean(axis=1, keepdims=True)
            scale = np.sqrt((away * away).sum(axis=1)) + TINY
            depth = depth / scale
            gradient = gradient / scale[:, None] - (depth / scale**2)[:, None] * away
        for matrix, factor in zip(network.operators[::-1], factors[::-1], strict=True):
            gradient = (gradient * factor) @ matrix
        return depth, gradient if domain.is_identity else gradient @ domain.basis

    def _depth(self, t: FloatArray) -> FloatArray:
        """Return how far outputs are from unsafe ones, below 0 inside: the worst row of the best set."""
        y = self.network.forward(self.case.domain.to_input(t))
        return np.asarray(np.min([(y @ A.T - b).max(axis=1) for A, b in self.case.unsafe], axis=0))

    def inside(self, part: RationalPolytope) -> Counterexample:
        """Return the counterexample in the middle of a set of such, or at a vertex if it is flat or thin."""
        found = self._at(middle(part))
        if found is not None:
            return found
        *numerators, w = part.vertices[0]
        return self.exact([Fraction(x, w) for x in numerators])

    def exact(self, t: Sequence[Fraction]) -> Counterexample:
        """Return the counterexample at an intrinsic point that is one.

        Raises
        ------
        CertificateError
            If it is none.
        """
        found = self._at(t)
        if found is None:
            raise CertificateError(
                "a counterexample that was found in a cell is none by the network's exact forward pass"
            )
        return found

    def is_safe(self, t: Sequence[Fraction]) -> bool:
        """Tell whether an intrinsic point is outside the domain or its outputs are safe, exactly."""
        if not is_inside(self.case.domain, t):
            return True
        outputs = exact_outputs(self.network, to_inputs(self.case.domain, t))
        return violated_disjunct(self.case, outputs) is None

    def _at(self, t: Sequence[Fraction]) -> Counterexample | None:
        """Return the counterexample at an intrinsic point, None if it is outside or its outputs are safe."""
        domain = self.case.domain
        if not is_inside(domain, t):
            return None
        point = to_inputs(domain, t)
        outputs = exact_outputs(self.network, point)
        disjunct = violated_disjunct(self.case, outputs)
        if disjunct is None:
            return None
        rounded = np.array([float(x) for x in point])
        if domain.is_axis_parallel and domain.is_identity:
            rounded = np.clip(rounded, *domain.bounds())
        passes = [
            is_unsafe(self.case, float_outputs(self.network, rounded, dtype))
            for dtype in (np.float64, np.float32)
        ]
        return Counterexample(self.number, disjunct, point, outputs, rounded, passes[0], passes[1])
