"""Max units on the way down the splitting tree: which candidates of a unit may still win on a node.

Two candidates of one unit make a *pair*, whose row, the difference of theirs, stands behind the layer's own
in its map. A candidate that another leads everywhere on a node is out, with all its pairs. Where several are
left, the search tries one after the other: it takes the part of the node where the one tried leads all
others, one side of each of its pairs, so pairs of candidates that lose never cut. A unit with one candidate
left and no pair of it that cuts is decided.
"""

import numpy as np

from regions.kernels.memory.bits import ONE, ZERO, trailing_zeros
from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory


@inlined
def set_active(search: SearchMemory, top: int, layer: int, unit: int) -> None:
    """Record in a node's pattern and key that a unit is active."""
    word = search.word_starts[layer] + (unit >> 6)
    search.patterns[top, word] |= ONE << np.uint64(unit & 63)
    search.keys[top] ^= search.unit_keys[search.unit_starts[layer] + unit]


@inlined
def is_alive(search: SearchMemory, top: int, row: int) -> bool:
    """Whether a candidate of the node's layer may still win there."""
    return (search.alive[top, row >> 6] >> np.uint64(row & 63)) & ONE != ZERO


@inlined
def rule_out(search: SearchMemory, top: int, row: int) -> None:
    """Record that a candidate wins nowhere on a node."""
    search.alive[top, row >> 6] &= ~(ONE << np.uint64(row & 63))


@inlined
def plain_bits(search: SearchMemory, top: int, w: int) -> np.uint64:
    """The bits of word w that are candidates of a node's splits, but no pairs."""
    left = min(max(search.nodes[top].n_plain - 64 * w, 0), 64)
    return ~ZERO if left == 64 else (ONE << np.uint64(left)) - ONE


@inlined
def pair_of(search: SearchMemory, top: int, c: int) -> int:
    """The pair that is candidate c of a node's splits; negative where that is no pair."""
    node = search.nodes[top]
    unit = search.candidate_units[node.first_unit + c]
    if unit < search.widths[node.layer]:
        return -1
    return search.pair_starts[node.layer] + unit - search.widths[node.layer]


@inlined
def first_of_pair(search: SearchMemory, pair: int) -> int:
    """The first candidate, in its layer, of a pair's max unit."""
    return search.rivals[0, search.pair_rows[2, pair] + search.pair_rows[0, pair]]


@inlined
def size_of_pair(search: SearchMemory, pair: int) -> int:
    """The number of candidates of a pair's max unit."""
    return search.rivals[1, search.pair_rows[2, pair] + search.pair_rows[0, pair]]


@inlined
def count_alive(search: SearchMemory, top: int, first: int, size: int) -> int:
    """How many of `size` candidates from `first` on may still win."""
    alive = 0
    for row in range(first, first + size):
        alive += 1 if is_alive(search, top, row) else 0
    return alive


@part
def lowest_alive(search: SearchMemory, top: int, first: int, size: int) -> int:
    """The first of `size` candidates from `first` on that may still win; -1 if there is none."""
    for row in range(first, first + size):
        if is_alive(search, top, row):
            return row
    return -1


@step
def set_pairs(search: SearchMemory, layer: int, slot: int) -> int:
    """Put the differences of candidates, with their errors over the domain, behind the rows of a layer's map.

    What a subtraction rounds is computed exactly (Knuth's two-sum), so differences of exact rows stay exact.
    """
    n, d = search.widths[layer], search.dimension
    start = search.pair_starts[layer]
    for p in range(search.maxed[layer]):
        a, b = search.pair_rows[0, start + p], search.pair_rows[1, start + p]
        lost = 0.0
        for i in range(d + 1):
            x, y = search.slots[slot, i, a], -search.slots[slot, i, b]
            total = x + y
            virtual = total - x
            error = abs((x - (total - virtual)) + (y - virtual))
            lost += error * (search.extents[i] if i < d else 1.0)
            search.slots[slot, i, n + p] = total
        error = search.slots[slot, d + 1, a] + search.slots[slot, d + 1, b] + lost
        search.slots[slot, d + 1, n + p] = 1.000000001 * error
    return 0


@step
def start_max_units(search: SearchMemory, top: int, _: int) -> int:
    """Let all candidates of a node's layer compete; their own signs do not matter, so none is asked for."""
    layer = search.nodes[top].layer
    start = search.unit_starts[layer]
    for w in range(search.alive.shape[1]):
        search.alive[top, w] = ZERO
    for row in range(search.widths[layer]):
        if search.rivals[1, start + row] > 1:
            bit = ONE << np.uint64(row & 63)
            search.masks[0, row >> 6] &= ~bit
            search.masks[1, row >> 6] &= ~bit
            search.alive[top, row >> 6] |= bit
    return 0


@step
def settle_max_units(search: SearchMemory, top: int, _: int) -> int:
    """Rule candidates out by the pairs that are decided on a new node; those left alone become active.

    Row 0 of `masks` has the pairs that are positive, and gets the active candidates; row 1 those that cut.
    """
    layer = search.nodes[top].layer
    n, start = search.widths[layer], search.pair_starts[layer]
    for p in range(search.maxed[layer]):
        w, shift = (n + p) >> 6, np.uint64((n + p) & 63)
        if (search.masks[1, w] >> shift) & ONE == ZERO:
            loser = 1 if (search.masks[0, w] >> shift) & ONE != ZERO else 0
            rule_out(search, top, search.pair_rows[loser, start + p])
    row = 0
    while row < n:
        size = search.rivals[1, search.unit_starts[layer] + row]
        if size > 1:
            alive = count_alive(search, top, row, size)
            if alive == 1:
                winner = lowest_alive(search, top, row, size)
                search.masks[0, winner >> 6] |= ONE << np.uint64(winner & 63)
            elif alive == 0:
                search.nodes[top].dead = 1
        row += size
    return 0


@step
def drop_pairs(search: SearchMemory, top: int, _: int) -> int:
    """Take the pairs of a new node off its candidates in which one is ruled out."""
    node = search.nodes[top]
    for c in range(node.n_plain, node.n_candidates):
        pair = pair_of(search, top, c)
        if not (
            is_alive(search, top, search.pair_rows[0, pair])
            and is_alive(search, top, search.pair_rows[1, pair])
        ):
            search.candidates[top, c >> 6] &= ~(ONE << np.uint64(c & 63))
    return 0


@step
def finish_max_unit(search: SearchMemory, top: int, c: int, count: int) -> int:
    """Take a max unit's pairs that no longer matter off a node, and decide the unit where it is time.

    The unit is that of pair c. Where several candidates are left, pairs of two of these matter; where one is
    left, its own pairs; a unit with none left makes the node `dead`. A candidate that wins becomes active and
    is listed in `units` after `count` entries; returns how many there are then.
    """
    node = search.nodes[top]
    pair = pair_of(search, top, c)
    first, size = first_of_pair(search, pair), size_of_pair(search, pair)
    alive = count_alive(search, top, first, size)
    if alive == 0:
        node.dead = 1
        return count
    winner = lowest_alive(search, top, first, size)
    at = c
    while at > node.n_plain and first_of_pair(search, pair_of(search, top, at - 1)) == first:
        at -= 1
    cutting = 0
    while at < node.n_candidates:
        pair = pair_of(search, top, at)
        if first_of_pair(search, pair) != first:
            break
        bit = ONE << np.uint64(at & 63)
        a, b = search.pair_rows[0, pair], search.pair_rows[1, pair]
        matters = winner in (a, b) if alive == 1 else is_alive(search, top, a) and is_alive(search, top, b)
        if not matters:
            search.candidates[top, at >> 6] &= ~bit
        elif search.candidates[top, at >> 6] & bit != ZERO:
            cutting += 1
        at += 1
    word = search.patterns[top, search.word_starts[node.layer] + (winner >> 6)]
    known = (word >> np.uint64(winner & 63)) & ONE != ZERO
    if alive == 1 and cutting == 0 and not known:
        set_active(search, top, node.layer, winner)
        search.units[count] = winner
        return count + 1
    return count


@step
def settle_pairs(search: SearchMemory, top: int, count: int) -> int:
    """Rule candidates out by the pairs in row 3 of `masks`, which are decided now; as `finish_max_unit`."""
    node = search.nodes[top]
    words = (node.n_candidates + 63) >> 6
    for w in range(words):
        rest = search.masks[3, w]
        while rest != ZERO:
            bit = rest & (~rest + ONE)
            pair = pair_of(search, top, (w << 6) + trailing_zeros(rest))
            rest ^= bit
            behind = search.masks[1, w] & bit != ZERO
            rule_out(search, top, search.pair_rows[0 if behind else 1, pair])
    for w in range(words):
        rest = search.masks[3, w]
        while rest != ZERO:
            c = (w << 6) + trailing_zeros(rest)
            rest &= rest - ONE
            count = search.finish_max_unit(top, c, count)
    return count
