"""Clusters of one date that are pieces of one subject: the date clusterer cut too finely."""

import numpy as np
import numpy.typing as npt

from pipeline.compute.linking.cohorts import closeness, levels

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def fragments(similarity: Floats, within: Floats, own: Floats) -> Ints:
    """Group the clusters that are pieces of one subject, conservatively.

    Two clusters are joined when they are each other's nearest cluster of the date, one track is the best of both, they
    are that track's best two, and they are nearer to each other than half-way from strangers of the date to the
    looks within one cluster.  Where clusters are single images nothing is known of the last, and nothing is joined.

    Args:
        similarity: clusters x tracks.
        within: clusters x clusters of the date, best pair; the diagonal is not read.
        own: for each cluster, the lowest cosine of a look to its nearest other look of the cluster; nan for one look.

    Returns:
        For each cluster the index of its group's first cluster.
    """
    num = len(within)
    group = np.arange(num)
    if num < 3 or similarity.shape[1] < 1 or np.isnan(own).all():
        return group
    close = closeness(within)
    np.fill_diagonal(close, -np.inf)
    nearest = close.argmax(axis=1)
    best = similarity.argmax(axis=1)
    across = closeness(similarity)
    top = -np.sort(-across, axis=1)[:, :2]
    level = levels(across).level if across.shape[1] > 1 else np.zeros(num)
    alone = np.ones(num, dtype=bool) if across.shape[1] == 1 else top[:, 1] - level < 0.5 * (top[:, 0] - level)
    order = np.argsort(-similarity, axis=0, kind="stable")[:2]
    strangers = levels(_without_diagonal(close)).level
    usual = float(np.nanmedian(closeness(own)))
    for i in range(num):
        k = int(nearest[i])
        if (
            i < k
            and nearest[k] == i
            and alone[i]
            and alone[k]
            and best[i] == best[k]
            and set(order[:, best[i]].tolist()) == {i, k}
        ):
            half_way = 0.5 * (usual + 0.5 * (strangers[i] + strangers[k]))
            if close[i, k] >= half_way:
                group[k] = i
    return group


def _without_diagonal(square: Floats) -> Floats:
    num = len(square)
    return square[~np.eye(num, dtype=bool)].reshape(num, num - 1)
