"""The clusterers by name, and what is said of a clustering whichever made it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pipeline.compute.agglomerative import agglomerative
from pipeline.compute.auto import auto
from pipeline.compute.communities import chinese_whispers, components, leiden
from pipeline.compute.density import dbscan, hdbscan
from pipeline.compute.kmeans import kmeans
from pipeline.compute.knn import Search, nearest, neighbor_graph
from pipeline.compute.task import ClusteringTask

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]

NOISE = -1
"""The label of a row that a method puts in no cluster."""

METHODS: dict[str, Callable[[ClusteringTask], Int64s]] = {
    "auto": auto,
    "kmeans": kmeans,
    "agglomerative": agglomerative,
    "dbscan": dbscan,
    "hdbscan": hdbscan,
    "leiden": leiden,
    "components": components,
    "chinese_whispers": chinese_whispers,
}
"""Name -> function from a task of n >= 1 rows to labels int64 (n,); equal rows have equal labels; -1 is noise."""


def cluster_rows(method: str, task: ClusteringTask) -> Int64s:
    """Label each row (n,) canonically by ``METHODS[method]``: 0, 1, ... in order of first occurrence, noise -1.

    Rows that are all equal are one cluster, whatever the method.
    """
    if (task.vectors == task.vectors[0]).all():
        return np.zeros(len(task.vectors), dtype=np.int64)
    return canonical_labels(METHODS[method](task))


def canonical_labels(labels: npt.NDArray[np.integer]) -> Int64s:
    """Renumber labels (n,) in the order in which they first occur, from 0; ``NOISE`` stays."""
    found = np.full(len(labels), NOISE, dtype=np.int64)
    kept = labels != NOISE
    _, first, inverse = np.unique(labels[kept], return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    found[kept] = rank[inverse]
    return found


def noise_alone(labels: Int64s) -> Int64s:
    """Canonical labels (n,) in which each row of noise is a cluster of its own: nothing is lost downstream."""
    noise = labels == NOISE
    return canonical_labels(np.where(noise, labels.max() + np.cumsum(noise), labels))


@dataclass(frozen=True)
class Description:
    """Figures of n rows in c clusters, labelled canonically.

    Args:
        centers: Mean of the members at unit length, float32 (c, d); zeros where the members cancel.
        sizes: Members, int64 (c,).
        to_center: Cosine of each row to its center, float32 (n,).
        cohesion: Its mean over the members, float32 (c,).
        nearest: The cluster with the nearest center, int64 (c,); -1 of a single cluster.
        nearest_similarity: Cosine of the two centers, float32 (c,).
        silhouette: Simplified silhouette (Hruschka et al., 2004) of each row with cosine distances to centers, float32
            (n,), -1 to 1; 0 in clusters of one (Rousseeuw, 1987), NaN with a single cluster.
    """

    centers: Float32s
    sizes: Int64s
    to_center: Float32s
    cohesion: Float32s
    nearest: Int64s
    nearest_similarity: Float32s
    silhouette: Float32s


def describe(vectors: Float32s, labels: Int64s, search: Search) -> Description:
    """Describe canonical ``labels`` (n,) of unit ``vectors`` (n, d), n >= 1."""
    count = int(labels.max()) + 1
    sizes = np.bincount(labels, minlength=count)
    sums = np.zeros((count, vectors.shape[1]))
    np.add.at(sums, labels, vectors)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    centers = np.asarray(sums / np.where(length > 0, length, 1.0), dtype=np.float32)
    to_center = np.clip((vectors.astype(np.float64) * centers[labels]).sum(axis=1), -1.0, 1.0)
    cohesion = np.bincount(labels, to_center, minlength=count) / sizes
    if count == 1:
        other, other_similarity = np.full(1, -1, dtype=np.int64), np.zeros(1, dtype=np.float32)
        silhouette = np.full(len(labels), np.nan)
    else:
        found, similarity = neighbor_graph(centers, 1, search)
        other, other_similarity = found[:, 0], similarity[:, 0]
        silhouette = _silhouette(vectors, centers, labels, to_center, search)
        silhouette[sizes[labels] == 1] = 0.0
    return Description(
        centers,
        sizes,
        to_center.astype(np.float32),
        cohesion.astype(np.float32),
        other,
        np.clip(other_similarity, -1.0, 1.0),
        silhouette.astype(np.float32),
    )


def _silhouette(
    vectors: Float32s, centers: Float32s, labels: Int64s, to_center: npt.NDArray[np.float64], search: Search
) -> npt.NDArray[np.float64]:
    """(b - a) / max(a, b) with a, b the cosine distances to the own center and to the nearest other."""
    found, similarity = nearest(vectors, centers, 2, search)
    second = np.where(found[:, 0] == labels, similarity[:, 1], similarity[:, 0])
    own, other = np.maximum(1.0 - to_center, 0.0), np.maximum(1.0 - second.astype(np.float64), 0.0)
    larger = np.maximum(own, other)
    return (other - own) / np.where(larger > 0, larger, 1.0)


def exemplars(vectors: Float32s, labels: Int64s, to_center: Float32s, limit: int) -> list[Int64s]:
    """Choose up to ``limit`` members of each cluster: the medoid, then the farthest from all chosen (Gonzalez, 1985).

    Returns:
        For each cluster the row numbers, the medoid (nearest to the center) first; ties go to the smaller number, and a
        member equal to a chosen one is not chosen.
    """
    order = np.lexsort((np.arange(len(labels)), -to_center, labels))
    bounds = np.searchsorted(labels[order], np.arange(int(labels.max()) + 2))
    return [_spread(vectors, order[low:high], limit) for low, high in pairwise(bounds)]


def _spread(vectors: Float32s, members: Int64s, limit: int) -> Int64s:
    chosen = [int(members[0])]
    if len(members) == 1:
        return members
    rows = np.sort(members)
    block = vectors[rows].astype(np.float64)
    gap = np.full(len(rows), np.inf)
    while len(chosen) < limit:
        difference = block - vectors[chosen[-1]]
        gap = np.minimum(gap, (difference * difference).sum(axis=1))
        farthest = int(np.argmax(gap))
        if gap[farthest] <= 0:
            break
        chosen.append(int(rows[farthest]))
    return np.array(chosen, dtype=np.int64)
