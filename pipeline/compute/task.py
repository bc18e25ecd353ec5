"""What a clusterer is given, and what every clusterer does with it alike."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.compute.knn import Search, distinct_rows

Linkage = Literal["average", "complete", "ward", "single"]
FLOAT_SLACK = 1e-6
"""Rounding must not part what is exactly as similar as asked."""


@dataclass(frozen=True)
class Settings:
    """The settings of all clusterers; which of them a method reads: ``stages.cluster.READ``.

    Args:
        num_clusters: How many clusters.
        similarity: Similarity that joins two images, or on average two clusters; of ``metric`` cosine or euclidean.
        distance: The same as a distance of ``metric``.
        sim: The same on a scale of 0 (one cluster) to 1 (every image alone).
        sim_scale: What ``sim`` is a fraction of: the metric's whole range, or the date's largest distance.
        criterion: What ``distance`` bounds: the height of merges, or SciPy's inconsistency coefficient.
        linkage: Of agglomerative.
        metric: cosine, euclidean, or another that SciPy knows.
        min_cluster_size: Of HDBSCAN, at least 2.
        min_samples: Images as similar as asked, itself counted, that make an image a core of DBSCAN or HDBSCAN.
        resolution: Of leiden: higher gives more clusters.
        spherical: Whether the centers of k-means have unit length.
        restarts: Of k-means; the one with the least sum of squares is kept.
        train_points: Points a center that k-means is trained on, at most; 0: all.
        mix: imagecluster: distances are (1 - alpha) content / largest + alpha time / largest.
        alpha: Share of the time.
        dense_below: Images up to which all pairs are read; above, those of the neighbour graph.
        seed: Of every random choice.
    """

    num_clusters: int | None = None
    similarity: float | None = None
    distance: float | None = None
    sim: float | None = None
    sim_scale: Literal["fixed", "dendrogram"] = "fixed"
    criterion: Literal["distance", "inconsistent"] = "distance"
    linkage: Linkage = "average"
    metric: str = "cosine"
    min_cluster_size: int = 1
    min_samples: int = 3
    resolution: float = 1.0
    spherical: bool = True
    restarts: int = 1
    train_points: int = 256
    mix: Literal["weights", "imagecluster"] = "weights"
    alpha: float = 0.3
    dense_below: int = 16_000
    seed: int = 0


@dataclass(frozen=True)
class Tree:
    """SciPy's linkage matrix ``lines`` (n - 1, 4), and the date's largest distance, in the metric's unit."""

    lines: npt.NDArray[np.float64]
    largest: float


@dataclass(frozen=True)
class ClusteringTask:
    """One date's vectors with their neighbour graph, and the settings of the clusterers.

    Args:
        vectors: What the methods see, float32 (n, d), n >= 1, in the order of their ids.
        neighbors: Row numbers of each row's nearest others, int64 (n, k), best first; -1 where there are fewer.
        similarities: 1 - half the squared distance (of unit vectors the cosine), float32 (n, k); anything where
            ``neighbors`` is -1.
        settings: Of the methods.
        threads: For FAISS.
        gpu: Run FAISS on the GPUs.
        unit: Every vector has length 1 (or 0).
        hours: When each row was taken, hours from any origin, NaN where unknown (n,); for ``mix``.
        tree: A tree of the date that was grown before, for ``agglomerative`` to cut.
    """

    vectors: npt.NDArray[np.float32]
    neighbors: npt.NDArray[np.int64]
    similarities: npt.NDArray[np.float32]
    settings: Settings = field(default_factory=Settings)
    threads: int = 1
    gpu: bool = False
    unit: bool = True
    hours: npt.NDArray[np.float64] | None = None
    tree: Tree | None = None

    @property
    def search(self) -> Search:
        """How to search among these vectors, or means of them."""
        return Search(seed=self.settings.seed, threads=self.threads, gpu=self.gpu, unit=self.unit)

    def points(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """The distinct vectors in the order of their first occurrence, and for each row (n,) its point's number."""
        return distinct_rows(self.vectors)


def reach(settings: Settings) -> float:
    """The distance of ``settings.metric`` up to which two images are as similar as asked, rounding allowed for."""
    if settings.distance is not None:
        return settings.distance
    return height_of(settings.similarity if settings.similarity is not None else 1.0, settings.metric)


def height_of(similarity: float, metric: str) -> float:
    """The distance that a similarity is: 1 - s of cosine, of euclidean the length whose half square that is."""
    cosine = 1.0 - similarity + FLOAT_SLACK
    return float(np.sqrt(2.0 * cosine)) if metric == "euclidean" else cosine
