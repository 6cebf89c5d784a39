"""The plan that counting and listing begin with: what is to be searched is checked, the engine chosen."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, get_args

import numpy as np

from regions.complexes import Arithmetic, Tolerances, check_arithmetic
from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork, compile_network
from regions.enumeration.cores import worker_count
from regions.enumeration.cost_model import LARGEST_VERTEX_DIMENSION, Engine, choose
from regions.enumeration.search import MakeSearch
from regions.enumeration.vertices.vertex_search import VertexSearch
from regions.errors import InvalidDomainError, InvalidInputError, check_choice
from regions.network.relu_network import Network

if TYPE_CHECKING:
    from regions.enumeration.spool import Spool

LOGGER = logging.getLogger(__name__)
LARGEST_LISTED_DIMENSION = 8  # by vertices: volumes go over the faces of every cell
LARGEST_LP_DIMENSION = 50
RADIUS_PER_EXTENT = 2.0**-44


@dataclass(frozen=True)
class Plan:
    """A network on a domain, compiled for the engine that is to search it, and how to begin a search."""

    net: CompiledNetwork
    engine: str
    reason: str
    tolerances: Tolerances
    workers: int
    make: MakeSearch
    spool: Spool | None = None

    def spooled(self, spool: Spool) -> Plan:
        """Return the same plan, by which what tasks find goes to files."""
        make: MakeSearch = partial(self.make, spool=spool)  # type: ignore[call-arg]
        return replace(self, make=make, spool=spool)


def plan_search(
    network: Network,
    domain: Domain,
    engine: str,
    arithmetic: Arithmetic,
    workers: int | None,
    *,
    volumes: bool,
) -> Plan:
    """Check the arguments and choose the engine; `volumes`: whether any are asked for.

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used.
    InvalidNetworkError
        If the network's pre-activations could leave the range of floating point.
    """
    if not isinstance(network, Network):
        raise InvalidInputError(
            f"network is a {type(network).__name__}; make a Network with from_arrays, from_torch, from_onnx, "
            "from_sklearn or load_network"
        )
    if not isinstance(domain, Domain):
        raise InvalidInputError(
            f"domain is a {type(domain).__name__}; give a Box, Segment, Slice or Polytope"
        )
    d = domain.dimension
    check_arithmetic(arithmetic)
    check_choice("engine", engine, ("auto", *get_args(Engine)))
    by_vertices = LARGEST_LISTED_DIMENSION if volumes else LARGEST_VERTEX_DIMENSION
    if engine == "auto" and volumes and d > LARGEST_LISTED_DIMENSION:
        engine, reason = "lp", f"d = {d}: volumes of cells need too many vertices"
    elif engine == "auto" and volumes:
        engine = vertex_engine(domain)
        shape = "polygons as vertex rings" if d == 2 else "polytopes by vertices and incidence"
        reason = f"d = {d}: {shape}"
    elif engine == "auto":
        table = network.max_units
        rivals = 1 if table is None else int(table.size.max())
        engine, reason = choose(d, network.n_units, domain.n_sides, rivals)
    else:
        reason = "as asked"
    if engine == "planar" and d != 2:
        raise InvalidInputError(f"engine 'planar' takes d = 2, the domain has d = {d}; use 'cells' or 'auto'")
    largest = LARGEST_LP_DIMENSION if engine == "lp" else by_vertices
    if d > largest:
        raise InvalidDomainError(
            f"the domain has dimension {d}; engine {engine!r} takes 1 to {largest}: use a slice"
        )
    if domain.input_dim != network.input_dim:
        raise InvalidDomainError(
            f"the domain is in {domain.input_dim} input dimensions, the network takes {network.input_dim}"
        )
    if LOGGER.isEnabledFor(logging.INFO):
        LOGGER.info("engine %s (%s), %s arithmetic, for %s", engine, reason, arithmetic, domain.describe())
    certified = arithmetic == "certified"
    if engine == "lp":
        net = compile_network(network, domain, radius=0.0, certified=certified, planar=False, vertices=False)
        from regions.enumeration.programs.program_search import ProgramSearch  # slow to import

        make: MakeSearch = partial(ProgramSearch, net, domain)
        radius = RADIUS_PER_EXTENT * float(net.arrays["extents"].max())
        return Plan(net, engine, reason, Tolerances(vertex_radius=radius), worker_count(workers), make)
    radius = RADIUS_PER_EXTENT * float(np.abs(domain.vertices).max())
    net = compile_network(network, domain, radius=radius, certified=certified, planar=engine == "planar")
    make = partial(VertexSearch, net, domain)
    return Plan(net, engine, reason, Tolerances(vertex_radius=radius), worker_count(workers), make)


def vertex_engine(domain: Domain) -> str:
    """Return the engine with vertices that takes a domain."""
    return "planar" if isinstance(domain, Domain) and domain.dimension == 2 else "cells"
