"""The default clusterer."""

import numpy as np
import numpy.typing as npt

from pipeline.compute.agglomerative import graph_edges, merge_mutual_best
from pipeline.compute.knn import distinct_rows
from pipeline.compute.task import ClusteringTask


def auto(task: ClusteringTask) -> npt.NDArray[np.int64]:
    """Label each row (n,)."""
    points, group = distinct_rows(task.vectors)
    sizes = np.bincount(group, minlength=len(points)).astype(np.float64)
    return merge_mutual_best(points, sizes, graph_edges(task.neighbors, group), 0.97, 1)[group]
