"""The neighbour graph as edges between distinct points: either's neighbour, or each other's."""

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]


def union_edges(neighbors: Int64s, group: Int64s) -> Int64s:
    """Return the distinct pairs (m, 2) of groups that a graph (rows with their neighbours, -1 for none) connects."""
    rows, others = _ends(neighbors)
    return distinct_pairs(group[rows], group[others])


def mutual_edges(neighbors: Int64s, similarities: Float32s, group: Int64s) -> tuple[Int64s, Float32s]:
    """The pairs of groups that are each other's neighbours.

    Args:
        neighbors: Row numbers (n, k), -1 for none.
        similarities: Of each edge (n, k).
        group: For each row its group (n,); rows of one group are equal.

    Returns:
        Pairs int64 (m, 2), the smaller number first, in order, and the similarity of each, float32 (m,).
    """
    rows, others = _ends(neighbors)
    weight = similarities[neighbors >= 0]
    left, right = group[rows], group[others]
    differ = left != right
    left, right, weight = left[differ], right[differ], weight[differ]
    if not len(left):
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    span = int(max(left.max(), right.max())) + 1
    keys, first = np.unique(left * span + right, return_index=True)
    left, right, weight = keys // span, keys % span, weight[first]
    both = (left < right) & np.isin(right * span + left, keys, assume_unique=True)
    return np.stack([left[both], right[both]], axis=1), weight[both]


def distinct_pairs(left: Int64s, right: Int64s) -> Int64s:
    """The distinct pairs (m, 2) of different numbers, the smaller first, in order."""
    low, high = np.minimum(left, right), np.maximum(left, right)
    differ = low != high
    if not differ.any():
        return np.zeros((0, 2), dtype=np.int64)
    span = int(high.max()) + 1
    keys = np.sort(low[differ] * span + high[differ])  # np.unique's hashing takes four times as long
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    return np.stack([keys // span, keys % span], axis=1)


def _ends(neighbors: Int64s) -> tuple[Int64s, Int64s]:
    rows = np.repeat(np.arange(len(neighbors)), neighbors.shape[1])
    others = neighbors.reshape(-1)
    return rows[others >= 0], others[others >= 0]
