"""What `enumerate_cells` does with engine "lp": a search over facets, measured as is asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from regions.complexes import Arithmetic, CellComplex, Certificate
from regions.domain import Domain
from regions.enumeration.limits import Stop, status_of
from regions.enumeration.planning import LARGEST_LISTED_DIMENSION, Plan
from regions.enumeration.programs import program_complex as by_programs
from regions.enumeration.programs.breadth_first import Listing, list_cells
from regions.enumeration.programs.program_complex import Measured
from regions.enumeration.self_checks import Listed, check_samples, checked_measures
from regions.enumeration.threads import Progress
from regions.errors import InvalidInputError


def enumerate_by_facets(
    plan: Plan,
    domain: Domain,
    max_cells: int | None,
    progress: Progress | None,
    volumes: bool | np.random.Generator | None,
    stop: Stop,
) -> CellComplex:
    """Do `enumerate_cells` by the breadth-first search over facets."""
    d, network = domain.dimension, plan.net.network
    if volumes is True and d > LARGEST_LISTED_DIMENSION:
        raise InvalidInputError(
            f"volumes=True with d = {d}: vertices are found up to {LARGEST_LISTED_DIMENSION} dimensions; "
            "give a numpy Generator to sample volumes, or leave them out"
        )
    listed = list_cells(
        plan.net, domain, max_cells=max_cells, workers=plan.workers, progress=progress, stop=stop
    )
    packed = by_programs.packed_patterns(listed, network)
    measured, unchecked = _measured(plan, domain, listed, packed, volumes, stop)
    witnesses = np.array(listed.witnesses).reshape(len(packed), d)
    unknown = np.isnan(witnesses).any(axis=1)  # no float is inside of these cells
    witnesses[unknown] = measured.centroids[unknown]
    arithmetic: Arithmetic = "certified" if plan.net.certified else "float"
    cells = CellComplex(
        network=network,
        domain=domain,
        patterns=packed,
        volumes=measured.volumes,
        centroids=measured.centroids,
        witnesses=witnesses,
        n_vertices=measured.n_vertices,
        n_facets=measured.n_facets,
        facets=replace(
            measured.facets, witness=by_programs.facet_witnesses(listed, measured.facets, network, domain)
        ),
        status=status_of(listed.stopped_by),
        engine="lp",
        engine_reason=plan.reason,
        arithmetic=arithmetic,
        tolerances=plan.tolerances,
        certificate=Certificate(
            arithmetic=arithmetic,
            complete=listed.complete,
            decisions=sum(cell.rows for cell in listed.facets),
            exact_signs=sum(cell.exact for cell in listed.facets),
            exact_positions=0,
            stopped_by=listed.stopped_by,
            unchecked=unchecked,
        ),
        seconds=stop.seconds,
        volume_kind=measured.kind,
        volume_errors=measured.errors,
    )
    if listed.complete:
        check_samples(cells)
    return cells


def _measured(
    plan: Plan,
    domain: Domain,
    listed: Listing,
    packed: NDArray[np.uint8],
    volumes: bool | np.random.Generator | None,
    stop: Stop,
) -> tuple[Measured, str]:
    """Measure the cells that linear programs listed, as is asked for; also say what could not be checked."""
    network, unchecked = plan.net.network, ""
    measured = None
    if volumes is True or (volumes is None and domain.dimension <= LARGEST_LISTED_DIMENSION):
        measured = by_programs.measure_by_vertices(listed, packed, plan.net, domain, plan.tolerances, stop)
    if measured is None:
        measured = by_programs.without_volumes(listed, packed, plan.net, domain)
    else:
        measured.volumes, measured.facets, unchecked = checked_measures(
            measured.volumes,
            measured.facets,
            measured.sides_differ,
            Listed(network, domain, packed, listed.complete),
            plan.tolerances,
        )
    if isinstance(volumes, np.random.Generator):
        measured = by_programs.sample_volumes(measured, packed, network, domain, volumes)
    return measured, unchecked
