"""What kernels answer and remember, by name; to numba these are constants."""

from enum import IntEnum


class Mode(IntEnum):
    """What is done with a cell."""

    COUNT = 0
    MEASURE = 1  # its volume is added up
    COLLECT = 2  # it is written to the output


class Status(IntEnum):
    """Why a step, or a search, handed back control."""

    DONE = 0
    PAUSED = 1
    GROW = 2  # a stack is full
    GROW_BITS = 3  # a polytope has more hyperplanes than incidence bits
    FLUSH = 4  # the output is full
    LIMIT = 5
    ASK = 6  # exact arithmetic is asked
    COMPILE = 7  # a step is wanted that is not compiled yet
    GIVE = 8  # a subtree is to be given away
    STOPPED = 9  # as was requested; what is left are whole subtrees


class Request(IntEnum):
    """What others ask of a search that is under way."""

    NONE = 0
    GIVE = 1  # one of its subtrees, as soon as it has two
    STOP = 2


class Side(IntEnum):
    """What is known of a side of a unit in a polytope: has it interior points?"""

    UNKNOWN = 0
    EMPTY = 1
    INSIDE = 2  # yes, and a point inside is known
    THIN = 3  # yes, but no float is inside


THIN_SUBTREE = 2  # a value of `ask_side`, beside the sides 0 and 1: all cells below a pending side


class RowStatus(IntEnum):
    """What is known of a row of a cell."""

    NOT_ASKED = 0
    FACET = 1
    REDUNDANT = 2  # implied by the others, strictly: it does not even touch the cell
    OPEN = 3  # left to rational arithmetic
