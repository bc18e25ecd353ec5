"""Clusters as communities of the mutual neighbour graph: an edge joins two images that are each other's neighbours."""

import numpy as np
import numpy.typing as npt

from pipeline.compute.graphs import mutual_edges
from pipeline.compute.task import FLOAT_SLACK, ClusteringTask
from pipeline.compute.trees import labels_of, single_linkage
from pipeline.errors import UserError

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

_NEAREST = 1e-3
"""Cosine distances below count as this, as in ``isolation``: near-identical images would lose all other neighbours."""
_WHISPERS_AT_MOST = 5_000_000
"""Edges up to which they go to dlib, as Python objects: about a gigabyte."""


def leiden(task: ClusteringTask) -> Int64s:
    """Label each row (n,) by the Leiden algorithm (Traag et al., 2019) on modularity at ``resolution``.

    Edges weigh as :func:`affinity_graph` says; those below ``similarity`` are left out.

    Raises:
        UserError: igraph or leidenalg is not installed.
    """
    try:
        import igraph
        import leidenalg
    except ImportError:
        raise UserError(
            "cluster.method leiden needs the packages igraph and leidenalg (GPL), which are not installed\n"
            "install imagetracks[leiden], or choose another method"
        ) from None
    group, edges, weights = affinity_graph(task)
    graph = igraph.Graph(n=int(group.max()) + 1, edges=edges, edge_attrs={"weight": weights})
    found = leidenalg.find_partition(
        graph,
        leidenalg.RBConfigurationVertexPartition,
        weights="weight",
        resolution_parameter=task.settings.resolution,
        n_iterations=-1,
        seed=task.settings.seed,
    )
    return np.asarray(found.membership, dtype=np.int64)[group]


def chinese_whispers(task: ClusteringTask) -> Int64s:
    """Label each row (n,) by Chinese whispers (Biemann, 2006; dlib's) over the edges of at least ``similarity``.

    Raises:
        UserError: the date has more edges than this method can take.
    """
    import dlib

    points, group, edges, weights = mutual_graph(task, asked(task, -1.0))
    if len(edges) > _WHISPERS_AT_MOST:
        raise UserError(
            f"cluster.method chinese_whispers: {len(edges)} edges on a date, expected at most {_WHISPERS_AT_MOST}\n"
            "use leiden or auto on dates of this size, or raise cluster.similarity"
        )
    alone = [(i, i, 0.0) for i in range(len(points))]  # a point without an edge is unknown to dlib
    pairs = [(i, j, float(weight)) for (i, j), weight in zip(edges.tolist(), weights, strict=True)]
    return np.asarray(dlib.chinese_whispers(alone + pairs), dtype=np.int64)[group]


def components(task: ClusteringTask) -> Int64s:
    """Label each row (n,) by the connected components over the edges of at least ``similarity``.

    A guard against chaining: a component whose pairs of images are on average less similar than ``similarity`` loses
    its weakest edges until no part is.
    """
    points, group, edges, weights = mutual_graph(task, asked(task, -1.0))
    tree = single_linkage(len(points), edges, 1.0 - weights.astype(np.float64))
    whole = mean_similarities(tree, points) >= asked(task, -1.0) - FLOAT_SLACK
    return labels_of(tree, whole & np.isfinite(tree[:, 2]))[group]


def mean_similarities(tree: Float64s, points: Float32s) -> Float64s:
    """The mean similarity (1 - half the squared distance) of the pairs of points (n, d) below each line of a tree."""
    count = len(points)
    sums: dict[int, Float64s] = {}
    found = np.empty(len(tree))
    squares = np.concatenate([(points.astype(np.float64) ** 2).sum(axis=1), np.zeros(len(tree))])
    for line, (left, right) in enumerate(tree[:, :2].astype(np.int64).tolist()):
        parts = [sums.pop(part) if part >= count else points[part].astype(np.float64) for part in (left, right)]
        both = parts[0] + parts[1]
        sums[count + line] = both
        squares[count + line] = squares[left] + squares[right]
        size = tree[line, 3]
        found[line] = 1.0 - (size * squares[count + line] - both @ both) / (size * (size - 1.0))
    return found


def affinity_graph(task: ClusteringTask) -> tuple[Int64s, Int64s, Float64s]:
    """Each row's point, and the mutual edges (m, 2) of at least ``similarity``, -1 unless given, with what they weigh.

    Weights exp(-d^2 / (r s)), d the distance of the edge's ends and r, s the distances of each to its nearest: the
    local scaling of Zelnik-Manor and Perona (2004).  Of similarities themselves those between two subjects are
    hardly smaller than those within one, where all images of a date are alike; and communities get lost in the many.
    """
    _, group = task.points()
    edges, found = mutual_edges(task.neighbors, task.similarities, group)
    squares = np.maximum(2.0 * (1.0 - found.astype(np.float64)), 2.0 * _NEAREST)
    nearest = np.full(int(group.max()) + 1, np.inf)
    for end in edges.T:
        np.minimum.at(nearest, end, squares)
    weights = np.exp(-squares / np.sqrt(nearest[edges[:, 0]] * nearest[edges[:, 1]]))
    kept = found >= asked(task, -1.0) - FLOAT_SLACK
    return group, edges[kept], weights[kept]


def asked(task: ClusteringTask, otherwise: float) -> float:
    """The similarity of the settings, or another where they have none."""
    return task.settings.similarity if task.settings.similarity is not None else otherwise


def mutual_graph(task: ClusteringTask, least: float) -> tuple[Float32s, Int64s, Int64s, Float32s]:
    """The points, each row's point, and the mutual edges of at least a similarity, with theirs."""
    points, group = task.points()
    edges, weights = mutual_edges(task.neighbors, task.similarities, group)
    kept = weights >= least - FLOAT_SLACK
    return points, group, edges[kept], weights[kept]
