"""The step that drops nodes without a wanted cell: bounds of what the rest of a network makes of a polytope.

Wanted are the cells in which, for an output of the network, all units of the last layer are inactive that it
has a weight for. The map of a node's layer is known on its polytope. Each layer behind it lies between two
affine functions of the layer before, so that each of its units has a bound that is affine in the inputs, and
is least at a vertex (Zhang et al., Efficient neural network robustness certification, 2018). All rounding is
added to the bounds: a node is dropped by proof.

Scratch is `values`, as rows of `stride_of` numbers: PER_LAYER for each layer from the node's on, then the
blocks that `first_row` tells apart. Coefficients are kept unit by unit, a row for each with a number for each
bound, so that a layer is a product of matrices, whose rows `add_columns` keeps in registers.
"""

import numpy as np

from regions.kernels.memory.bits import ONE, ZERO
from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.map_rows import add_columns
from regions.kernels.memory.states import Status
from regions.kernels.vertices.layer_maps import bounding_box
from regions.kernels.vertices.predicates import set_bound
from regions.kernels.vertices.vertex_signs import values_at

# rows of a layer: slope and half the constant of the function above its units, slope of the one below, sizes
# of the values, and what is an error relative to a coefficient of a unit
ABOVE, HALF_SHIFT, BELOW, SIZE, ERROR = range(5)
PER_LAYER = 5
# blocks behind these
SUMS, RESULTS, FACTORS, COEFFICIENTS = range(4)
SPARE = 8  # rows: products come three at a time, with another row
MOST_PRODUCTS = 4.0e6  # of the bounds of one node
PER_PART = 6.0e4  # products that cost as much as the search of a node in the last layers, about
LEAST = 2.0**-500  # what bounds must exceed, as underflow loses less; see `pattern_search`
ENLARGED = 1.000001  # covers the rounding of errors


@inlined
def stride_of(search: SearchMemory) -> int:
    """Return how long the rows of scratch are: as the widest layer, in blocks of eight."""
    return (search.values.shape[1] + 7) & ~7


@inlined
def first_row(search: SearchMemory, block: int) -> int:
    """Return the place of a block's first row; there are two of COEFFICIENTS."""
    stride = stride_of(search)
    rows = PER_LAYER * (search.n_layers + 1)
    if block > FACTORS:
        rows += SPARE + stride
    if block > RESULTS:
        rows += SPARE
    if block > SUMS:
        rows += SPARE
    return rows * stride


@inlined
def rows_needed(search: SearchMemory) -> int:
    """Return the number of rows of scratch."""
    return first_row(search, COEFFICIENTS) // stride_of(search) + 2 * (SPARE + stride_of(search))


@step
def drop_unwanted(search: SearchMemory, top: int, _: int) -> int:
    """Drop a node that has just entered a layer if none of its cells can be wanted."""
    node = search.nodes[top]
    if search.started == 0:  # on the way to a task's subtree, which was not dropped
        return Status.DONE
    if node.layer == search.n_layers - 1:
        found = is_unwanted_by_states(search, top)
    else:
        room = rows_needed(search) * stride_of(search) <= search.values.shape[0] * search.values.shape[1]
        found = room and are_worth_it(search, top) and is_unwanted_by_bounds(search, top)
    if found:
        node.dead = 1
    return Status.DONE


@inlined
def are_worth_it(search: SearchMemory, top: int) -> bool:
    """Whether a node's candidates make so many parts that bounds cost less than the search of these.

    The layers behind are taken to cut each part as often, up to the third of them.
    """
    node = search.nodes[top]
    cost, parts = products(search, node.layer), 1.0 + 0.5 * node.n_candidates * (node.n_candidates + 1)
    work, ahead = PER_PART, 0
    for m in range(node.layer, search.n_layers - 1):
        if search.relus[m] == 1 and ahead < 3:
            work *= parts
            ahead += 1
    return cost <= MOST_PRODUCTS and cost <= work


@inlined
def products(search: SearchMemory, layer: int) -> float:
    """Return how many products the bounds of all layers behind one take."""
    total, behind = 0.0, 0.0
    for m in range(layer + 1, search.n_layers):
        if search.relus[m] == 1:
            total += 2.0 * search.widths[m] * (behind + search.widths[layer] * (search.dimension + 1))
        behind += 1.0 * search.widths[m] * search.widths[m - 1]
    return total


@inlined
def belongs(search: SearchMemory, output: int, unit: int) -> bool:
    """Whether an output of the network has a weight for a unit of the last layer."""
    end = search.n_layers
    return search.weights[search.weight_starts[end] + unit * search.widths[end] + output] != 0.0


@inlined
def is_set(word: int, unit: int) -> bool:
    """Whether a unit's bit is set in its word."""
    return (word >> np.uint64(unit & 63)) & ONE != ZERO


@part
def is_unwanted_by_states(search: SearchMemory, top: int) -> bool:
    """Whether each output has a unit that is active on all of a node that is in the last layer."""
    last = search.n_layers - 1
    first = search.word_starts[last]
    for output in range(search.widths[last + 1]):
        found = False
        for unit in range(search.widths[last]):
            found |= is_set(search.patterns[top, first + (unit >> 6)], unit) and belongs(search, output, unit)
        if not found:
            return False
    return True


@part
def is_unwanted_by_bounds(search: SearchMemory, top: int) -> bool:
    """Whether each output has a unit of the last layer that bounds prove to be above 0 on a node."""
    last = search.n_layers - 1
    layer = search.nodes[top].layer
    stride, scratch, results = stride_of(search), search.flat_values, first_row(search, RESULTS)
    for k in range(stride + 6):
        search.work[k] = k
    set_known_layer(search, top)
    for m in range(layer + 1, last + 1):
        at = stride * PER_LAYER * (m - layer)
        sum_sizes(search, m, at, at - stride * PER_LAYER)
        if m == last:
            lower_bounds(search, top, m, 1.0)
        elif search.relus[m] == 0:
            for k in range(search.widths[m]):
                set_identity(search, at + k, scratch[at + ERROR * stride + k])
        else:
            lower_bounds(search, top, m, -1.0)
            for k in range(search.widths[m]):  # kept where no row of the layer is set yet
                scratch[at + ABOVE * stride + k] = -scratch[results + k]
            lower_bounds(search, top, m, 1.0)
            for k in range(search.widths[m]):
                set_relaxation(search, at + k, scratch[results + k], scratch[at + ABOVE * stride + k])
        for k in range(search.widths[m]):  # a coefficient's own rounding, too
            size = scratch[at + ERROR * stride + k] + 2.0 * scratch[at + SIZE * stride + k]
            scratch[at + ERROR * stride + k] = relative_rounding(search) * size
    for output in range(search.widths[last + 1]):
        found = False
        for unit in range(search.widths[last]):
            found |= scratch[results + unit] > LEAST and belongs(search, output, unit)
        if not found:
            return False
    return True


@inlined
def set_relaxation(search: SearchMemory, at: int, low: float, high: float) -> None:
    """Put the functions around a ReLU whose values are between two numbers, and its size, where it stands."""
    stride = stride_of(search)
    scratch = search.flat_values
    open_one = low < 0.0 and high > 0.0
    above = high / (high - low) if open_one else (1.0 if low >= 0.0 else 0.0)
    shift = max(high - above * high, -(above * low)) + 4.0e-16 * high if open_one else 0.0
    scratch[at + ABOVE * stride] = above
    scratch[at + HALF_SHIFT * stride] = 0.5 * shift
    scratch[at + BELOW * stride] = (1.0 if high > -low else 0.0) if open_one else above
    scratch[at + SIZE * stride] = max(abs(low), abs(high))


@inlined
def set_identity(search: SearchMemory, at: int, size: float) -> None:
    """Say that a unit is passed on as it is."""
    stride = stride_of(search)
    search.flat_values[at + ABOVE * stride] = 1.0
    search.flat_values[at + HALF_SHIFT * stride] = 0.0
    search.flat_values[at + BELOW * stride] = 1.0
    search.flat_values[at + SIZE * stride] = size


@inlined
def set_zero(search: SearchMemory, at: int) -> None:
    """Say that a unit passes nothing on."""
    for row in range(ERROR):
        search.flat_values[at + row * stride_of(search)] = 0.0


@inlined
def relative_rounding(search: SearchMemory) -> float:
    """Return a bound of the rounding of all sums of one bound, relative to the sizes of their terms."""
    return 2.0**-52 * (64.0 + 8.0 * stride_of(search) * search.n_layers)


@part
def set_known_layer(search: SearchMemory, top: int) -> None:
    """Set the rows of a node's own layer: its units are decided but for the candidates."""
    node = search.nodes[top]
    layer, slot, d = node.layer, node.map_slot, search.dimension
    stride, rounding = stride_of(search), relative_rounding(search)
    scratch = search.flat_values
    extent, radius = bounding_box(search, node.first_vertex, node.n_vertices)
    first = search.word_starts[layer]
    for k in range(search.widths[layer]):
        set_bound(search, slot, k, extent)
        size = search.slots[slot, d + 4, k] * extent + abs(search.slots[slot, d, k])
        error = search.slots[slot, d + 3, k] + search.slots[slot, d + 4, k] * radius
        scratch[ERROR * stride + k] = error + rounding * size
        if search.relus[layer] == 0 or is_set(search.patterns[top, first + (k >> 6)], k):
            set_identity(search, k, size)
        else:
            set_zero(search, k)
    start = search.ring[node.first_vertex]
    for c in range(node.n_candidates):
        unit = search.candidate_units[node.first_unit + c]
        values_at(search, slot, unit, start, node.n_vertices)
        low, high = search.unit_values[0], search.unit_values[0]
        for v in range(1, node.n_vertices):
            low, high = min(low, search.unit_values[v]), max(high, search.unit_values[v])
        error = scratch[ERROR * stride + unit]
        set_relaxation(search, unit, low - error, high + error)
        scratch[ERROR * stride + unit] += rounding * scratch[SIZE * stride + unit]


@part
def sum_sizes(search: SearchMemory, layer: int, at: int, below: int) -> None:
    """Set the row ERROR of a layer to the sizes of its units' terms: bias, and weights times sizes below."""
    stride, n = stride_of(search), search.widths[layer]
    scratch = search.flat_values
    for k in range(n):
        scratch[at + ERROR * stride + k] = abs(search.biases[search.bias_starts[layer] + k])
    for j in range(search.widths[layer - 1]):
        size = scratch[below + SIZE * stride + j]
        start = search.weight_starts[layer] + j * n
        for k in range(n):
            scratch[at + ERROR * stride + k] += abs(search.weights[start + k]) * size


@part
def lower_bounds(search: SearchMemory, top: int, target: int, sign: float) -> None:
    """Bound `sign` times each unit of layer `target` from below on a node, in the first row of RESULTS.

    The rows of all layers before are set, and of the target's own the sizes.
    """
    node = search.nodes[top]
    stride, n = stride_of(search), search.widths[target]
    scratch, results = search.flat_values, first_row(search, RESULTS)
    constants, errors = results + stride, results + 2 * stride
    old = first_row(search, COEFFICIENTS)
    new = old + stride * (stride + SPARE)
    sizes = stride * (PER_LAYER * (target - node.layer) + ERROR)
    for t in range(n):
        scratch[constants + t] = sign * search.biases[search.bias_starts[target] + t]
        scratch[errors + t] = relative_rounding(search) * scratch[sizes + t]
    for j in range(search.widths[target - 1]):
        start = search.weight_starts[target] + j * n
        for t in range(n):
            scratch[old + j * stride + t] = sign * search.weights[start + t]
    factors = first_row(search, FACTORS)
    layer = target - 1
    while True:
        relax(search, layer, stride * PER_LAYER * (layer - node.layer), old, n)
        if layer == node.layer:
            break
        width, start = search.widths[layer], search.weight_starts[layer]
        add_terms(search, layer, stride * PER_LAYER * (layer - node.layer), old, n)
        for j in range(search.widths[layer - 1]):
            for k in range(width):
                scratch[factors + j * stride + k] = search.weights[start + j * width + k]
        multiply(search, search.widths[layer - 1], width, old, new)
        old, new = new, old
        layer -= 1
    add_terms(search, layer, 0, old, n)
    for i in range(search.dimension + 1):
        for k in range(search.widths[layer]):
            scratch[factors + i * stride + k] = search.slots[node.map_slot, i, k]
    multiply(search, search.dimension + 1, search.widths[layer], old, new)
    least_at_vertices(search, top, new, n)
    for t in range(n):
        found = scratch[results + t] + scratch[constants + t]
        scratch[results + t] = found - ENLARGED * scratch[errors + t]


@inlined
def multiply(search: SearchMemory, rows: int, width: int, old: int, new: int) -> None:
    """Set rows from `new` on to the sums of the first `width` rows from `old` on, times rows of FACTORS."""
    stride, factors = stride_of(search), first_row(search, FACTORS)
    scratch = search.flat_values
    for i in range(0, rows, 3):
        for t in range(4 * stride):
            scratch[new + i * stride + t] = 0.0
        low, high = factors + i * stride, new + i * stride
        add_columns(scratch, low, high, stride, 2, scratch, old, search.flat_work, width, stride)


@inlined
def sum_over(search: SearchMemory, old: int, width: int) -> None:
    """Put the sums over `width` rows from `old` on in RESULTS, from its fourth row on.

    They are times the first row of SUMS, and, of their sizes, times the fifth row, in the last one.
    """
    stride, sums = stride_of(search), first_row(search, SUMS)
    scratch = search.flat_values
    high = first_row(search, RESULTS) + 3 * stride
    for t in range(4 * stride):
        scratch[high + t] = 0.0
    add_columns(scratch, sums, high, stride, 2, scratch, old, search.flat_work, width, stride)


@inlined
def add_terms(search: SearchMemory, layer: int, at: int, old: int, n: int) -> None:
    """Add to constants what the biases of a layer are times coefficients, and to errors what these round."""
    stride, sums = stride_of(search), first_row(search, SUMS)
    scratch, results = search.flat_values, first_row(search, RESULTS)
    for k in range(search.widths[layer]):
        # the biases of a node's own layer are in its map
        scratch[sums + k] = search.biases[search.bias_starts[layer] + k] if at > 0 else 0.0
        scratch[sums + 4 * stride + k] = scratch[at + ERROR * stride + k]
    sum_over(search, old, search.widths[layer])
    for t in range(n):
        scratch[results + stride + t] += scratch[results + 3 * stride + t]
        scratch[results + 2 * stride + t] += scratch[results + 6 * stride + t]


@inlined
def relax(search: SearchMemory, layer: int, at: int, old: int, n: int) -> None:
    """Turn coefficients of what a layer passes on into those of its units, by the function that is below.

    That is the one above a unit times a coefficient below 0: its constant times the coefficient less its
    size, halved.
    """
    stride, sums = stride_of(search), first_row(search, SUMS)
    scratch, results = search.flat_values, first_row(search, RESULTS)
    some = False
    for k in range(search.widths[layer]):
        half = scratch[at + HALF_SHIFT * stride + k]
        scratch[sums + k] = half
        scratch[sums + 4 * stride + k] = half
        some |= half > 0.0
    if some:
        sum_over(search, old, search.widths[layer])
        for t in range(n):
            size = scratch[results + 6 * stride + t]
            scratch[results + stride + t] += scratch[results + 3 * stride + t] - size
            scratch[results + 2 * stride + t] += 2.0 * relative_rounding(search) * size
    for k in range(search.widths[layer]):
        above, below = scratch[at + ABOVE * stride + k], scratch[at + BELOW * stride + k]
        row = old + k * stride
        if above == 1.0 and below == 1.0:
            continue
        for t in range(stride):
            scratch[row + t] *= below if scratch[row + t] > 0.0 else above


@inlined
def least_at_vertices(search: SearchMemory, top: int, affine: int, n: int) -> None:
    """Put the least values of affine functions at a node's vertices in the first row of RESULTS."""
    node = search.nodes[top]
    stride, d = stride_of(search), search.dimension
    scratch, results = search.flat_values, first_row(search, RESULTS)
    first = search.ring[node.first_vertex]
    for t in range(n):
        constant = scratch[affine + d * stride + t]
        for v in range(node.n_vertices):
            search.unit_values[v] = constant
        for i in range(d):
            factor = scratch[affine + i * stride + t]
            for v in range(node.n_vertices):
                search.unit_values[v] += factor * search.points[i, first + v]
        least = search.unit_values[0]
        for v in range(1, node.n_vertices):
            least = min(least, search.unit_values[v])
        scratch[results + t] = least
