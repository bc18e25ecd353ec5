"""Pairs of rows and columns as the edges of a graph: its connected parts, and one-to-one matchings.

SciPy is loaded by the functions: the config imports this module on its way to the verdicts' parameters.
"""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def connected(count: int, left: Ints, right: Ints) -> Ints:
    """A label, from 0, of the connected part of each of ``count`` points; edges join ``left`` with ``right`` (m,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def edge_parts(row: Ints, column: Ints) -> list[Ints]:
    """Indices of the edges (m,) of each connected part of the graph of rows and columns."""
    if not len(row):
        return []
    rows, row = np.unique(row, return_inverse=True)
    columns, column = np.unique(column, return_inverse=True)
    label = connected(len(rows) + len(columns), row, column + len(rows))[row]
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


def heaviest(row: Ints, column: Ints, weight: npt.NDArray[np.number]) -> Ints:
    """Indices of the edges of a one-to-one matching with the greatest total weight, ascending.

    The solver matches every row, so each has a partner of its own (weight 0) to fall back on: fewer rows than columns
    are less work.  It takes a stored 0 for no edge, so all weights are one more: every solution has as many edges.

    Args:
        row: of each edge (m,).
        column: of each edge (m,); no pair twice.
        weight: of each edge (m,), at least 0.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    rows, row = np.unique(row, return_inverse=True)
    columns, column = np.unique(column, return_inverse=True)
    every = np.arange(len(rows))
    weights = np.append(weight, np.zeros(len(rows))) + 1.0
    places = (np.append(row, every), np.append(column, len(columns) + every))
    graph = coo_array((weights, places), shape=(len(rows), len(columns) + len(rows)))
    matched, partners = min_weight_full_bipartite_matching(graph.tocsr(), maximize=True)
    partner = np.full(len(rows), -1)
    partner[matched] = partners
    return np.flatnonzero(partner[row] == column)
