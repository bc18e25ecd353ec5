"""The default clusterer: needs no parameter, for one image a subject or twenty, one image a date or 50 000.

It builds the date's average-linkage tree (from all pairs of a few thousand images, from the neighbour graph of more)
and cuts out the branches that :mod:`pipeline.compute.isolation` takes for several shots of one subject.
"""

import numpy as np
import numpy.typing as npt

from pipeline.compute.dendrogram import grow_tree
from pipeline.compute.graphs import union_edges
from pipeline.compute.isolation import isolated_branches
from pipeline.compute.task import ClusteringTask
from pipeline.compute.trees import labels_of


def auto(task: ClusteringTask) -> npt.NDArray[np.int64]:
    """Label each row (n,); rows with equal vectors are one point of the tree and share a label."""
    points, group = task.points()
    if len(points) == 1:
        return group
    sizes = np.bincount(group, minlength=len(points))
    tree = grow_tree(points, sizes, union_edges(task.neighbors, group), task.search)
    return labels_of(tree, isolated_branches(tree))[group]
