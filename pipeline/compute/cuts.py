"""Where a tree of merges (SciPy's form, n - 1 lines) was cut, read from the labels of its n points."""

import numpy as np
import numpy.typing as npt

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


def whole_branches(tree: Float64s, labels: Int64s) -> Int64s:
    """The cluster of each node (2n - 1,) whose points are all in it; -1 where they are of several."""
    count = len(labels)
    whole = np.full(2 * count - 1, -1, dtype=np.int64)
    whole[:count] = labels
    for step, (left, right) in enumerate(tree[:, :2].astype(np.int64)):
        if whole[left] == whole[right]:
            whole[count + step] = whole[left]
    return whole


def cut_between(tree: Float64s, whole: Int64s) -> tuple[float, float | None]:
    """The largest height inside a cluster (0 if all are single) and the smallest above one; None if there is none."""
    one = whole[len(tree) + 1 :] >= 0
    return float(tree[one, 2].max(initial=0.0)), float(tree[~one, 2].min()) if (~one).any() else None


def joining_height(tree: Float64s, first: int, second: int) -> float:
    """The height of the first merge that holds both points (their cophenetic distance)."""
    return 0.0 if first == second else float(tree[joining_line(tree, first, second), 2])


def joining_line(tree: Float64s, first: int, second: int) -> int:
    """The line of the first merge that holds both of two different points."""
    above = np.full(2 * len(tree) + 1, -1, dtype=np.int64)
    above[tree[:, :2].astype(np.int64)] = (len(tree) + 1 + np.arange(len(tree)))[:, None]
    seen, node = set(), first
    while node >= 0:
        seen.add(node)
        node = int(above[node])
    node = second
    while node not in seen:
        node = int(above[node])
    return node - len(tree) - 1


def top_height(tree: Float64s, whole: Int64s, cluster: int) -> float | None:
    """The height at which a cluster is complete; None of one that is a single point, or no branch of the tree."""
    lines = np.flatnonzero(whole[len(tree) + 1 :] == cluster)
    return float(tree[lines, 2].max()) if len(lines) else None
