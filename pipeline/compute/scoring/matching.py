"""Maximum-weight one-to-one matching on a sparse contingency table (IDF1's identities).

Ristani et al., "Performance measures and a data set for multi-target, multi-camera tracking" (2016), section 3.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from pipeline.compute.bipartite import edge_parts, heaviest
from pipeline.compute.scoring.contingency import Contingency, Ints

DENSE_CELLS = 1 << 18
"""A component of up to so many row x column cells is solved as a dense array (2 MiB); above, as a sparse one."""

Bools = npt.NDArray[np.bool_]


def max_weight_matching(table: Contingency) -> Ints:
    """The cells of a one-to-one matching of rows and columns with the largest sum of counts.

    Cells that are certainly in some best matching are taken first; what is left falls into connected components,
    solved one by one.  The sum is exact; which of several best matchings comes out is not specified.

    Returns:
        (matched,) int64, indices into ``table.count``, ascending.
    """
    taken, left = _take_dominant(table)
    found = [taken]
    for part in edge_parts(table.row[left], table.column[left]):
        found.append(_solve(table, left[part]))
    return np.sort(np.concatenate(found))


def _take_dominant(table: Contingency) -> tuple[Ints, Ints]:
    """Take cells that weigh at least as much as the best other cells of their row and column together.

    Any matching without such a cell has at most one cell in its row and one in its column, which weigh no more, so
    exchanging them for it loses nothing.  Repeated, since every taken cell frees its neighbours' rows and columns.

    Returns:
        taken: (t,) int64 indices of cells.
        left: (l,) int64 indices of cells whose row and column are both still free.
    """
    left = np.arange(len(table.count))
    taken: list[Ints] = []
    while left.size:
        row, column, count = table.row[left], table.column[left], table.count[left]
        rivals = _best_other(row, count) + _best_other(column, count)
        dominant = left[_one_a_line(row, column, count >= rivals)]
        if not dominant.size:
            break
        taken.append(dominant)
        row_free = np.ones(len(table.row_size), bool)
        column_free = np.ones(len(table.column_size), bool)
        row_free[table.row[dominant]] = False
        column_free[table.column[dominant]] = False
        left = left[row_free[row] & column_free[column]]
    return np.concatenate([*taken, np.zeros(0, np.int64)]), left


def _best_other(line: Ints, count: Ints) -> Ints:
    """For each cell the largest count of the other cells of its line, 0 if it is alone."""
    order = np.lexsort((count, line))
    line, count = line[order], count[order]
    last = np.append(line[1:] != line[:-1], True)
    ends = np.flatnonzero(last)
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts + 1
    second = np.where(lengths > 1, count[np.maximum(ends - 1, 0)], 0)
    other = np.where(last, np.repeat(second, lengths), np.repeat(count[ends], lengths))
    result = np.empty_like(other)
    result[order] = other
    return result


def _one_a_line(row: Ints, column: Ints, dominant: Bools) -> Ints:
    """Indices of dominant cells, at most one a row and column: two of equal count in one line exclude each other."""
    cells = np.flatnonzero(dominant)
    cells = cells[np.unique(row[cells], return_index=True)[1]]
    return cells[np.unique(column[cells], return_index=True)[1]]


def _solve(table: Contingency, cells: Ints) -> Ints:
    rows, row = np.unique(table.row[cells], return_inverse=True)
    columns, column = np.unique(table.column[cells], return_inverse=True)
    shape = (len(rows), len(columns))
    if shape[0] * shape[1] > DENSE_CELLS:
        shorter, longer = (row, column) if shape[0] <= shape[1] else (column, row)
        return cells[heaviest(shorter, longer, table.count[cells])]
    weights = np.zeros(shape)
    weights[row, column] = table.count[cells]
    chosen = np.zeros(shape, bool)
    chosen[linear_sum_assignment(weights, maximize=True)] = True
    return cells[chosen[row, column]]
