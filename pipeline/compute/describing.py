"""What is said of a clustering, whichever method made it: centers, neighbours, silhouettes, members to show."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pipeline.compute.grouped import sums_of
from pipeline.compute.knn import Search, nearest, neighbor_graph

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

MEDOID_MEMBERS = 2048
"""Members up to which all their distances are read for the medoid: 8 bytes a pair, 34 MB."""


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
    """

    centers: Float32s
    sizes: Int64s
    to_center: Float32s
    cohesion: Float32s
    nearest: Int64s
    nearest_similarity: Float32s


def describe(vectors: Float32s, labels: Int64s, search: Search) -> Description:
    """Describe canonical ``labels`` (n,) of unit ``vectors`` (n, d), n >= 1."""
    count = int(labels.max()) + 1
    sizes = np.bincount(labels, minlength=count)
    sums = sums_of(vectors, labels, count)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    centers = np.asarray(sums / np.where(length > 0, length, 1.0), dtype=np.float32)
    to_center = np.clip((vectors.astype(np.float64) * centers[labels]).sum(axis=1), -1.0, 1.0)
    cohesion = np.bincount(labels, to_center, minlength=count) / sizes
    if count == 1:
        other, other_similarity = np.full(1, -1, dtype=np.int64), np.zeros(1, dtype=np.float32)
    else:
        found, similarity = neighbor_graph(centers, 1, search)
        other, other_similarity = found[:, 0], similarity[:, 0]
    return Description(
        centers,
        sizes,
        to_center.astype(np.float32),
        cohesion.astype(np.float32),
        other,
        np.clip(other_similarity, -1.0, 1.0),
    )


def silhouettes(vectors: Float32s, labels: Int64s, search: Search) -> Float32s:
    """Silhouette (Rousseeuw, 1987) of each row by half squared distances, which are cosine distances of unit vectors.

    The mean of those to a cluster's members follows from their sum and their mean square, so the nearest other cluster
    is found by searching the means: exactly up to ``search.exact_below`` clusters, above as far as the search finds it.

    Args:
        vectors: (n, d), of unit length if ``search.unit``.
        labels: Canonical (n,).
        search: Of the means.

    Returns:
        float32 (n,), -1 to 1; 0 in clusters of one, NaN with a single cluster.
    """
    count = int(labels.max()) + 1
    if count == 1:
        return np.full(len(labels), np.nan, dtype=np.float32)
    sizes = np.bincount(labels, minlength=count).astype(np.float64)
    means = sums_of(vectors, labels, count) / sizes[:, None]
    halves = (vectors.astype(np.float64) ** 2).sum(axis=1) / 2.0
    mean_halves = np.bincount(labels, halves, minlength=count) / sizes
    # The mean distance to a cluster is |x|^2/2 + h - x.m: one more coordinate makes it a single inner product.
    lifted = np.concatenate([means, -mean_halves[:, None]], axis=1).astype(np.float32)
    rows = np.concatenate([vectors, np.ones((len(vectors), 1), np.float32)], axis=1)
    found, products = nearest(rows, lifted, 2, replace(search, unit=True))
    lost = found[:, 1] < 0  # no other cluster in the lists that were searched
    if lost.any():
        found[lost], products[lost] = nearest(rows[lost], lifted, 2, Search(count, threads=search.threads))
    mine = found[:, 0] == labels
    other = halves - np.where(mine, products[:, 1], products[:, 0])
    own = halves + mean_halves[labels] - (vectors.astype(np.float64) * means[labels]).sum(axis=1)
    own *= sizes[labels] / np.maximum(sizes[labels] - 1.0, 1.0)  # a row is not among the others
    own, other = np.maximum(own, 0.0), np.maximum(other, 0.0)
    larger = np.maximum(own, other)
    value = (other - own) / np.where(larger > 0, larger, 1.0)
    return np.where(sizes[labels] == 1, 0.0, value).astype(np.float32)


def medoids(vectors: Float32s, labels: Int64s, to_center: Float32s) -> Int64s:
    """The member of each cluster with the least sum of distances to the others (Kaufman and Rousseeuw, 1990), (c,).

    Distances are lengths, so a few odd members weigh less than on the center.  In clusters of more than
    ``MEDOID_MEMBERS``, of that many nearest to the center; ties go to the smaller row number.
    """
    found = []
    for rows in _members(labels, to_center):
        nearest_rows = np.sort(rows[:MEDOID_MEMBERS])
        block = vectors[nearest_rows].astype(np.float64)
        squares = (block * block).sum(axis=1)
        lengths = np.sqrt(np.maximum(squares[:, None] + squares - 2.0 * block @ block.T, 0.0))
        totals = np.round(lengths.sum(axis=1), 9)  # rounding must not decide between equals
        found.append(nearest_rows[int(np.argmin(totals))] if len(rows) > 2 else rows[0])
    return np.array(found, dtype=np.int64)


def _members(labels: Int64s, to_center: Float32s) -> list[Int64s]:
    """Each cluster's rows, the nearest to the center first."""
    order = np.lexsort((np.arange(len(labels)), -to_center, labels))
    bounds = np.searchsorted(labels[order], np.arange(int(labels.max()) + 2))
    return [order[low:high] for low, high in pairwise(bounds)]


def exemplars(vectors: Float32s, labels: Int64s, to_center: Float32s, limit: int) -> list[Int64s]:
    """Choose up to ``limit`` members of each cluster: the medoid, then the farthest from all chosen (Gonzalez, 1985).

    Returns:
        For each cluster the row numbers, the medoid (nearest to the center) first; ties go to the smaller number, and a
        member equal to a chosen one is not chosen.
    """
    return [_spread(vectors, rows, limit) for rows in _members(labels, to_center)]


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
