"""Trees of merges in SciPy's form (``linkage``): making them from forests and groups, and labels from their branches.

A tree over n points is float64 (n - 1, 4): a line names the two parts that it merges (points below n, then n + the
line that made the part), its height, and the number of points below; heights do not decrease.
"""

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


def expand(tree: Float64s, group: Int64s) -> Float64s:
    """The tree of all rows from that of their groups: rows of one group are merged first, at height 0.

    Args:
        tree: SciPy's form over c groups (c - 1, 4).
        group: The group of each row (n,), numbered from 0.

    Returns:
        SciPy's form (n - 1, 4); its numbers of points below count rows.
    """
    size, count = len(group), len(tree) + 1
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(count))
    number = order[starts]  # of each group's first row, then of the line that holds the whole group
    lines = []
    follows = np.setdiff1d(np.arange(size), starts)
    for place in follows.tolist():
        row, own = int(order[place]), int(group[order[place]])
        lines.append((min(row, number[own]), max(row, number[own]), 0.0, 0.0))
        number[own] = size + len(lines) - 1
    out = np.zeros((size - 1, 4))
    doubles = len(lines)
    out[:doubles] = np.array(lines).reshape(-1, 4)
    parts = tree[:, :2].astype(np.int64)
    renumbered = np.where(parts < count, number[np.minimum(parts, count - 1)], parts - count + size + doubles)
    out[doubles:, :2] = np.sort(renumbered, axis=1)
    out[doubles:, 2] = tree[:, 2]
    out[:, 3] = sizes_below(out)
    return out


def single_linkage(count: int, edges: Int64s, distances: Float64s) -> Float64s:
    """The tree that joins ``count`` points along the minimum spanning forest of ``edges`` (m, 2); the rest at infinity.

    Returns:
        SciPy's form (count - 1, 4); distances below 1e-12 count as that.
    """
    distances = np.maximum(distances, 1e-12)  # SciPy's sparse graphs take 0 for no edge
    forest = minimum_spanning_tree(coo_array((distances, tuple(edges.T)), (count, count)).tocsr()).tocoo()
    return tree_of_forest(count, np.stack(forest.coords, axis=1).astype(np.int64), forest.data)


def tree_of_forest(count: int, edges: Int64s, heights: Float64s) -> Float64s:
    """The tree that joins ``count`` points along a forest's ``edges`` (m, 2), the lowest first; the rest at infinity.

    Returns:
        SciPy's form (count - 1, 4), heights non-decreasing.
    """
    order = np.lexsort((edges[:, 1], edges[:, 0], heights))
    parent = list(range(2 * count - 1))
    lines = np.zeros((count - 1, 4))

    def top(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(left: int, right: int, height: float, line: int) -> None:
        lines[line, :3] = min(left, right), max(left, right), height
        parent[left] = parent[right] = count + line

    for line, (left, right) in enumerate(edges[order].tolist()):
        join(top(left), top(right), float(heights[order[line]]), line)
    tops = [node for node in range(count + len(order)) if parent[node] == node]
    for line in range(len(order), count - 1):
        join(tops[0] if line == len(order) else count + line - 1, tops[line - len(order) + 1], np.inf, line)
    lines[:, 3] = sizes_below(lines)
    return lines


def sizes_below(lines: Float64s) -> Float64s:
    """How many points lie below each line (n - 1,)."""
    count = len(lines) + 1
    below = np.ones(2 * count - 1)
    for step, (left, right) in enumerate(lines[:, :2].astype(np.int64).tolist()):
        below[count + step] = below[left] + below[right]
    return below[count:]


def labels_of(tree: Float64s, chosen: npt.NDArray[np.bool_]) -> Int64s:
    """Label the n points by the topmost ``chosen`` line (n - 1,) above them, and by themselves where there is none."""
    count = len(tree) + 1
    owner = np.arange(2 * count - 1)
    inside = np.zeros(2 * count - 1, dtype=bool)
    for step in range(len(tree) - 1, -1, -1):
        node = count + step
        if inside[node] or chosen[step]:
            parts = tree[step, :2].astype(np.int64)
            owner[parts] = owner[node]
            inside[parts] = True
    return owner[:count]
