"""Which published id goes to which track: a maximum-weight matching on the images that they share."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def recognised(shared: coo_array, held: Bools, least_share: float) -> tuple[Ints, Ints]:
    """Pairs of a track before and a track now that are the same one.

    A pair may be one if it shares ``least_share`` of the images that either has and that both states know (Jaccard's
    index over the images that had a track before and have one now: new and lost images say nothing).  Of those pairs
    the set is taken that keeps the most images in their track, each track in one pair at most; among equal sets one
    with the most ``held`` pairs, and of those the one that the order of rows and columns gives (so give them in an
    order that comes from content).

    Args:
        shared: tracks before x tracks now, how many images they share (> 0 where stored, no entry twice).
        held: of each stored entry, whether the two are called the same.
        least_share: 0 to 1.

    Returns:
        Row and column of each pair, in order of the rows.
    """
    before, now = shared.sum(axis=1), shared.sum(axis=0)
    row, column, count = shared.row, shared.col, shared.data.astype(np.float64)
    good = count >= least_share * (before[row] + now[column] - count)
    row, column, count = row[good].astype(np.int64), column[good].astype(np.int64), count[good]
    weight = count + 0.5 * held[good] / max(len(count), 1)  # images are whole: all held pairs together weigh no image
    alone = (np.bincount(row, minlength=shared.shape[0])[row] == 1) & (
        np.bincount(column, minlength=shared.shape[1])[column] == 1
    )
    rows, columns = [row[alone]], [column[alone]]
    for one in _components(row[~alone], column[~alone], shared.shape):
        found = _heaviest(row[~alone][one], column[~alone][one], weight[~alone][one])
        rows.append(found[0])
        columns.append(found[1])
    matched, partner = np.concatenate(rows), np.concatenate(columns)
    order = np.argsort(matched, kind="stable")
    return matched[order], partner[order]


def _components(row: Ints, column: Ints, shape: tuple[int, ...]) -> list[Ints]:
    """Indices of the edges of each connected part of the graph."""
    if not len(row):
        return []
    graph = coo_array((np.ones(len(row)), (row, column + shape[0])), shape=(sum(shape), sum(shape)))
    label = connected_components(graph, directed=False)[1][row]
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


def _heaviest(row: Ints, column: Ints, weight: Doubles) -> tuple[Ints, Ints]:
    """The matching of the greatest total weight; the solver wants every row matched, so each may stay alone at 0."""
    rows, row = np.unique(row, return_inverse=True)
    columns, column = np.unique(column, return_inverse=True)
    count = np.arange(len(rows))
    # The solver takes a stored zero for no edge, so all weights are one more: every solution has as many edges.
    weights = np.append(weight, np.zeros(len(rows))) + 1
    places = (np.append(row, count), np.append(column, len(columns) + count))
    graph = coo_array((weights, places), shape=(len(rows), len(columns) + len(rows))).tocsr()
    chosen, partner = min_weight_full_bipartite_matching(graph, maximize=True)
    real = partner < len(columns)
    return rows[chosen[real]], columns[partner[real]]
