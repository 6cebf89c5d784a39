"""The arrays and registers of a walk over the splitting tree: names, shapes, meanings.

Entry numbers of the walk's table (see `table`), grouped: the network on the domain (read only), the
walk (resumable after every step), scratch, the output buffer, scratch of `volume`.
"""

# Scalars in the header of the table.
DIMENSION = 0
N_LAYERS = 1  # layers before the output
CERTIFIED = 2
PLANAR = 3  # 1: polygons as rings
CENTRAL = 4  # 1: every map is linear, without a constant term

# Registers (int64), entry REG.
SP = 0  # nodes on the stack
CELLS = 1  # cells found
OUT_CELLS = 2  # cells in the output buffer
OUT_HALVES = 3  # half-facets in the output buffer
SPLITS = 4  # splits made
DECISIONS = 5  # signs of a unit at a vertex that were looked at
DOUBTFUL = 6  # of these, the ones inside the error bound: zero in float, exact in certified arithmetic
MODE = 7  # what to do at a cell: COUNT, MEASURE, COLLECT
WANT_MAP = 8  # 1: carry the affine map through to the output
CELL_LIMIT = 9  # stop when CELLS reaches this
PREFIX_LENGTH = 10  # number of leading splits that are prescribed
FRONTIER = 11  # list the nodes of this depth instead of splitting them (0: off)
GUIDED = 12  # 1: follow the pattern in GUIDE only
ANSWERED = 13  # exact signs available for the step under way
DONE_PARTS = 15  # part of the tree that is done, in units of 2**-40, each split halving it
ASKED = 14  # exact signs and positions that the step under way needs
ASK_LAYER = 16  # layer of the units asked for
ASK_FACETS = 17  # FACETS of the node whose vertices are asked for
PLACED = 18  # vertices placed exactly
REFRESHED = 19  # position errors bounded afresh, from the vertex's own hyperplanes
STARTED = 20  # 1: the walk is past its prescribed splits, and counts what it does
N_REGISTERS = 21

# Registers (int64) of the walk by linear programs, entry REG; SP counts its pending sides.
LAYER_NOW = 21  # layer whose units are being decided
UNIT_NOW = 22
ROWS_NOW = 23  # rows of the polytope in hand
DEPTH_NOW = 24  # splits above it
LAYERS = 25  # layers to decide: up to the last with a ReLU
LEAVING = 26  # 1: the polytope in hand is finished
PROGRAMS = 27  # linear programs solved
PIVOTS = 28
ASK_SIDE = 29  # side that is asked for, 0 negative, 1 positive; THIN_SUBTREE: all below a pending side
ALL_ROWS = 30  # rows of the cell in hand
DECISIONS_ABOVE = 31  # DECISIONS and DOUBTFUL at the last split: a task counts what comes after its own
DOUBTFUL_ABOVE = 32
N_PROGRAM_REGISTERS = 33

# What is known of a side of a unit in a polytope: has it interior points?
UNKNOWN = 0
EMPTY = 1
INSIDE = 2  # yes, its witness is known
THIN = 3  # yes, but no float is inside
THIN_SUBTREE = 2  # a value of ASK_SIDE

# Float registers, entry FREG.
VOLUME = 0  # sum of the cells' volumes ...
VOLUME_LOST = 1  # ... and what rounding lost of it (Neumaier)
GAMMA_POINT = 2  # rounding of an evaluation at a point
RADIUS = 3  # position error given to every vertex in float arithmetic
LARGEST_ERROR = 4  # certified: above it, a position error is bounded afresh, or the vertex placed exactly
UNDERFLOW = 5  # what underflow may add to the error of a row, 0 where none can occur
N_FLOAT_REGISTERS = 8

# Modes.
COUNT = 0
MEASURE = 1
COLLECT = 2

# What a run ends with.
DONE = 0
PAUSED = 1
GROW = 2
GROW_BITS = 3
FLUSH = 4
LIMIT = 5
ASK = 6

# Fields of a node (int64), entry NODES.
LAYER = 0  # layer whose units are being decided
SLOT = 1  # slot of the next layer's map, as far as it is known
MAP_SLOT = 2  # slot of this layer's map
VERTICES = 3  # first entry of the node's vertices in RING
N_VERTICES = 4
VERTEX_TOP = 5  # arena tops at the node's creation
RING_TOP = 6
HYPERPLANES = 7
CANDIDATES = 8  # first entry in CUT_UNITS
N_CANDIDATES = 9
EVENTS = 10  # the node's latest event, -1 if none
DEPTH = 11
FACETS = 12  # first entry in EDGES of the facet numbering (cells only)
N_FACETS = 13
EVENT_TOP = 14
N_FIELDS = 15

# Entries of the table.
WIDTHS = 0  # (layers,) the last is the output
RELUS = 1  # (layers,) 1 where a ReLU follows
WEIGHTS = 2  # all W_l transposed, flat: W_l[k, j] at WEIGHT_STARTS[l] + j * width + k
WEIGHT_STARTS = 3
BIASES = 4
BIAS_STARTS = 5
UNIT_STARTS = 6  # flat unit number of a layer's first unit (ReLU layers only count)
WORD_STARTS = 7  # first pattern word of a layer
UNIT_KEYS = 8  # a random word per flat unit
FACET_KEYS = 9  # another one
EXTENTS = 10  # (d,) largest |coordinate| in the domain
GAMMAS = 11  # (layers,) rounding of a sum over the layer below
REG = 12
FREG = 13
NODES = 14  # (nodes, N_FIELDS)
CANDS = 15  # (nodes, candidate words) candidates that still cut
PATS = 16  # (nodes, pattern words)
KEYS = 17  # (nodes,) combined unit keys of the active units
PATHS = 18  # (nodes,) the splits taken, one bit each, for depths up to 64
SLOTS = 19  # (slots, d + 5, widest): d coefficients, constant, error, error passed on, bound, 1-norm
POINTS = 20  # (d, vertices) coordinates
RADII = 21  # (vertices,) position error
POS = 22  # (vertices, candidate words) signs of the candidates
NEG = 23
INC = 24  # (vertices, incidence words)
DEFINITIONS = 25  # certified, planar: (vertices, 2) hyperplanes that define a vertex; cells have INC
RING = 26  # vertex lists
EDGES = 27  # d = 2: hyperplane of each side, along RING; else facet numberings
LABELS = 28  # hyperplane -> flat unit number, or -1 - side
ROWS_OF = 29  # (hyperplanes, d + 2): coefficients, constant, error
CUT_UNITS = 30  # candidate -> unit
EVENT_PLANES = 31  # an active unit vanishes on the facet on this hyperplane
EVENT_KEYS = 32  # its unit key
EVENT_BEFORE = 33  # the event before, -1 if none
VALUES = 34  # (vertices of one cell, widest)
MIDDLES = 35  # (widest,) values at the middle of the box, 0 where undecided
SPREADS = 36  # (widest,)
BOX = 37  # (2, d) middle and half-widths of the box around a polytope
UNITS = 38  # list of units
WORK = 39  # list of vertices or units
MASKS = 40  # (4, candidate words)
PAIRS = 41  # (cut edges, 2)
GATHER = 42  # list of incidences
PICKED = 43  # list of vertices
RANKS = 44  # new facet numbers
GUIDE = 45  # (pattern words,) the pattern to follow
PREFIX = 46  # (1,) the leading splits
QUESTIONS = 47  # (questions, 2): vertex, and the unit whose sign there is asked for or -1 for its position
ANSWERS = 48  # exact signs
OUT_PATTERN = 49  # (cells, words) units in flat order
OUT_VOLUME = 50
OUT_CENTROID = 51  # (cells, d)
OUT_VERTICES = 52
OUT_FACETS = 53
OUT_JACOBIAN = 54  # (cells, outputs * d)
OUT_LABEL = 55  # (halves,) flat unit number or -1 - side
OUT_MATCH = 56  # (halves,) equal for the two halves of a facet
OUT_MEASURE = 57  # (halves,) (d-1)-volume
OUT_POINT = 58  # (halves, 2) d = 2: the vertex that the side starts from
FACE_POINTS = 59  # (vertices, d)
FACE_NORMALS = 60  # (facets, d)
FACE_ON = 61  # (facets, vertex words): vertices on a hyperplane
FACE_SETS = 62  # (levels, vertex words): the face in hand at a level
FACE_BELOW = 63  # (levels, facets, vertex words): facets of that face
FACE_COUNTS = 64  # (levels,) how many
FACE_NEXT = 65  # (levels,) which is next
FACE_PLANES = 66  # (levels, facets) their hyperplanes
FACE_APEX = 67  # (levels,)
FACE_MAXIMAL = 68  # (facets,)
FACE_PIVOT = 69  # (levels,)
FACE_LOCAL = 70  # (levels, vertices, d): coordinates with the apexes eliminated
FACE_TOTAL = 71  # (levels,) sum of the simplices' determinants
FACE_MOMENT = 72  # (levels, d) ... times the sum of the simplices' vertices
FACE_MEASURE = 73  # (facets,) volume of each facet, 0 where a hyperplane is none
FACE_CENTRE = 74  # (facets, d) its centroid
LINE = 75  # (vertices of one cell,) values of one unit
FACE_WEIGHT = 76  # (vertices,) determinants of the simplices at a vertex
ANSWER_POINTS = 77  # (questions, d + 1) exact positions, rounded, and their position errors
SYSTEM = 78  # (hyperplanes at a vertex + d, 2 d) for elimination
SYSTEM_ROWS = 79  # (hyperplanes at a vertex,) their numbers; the d chosen ones first
ROUNDINGS = 80  # (layers,) GAMMAS, but 0.0 where sums do not round
LATTICE_SETS = 81  # (faces * vertex words,) `simple_volume`: vertices of a face
LATTICE_BEFORE = 82  # (d * (facets + 1),) first face of a codimension whose last facet is this or later
LATTICE_TREE = 83  # (faces,) the face without its last facet
LATTICE_LAST = 84  # (faces,) that facet; of an edge, its second vertex
LATTICE_APEX = 85  # (faces,) first vertex
LATTICE_MEMBERS = 86  # (faces * d,) the facets that a face lies on
LATTICE_UP = 87  # (faces * d,) the face without each of them
LATTICE_SLACKS = 88  # (faces * d,) distance of that face's apex from the facet
LATTICE_BELOW = 89  # (faces * facets,) the face with a facet after its last one
LATTICE_MEASURE = 90  # (faces,)
LATTICE_SHARE = 91  # (faces,)
SLACKS = 92  # (facets * vertices,) distances
VERTEX_FACETS = 93  # (vertices * d,)
VERTEX_BITS = 94  # (vertices,) the same as bits
VERTEX_MEASURE = 95  # (vertices,) inverse determinant of the normals
VERTEX_OFFSETS = 96  # (d * vertices,) coordinates from the first vertex
N_ENTRIES = 97

# Further entries, of the walk by linear programs: rows a.x <= b, all scaled by powers of two.
PROGRAM_COLUMNS = 97  # (d, rows) coefficients
PROGRAM_RIGHT = 98  # (rows,) right sides
PROGRAM_ERRORS = 99  # (rows,) error of a.x - b over the domain
PROGRAM_LABELS = 100  # (rows,) flat unit number, or -1 - side of the domain
PROGRAM_SIDES = 101  # (rows,) 1 where the unit is positive
WITNESS = 102  # (d,) a point strictly inside
WITNESS_SLACKS = 103  # (rows,) its distances from the rows, scaled like them
WITNESS_NOISE = 104  # (rows,) sizes of the terms of each
STATES = 105  # (units,) 1 where active
SIDES = 106  # (2,) what is known of the sides of the unit in hand
SIDE_POINTS = 107  # (2, d) their witnesses
PENDING = 108  # (pending, N_PENDING_FIELDS)
PENDING_POINTS = 109  # (pending, d) their witnesses
TRY_SLACKS = 110  # (rows,) scratch of a linear program: slacks and their noise at its point
TRY_NOISE = 111
SPEEDS = 112  # (rows,)
IN_BASIS = 113  # (rows,) int64
BASIS_EDGES = 114  # (d, d)
ACTIVE_ROWS = 115  # (d,)
PROGRAM_POINT = 116  # (d,)
PROGRAM_RAY = 117  # (d,)
OBJECTIVE = 118  # (d,)
OUT_STATES = 119  # (cells, units)
OUT_WITNESS = 120  # (cells, d)
OUT_PATH = 121  # (tasks, 2): path and depth of a subtree
ALL_COLUMNS = 122  # all rows of one cell, as PROGRAM_COLUMNS, which hold a choice of them: coefficients
ALL_RIGHT = 123
ALL_ERRORS = 124
ALL_LABELS = 125
ALL_SLACKS = 126  # (rows,) at the witness
ALL_NOISE = 127
FACET_STATUS = 128  # (rows,) NOT_ASKED, FACET, REDUNDANT or OPEN
FACET_BEYOND = 129  # (rows, d) of a facet: a point beyond it and strictly inside all other rows
CHOSEN = 130  # (rows,) int64: 1 where a row is among those of the program
NEXT_STATES = 131  # (rows, units) of a facet: pattern of the cell beyond it; FACET_BEYOND is then inside
STATES_BEFORE = 132  # (units,) the pattern of the cell in hand while others are tried
UNDECIDED = 133  # (units,) 1 where a unit is 0 on the whole cell in hand
BLOCK_EDGES = 134  # (d, d padded to blocks) of the program in blocks: column k is the edge of active row k
MULTIPLIERS = 135  # (d padded,) of the active rows
EDGE_WEIGHTS = 136  # (d padded,) inverse squared length of each edge
EDGE_VALUES = 137  # (d padded,) the row that comes in, along each edge
ROW_NORMAL = 138  # (d,) coefficients of that row
N_PROGRAM_ENTRIES = 139

# What is known of a row of a cell.
NOT_ASKED = 0
FACET = 1
REDUNDANT = 2  # implied by the others, strictly: it does not even touch the cell
OPEN = 3  # left to rational arithmetic

# Fields of a pending side, entry PENDING.
PENDING_LAYER = 0
PENDING_UNIT = 1
PENDING_ROWS = 2
PENDING_SIDE = 3
PENDING_KIND = 4  # INSIDE or THIN
PENDING_DEPTH = 5
PENDING_PATH = 6
N_PENDING_FIELDS = 7
