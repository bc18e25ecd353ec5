"""k-means by FAISS: spherical (Dhillon and Modha, 2001) or Euclidean (Lloyd, 1982), on the GPUs that are given.

Of several GPUs each has all centers and is given its share of the points; where FAISS sees none, the CPU does it.
"""

import logging
from dataclasses import replace

import faiss
import numpy as np
import numpy.typing as npt

from pipeline.compute.knn import nearest
from pipeline.compute.task import ClusteringTask

_ITERATIONS = 25
_LOG = logging.getLogger(__name__)


def kmeans(task: ClusteringTask) -> npt.NDArray[np.int64]:
    """Label each row (n,) with its nearest of at most ``num_clusters`` centers; equal rows are labelled alike.

    With at least as many clusters asked for as there are distinct rows, each distinct row is a cluster of its own.
    Spherical where the vectors have unit length and the settings say so.  What is trained on fewer points than there
    are, and centers that end without a row, are logged.
    """
    settings = task.settings
    wanted = settings.num_clusters or 1
    points, group = task.points()
    if wanted >= len(points):
        return group
    spherical = task.unit and settings.spherical
    faiss.omp_set_num_threads(task.threads)
    most = settings.train_points * wanted if settings.train_points else len(points)
    trainer = faiss.Kmeans(
        points.shape[1],
        wanted,
        niter=_ITERATIONS,
        nredo=settings.restarts,
        seed=settings.seed + 1,  # FAISS' generator does not take 0 for a seed
        spherical=spherical,
        gpu=task.gpu,
        min_points_per_centroid=1,
        max_points_per_centroid=settings.train_points or len(points),
    )
    copies = np.bincount(group, minlength=len(points)).astype(np.float32) if len(points) < len(group) else None
    trainer.train(points, weights=copies)
    centers = np.nan_to_num(np.asarray(trainer.centroids, dtype=np.float32))
    labels, _ = nearest(points, centers, 1, replace(task.search, exact_below=len(centers), unit=spherical))
    empty = wanted - len(np.unique(labels))
    splits = int(sum(one["nsplit"] for one in trainer.iteration_stats or []))
    if most < len(points):
        _LOG.warning("kmeans: trained on %d of %d images (cluster.train_points; 0: all)", most, len(points))
    if empty or splits:
        _LOG.warning("kmeans: of %d centers %d without an image; %d were split on the way", wanted, empty, splits)
    return np.asarray(labels[:, 0][group], dtype=np.int64)
