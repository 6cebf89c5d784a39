"""Which steps a search by vertices is made of: those of polygons or of polytopes."""

from typing import Any

from regions.kernels.memory.states import Mode
from regions.kernels.vertices.depth_first import search_by_vertices
from regions.kernels.vertices.error_bounds import improve_radius
from regions.kernels.vertices.last_layer import count_in_polygon, count_in_polytope
from regions.kernels.vertices.layer_maps import (
    add_sloped_units,
    add_units,
    add_units_by_columns,
    copy_map_by_column,
    list_fallen,
    list_left,
    settle_linear,
)
from regions.kernels.vertices.max_winners import (
    drop_pairs,
    finish_max_unit,
    set_pairs,
    settle_max_units,
    settle_pairs,
    start_max_units,
)
from regions.kernels.vertices.nodes import try_candidate
from regions.kernels.vertices.polygon_steps import (
    enter_layer_of_polygon,
    list_polygon,
    measure_polygon,
    split_polygon,
    touch_candidates_of_polygon,
    touch_units_of_polygon,
)
from regions.kernels.vertices.polytope_steps import (
    count_polytope,
    enter_layer_of_polytope,
    measure_polytope,
    split_polytope,
    touch_candidates_of_polytope,
    touch_units_of_polytope,
)
from regions.kernels.vertices.polytopes import report_not_simple, triangulate
from regions.kernels.vertices.predicates import report_doubt, settle_doubt
from regions.kernels.vertices.single_maps import add_rough, open_rough, rebuild_map, start_rough
from regions.kernels.volumes.faces_by_rank import measure_simple_3, measure_simple_4, measure_simple_5
from regions.kernels.volumes.simple import measure_simple

MEASURERS: dict[int, Any] = {3: measure_simple_3, 4: measure_simple_4, 5: measure_simple_5}

ROUGH: dict[str, Any] = {
    "start_rough": start_rough,
    "add_rough": add_rough,
    "open_rough": open_rough,
    "rebuild_map": rebuild_map,
}
TOUCHES_OF_POLYGON: dict[str, Any] = {
    "touch_units": touch_units_of_polygon,
    "touch_candidates": touch_candidates_of_polygon,
}
TOUCHES_OF_POLYTOPE: dict[str, Any] = {
    "touch_units": touch_units_of_polytope,
    "touch_candidates": touch_candidates_of_polytope,
}


def adder(sloped: bool, sparse: bool) -> Any:
    """Return the step that adds units to the next layer's map: times their slopes, or ReLUs only.

    A network with sparse layers has one for both.
    """
    if sparse:
        return add_units_by_columns
    return add_sloped_units if sloped else add_units


def steps_of(
    planar: bool,
    mode: Mode,
    sloped: bool = False,
    sparse: bool = False,
    maxed: bool = False,
    dimension: int = 0,
    rough: bool = False,
) -> dict[str, Any]:
    """Return the steps of a search, by the names that its layout gives them; no others are compiled.

    `dimension` matters where volumes are measured: polytopes with d = 3, 4 or 5 have steps of their own.
    `rough`: whether the last layer's maps are of single precision where cells are not listed.
    """
    steps: dict[str, Any] = {
        "search": search_by_vertices,
        "add_units": adder(sloped, sparse),
        "settle_doubt": report_doubt,
    }
    if sparse:
        steps["copy_map"] = copy_map_by_column
    if planar:
        steps["split"] = split_polygon
        steps["enter_layer"] = enter_layer_of_polygon
        steps |= TOUCHES_OF_POLYGON if mode == Mode.COLLECT else {}
        steps["finish"] = list_polygon if mode == Mode.COLLECT else measure_polygon
        if mode != Mode.COLLECT:
            steps["count_layer"] = count_in_polygon
    else:
        steps["split"] = split_polytope
        steps["enter_layer"] = enter_layer_of_polytope
        steps["finish"] = count_polytope if mode == Mode.COUNT else measure_polytope
        steps["improve_radius"] = improve_radius
        steps |= TOUCHES_OF_POLYTOPE if mode == Mode.COLLECT else {}
        if mode != Mode.COLLECT:
            steps["count_layer"] = count_in_polytope
        if mode != Mode.COUNT:
            steps["measure_simple"] = MEASURERS.get(dimension, measure_simple)
            steps["triangulate"] = report_not_simple
    if rough and mode != Mode.COLLECT:
        steps |= ROUGH
    if sloped:
        steps |= {"list_left": list_left, "list_fallen": list_fallen}
    if sloped or maxed:
        steps["settle_linear"] = settle_linear
    if maxed:
        steps |= {
            "set_pairs": set_pairs,
            "start_max_units": start_max_units,
            "settle_max_units": settle_max_units,
            "drop_pairs": drop_pairs,
            "settle_pairs": settle_pairs,
            "finish_max_unit": finish_max_unit,
            "try_candidate": try_candidate,
        }
    return steps


# What is compiled only when a search meets it, by the name of the step that reports it.
WHEN_MET: dict[str, Any] = {"settle_doubt": settle_doubt, "triangulate": triangulate}
