"""Which published id goes to which track: a maximum-weight matching on the images that they share."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from pipeline.compute.bipartite import edge_parts, heaviest

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def recognised(shared: coo_array, held: Bools, least_share: float) -> tuple[Ints, Ints]:
    """Pairs of a track before and a track now that are the same one.

    A pair may be one if it shares ``least_share`` of the images that either has and that both states know (Jaccard's
    index over the images that had a track before and have one now: new and lost images say nothing).  Of those pairs
    the set is taken that keeps the most images in their track, each track in one pair at most; among equal sets one
    with the most ``held`` pairs, and of those the one that the order of rows and columns gives (so give them in an
    order that comes from content).

    Args:
        shared: tracks before x tracks now, how many images they share (> 0 where stored, no entry twice).
        held: of each stored entry, whether the two are called the same.
        least_share: 0 to 1.

    Returns:
        Row and column of each pair, in order of the rows.
    """
    before, now = shared.sum(axis=1), shared.sum(axis=0)
    count = shared.data.astype(np.float64)
    good = count >= least_share * (before[shared.row] + now[shared.col] - count)
    row, column, count = shared.row[good].astype(np.int64), shared.col[good].astype(np.int64), count[good]
    weight = count + 0.5 * held[good] / max(len(count), 1)  # images are whole: all held pairs together weigh no image
    alone = (np.bincount(row, minlength=shared.shape[0])[row] == 1) & (
        np.bincount(column, minlength=shared.shape[1])[column] == 1
    )
    chosen, rest = [np.flatnonzero(alone)], np.flatnonzero(~alone)
    for part in edge_parts(row[rest], column[rest]):
        edges = rest[part]
        chosen.append(edges[heaviest(row[edges], column[edges], weight[edges])])
    pairs = np.concatenate(chosen)
    pairs = pairs[np.argsort(row[pairs], kind="stable")]
    return row[pairs], column[pairs]
