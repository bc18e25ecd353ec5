"""The path between two images in a neighbour graph whose weakest step is as strong as can be."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


def widest_path(neighbors: Int64s, similarities: npt.NDArray[np.floating], start: int, end: int) -> list[int]:
    """Find the path with the largest least similarity (Hu, 1961: it lies in the maximum spanning tree).

    Args:
        neighbors: Row numbers of each row's nearest others, (n, k); -1 where there are fewer.
        similarities: Of each edge (n, k), at most 1.
        start: A row.
        end: Another.

    Returns:
        Row numbers from ``start`` to ``end``, both included; empty if the graph does not connect them.
    """
    count = len(neighbors)
    rows, columns = np.nonzero(neighbors >= 0)
    distance = 2.0 - np.asarray(similarities, dtype=np.float64)[rows, columns]  # above 0: no entry is lost as a zero
    ends = np.stack([rows, neighbors[rows, columns]])
    low, high = ends.min(axis=0), ends.max(axis=0)
    keys, first = np.unique(low * count + high, return_index=True)
    graph = coo_array((distance[first], (keys // count, keys % count)), (count, count)).tocsr()
    _, before = breadth_first_order(minimum_spanning_tree(graph), start, directed=False)
    path = [end]
    while path[-1] != start:
        step = int(before[path[-1]])
        if step < 0:
            return []
        path.append(step)
    return path[::-1]
