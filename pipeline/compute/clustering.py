"""The clusterers by name, and what all of them keep to."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipeline.compute.agglomerative import agglomerative
from pipeline.compute.auto import auto
from pipeline.compute.communities import chinese_whispers, components, leiden
from pipeline.compute.density import dbscan, hdbscan
from pipeline.compute.kmeans import kmeans
from pipeline.compute.task import ClusteringTask

Int64s = npt.NDArray[np.int64]

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
