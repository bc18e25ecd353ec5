"""The similarity of every cluster of a date to every open track: the best pair of their exemplars."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

BLOCK = 1 << 24
"""Similarities held at once while the best pairs are taken: 64 MB of float32."""


def best_pairs(looks: Floats, starts: Ints, bank: Floats, bank_starts: Ints) -> Floats:
    """Best cosine between an exemplar of each cluster and one of each track's bank.

    Args:
        looks: exemplars x dimensions, unit length, grouped by cluster.
        starts: where each cluster's exemplars begin in ``looks``, ascending, no empty group.
        bank: exemplars x dimensions, unit length, grouped by track.
        bank_starts: where each track's exemplars begin in ``bank``.

    Returns:
        clusters x tracks, float32.
    """
    out = np.empty((len(starts), len(bank_starts)), dtype=np.float32)
    if not out.size:
        return out
    ends = np.append(starts[1:], len(looks))
    most = max(1, BLOCK // len(bank))
    first = 0
    while first < len(starts):
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + most, side="right")))
        block = looks[starts[first] : ends[last - 1]] @ bank.T
        by_track = np.maximum.reduceat(block, bank_starts, axis=1)
        out[first:last] = np.maximum.reduceat(by_track, starts[first:last] - starts[first], axis=0)
        first = last
    return out
