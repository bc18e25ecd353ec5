"""Spherical k-means by FAISS (Dhillon and Modha, 2001)."""

import faiss
import numpy as np
import numpy.typing as npt

from pipeline.compute.knn import Search, nearest
from pipeline.compute.task import ClusteringTask

_ITERATIONS = 25
_MAX_POINTS_A_CENTER = 256
"""FAISS trains on at most so many points a center (its own default): beyond, centers no longer move noticeably."""


def kmeans(task: ClusteringTask) -> npt.NDArray[np.int64]:
    """Label each row (n,) with its nearest of at most ``num_clusters`` centers; equal rows are labelled alike.

    With at least as many clusters asked for as there are distinct rows, each distinct row is a cluster of its own.
    """
    wanted = task.settings.num_clusters or 1
    points, group = task.points()
    if wanted >= len(points):
        return group
    faiss.omp_set_num_threads(task.threads)
    trainer = faiss.Kmeans(
        task.vectors.shape[1],
        wanted,
        niter=_ITERATIONS,
        seed=task.settings.seed + 1,  # FAISS' generator does not take 0 for a seed
        spherical=True,
        gpu=task.gpu,
        min_points_per_centroid=1,
        max_points_per_centroid=_MAX_POINTS_A_CENTER,
    )
    weights = np.bincount(group, minlength=len(points)).astype(np.float32)
    trainer.train(points, weights=weights)
    centers = np.nan_to_num(np.asarray(trainer.centroids, dtype=np.float32))
    labels, _ = nearest(points, centers, 1, Search(exact_below=len(centers), threads=task.threads, gpu=task.gpu))
    return np.asarray(labels[:, 0][group], dtype=np.int64)
