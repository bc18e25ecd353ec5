"""Sums of rows by label."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


def membership(labels: Int64s, count: int) -> csr_array:
    """Labels 0 ... c - 1 of n rows as ones of a matrix (c, n): its product with rows sums those of each label.

    Rows are added in their order, and many times as fast as by ``np.add.at``.
    """
    rows = np.arange(len(labels))
    return csr_array((np.ones(len(labels)), (labels, rows)), shape=(count, len(labels)))


def sums_of(vectors: npt.NDArray[np.floating], labels: Int64s, count: int) -> Float64s:
    """The sum, float64 (c, d), of the rows (n, d) of each label, in the order of the rows; 0 where there are none."""
    return np.asarray(membership(labels, count) @ vectors.astype(np.float64))
