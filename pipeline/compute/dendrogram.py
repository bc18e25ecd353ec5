"""Trees of any number of vectors along their neighbour graph: average, Ward, complete and single linkage.

Average linkage (UPGMA; Sokal and Michener, 1958) of half squared distances and Ward's criterion (1963) of two clusters
follow from their sums, sizes and squares, whatever was merged before.  Up to some thousands of clusters all pairs are
read.  Above, only pairs that an edge of a neighbour graph connects; mutual best partners merge together, in rounds,
which gives the same tree because these linkages are reducible (Murtagh, 1983), and the graph is searched anew from the
means each time the clusters have halved.  Complete linkage takes the largest distance among the edges between two
clusters, single linkage the graph's minimum spanning tree; what the graph leaves apart is joined by averages.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compute.graphs import distinct_pairs, union_edges
from pipeline.compute.grouped import membership
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.task import Linkage
from pipeline.compute.trees import labels_of, single_linkage, sizes_below

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


@dataclass
class _Clusters:
    """c clusters: sums (c, d), sizes (c,), and sums of (|x|^2 - 1) / 2 over the members (c,), 0 of unit vectors.

    Closeness is what is best when it is large: the mean similarity, or minus Ward's squared distance.
    """

    sums: Float64s
    sizes: Float64s
    halves: Float64s
    ward: bool

    def closeness(self, edges: Int64s) -> Float64s:
        """Of the pairs (m, 2)."""
        found = np.empty(len(edges))
        for start in range(0, len(edges), _BLOCK_EDGES):
            left, right = edges[start : start + _BLOCK_EDGES].T
            products = (self.sums[left] * self.sums[right]).sum(axis=1)
            found[start : start + len(left)] = self._closeness(products, left, right)
        return found

    def all_pairs(self) -> Float64s:
        """Of every pair (c, c); -inf on the diagonal."""
        left, right = np.arange(len(self.sums))[:, None], np.arange(len(self.sums))[None]
        found = self._closeness(self.sums @ self.sums.T, left, right)
        np.fill_diagonal(found, -np.inf)
        return found

    def _closeness(self, products: Float64s, left: Int64s, right: Int64s) -> Float64s:
        a, b = self.sizes[left], self.sizes[right]
        if not self.ward:
            return np.asarray(products / (a * b) - self.halves[left] / a - self.halves[right] / b)
        within = [(self.sums[one] ** 2).sum(axis=-1) / self.sizes[one] ** 2 for one in (left, right)]
        between = within[0] + within[1] - 2.0 * products / (a * b)
        return np.asarray(-2.0 * a * b / (a + b) * np.maximum(between, 0.0))

    def height(self, closeness: Float64s) -> Float64s:
        """What a tree says of a merge: 1 - similarity, or Ward's distance."""
        return np.sqrt(np.maximum(-closeness, 0.0)) if self.ward else 1.0 - closeness

    def unite(self, left: Int64s, right: Int64s) -> None:
        """Add the clusters ``right`` to ``left``; no cluster is in both, or twice in one."""
        for values in (self.sums, self.sizes, self.halves):
            values[left] += values[right]

    def gather(self, group: Int64s) -> None:
        """Unite all clusters of each group (c,)."""
        members = membership(group, int(group.max()) + 1)
        self.sums, self.sizes, self.halves = members @ self.sums, members @ self.sizes, members @ self.halves

    def keep(self, kept: Int64s) -> None:
        """Forget the others."""
        self.sums, self.sizes, self.halves = self.sums[kept], self.sizes[kept], self.halves[kept]


def grow_tree(points: Float32s, sizes: Int64s, edges: Int64s, search: Search, linkage: Linkage = "average") -> Float64s:
    """Merge everything.

    Args:
        points: Distinct vectors (n, d), n >= 2; of unit length if ``search.unit``.
        sizes: How many rows each stands for, (n,).
        edges: Pairs of row numbers (m, 2), each pair once: a neighbour graph of the points.
        search: For the graphs between means.
        linkage: What is said of two clusters.

    Returns:
        SciPy's form (n - 1, 4): the two parts (row numbers below n, then n + the line that made them), the height,
        non-decreasing, and the number of points below.  A height is 1 - similarity (half the squared distance), of
        ward the distance as SciPy has it.
    """
    rows = np.rint(points.astype(np.float64) / _QUANTUM) * _QUANTUM
    weights = sizes.astype(np.float64)
    halves = np.zeros(len(rows)) if search.unit else ((rows * rows).sum(axis=1) - 1.0) / 2.0 * weights
    rows *= weights[:, None]
    clusters = _Clusters(rows, weights, halves, linkage == "ward")
    merges = _Merges(len(points))
    if linkage == "single":
        edges = _merge_forest(clusters, edges, merges)
    elif linkage == "complete":
        edges = _merge_on_graph(clusters, edges, merges, farthest=True)
    while len(clusters.sums) > _ALL_PAIRS:
        if not len(edges):
            means = (clusters.sums / clusters.sizes[:, None]).astype(np.float32)
            edges = union_edges(neighbor_graph(means, _GRAPH_NEIGHBORS, search)[0], np.arange(len(means)))
        edges = _merge_on_graph(clusters, edges, merges)
    _merge_all_pairs(clusters, merges)
    return _in_scipy_form(merges, len(points))


def _merge_forest(clusters: _Clusters, edges: Int64s, merges: _Merges) -> Int64s:
    """Merge points along the graph's minimum spanning tree; no edge is left."""
    lines = single_linkage(len(clusters.sums), edges, 1.0 - clusters.closeness(edges))
    joined = np.isfinite(lines[:, 2])  # those that are not come last: numbers are as in ``merges``
    left, right = lines[joined, :2].astype(np.int64).T
    merges.add(left, right, lines[joined, 2])
    merges.numbers, group = np.unique(labels_of(lines, joined), return_inverse=True)
    clusters.gather(group)
    return np.zeros((0, 2), dtype=np.int64)


def _merge_on_graph(clusters: _Clusters, edges: Int64s, merges: _Merges, farthest: bool = False) -> Int64s:
    """Merge mutual best partners among ``edges`` until the clusters have halved or no edge is left.

    ``farthest``: a pair is as close as its farthest edge, and merging goes on until no edge is left.  Returns no edges:
    they are to be searched anew.
    """
    half = 0 if farthest else len(clusters.sums) // 2
    closeness = clusters.closeness(edges)
    while len(edges) and len(clusters.sums) > half:
        best = _mutual_best(edges, closeness, len(clusters.sums))
        left, right = edges[best].T
        made = merges.add(merges.numbers[left], merges.numbers[right], clusters.height(closeness[best]))
        clusters.unite(left, right)
        merges.numbers[left] = made
        target = np.arange(len(clusters.sums))
        target[right] = left
        kept = np.flatnonzero(target == np.arange(len(target)))
        target = np.searchsorted(kept, target)
        clusters.keep(kept)
        merges.numbers = merges.numbers[kept]
        if farthest:
            edges, closeness = _farthest(target[edges], closeness)
        else:
            edges, closeness = _contract(edges, closeness, target, target[left])
            stale = np.isnan(closeness)
            closeness[stale] = clusters.closeness(edges[stale])
    return np.zeros((0, 2), dtype=np.int64)


def _contract(edges: Int64s, closeness: Float64s, target: Int64s, changed: Int64s) -> tuple[Int64s, Float64s]:
    """Rename the edges' ends, once each; NaN for the closeness of what touches a changed cluster."""
    is_changed = np.zeros(int(target.max()) + 1, dtype=bool)
    is_changed[changed] = True
    ends = np.sort(target[edges], axis=1)
    touched = is_changed[ends].any(axis=1)
    renewed = distinct_pairs(*ends[touched].T)
    both = np.concatenate([ends[~touched], renewed])
    values = np.concatenate([closeness[~touched], np.full(len(renewed), np.nan)])
    return both, values


def _farthest(ends: Int64s, closeness: Float64s) -> tuple[Int64s, Float64s]:
    """The distinct pairs of different ends, each with the least closeness among its edges."""
    differ = ends[:, 0] != ends[:, 1]
    ends, closeness = np.sort(ends[differ], axis=1), closeness[differ]
    if not len(ends):
        return ends, closeness
    order = np.lexsort((closeness, ends[:, 1], ends[:, 0]))
    ends, closeness = ends[order], closeness[order]
    first = np.concatenate([[True], (ends[1:] != ends[:-1]).any(axis=1)])
    return ends[first], closeness[first]


def _mutual_best(edges: Int64s, closeness: Float64s, count: int) -> Int64s:
    """Numbers of the edges that are the best of both their ends; on a tie the edge with the smallest ends is."""
    best = np.full(count, -np.inf)
    rank = np.full(count, np.iinfo(np.int64).max)
    key = edges[:, 0] * count + edges[:, 1]
    for end in edges.T:
        np.maximum.at(best, end, closeness)
    for end in edges.T:
        top = closeness == best[end]
        np.minimum.at(rank, end[top], key[top])
    return np.flatnonzero((rank[edges[:, 0]] == key) & (rank[edges[:, 1]] == key))


def _merge_all_pairs(clusters: _Clusters, merges: _Merges) -> None:
    """Nearest-neighbour chain on the full matrix of closeness (Murtagh, 1983)."""
    closeness = clusters.all_pairs()
    sizes, numbers = clusters.sizes.copy(), merges.numbers.copy()
    alive = np.ones(len(sizes), dtype=bool)
    chain: list[int] = []
    for _ in range(len(sizes) - 1):
        if not chain:
            chain.append(int(np.argmax(alive)))
        left, right, found = _follow(chain, closeness)
        a, b = sizes[left], sizes[right]
        if clusters.ward:  # Lance and Williams (1967), of squared distances
            total = a + b + sizes
            merged = ((a + sizes) * closeness[left] + (b + sizes) * closeness[right] - sizes * found) / total
        else:
            merged = (a * closeness[left] + b * closeness[right]) / (a + b)
        height = clusters.height(np.array([found]))
        numbers[left] = merges.add(numbers[[left]], numbers[[right]], height)[0]
        sizes[left] += sizes[right]
        merged[left] = merged[right] = -np.inf
        closeness[left] = closeness[:, left] = merged
        closeness[right] = closeness[:, right] = -np.inf
        alive[right] = False


def _follow(chain: list[int], closeness: Float64s) -> tuple[int, int, float]:
    """Extend the chain to a mutual best pair, take the pair off it: (smaller, larger, closeness)."""
    while True:
        last = chain[-1]
        best = int(np.argmax(closeness[last]))
        # On a tie the chain must turn back, or it may run in a circle.
        if len(chain) > 1 and closeness[last, chain[-2]] >= closeness[last, best]:
            best = chain[-2]
            del chain[-2:]
            return min(last, best), max(last, best), float(closeness[last, best])
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
