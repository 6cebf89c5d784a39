"""What a search by linear programs holds: rows a.x <= b scaled by powers of two, a witness, pending sides."""

from regions.kernels.memory.layouts import Layout, floats, ints, records
from regions.kernels.memory.vertex_layout import (
    NETWORK_ARRAYS,
    NETWORK_COUNTERS,
    SEARCH_COUNTERS,
    SHARING_ARRAYS,
)

PENDING = ("layer", "unit", "n_rows", "side", "kind", "depth", "branch")  # kind: a Side

PROGRAM_SEARCH = Layout(
    "ProgramSearch",
    counters={
        **NETWORK_COUNTERS,
        **SEARCH_COUNTERS,
        "n_pending": "sides left for later",
        "layer": "layer whose units are being decided",
        "unit": "unit in hand",
        "n_rows": "rows of the polytope in hand",
        "depth": "splits above it",
        "relu_layers": "layers to decide: up to the last with a ReLU",
        "leaving": "1: the polytope in hand is finished",
        "programs": "linear programs solved",
        "pivots": "their pivots",
        "ask_side": "side that is asked for: 0 negative, 1 positive; THIN_SUBTREE: all below a pending side",
        "n_all_rows": "rows of the cell in hand",
    },
    numbers={
        "gamma_point": "rounding of an evaluation at a point",
        "underflow": "what underflow may add to the error of a row, 0 where none can occur",
    },
    arrays={
        **NETWORK_ARRAYS,
        **SHARING_ARRAYS,
        "slots": floats("layers, d + 3, widest", "maps: coefficients, constant, error, error passed on"),
        "units": ints("widest", "a list of units; ~unit: one left of its breakpoint"),
        # the polytope in hand
        "columns": floats("d, rows", "coefficients"),
        "right": floats("rows", "right sides"),
        "errors": floats("rows", "error of a.x - b over the domain"),
        "labels": ints("rows", "flat unit number, or -1 - side of the domain"),
        "row_sides": ints("rows", "1 where the unit is positive"),
        "witness": floats("d", "a point strictly inside"),
        "witness_slacks": floats("rows", "its distances from the rows, scaled like them"),
        "witness_noise": floats("rows", "sizes of the terms of each"),
        "states": ints("units", "1 where active"),
        "sides": ints("2", "a Side for each side of the unit in hand"),
        "side_points": floats("2, d", "their witnesses"),
        "pending": records("pending", PENDING, "sides left for later"),
        "pending_points": floats("pending, d", "their witnesses"),
        # one linear program
        "slacks": floats("rows", "slacks at its point"),
        "noise": floats("rows", "sizes of the terms of each"),
        "speeds": floats("rows", "how fast the ray comes nearer"),
        "in_basis": ints("rows", "1 where active"),
        "basis_edges": floats("d, d", "row k is the edge of active row k"),
        "active_rows": ints("d", "rows that the point lies on"),
        "block_edges": floats("d, d padded", "column k is the edge of active row k, padded to whole blocks"),
        "multipliers": floats("d padded", "of the active rows"),
        "edge_weights": floats("d padded", "inverse squared length of each edge"),
        "edge_values": floats("d padded", "the row that comes in, along each edge"),
        "row_normal": floats("d", "coefficients of that row"),
        "point": floats("d", "the point that a program has come to"),
        "ray": floats("d", "the direction of its next step"),
        "objective": floats("d", "what it maximises"),
        # the output
        "out_states": ints("cells, units", "patterns"),
        "out_witness": floats("cells, d", "a point inside each"),
        # all rows of one cell, of which the polytope in hand is a choice
        "all_columns": floats("d, rows", "coefficients"),
        "all_right": floats("rows", "right sides"),
        "all_errors": floats("rows", "errors over the domain"),
        "all_labels": ints("rows", "flat unit number, or -1 - side of the domain"),
        "all_slacks": floats("rows", "slacks at the witness"),
        "all_noise": floats("rows", "sizes of the terms of each"),
        "facet_status": ints("rows", "a RowStatus each"),
        "facet_beyond": floats("rows, d", "of a facet: a point beyond it and strictly inside all other rows"),
        "chosen": ints("rows", "1 where a row is among those of the program"),
        "next_states": ints("rows, units", "of a facet: pattern of the cell beyond it"),
        "states_before": ints("units", "the pattern of the cell in hand while others are tried"),
        "undecided": ints("units", "1 where a unit is 0 on the whole cell in hand"),
    },
    steps={
        "search": "int64",
        "take_witness": "",
        "add_units": "int64, int64, int64, int64",
    },
)
