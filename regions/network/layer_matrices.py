"""The matrices of layers in the form that takes least room: dense, or by their non-zeros (scipy's CSR).

Which form it is follows from the numbers alone, not from how they were given. Most of the package reads
either; `DenseViews` gives the dense ones on demand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from regions.errors import BudgetExceededError, InvalidNetworkError

__all__ = [
    "DenseViews",
    "Matrix",
    "are_large",
    "by_non_zeros",
    "compact",
    "digest_of_layers",
    "from_parts",
    "identity",
    "is_sparse",
    "matrices_of",
    "most_terms",
    "parts_of",
    "stacked",
    "values_of",
    "with_values",
]

FloatArray = NDArray[np.float64]
Matrix = Any  # (n, m) float64, an array or a csr_array; both multiply by `@`

SMALLEST_SPARSE = 2**16  # entries; smaller matrices are dense
DENSITY = 8  # one entry in so many may be non-zero
MOST_DENSE = 2**27  # entries of one dense view: 1 GiB
MOST_MATRIX_ENTRIES = 2**22  # of all layers; exact maps of larger networks go row by row
MOST_KEPT = 2**22  # entries of a dense view that is kept
_HASHED_DENSE = 2**24  # entries; larger sparse matrices are hashed by their non-zeros


def is_sparse(matrix: Matrix) -> bool:
    """Whether a matrix is stored by its non-zeros."""
    return hasattr(matrix, "indptr")


def compact(matrix: Matrix) -> Matrix:
    """Return a matrix in the form that takes least room, read-only.

    Parameters
    ----------
    matrix : (n, m) float64, dense or any sparse one of scipy

    Returns
    -------
    matrix : csr_array of sorted non-zeros where there are at least 2**16 entries and at most one in eight is
        not zero; else a dense array. A dense matrix that holds -0.0 stays dense, so that no bit is lost.

    Examples
    --------
    >>> is_sparse(compact(np.eye(2))), is_sparse(compact(np.eye(256)))
    (False, True)
    """
    large = prod(matrix.shape) >= SMALLEST_SPARSE
    if isinstance(matrix, np.ndarray):
        full = not large or np.count_nonzero(matrix) * DENSITY > matrix.size
        if full or (np.signbit(matrix) & (matrix == 0.0)).any():
            matrix.setflags(write=False)
            return matrix
    from scipy.sparse import csr_array  # slow to import

    rows = csr_array(matrix)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    if not large or rows.nnz * DENSITY > prod(matrix.shape):
        return compact(rows.toarray())
    for part in (rows.data, rows.indices, rows.indptr):
        part.setflags(write=False)
    return rows


def are_large(matrices: Sequence[Matrix]) -> bool:
    """Whether the matrices of a network are so large, zeros included, that an exact map of it takes long.

    Examples
    --------
    >>> are_large([np.eye(2)]), are_large([identity(1 << 12), np.eye(1)])
    (False, True)
    """
    return sum(prod(matrix.shape) for matrix in matrices) > MOST_MATRIX_ENTRIES


def by_non_zeros(matrix: FloatArray) -> Matrix:
    """Return a dense matrix by its non-zeros, however many there are.

    Examples
    --------
    >>> by_non_zeros(np.eye(2)).nnz
    2
    """
    from scipy.sparse import csr_array

    return csr_array(matrix)


def identity(size: int) -> Matrix:
    """Return the identity, sparse where it is large.

    Examples
    --------
    >>> identity(2).tolist(), identity(1 << 20).nnz
    ([[1.0, 0.0], [0.0, 1.0]], 1048576)
    """
    if size * size < SMALLEST_SPARSE:
        return np.eye(size)
    from scipy.sparse import csr_array

    return csr_array((np.ones(size), np.arange(size), np.arange(size + 1)), (size, size))


def stacked(parts: Sequence[Matrix], axis: int) -> Matrix:
    """Return matrices one below the other (axis 0) or side by side (axis 1), sparse if one of them is.

    Examples
    --------
    >>> stacked([np.eye(1), np.zeros((1, 1))], 1).tolist()
    [[1.0, 0.0]]
    """
    if not any(map(is_sparse, parts)):
        return np.concatenate(parts, axis=axis)
    from scipy.sparse import hstack, vstack

    return (hstack if axis else vstack)(parts, format="csr")


def values_of(matrix: Matrix) -> FloatArray:
    """Return all entries of a matrix that may be other than 0."""
    return np.asarray(matrix.data if is_sparse(matrix) else matrix)


def with_values(matrix: Matrix, values: FloatArray) -> Matrix:
    """Return a matrix with other values where `values_of` has those of this one.

    Examples
    --------
    >>> with_values(np.eye(1), np.array([[3.0]])).tolist()
    [[3.0]]
    """
    return (
        type(matrix)((values, matrix.indices, matrix.indptr), matrix.shape) if is_sparse(matrix) else values
    )


def most_terms(matrix: Matrix) -> int:
    """Return the largest number of non-zeros in a row: so many products does a sum add that can round.

    Examples
    --------
    >>> most_terms(np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]]))
    2
    """
    if is_sparse(matrix):
        return int(np.diff(matrix.indptr).max(initial=0))
    return int(np.count_nonzero(matrix, axis=1).max(initial=0))


def parts_of(matrix: Matrix) -> dict[str, NDArray[Any]]:
    """Return a sparse matrix as arrays for a file: its values, and by name the rest that `from_parts` takes.

    Examples
    --------
    >>> {name: part.size for name, part in parts_of(compact(identity(300))).items()}
    {'': 300, 'columns': 300, 'starts': 301, 'size': 1}
    """
    columns, starts = (part.astype(np.int64) for part in (matrix.indices, matrix.indptr))
    return {"": matrix.data, "columns": columns, "starts": starts, "size": np.array([matrix.shape[1]])}


def from_parts(values: NDArray[Any], columns: Any, starts: Any, size: Any) -> Matrix:
    """Return the sparse matrix of the parts that `parts_of` gave.

    Raises
    ------
    InvalidNetworkError
        If they are parts of no matrix.

    Examples
    --------
    >>> from_parts(np.ones(2), np.array([1, 0]), np.array([0, 1, 2]), np.array([2])).toarray().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    columns, starts, size = (np.asarray(part) for part in (columns, starts, size))
    integers = all(part.ndim == 1 and part.dtype.kind in "iu" for part in (columns, starts, size))
    if not (
        integers
        and size.size == 1
        and values.ndim == 1
        and values.size == columns.size
        and starts.size > 1
        and starts[0] == 0
        and starts[-1] == values.size
        and (starts[1:] >= starts[:-1]).all()
        and ((columns >= 0) & (columns < size[0])).all()
    ):
        raise InvalidNetworkError("the stored non-zeros of a layer are not those of a matrix")
    from scipy.sparse import csr_array

    return csr_array((values, columns, starts), (starts.size - 1, int(size[0])))


def digest_of_layers(
    operators: Sequence[Matrix],
    biases: Sequence[FloatArray],
    relu: Sequence[bool],
    slopes: Sequence[FloatArray | None],
    maxima: Sequence[NDArray[np.int64] | None],
) -> str:
    """Return the SHA-256, in hex, of layers as `Network` has them, whatever form their matrices are in.

    Examples
    --------
    >>> layer = [np.zeros(300)], [False], [None], [None]
    >>> digest_of_layers([np.eye(300)], *layer) == digest_of_layers([compact(np.eye(300))], *layer)
    True
    """
    state = hashlib.sha256()
    for layer, (matrix, bias) in enumerate(zip(operators, biases, strict=True)):
        state.update(f"{matrix.shape} {relu[layer]};".encode())
        _update_digest(state, matrix)
        state.update(bias.astype("<f8").tobytes())
        if (pair := slopes[layer]) is not None:
            state.update(b"slopes;" + pair.astype("<f8").tobytes())
        if (sizes := maxima[layer]) is not None:
            state.update(b"maxima;" + sizes.astype("<i8").tobytes())
    return state.hexdigest()


def _update_digest(state: Any, matrix: Matrix) -> None:
    """Add a matrix to a digest: the bytes of its entries, row after row, or else those of its non-zeros."""
    if not is_sparse(matrix):
        state.update(matrix.astype("<f8").tobytes())
    elif prod(matrix.shape) > _HASHED_DENSE:
        state.update(b"non-zeros;")
        for part, kind in ((matrix.indptr, "<i8"), (matrix.indices, "<i8"), (matrix.data, "<f8")):
            state.update(part.astype(kind).tobytes())
    else:
        step = max(1, MOST_KEPT // matrix.shape[1])
        for at in range(0, matrix.shape[0], step):
            state.update(matrix[at : at + step].toarray().astype("<f8").tobytes())


class DenseViews(Sequence[FloatArray]):
    """The matrices of layers as dense arrays, each made when it is asked for.

    Parameters
    ----------
    stored : the matrices, in the form of `compact`

    Raises
    ------
    BudgetExceededError
        If a sparse matrix is asked for that would have more than 2**27 entries.

    Examples
    --------
    >>> views = DenseViews([compact(np.ones((1, 2))), compact(identity(300))])
    >>> len(views), views[1].shape
    (2, (300, 300))
    """

    def __init__(self, stored: Sequence[Matrix]) -> None:
        self.stored = tuple(stored)
        self._kept: dict[int, FloatArray] = {}

    def __len__(self) -> int:
        return len(self.stored)

    @overload
    def __getitem__(self, layer: int) -> FloatArray: ...
    @overload
    def __getitem__(self, layer: slice) -> tuple[FloatArray, ...]: ...
    def __getitem__(self, layer: int | slice) -> FloatArray | tuple[FloatArray, ...]:
        if isinstance(layer, slice):
            return tuple(self[k] for k in range(len(self))[layer])
        matrix = self.stored[layer]
        if not is_sparse(matrix):
            return np.asarray(matrix)
        if layer in self._kept:
            return self._kept[layer]
        entries = prod(matrix.shape)
        if entries > MOST_DENSE:
            n, m = matrix.shape
            raise BudgetExceededError(
                f"layer {layer % len(self)} maps {m:,} values to {n:,}: as a dense matrix it would have "
                f"{entries:,} entries ({entries / 2**27:.1f} GiB), at most {MOST_DENSE:,} are made; "
                f"`operators` has its {matrix.nnz:,} non-zeros"
            )
        dense = matrix.toarray()
        dense.setflags(write=False)
        if entries <= MOST_KEPT:
            self._kept[layer] = dense
        return np.asarray(dense)

    def __iter__(self) -> Iterator[FloatArray]:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} matrices>"


def matrices_of(weights: Sequence[Any]) -> Sequence[Any]:
    """Return matrices as they are stored, of views or of any other sequence."""
    return weights.stored if isinstance(weights, DenseViews) else weights
