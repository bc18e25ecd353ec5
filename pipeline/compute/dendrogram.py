"""Average linkage (UPGMA; Sokal and Michener, 1958) of unit vectors by cosine, for any number of them.

The average of all similarities between two clusters is the inner product of their means, so a cluster is a sum and a
size, whatever was merged before.  Up to some thousands of clusters all pairs are read.  Above, only pairs that an edge
of a neighbour graph connects; mutual best partners merge together, in rounds, which gives the same tree because
average linkage is reducible (Murtagh, 1983), and the graph is searched anew from the means each time the clusters
have halved.
"""

import numpy as np
import numpy.typing as npt

from pipeline.compute.graphs import distinct_pairs, union_edges
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.trees import sizes_below

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

_ALL_PAIRS = 2048
"""Clusters up to which all pairs are read: 8 bytes a pair, 34 MB."""
_GRAPH_NEIGHBORS = 16
"""Neighbours a cluster in the graphs between means: a cluster merges with its best, the others are for later rounds."""
_BLOCK_EDGES = 16_384
"""Edges at a time: bounds memory, has no influence on the result."""
_QUANTUM = 2.0**-24
"""Coordinates are rounded to multiples of it: inner products of unit vectors are then exact in float64 (49 bits)."""


class _Merges:
    """The merges so far; clusters carry their number in the tree."""

    def __init__(self, count: int) -> None:
        self.numbers: Int64s = np.arange(count)
        self.left: list[Int64s] = []
        self.right: list[Int64s] = []
        self.heights: list[Float64s] = []
        self._next = count

    def add(self, left: Int64s, right: Int64s, heights: Float64s) -> Int64s:
        """Record merges of numbered clusters; returns the new numbers."""
        self.left.append(left)
        self.right.append(right)
        self.heights.append(heights)
        self._next += len(left)
        return np.arange(self._next - len(left), self._next)


def average_linkage(points: Float32s, sizes: Int64s, edges: Int64s, search: Search) -> Float64s:
    """Merge everything.

    Args:
        points: Distinct unit vectors (n, d), n >= 2.
        sizes: How many rows each stands for, (n,).
        edges: Pairs of row numbers (m, 2), each pair once: a neighbour graph of the points.
        search: For the graphs between means.

    Returns:
        SciPy's form (n - 1, 4): the two parts (row numbers below n, then n + the line that made them), the height
        1 - average similarity, non-decreasing, and the number of points below.
    """
    sums = np.rint(points.astype(np.float64) / _QUANTUM) * _QUANTUM * sizes[:, None]
    weights = sizes.astype(np.float64)
    merges = _Merges(len(points))
    while len(sums) > _ALL_PAIRS:
        sums, weights = _merge_on_graph(sums, weights, edges, merges)
        if len(sums) > _ALL_PAIRS:
            means = (sums / weights[:, None]).astype(np.float32)
            edges = union_edges(neighbor_graph(means, _GRAPH_NEIGHBORS, search)[0], np.arange(len(means)))
    _merge_all_pairs(sums, weights, merges)
    return _in_scipy_form(merges, len(points))


def _merge_on_graph(sums: Float64s, weights: Float64s, edges: Int64s, merges: _Merges) -> tuple[Float64s, Float64s]:
    """Merge mutual best partners among ``edges`` until the clusters have halved or no edge is left."""
    half = len(sums) // 2
    similarity = _edge_similarities(sums, weights, edges)
    while len(edges) and len(sums) > half:
        best = _mutual_best(edges, similarity, len(sums))
        left, right = edges[best].T
        made = merges.add(merges.numbers[left], merges.numbers[right], 1.0 - similarity[best])
        sums[left] += sums[right]
        weights[left] += weights[right]
        merges.numbers[left] = made
        target = np.arange(len(sums))
        target[right] = left
        kept = np.flatnonzero(target == np.arange(len(sums)))
        target = np.searchsorted(kept, target)
        sums, weights, merges.numbers = sums[kept], weights[kept], merges.numbers[kept]
        edges, similarity = _contract(edges, similarity, target, target[left])
        stale = np.isnan(similarity)
        similarity[stale] = _edge_similarities(sums, weights, edges[stale])
    return sums, weights


def _contract(edges: Int64s, similarity: Float64s, target: Int64s, changed: Int64s) -> tuple[Int64s, Float64s]:
    """Rename the edges' ends, once each; NaN for the similarity of what touches a changed cluster."""
    is_changed = np.zeros(int(target.max()) + 1, dtype=bool)
    is_changed[changed] = True
    ends = np.sort(target[edges], axis=1)
    touched = is_changed[ends].any(axis=1)
    renewed = distinct_pairs(*ends[touched].T)
    both = np.concatenate([ends[~touched], renewed])
    values = np.concatenate([similarity[~touched], np.full(len(renewed), np.nan)])
    return both, values


def _edge_similarities(sums: Float64s, weights: Float64s, edges: Int64s) -> Float64s:
    similarity = np.empty(len(edges))
    for start in range(0, len(edges), _BLOCK_EDGES):
        left, right = edges[start : start + _BLOCK_EDGES].T
        products = (sums[left] * sums[right]).sum(axis=1)
        similarity[start : start + len(left)] = products / (weights[left] * weights[right])
    return similarity


def _mutual_best(edges: Int64s, similarity: Float64s, count: int) -> Int64s:
    """Numbers of the edges that are the best of both their ends; on a tie the edge with the smallest ends is."""
    best = np.full(count, -np.inf)
    rank = np.full(count, np.iinfo(np.int64).max)
    key = edges[:, 0] * count + edges[:, 1]
    for end in edges.T:
        np.maximum.at(best, end, similarity)
    for end in edges.T:
        top = similarity == best[end]
        np.minimum.at(rank, end[top], key[top])
    return np.flatnonzero((rank[edges[:, 0]] == key) & (rank[edges[:, 1]] == key))


def _merge_all_pairs(sums: Float64s, weights: Float64s, merges: _Merges) -> None:
    """Nearest-neighbour chain on the full matrix of average similarities (Murtagh, 1983)."""
    similarity = sums @ sums.T / np.outer(weights, weights)
    np.fill_diagonal(similarity, -np.inf)
    weights, numbers = weights.copy(), merges.numbers.copy()
    alive = np.ones(len(sums), dtype=bool)
    chain: list[int] = []
    for _ in range(len(sums) - 1):
        if not chain:
            chain.append(int(np.argmax(alive)))
        left, right, found = _follow(chain, similarity)
        merged = (weights[left] * similarity[left] + weights[right] * similarity[right]) / (
            weights[left] + weights[right]
        )
        numbers[left] = merges.add(numbers[[left]], numbers[[right]], np.array([1.0 - found]))[0]
        weights[left] += weights[right]
        merged[left] = merged[right] = -np.inf
        similarity[left] = similarity[:, left] = merged
        similarity[right] = similarity[:, right] = -np.inf
        alive[right] = False


def _follow(chain: list[int], similarity: Float64s) -> tuple[int, int, float]:
    """Extend the chain to a mutual best pair, take the pair off it: (smaller, larger, similarity)."""
    while True:
        last = chain[-1]
        best = int(np.argmax(similarity[last]))
        # On a tie the chain must turn back, or it may run in a circle.
        if len(chain) > 1 and similarity[last, chain[-2]] >= similarity[last, best]:
            best = chain[-2]
            del chain[-2:]
            return min(last, best), max(last, best), float(similarity[last, best])
        chain.append(best)


def _in_scipy_form(merges: _Merges, count: int) -> Float64s:
    """Sort the merges by height, parts before wholes, and renumber them."""
    left, right = np.concatenate(merges.left), np.concatenate(merges.right)
    heights = np.concatenate(merges.heights)
    # A merge was recorded after its parts; one that is lower than a part (rounding, or an edge that a graph lacked)
    # is raised to it.
    for step in range(len(heights)):
        parts = [heights[p - count] for p in (left[step], right[step]) if p >= count]
        heights[step] = max([heights[step], 0.0, *parts])
    order = np.argsort(heights, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    tree = np.zeros((len(order), 4))
    for column, part in enumerate((left[order], right[order])):
        tree[:, column] = np.where(part < count, part, count + place[np.maximum(part - count, 0)])
    tree[:, :2].sort(axis=1)
    tree[:, 2] = heights[order]
    tree[:, 3] = sizes_below(tree)
    return tree
