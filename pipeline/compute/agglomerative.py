"""Average linkage (UPGMA; Sokal and Michener, 1958) of unit vectors by cosine.

The average of all similarities between two clusters is the inner product of their means, so a cluster is its sum and
its size.  Up to a stated size all pairs are read (one GEMM, then SciPy); above, merges are restricted to pairs of
clusters that an edge of the neighbour graph connects, and mutual best partners merge together in rounds, which gives
the same tree because average linkage is reducible (Murtagh, 1983).
"""

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

from pipeline.compute.knn import distinct_rows
from pipeline.compute.task import ClusteringTask

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

_BLOCK_ROWS = 1024
"""Rows of the distance matrix, or edges, at a time: bounds memory, has no influence on the result."""


def agglomerative(task: ClusteringTask) -> Int64s:
    """Label each row (n,): merged while the average similarity is at least ``similarity``, or to ``num_clusters``."""
    if len(task.vectors) == 1:
        return np.zeros(1, dtype=np.int64)
    if len(task.vectors) <= task.dense_below:
        return _dense(task)
    return _sparse(task)


def _dense(task: ClusteringTask) -> Int64s:
    tree = linkage(condensed_distances(task.vectors), method="average")
    if task.similarity is not None:
        return np.asarray(fcluster(tree, 1.0 - task.similarity, criterion="distance"), dtype=np.int64)
    return _cut(tree, task.num_clusters or 1)


def _cut(tree: Float64s, num_clusters: int) -> Int64s:
    """Undo the last merges of a SciPy tree until there are ``num_clusters`` (``maxclust`` gives fewer where tied)."""
    size = len(tree) + 1
    labels = np.arange(2 * size - 1)
    merges = max(size - num_clusters, 0)
    for step in range(merges - 1, -1, -1):
        left, right = int(tree[step, 0]), int(tree[step, 1])
        labels[left] = labels[right] = labels[size + step]
    return np.asarray(labels[:size], dtype=np.int64)


def condensed_distances(vectors: Float32s) -> Float64s:
    """Cosine distances 1 - x.y of all pairs in SciPy's condensed order, float64; 8 bytes a pair."""
    size = len(vectors)
    distances = np.empty(size * (size - 1) // 2)
    for start in range(0, size, _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS] @ vectors[start:].T
        for offset, row in enumerate(block):
            i = start + offset
            begin = i * size - i * (i + 1) // 2
            distances[begin : begin + size - 1 - i] = row[offset + 1 :]
    np.subtract(1.0, distances, out=distances)
    return np.maximum(distances, 0.0, out=distances)


def _sparse(task: ClusteringTask) -> Int64s:
    points, group = distinct_rows(task.vectors)
    edges = graph_edges(task.neighbors, group)
    sizes = np.bincount(group, minlength=len(points)).astype(np.float64)
    floor = -np.inf if task.similarity is None else task.similarity
    labels = merge_mutual_best(points, sizes, edges, floor, task.num_clusters or 1)
    return labels[group]


def graph_edges(neighbors: Int64s, group: Int64s) -> Int64s:
    """Return the graph's edges between groups of rows as sorted, distinct pairs (m, 2), smaller number first."""
    rows = np.repeat(np.arange(len(neighbors)), neighbors.shape[1])
    others = neighbors.reshape(-1)
    rows, others = rows[others >= 0], others[others >= 0]
    return _distinct_pairs(group[rows], group[others])


def _distinct_pairs(left: Int64s, right: Int64s) -> Int64s:
    low, high = np.minimum(left, right), np.maximum(left, right)
    differ = low != high
    if not differ.any():
        return np.zeros((0, 2), dtype=np.int64)
    span = int(high.max()) + 1
    keys = np.unique(low[differ] * span + high[differ])
    return np.stack([keys // span, keys % span], axis=1)


def merge_mutual_best(points: Float32s, sizes: Float64s, edges: Int64s, floor: float, at_least: int) -> Int64s:
    """Average linkage restricted to ``edges`` (m, 2) between ``points`` (n, d), each standing for ``sizes`` (n,) rows.

    Merges mutual best partners, in rounds, while their average similarity is at least ``floor``; in the last round
    only the best, so that no fewer than ``at_least`` clusters are left.

    Returns:
        Labels int64 (n,), 0 to the number of clusters - 1.
    """
    labels = np.arange(len(points))
    sums = points.astype(np.float64) * sizes[:, None]
    while len(edges) and len(sums) > at_least:
        similarity = _edge_similarities(sums, sizes, edges)
        keep = similarity >= floor
        edges, similarity = edges[keep], similarity[keep]
        pairs = _mutual_best(edges, similarity, len(sums))[: len(sums) - at_least]
        if not len(pairs):
            break
        target = np.arange(len(sums))
        target[pairs[:, 1]] = pairs[:, 0]
        _, target = np.unique(target, return_inverse=True)
        sums, sizes = _totals(sums, target), _totals(sizes, target)
        labels, edges = target[labels], _distinct_pairs(target[edges[:, 0]], target[edges[:, 1]])
    return np.asarray(labels, dtype=np.int64)


def _totals(values: Float64s, target: Int64s) -> Float64s:
    """Sum rows with the same target; at most two rows share one, so the order of a sum does not matter."""
    out = np.zeros((int(target.max()) + 1, *values.shape[1:]))
    np.add.at(out, target, values)
    return out


def _edge_similarities(sums: Float64s, sizes: Float64s, edges: Int64s) -> Float64s:
    similarity = np.empty(len(edges))
    for start in range(0, len(edges), 16 * _BLOCK_ROWS):
        part = edges[start : start + 16 * _BLOCK_ROWS]
        left, right = part[:, 0], part[:, 1]
        products = (sums[left] * sums[right]).sum(axis=1)
        similarity[start : start + len(part)] = products / (sizes[left] * sizes[right])
    return similarity


def _mutual_best(edges: Int64s, similarity: Float64s, count: int) -> Int64s:
    """Edges that are the best of both their ends, the most similar first; ties by the ends' numbers."""
    order = np.lexsort((edges[:, 1], edges[:, 0], -similarity))
    ends = edges[order].reshape(-1)
    first = np.full(count, len(ends), dtype=np.int64)
    np.minimum.at(first, ends, np.arange(len(ends)) // 2)
    ranked = edges[order]
    place = np.arange(len(ranked))
    return ranked[(first[ranked[:, 0]] == place) & (first[ranked[:, 1]] == place)]
