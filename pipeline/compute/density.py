"""Clusters as dense regions: DBSCAN (Ester et al., 1996) and HDBSCAN (Campello et al., 2013) by scikit-learn.

Up to ``dense_below`` images all pairs are read; above, the edges of the neighbour graph.  An image in no dense region
is noise, -1.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from pipeline.compute.agglomerative import needs_all_pairs
from pipeline.compute.graphs import union_edges
from pipeline.compute.knn import similarities
from pipeline.compute.task import ClusteringTask, Settings, reach

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

_FAR = 4.0
"""Length, in multiples of the longest edge, of those that keep a graph in one piece for HDBSCAN."""
_NEAREST = 1e-12
"""A shorter distance counts as this: SciPy's sparse graphs take 0 for no edge."""
_BLOCK_EDGES = 1 << 16


def dbscan(task: ClusteringTask) -> Int64s:
    """Label each row (n,): joined are core images within ``reach`` and what lies within reach of one; -1 is noise.

    Equal rows are labelled alike, and count one by one towards ``min_samples``.
    """
    from sklearn.cluster import DBSCAN

    points, group = task.points()
    sizes = np.bincount(group, minlength=len(points))
    settings = task.settings
    within, data, metric = _distances(task, points)
    found = DBSCAN(eps=within, min_samples=settings.min_samples, metric=metric, algorithm="brute")
    labels = found.fit_predict(data, sample_weight=sizes)
    return np.asarray(labels[group], dtype=np.int64)


def hdbscan(task: ClusteringTask) -> Int64s:
    """Label each row (n,) by the branches that last longest as the density falls; -1 is noise.

    Equal rows are labelled alike; one point alone, or two, are not enough to tell a density: each is a cluster.
    """
    from sklearn.cluster import HDBSCAN

    points, group = task.points()
    if len(points) < 3:
        return group
    settings = task.settings
    smallest = max(2, settings.min_cluster_size)
    if smallest > len(points):
        return np.full(len(group), -1, dtype=np.int64)
    least = min(settings.min_samples, len(points) - 1)
    _, data, metric = _distances(task, points)
    if metric == "precomputed":  # there scikit-learn does not count the point itself
        data, least = _in_one_piece(data), max(least - 1, 1)
    found = HDBSCAN(min_cluster_size=smallest, min_samples=least, metric=metric, copy=True)
    return np.asarray(found.fit_predict(data)[group], dtype=np.int64)


def takes_all_pairs(settings: Settings, count: int) -> bool:
    """Whether distances of all pairs are read; else those of the neighbour graph are.

    Raises:
        UserError: there are too many rows for all pairs, and the graph does not have this metric.
    """
    if count > settings.dense_below:
        needs_all_pairs(settings, count)
    return count <= settings.dense_below


def graph_distances(task: ClusteringTask, points: Float32s) -> tuple[Int64s, Float64s]:
    """The neighbour graph's pairs of ``points`` (m, 2), each once, and their distances in the settings' metric (m,)."""
    group = task.points()[1] if len(points) < len(task.vectors) else np.arange(len(points))
    edges = union_edges(task.neighbors, group)
    distance = np.maximum(1.0 - _similarities(points, edges, task.unit), _NEAREST)
    return edges, np.sqrt(2.0 * distance) if task.settings.metric == "euclidean" else distance


def _distances(task: ClusteringTask, points: Float32s) -> tuple[float, Any, str]:
    """The reach, and what scikit-learn is to read with which metric: the points, or the graph's distances."""
    settings = task.settings
    cosine = settings.metric == "cosine"
    # Half the squared distance is the cosine distance, and scikit-learn is faster with lengths.
    within = float(np.sqrt(2.0 * reach(settings))) if cosine else reach(settings)
    if takes_all_pairs(settings, len(points)):
        return within, points, "euclidean" if cosine else settings.metric
    edges, distance = graph_distances(task, points)
    if cosine:
        distance = np.sqrt(2.0 * distance)
    both = np.concatenate([edges, edges[:, ::-1]])
    matrix = csr_array((np.tile(distance, 2), (both[:, 0], both[:, 1])), (len(points), len(points)))
    matrix.sort_indices()
    return within, matrix, "precomputed"


def _similarities(points: Float32s, edges: Int64s, unit: bool) -> Float64s:
    found = np.empty(len(edges))
    for start in range(0, len(edges), _BLOCK_EDGES):
        left, right = edges[start : start + _BLOCK_EDGES].T
        found[start : start + _BLOCK_EDGES] = similarities(points[left], points, right[:, None], unit)[:, 0]
    return found


def _in_one_piece(matrix: Any) -> Any:
    """The graph with edges between its parts, longer than any other: HDBSCAN refuses a graph in several parts."""
    from scipy.sparse.csgraph import connected_components

    count, part = connected_components(matrix, directed=False)
    if count == 1:
        return matrix
    _, first = np.unique(part, return_index=True)
    left, right = np.repeat(first[:1], count - 1), first[1:]
    data = np.full(2 * (count - 1), _FAR * max(matrix.max(), 1.0))
    ends = (np.concatenate([left, right]), np.concatenate([right, left]))
    return matrix + csr_array((data, ends), matrix.shape)
