"""Agglomerative clustering of a date: a tree of merges, and ways to cut it."""

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from pipeline.compute.dendrogram import grow_tree
from pipeline.compute.graphs import union_edges
from pipeline.compute.task import FLOAT_SLACK, ClusteringTask, Settings, Tree, height_of
from pipeline.compute.trees import expand, labels_of
from pipeline.errors import UserError

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

_BLOCK_ROWS = 1024
"""Rows of the distance matrix at a time: bounds memory, has no influence on the result."""
_WIDEST = 2.0
"""The largest distance of unit vectors, of both metrics: what ``sim`` is a fraction of on the fixed scale."""


def agglomerative(task: ClusteringTask) -> Int64s:
    """Label each row (n,): the date's tree, cut.

    Equal rows are labelled alike, so there are at most as many clusters as distinct rows.
    """
    _, group = task.points()
    return cut(task.tree or grow(task), task.settings, group)


def grow(task: ClusteringTask) -> Tree:
    """Merge everything: from all pairs up to ``dense_below`` rows, above along the neighbour graph.

    Raises:
        UserError: linkage or metric need all pairs, and there are more rows than that.
    """
    size, settings = len(task.vectors), task.settings
    if size == 1:
        return Tree(np.zeros((0, 4)), 0.0)
    if size <= settings.dense_below:
        distances = condensed_distances(task.vectors, metric_of(settings), task.unit)
        if settings.mix == "imagecluster" and task.hours is not None:
            distances = _mixed(distances, task.hours, settings.alpha)
        largest = float(distances.max())
        return Tree(linkage(distances, method=settings.linkage), largest)
    needs_all_pairs(settings, size)
    points, group = task.points()
    sizes = np.bincount(group, minlength=len(points))
    lines = np.zeros((0, 4))
    if len(points) > 1:
        lines = grow_tree(points, sizes, union_edges(task.neighbors, group), task.search, settings.linkage)
    lines = expand(lines, group)
    if metric_of(settings) == "euclidean" and settings.linkage != "ward":
        lines[:, 2] = np.sqrt(2.0 * lines[:, 2])
    return Tree(lines, float(lines[-1, 2]))


def _mixed(distances: Float64s, hours: Float64s, alpha: float) -> Float64s:
    """Imagecluster's mix of content and time, each over the date's largest; where a time is unknown, their mean."""
    apart = pdist(hours[:, None])
    known = ~np.isnan(apart)
    apart[~known] = apart[known].mean() if known.any() else 0.0
    content, time = (one / (one.max() or 1.0) for one in (distances, apart))
    return np.asarray((1.0 - alpha) * content + alpha * time)


def cut(tree: Tree, settings: Settings, group: Int64s) -> Int64s:
    """Label each row (n,) by the branches that the settings' criterion leaves whole; ``group``: equal rows."""
    lines, metric = tree.lines, metric_of(settings)
    if len(lines) == 0:
        return np.zeros(1, dtype=np.int64)
    if settings.num_clusters is not None:
        wanted = min(settings.num_clusters, int(group.max()) + 1)
        labels = labels_of(lines, np.arange(len(lines)) < len(lines) + 1 - wanted)
    elif settings.criterion == "inconsistent" and settings.distance is not None:
        labels = fcluster(lines, settings.distance, "inconsistent").astype(np.int64)
    else:
        labels = labels_of(lines, lines[:, 2] <= _height(tree, settings, metric))
    _, first = np.unique(group, return_index=True)
    return np.asarray(labels[first[group]], dtype=np.int64)


def _height(tree: Tree, settings: Settings, metric: str) -> float:
    """Up to which height merges are kept."""
    if settings.distance is not None:
        return settings.distance
    if settings.sim is None:
        return height_of(settings.similarity if settings.similarity is not None else 1.0, metric)
    if settings.sim == 0:
        return np.inf
    widest = _WIDEST if settings.sim_scale == "fixed" else tree.largest
    return widest * (1.0 - settings.sim) + FLOAT_SLACK * (settings.sim < 1)


def metric_of(settings: Settings) -> str:
    """The metric of the tree: Ward's criterion is of lengths, so for it cosine means those of the unit vectors."""
    return "euclidean" if settings.linkage == "ward" and settings.metric == "cosine" else settings.metric


def needs_all_pairs(settings: Settings, count: int) -> None:
    """Refuse a metric that the neighbour graph does not have.

    Raises:
        UserError: names the setting.
    """
    mixed = settings.mix == "imagecluster"
    if mixed or settings.metric not in ("cosine", "euclidean"):
        found = "cluster.mix imagecluster" if mixed else f"cluster.metric {settings.metric}"
        instead = "weigh time in geometry" if mixed else "use cosine or euclidean"
        raise UserError(
            f"{found} reads all pairs of images: {count} on a date, cluster.dense_below is {settings.dense_below}\n"
            f"{instead}, or raise cluster.dense_below (8 bytes a pair)"
        )


def condensed_distances(vectors: Float32s, metric: str = "cosine", unit: bool = True) -> Float64s:
    """Distances of all pairs of rows (n, d) in SciPy's condensed order, float64; 8 bytes a pair.

    cosine is 1 - x.y of vectors of ``unit`` length, and half the squared distance of others; euclidean the root of
    twice that, both from one matrix product; other metrics are SciPy's ``pdist``.
    """
    if metric not in ("cosine", "euclidean"):
        return np.asarray(pdist(vectors.astype(np.float64), metric))  # type: ignore[call-overload]  # any of its names
    size = len(vectors)
    rows = vectors if unit else vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    halves = np.full(size, 0.5) if unit else (rows * rows).sum(axis=1) / 2.0
    distances = np.empty(size * (size - 1) // 2)
    for start in range(0, size, _BLOCK_ROWS):
        block = rows[start : start + _BLOCK_ROWS] @ rows[start:].T
        for offset, row in enumerate(block):
            i = start + offset
            begin = i * size - i * (i + 1) // 2
            np.subtract(halves[i] + halves[i + 1 :], row[offset + 1 :], out=distances[begin : begin + size - 1 - i])
    np.maximum(distances, 0.0, out=distances)
    if metric == "euclidean":
        np.multiply(distances, 2.0, out=distances)
        np.sqrt(distances, out=distances)
    return distances
