"""The arrays of a search by vertices, by what becomes of their contents when they grow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.enumeration.buffer_pool import Sizes
from regions.enumeration.compiled_network import CompiledNetwork
from regions.kernels.memory.layouts import aligned_zeros
from regions.kernels.memory.vertex_layout import VERTEX_SEARCH
from regions.kernels.vertices.steps import MEASURERS
from regions.kernels.volumes.faces_by_rank import rank_scratch
from regions.kernels.volumes.simple import lattice_scratch

__all__ = ["OUT_CELL_ARRAYS", "OUT_HALF_ARRAYS", "output_of", "questions_of", "scratch_of", "stacks_of"]


def stacks_of(net: CompiledNetwork, sizes: Sizes) -> dict[str, NDArray[Any]]:
    """Make the arrays of a search that keep their contents when they grow."""
    d = net.dimension
    widest = net.widest
    words = max(1, (widest + 63) // 64)
    patterns = max(1, int(net.word_start[-1]))
    vertices = sizes.vertices + 2 * sizes.polytope
    events = sizes.events + 4 * widest
    slots = sizes.slots + net.n_layers
    u64, i64 = np.uint64, np.int64
    return {
        "nodes": np.zeros(sizes.nodes, VERTEX_SEARCH.arrays["nodes"].dtype),
        "candidates": np.zeros((sizes.nodes, words), u64),
        "patterns": np.zeros((sizes.nodes, patterns), u64),
        "alive": np.zeros((sizes.nodes, words if net.maxed else 0), u64),
        "keys": np.zeros(sizes.nodes, u64),
        "slots": aligned_zeros(slots, d + 5, widest),
        "unrounded": np.zeros(slots, i64),
        "rough_slots": aligned_zeros(slots if net.rough else 0, 3, net.rough_length, dtype=np.float32),
        "rough_spreads": np.zeros(slots if net.rough else 0),
        "points": np.zeros((d, vertices)),
        "radii": np.zeros(vertices),
        "positive": np.zeros((vertices, words), u64),
        "negative": np.zeros((vertices, words), u64),
        "incidence": np.zeros((vertices, sizes.bits), u64),
        "definitions": np.zeros((vertices if net.planar else 0, 2), i64),
        "ring": np.zeros(sizes.ring, i64),
        "edges": np.zeros(sizes.ring, i64),
        "labels": np.zeros(sizes.candidates, i64),
        "rows": np.zeros((sizes.candidates, d + 2)),
        "candidate_units": np.zeros(sizes.candidates + 2 * widest, i64),
        "event_planes": np.zeros(events, i64),
        "event_rows": np.zeros((events, 2), i64),
        "event_keys": np.zeros(events, u64),
        "event_before": np.zeros(events, i64),
        "guide": np.zeros(patterns, u64),
        "trail": np.zeros(sizes.nodes + net.n_units, i64),
    }


def scratch_of(net: CompiledNetwork, sizes: Sizes) -> dict[str, NDArray[Any]]:
    """Make the arrays of a search that hold nothing between steps."""
    d = net.dimension
    widest = net.widest
    words = max(1, (widest + 63) // 64)
    vertices, planes = sizes.polytope, 64 * sizes.bits
    vertex_words = (vertices + 63) // 64
    u64, i64 = np.uint64, np.int64
    return {
        "values": np.zeros((vertices, widest)),
        "unit_values": np.zeros(4 * vertices),
        "unit_row": np.zeros(d + 1),
        "rough_factors": np.zeros((widest if net.rough else 0, 3), np.float32),
        "rough_box": np.zeros(4, np.float32),
        "box": np.zeros((2, d)),
        "units": np.zeros(widest + 8, i64),
        "work": np.zeros(widest + vertices + 8, i64),
        "masks": np.zeros((5, words), u64),
        "tied": np.zeros(max(1, net.n_units), i64),
        "pairs": np.zeros((4 * vertices, 2), i64),
        "gathered": np.zeros(4 * vertices, u64),
        "picked": np.zeros(vertices + 1, i64),
        "ranks": np.zeros(planes, i64),
        "system": np.zeros((planes + d + 1, 2 * d)),
        "system_rows": np.zeros(planes + 2, i64),
        "flats_points": np.zeros((d + 1, vertices)),
        "flats_values": np.zeros((2 * vertices, min(widest, 64))),
        "flats_errors": np.zeros((2 * vertices, min(widest, 64))),
        "flats_plus": np.zeros(2 * vertices, u64),
        "flats_minus": np.zeros(2 * vertices, u64),
        "flats_bits": np.zeros(2 * vertices, u64),
        "flats_ends": np.zeros((2 * vertices, 2), i64),
        "flats_edges": np.zeros(((d + 1) * vertices, 2), i64),
        "flats_levels": np.zeros((d + 1, 4), i64),
        "flats_left": np.zeros(d + 1, u64),
        "face_points": np.zeros((vertices, d)),
        "face_normals": np.zeros((planes, d)),
        "face_on": np.zeros((planes, vertex_words), u64),
        "face_sets": np.zeros((d + 1, vertex_words), u64),
        "face_below": np.zeros((d + 1, planes, vertex_words), u64),
        "face_counts": np.zeros(d + 1, i64),
        "face_next": np.zeros(d + 1, i64),
        "face_planes": np.zeros((d + 1, planes), i64),
        "face_apex": np.zeros(d + 1, i64),
        "face_maximal": np.zeros(planes, i64),
        "face_pivot": np.zeros(d + 1),
        "face_local": np.zeros((d + 1, vertices, d)),
        "face_total": np.zeros(d + 1),
        "face_moment": np.zeros((d + 1, d)),
        "face_measure": np.zeros(planes),
        "face_centre": np.zeros((planes, d)),
        **(rank_scratch if d in MEASURERS else lattice_scratch)(d, vertices, planes),
    }


def questions_of(net: CompiledNetwork, count: int) -> dict[str, NDArray[Any]]:
    """Make room for what a step asks and for the answers."""
    return {
        "questions": np.zeros((count, 2), np.int64),
        "answers": np.zeros(count, np.int64),
        "answer_points": np.zeros((count, net.dimension + 1)),
    }


OUT_CELL_ARRAYS = ("out_pattern", "out_volume", "out_centroid", "out_vertices", "out_facets", "out_jacobian")
OUT_HALF_ARRAYS = ("out_label", "out_match", "out_measure", "out_point")


def output_of(net: CompiledNetwork, cells: int, halves: int, outputs: int) -> dict[str, NDArray[Any]]:
    """Make room for finished cells and their half-facets."""
    d = net.dimension
    words = max(1, (net.n_units + 63) // 64)
    return {
        "out_pattern": np.zeros((cells, words), np.uint64),
        "out_volume": np.zeros(cells),
        "out_centroid": np.zeros((cells, d)),
        "out_vertices": np.zeros(cells, np.int64),
        "out_facets": np.zeros(cells, np.int64),
        "out_jacobian": np.zeros((cells, outputs * d)),
        "out_label": np.zeros(halves, np.int64),
        "out_match": np.zeros(halves, np.uint64),
        "out_measure": np.zeros(halves),
        "out_point": np.zeros((halves if net.planar else 0, 2)),
    }
