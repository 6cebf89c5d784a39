"""What a search by vertices holds: the network on the domain, its stacks, scratch of one step, output."""

from regions.kernels.memory.layouts import Layout, floats, ints, records, singles, words

NETWORK_ARRAYS = {
    "widths": ints("layers", "units of each layer; the last is the output"),
    "relus": ints("layers", "1 where units follow: ReLUs, or others with two slopes"),
    "sloped": ints("layers", "1 where some of them are no ReLUs"),
    "cutting": ints("layers", "units that cut: those whose two slopes differ, candidates of max units aside"),
    "maxed": ints("layers", "pairs of candidates of max units; a pair's row is the difference of theirs"),
    "pair_starts": ints("layers", "flat number of a layer's first pair"),
    "pair_rows": ints("2, pairs", "the candidates of a pair, as units of their layer, the earlier one first"),
    "unit_pairs": ints("units", "of a candidate: the first pair of its max unit, in its layer"),
    "rivals": ints("2, units", "of a unit that is a candidate: the first one of its max unit, and how many"),
    "slopes": floats("2, units", "slopes left and right of the breakpoints"),
    "weights": floats("entries", "dense W_l transposed: W_l[k, j] at weight_starts[l] + j * width + k"),
    "weight_starts": ints("layers", "first entry of a layer's weights, where it is dense"),
    "sparse": ints("layers", "1 where `weights` has only the non-zeros, column after column"),
    "weight_rows": ints("entries of sparse layers", "rows of the first entries of `weights`"),
    "column_bases": ints("layers", "first entry of a sparse layer in column_starts"),
    "column_starts": ints("columns of sparse layers", "first entry of a column, and the end of the last"),
    "biases": floats("entries", "all biases"),
    "bias_starts": ints("layers", "first entry of a layer's biases"),
    "unit_starts": ints("layers", "flat number of a layer's first unit; only ReLU layers have units"),
    "word_starts": ints("layers", "first pattern word of a layer"),
    "unit_keys": words("units", "a random word for each unit"),
    "facet_keys": words("units", "another one"),
    "extents": floats("d", "largest |coordinate| in the domain"),
    "gammas": floats("layers", "rounding of a sum over the layer below"),
    "roundings": floats("layers", "the same, but 0.0 where sums do not round"),
    "exact_limits": floats("layers", "sums over a map below of no larger numbers do not round either"),
}

NETWORK_COUNTERS = {
    "dimension": "d, the number of intrinsic coordinates",
    "n_layers": "layers before the output",
    "certified": "1 in certified arithmetic",
    "central": "1 where every map is linear, without a constant term",
}

NETWORK = Layout("CompiledNetwork", NETWORK_COUNTERS, {}, NETWORK_ARRAYS)

# What both engines' searches count; tasks and results are made of these.
SEARCH_COUNTERS = {
    "cells": "cells found",
    "out_cells": "cells in the output",
    "decisions": "signs of a unit at a vertex, or sides of a unit, that were decided",
    "doubtful": "of these, the ones that floats left open",
    "mode": "a Mode",
    "cell_limit": "stop when so many cells are found",
    "prefix_length": "number of leading splits that are prescribed",
    "frontier": "stop at the first node of this depth; 0: at none",
    "started": "1: the search is past its prescribed splits, and counts what it does",
    "fresh": "1: no step was made from the node in hand, which is as a split left it",
    "base": "how many of the oldest nodes that wait were given away",
    "cell_goal": "stop between two subtrees once so many cells are found",
    "done_parts": "part of the tree that is done, in units of 2**-40, each split halving it",
}

# What both engines' searches have to share a tree.
SHARING_ARRAYS = {
    "trail": ints("splits", "on the way to the node in hand, which part was taken: 0 is searched first"),
    "requests": ints("one", "a Request, which another thread may set at any time"),
}

NODE = (
    "layer",  # whose units are being decided
    "next_slot",  # slot of the next layer's map, as far as it is known
    "map_slot",  # slot of this layer's map
    "first_vertex",  # first entry of the node's vertices in ring
    "n_vertices",
    "vertex_top",  # tops of the stacks at the node's creation
    "ring_top",
    "hyperplanes",
    "first_unit",  # first entry of the node's candidates in candidate_units
    "n_candidates",
    "last_event",  # -1 if none
    "depth",
    "branch",  # which part of its parent it is: 0 is searched first
    "n_plain",  # candidates before the first pair of rows of a max unit
    "dead",  # 1: a max unit has no candidate left that may win: no cell
    "first_facet",  # first entry in edges of the numbering of hyperplanes (polytopes only)
    "n_facets",
    "event_top",
    "unclear",  # of how many candidates the cells could not be counted without making them; 0: not tried
)

VERTEX_SEARCH = Layout(
    "VertexSearch",
    counters={
        **NETWORK_COUNTERS,
        **SEARCH_COUNTERS,
        "planar": "1: polygons as rings",
        "n_nodes": "nodes on the stack",
        "out_halves": "half-facets in the output",
        "splits": "splits made",
        "rough": "1: the last layer's maps are of single precision, as in `single_maps`",
        "want_map": "1: carry the affine map through to the output",
        "guided": "1: follow the pattern in guide only",
        "answered": "exact signs available for the step under way",
        "asked": "exact signs and positions that the step under way needs",
        "ask_layer": "layer of the units asked for",
        "ask_facets": "first_facet of the node whose vertices are asked for",
        "placed": "vertices placed exactly",
        "refreshed": "position errors bounded afresh, from the vertex's own hyperplanes",
        "volumes_added": "numbers in volume_sum since its carries were last passed on",
        "volumes_lost": "volumes beyond the range of floats, which are in no sum",
    },
    numbers={
        "measured": "volume of the cell in hand",
        "gamma_point": "rounding of an evaluation at a point",
        "vertex_radius": "position error given to every vertex in float arithmetic",
        "largest_error": "certified: above it, a position error is bounded afresh",
        "underflow": "what underflow may add to the error of a row, 0 where none can occur",
    },
    arrays={
        **NETWORK_ARRAYS,
        **SHARING_ARRAYS,
        "volume_sum": ints("limbs", "exact sum of the cells' volumes, in digits of base 2**32 from 2**-1074"),
        # the stacks of the search, which may go on after every step
        "nodes": records("nodes", NODE, "polytopes with some units of one layer decided"),
        "candidates": words("nodes, candidate words", "candidates that still cut"),
        "patterns": words("nodes, pattern words", "active units"),
        "alive": words(
            "nodes, unit words", "rows of the layer's max units that may win and are not tried yet"
        ),
        "keys": words("nodes", "combined unit keys of the active units"),
        "slots": floats(
            "slots, d + 5, widest", "maps: coefficients, constant, error, error passed on, bound, 1-norm"
        ),
        "unrounded": ints("slots", "1 where sums over a map do not round"),
        "rough_slots": singles("slots, 3, last layer", "the last layer's maps: coefficients, constant"),
        "rough_spreads": floats("slots", "of a map: its part in the error of rough maps that are made of it"),
        "points": floats("d, vertices", "coordinates"),
        "radii": floats("vertices", "position errors"),
        "positive": words("vertices, candidate words", "signs of the candidates: bit c of candidate c"),
        "negative": words("vertices, candidate words", "neither: zero"),
        "incidence": words("vertices, incidence words", "hyperplanes that a vertex lies on"),
        "definitions": ints("vertices, 2", "certified, planar: the two hyperplanes that define a vertex"),
        "ring": ints("entries", "lists of vertices"),
        "edges": ints(
            "entries", "planar: hyperplane of each side, along ring; else numberings of hyperplanes"
        ),
        "labels": ints("hyperplanes", "flat unit number, or -1 - side of the domain"),
        "rows": floats("hyperplanes, d + 2", "coefficients, constant, error"),
        "candidate_units": ints("entries", "unit of each candidate"),
        "event_planes": ints("events", "an active unit vanishes on the facet on this hyperplane; -1: on all"),
        "event_rows": ints(
            "events, 2", "flat numbers of two candidates that tie there; -1: a unit of its own"
        ),
        "event_keys": words("events", "its unit key"),
        "event_before": ints("events", "the event before, -1 if none"),
        "guide": words("pattern words", "the pattern to follow"),
        # the last layer's weights, for rough maps
        "rough_weights": singles("units below, last layer", "weights, a column after the other"),
        "rough_biases": singles("last layer", "biases"),
        "rough_norms": singles("last layer", "2-norms of weights and bias, rounded up"),
        "rough_rows": floats("last layer, units below", "the weights themselves, a row after the other"),
        # scratch of one step
        "rough_factors": singles("units below, 3", "rows of listed units"),
        "rough_box": singles("4", "the middle and the half-widths of a polygon's box"),
        "values": floats("vertices of one cell, widest", "1.0 where positive, 0.0 where zero"),
        "unit_values": floats("vertices of one cell", "values of one unit"),
        "unit_row": floats("d + 1", "coefficients and constant of one unit"),
        "box": floats("2, d", "middle and half-widths of the box around a polytope"),
        "units": ints("widest", "a list of units; ~unit: one left of its breakpoint"),
        "tied": ints("units", "1: a candidate ties with the winner on the facet in hand"),
        "work": ints("entries", "a list of vertices, units or sides"),
        "masks": words(
            "5, candidate words",
            "entering a layer: units that are positive, that are open; in a split: candidates with + "
            "somewhere, - somewhere, zero somewhere, pairs that are decided, candidates decided left",
        ),
        "pairs": ints("cut edges, 2", "ends of the edges that are cut"),
        "gathered": words("entries", "a list of incidences"),
        "picked": ints("vertices", "a list of vertices"),
        "ranks": ints("hyperplanes", "new numbers"),
        "system": floats("hyperplanes at a vertex + d, 2 d", "for elimination"),
        "system_rows": ints("hyperplanes at a vertex", "their numbers; the d chosen ones first"),
        # flats of a polytope: its own vertices come first, those of each level behind those before
        "flats_points": floats(
            "d + 1, vertices of one cell", "coordinates and position errors of the polytope's own vertices"
        ),
        "flats_values": floats("vertices, candidates", "values of the candidates"),
        "flats_errors": floats("vertices, candidates", "bounds of their errors"),
        "flats_plus": words("vertices", "signs of the candidates: bit c of candidate c"),
        "flats_minus": words("vertices", "neither: zero"),
        "flats_bits": words(
            "vertices", "hyperplanes that a vertex lies on; from the highest bit on, those crossed"
        ),
        "flats_ends": ints(
            "vertices, 2", "the edge that a vertex is on: first the end where the candidate is positive"
        ),
        "flats_edges": ints("entries, 2", "edges that candidates cross, of each level behind those before"),
        "flats_levels": ints("levels, 4", "first vertex, number of vertices, first edge, end of the edges"),
        "flats_left": words("levels", "candidates that the flat is still to be crossed by"),
        # what exact arithmetic is asked, and answers
        "questions": ints("questions, 2", "a vertex, and the unit whose sign is asked for; -1: its position"),
        "answers": ints("questions", "exact signs"),
        "answer_points": floats("questions, d + 1", "exact positions, rounded, and their errors"),
        # the output
        "out_pattern": words("cells, words", "units in flat order"),
        "out_volume": floats("cells", "volumes"),
        "out_centroid": floats("cells, d", "centroids"),
        "out_vertices": ints("cells", "numbers of vertices"),
        "out_facets": ints("cells", "numbers of facets"),
        "out_jacobian": floats("cells, outputs * d", "Jacobians of the output"),
        "out_label": ints("halves", "flat unit number or -1 - side"),
        "out_match": words("halves", "equal for the two halves of a facet"),
        "out_measure": floats("halves", "(d-1)-volumes"),
        "out_point": floats("halves, 2", "planar: the vertex that the side starts from"),
        # volumes by triangulation
        "face_points": floats("vertices, d", "coordinates"),
        "face_normals": floats("hyperplanes, d", "unit normals, or coefficients"),
        "face_on": words("hyperplanes, vertex words", "vertices on a hyperplane"),
        "face_sets": words("levels, vertex words", "the face in hand at a level"),
        "face_below": words("levels, facets, vertex words", "facets of that face"),
        "face_counts": ints("levels", "how many"),
        "face_next": ints("levels", "which is next"),
        "face_planes": ints("levels, facets", "their hyperplanes"),
        "face_apex": ints("levels", "the vertex that simplices have in common"),
        "face_maximal": ints("facets", "1 where no other face contains it"),
        "face_pivot": floats("levels", "pivot of the elimination"),
        "face_local": floats("levels, vertices, d", "coordinates with the apexes eliminated"),
        "face_total": floats("levels", "sum of the simplices' determinants"),
        "face_moment": floats("levels, d", "the same times the sum of the simplices' vertices"),
        "face_measure": floats("facets", "volume of each facet, 0 where a hyperplane is none"),
        "face_centre": floats("facets, d", "its centroid"),
        # volumes of simple polytopes, by the lattice of their faces; for d = 3, 4, 5 by the faces' ranks
        "face_weight": floats("vertices", "determinants of the simplices at a vertex"),
        "lattice_sets": words("faces * vertex words", "vertices of a face"),
        "lattice_before": ints(
            "d * (facets + 1)", "first face of a codimension whose last facet is this or later"
        ),
        "lattice_tree": ints("faces", "the face without its last facet"),
        "lattice_last": ints("faces", "that facet; of an edge, its second vertex"),
        "lattice_apex": ints("faces", "first vertex"),
        "lattice_members": ints("faces * d", "the facets that a face lies on"),
        "lattice_up": ints("faces * d", "the face without each of them"),
        "lattice_slacks": floats("faces * d", "distance of that face's apex from the facet"),
        "lattice_below": ints("faces * facets", "the face with a facet after its last one"),
        "lattice_measure": floats("faces", "normalised volume"),
        "lattice_share": floats("faces", "what a face passes on to its centroid"),
        "ranks_below": ints("d - 1, facets + 1", "how many sets of so many facets have lower facets only"),
        "edge_seen": ints("sets of d - 1 facets", "1 + the vertex where the edge was seen, -1: at two"),
        "edge_ends": ints("edges, 3", "two vertices, and which facet of the first the edge leaves"),
        "edge_measure": floats("edges", "normalised length"),
        "faces_without": ints("vertices * d * d", "the face on all of a vertex's facets but these two"),
        "facet_distances": floats("facets * vertices", "distance of each vertex from each facet"),
        "vertex_facets": ints("vertices * d", "facets of a vertex"),
        "vertex_bits": words("vertices", "the same as bits"),
        "vertex_measure": floats("vertices", "inverse determinant of the normals"),
        "vertex_offsets": floats("d * vertices", "coordinates from the first vertex"),
    },
    steps={
        "search": "int64",
        "split": "int64, int64",
        "enter_layer": "int64, int64",
        "count_layer": "int64, int64",
        "finish": "int64, int64",
        "improve_radius": "int64",
        "measure_simple": "int64, int64",
        "triangulate": "int64, int64",
        "settle_doubt": "int64, int64, int64, float64",
        "add_units": "int64, int64, int64, int64",
        "copy_map": "int64, int64, int64, int64, int64",
        # where the last layer's maps are rough
        "start_rough": "int64, int64",
        "add_rough": "int64, int64, int64, int64",
        "open_rough": "int64, float64",
        "rebuild_map": "int64, int64",
        # where cells are listed
        "touch_units": "int64, int64",
        "touch_candidates": "int64, int64",
        # where there are units with two slopes, or max units
        "settle_linear": "int64, int64",
        "list_left": "int64, int64",
        "list_fallen": "int64, int64",
        # where there are max units
        "set_pairs": "int64, int64",
        "start_max_units": "int64, int64",
        "settle_max_units": "int64, int64",
        "drop_pairs": "int64, int64",
        "settle_pairs": "int64, int64",
        "finish_max_unit": "int64, int64, int64",
        "try_candidate": "int64, int64",
    },
)
