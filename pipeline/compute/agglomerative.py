"""Average linkage of a date, cut at a similarity or at a number of clusters."""

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import linkage

from pipeline.compute.dendrogram import average_linkage, graph_edges, labels_of
from pipeline.compute.knn import Search, distinct_rows
from pipeline.compute.task import ClusteringTask

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

_BLOCK_ROWS = 1024
"""Rows of the distance matrix at a time: bounds memory, has no influence on the result."""


def agglomerative(task: ClusteringTask) -> Int64s:
    """Label each row (n,): merged while the average similarity is at least ``similarity``, or to ``num_clusters``.

    Equal rows are labelled alike, so there are at most as many clusters as distinct rows.
    """
    if len(task.vectors) == 1:
        return np.zeros(1, dtype=np.int64)
    points, group = distinct_rows(task.vectors)
    if len(points) == 1:
        return group
    if len(task.vectors) <= task.dense_below:
        labels = _cut(linkage(condensed_distances(task.vectors), method="average"), task, len(points))
        _, first = np.unique(group, return_index=True)
        return np.asarray(labels[first[group]], dtype=np.int64)
    sizes = np.bincount(group, minlength=len(points))
    search = Search(seed=task.seed, threads=task.threads, gpu=task.gpu)
    tree = average_linkage(points, sizes, graph_edges(task.neighbors, group), search)
    return _cut(tree, task, len(points))[group]


def _cut(tree: Float64s, task: ClusteringTask, num_distinct: int) -> Int64s:
    """Keep the merges up to the asked height, or all but the last ``num_clusters`` - 1."""
    if task.similarity is not None:
        # Rounding must not part what is exactly as similar as asked.
        return labels_of(tree, tree[:, 2] <= 1.0 - task.similarity + 1e-6)
    wanted = min(task.num_clusters or 1, num_distinct)
    return labels_of(tree, np.arange(len(tree)) < len(tree) + 1 - wanted)


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
