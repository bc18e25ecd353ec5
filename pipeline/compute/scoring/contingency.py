"""The sparse contingency table that every score of a partition is computed from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contingency:
    """The non-empty cells n_ij of true group i and found group j, sorted by (i, j).

    Attributes:
        row: (cells,) int64, index i of the true group, 0 ... true groups - 1.
        column: (cells,) int64, index j of the found group, 0 ... found groups - 1.
        count: (cells,) int64, images in both, >= 1.
        row_size: (true groups,) int64, a_i, >= 1.
        column_size: (found groups,) int64, b_j, >= 1.
    """

    row: Ints
    column: Ints
    count: Ints
    row_size: Ints
    column_size: Ints

    @property
    def num_images(self) -> int:
        """N: the sum of all cells."""
        return int(self.count.sum())

    def transposed(self) -> "Contingency":
        """The same table with truth and found exchanged, sorted again."""
        order = np.lexsort((self.row, self.column))
        return Contingency(self.column[order], self.row[order], self.count[order], self.column_size, self.row_size)

    def row_max(self) -> Ints:
        """max_j n_ij of every row i."""
        if not self.count.size:
            return np.zeros(0, np.int64)
        starts = np.flatnonzero(np.diff(self.row, prepend=-1))
        return np.maximum.reduceat(self.count, starts)


def contingency(truth: npt.ArrayLike, found: npt.ArrayLike) -> Contingency:
    """Count the images of every (true group, found group) pair that has any.

    Args:
        truth: (images,) labels of any one type that sorts.
        found: (images,) labels of any one type that sorts; every image has one (:func:`singletons`).

    Raises:
        ValueError: the two differ in length.
    """
    truth, found = np.asarray(truth), np.asarray(found)
    if truth.shape != found.shape or truth.ndim != 1:
        raise ValueError(f"found {found.shape} labels for {truth.shape} true ones; expected two vectors of one length")
    rows, row = np.unique(truth, return_inverse=True)
    columns, column = np.unique(found, return_inverse=True)
    cells, count = np.unique(row.astype(np.int64) * len(columns) + column, return_counts=True)
    row, column = np.divmod(cells, max(1, len(columns)))
    return Contingency(
        row=row,
        column=column,
        count=count.astype(np.int64),
        row_size=np.bincount(row, count, len(rows)).astype(np.int64),
        column_size=np.bincount(column, count, len(columns)).astype(np.int64),
    )


def total(terms: Floats) -> float:
    """Their sum, to the last bit the same in any order: labels and order of images then change no digit of a score."""
    return float(np.sort(terms).sum())


def distinct(codes: Ints) -> Ints:
    """The distinct values, ascending; by sorting, which takes a third of the time of NumPy's hashing ``unique``."""
    codes = np.sort(codes)
    return np.asarray(codes[np.diff(codes, prepend=codes[:1] - 1) != 0])


def singletons(codes: Ints) -> Ints:
    """Give every image without a group (code < 0) a group of its own, above all codes in use.

    An image that is in no track claims no company: as a singleton it costs recall and never precision.
    """
    codes = codes.copy()
    missing = np.flatnonzero(codes < 0)
    codes[missing] = max(0, int(codes.max(initial=-1)) + 1) + np.arange(len(missing))
    return codes
