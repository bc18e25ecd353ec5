"""The default clusterer: needs no parameter, for one image a subject or twenty, one image a date or 50 000.

It builds the date's average-linkage tree (from all pairs of a few thousand images, from the neighbour graph of more)
and cuts out the branches that :mod:`pipeline.compute.isolation` takes for several shots of one subject.

A subject that is turned, or moves, lies along a curve: its ends are farther apart than two subjects are, and averages
cut it in pieces.  Single linkage follows a curve, and chains where subjects touch.  So the same model is asked of the
date's single-linkage tree too, and a branch that is isolated there joins the clusters that lie in it with all their
images; never more than that, and only on dates where most images are in company.  Among images that stand alone, chains
of look-alikes are what single linkage is known for: where its tree alone says company, no branch may hold most images.
"""

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import linkage

from pipeline.compute.agglomerative import condensed_distances
from pipeline.compute.dendrogram import grow_tree
from pipeline.compute.graphs import union_edges
from pipeline.compute.isolation import MAJORITY, SHORTEST_GAP, isolated_branches
from pipeline.compute.task import ClusteringTask
from pipeline.compute.trees import labels_of

Int64s = npt.NDArray[np.int64]

_ALL_PAIRS = 2048
"""Distinct images up to which the single-linkage tree is of all pairs; above, of the neighbour graph."""


def auto(task: ClusteringTask) -> Int64s:
    """Label each row (n,); rows with equal vectors are one point of the trees and share a label."""
    points, group = task.points()
    if len(points) == 1:
        return group
    sizes = np.bincount(group, minlength=len(points))
    edges = union_edges(task.neighbors, group)
    tree = grow_tree(points, sizes, edges, task.search)
    if len(points) <= _ALL_PAIRS:
        curves = linkage(condensed_distances(points, unit=task.unit), "single")
    else:
        curves = grow_tree(points, sizes, edges, task.search, "single")
    labels = labels_of(tree, isolated_branches(tree))
    wider = labels_of(curves, isolated_branches(curves, SHORTEST_GAP))
    chained = np.bincount(wider).max() > MAJORITY * len(points)
    if _share_in_company(labels) >= MAJORITY or (not chained and _share_in_company(wider) >= MAJORITY):
        labels = join_within(labels, wider)
    return labels[group]


def join_within(labels: Int64s, wider: Int64s) -> Int64s:
    """Join the clusters of ``labels`` (n,) that lie in one cluster of ``wider`` (n,) with all their rows."""
    names, labels = np.unique(labels, return_inverse=True)
    wider = np.unique(wider, return_inverse=True)[1]
    pairs = np.unique(np.stack([labels, wider], axis=1), axis=0)
    whole = np.bincount(pairs[:, 0])[labels] == 1
    return np.where(whole, len(names) + wider, labels).astype(np.int64)


def _share_in_company(labels: Int64s) -> float:
    sizes = np.unique(labels, return_counts=True)[1]
    return float(sizes[sizes > 1].sum() / len(labels))
