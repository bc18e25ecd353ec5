"""The similarity of every cluster of a date to every open track: the best pair of their exemplars, and all of them.

A subject that turns is told by its best pair, whatever its other looks are; but one look of a stranger that was put
into a cluster by mistake is a best pair too.  So half of it is the best pair and half the mean of each look's nearest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

BLOCK = 1 << 22
"""Similarities of one pair of ranks held at once: 16 MB of float32."""


def starts_of(sizes: Sequence[int]) -> Ints:
    """Where each group begins, from the groups' sizes."""
    counts = np.asarray(sizes, dtype=np.int64)
    return np.cumsum(counts) - counts


def grouped(groups: Sequence[Floats]) -> tuple[Floats, Ints]:
    """Groups of exemplars, at least one, as :func:`likeness` takes them: end to end, and where each begins."""
    return np.concatenate(groups), starts_of([len(one) for one in groups])


@dataclass(frozen=True)
class Looks:
    """Exemplars of clusters (``looks``) and of tracks (``bank``), end to end, as :func:`likeness` takes them."""

    looks: Floats
    starts: Ints
    bank: Floats
    bank_starts: Ints

    def compared(self) -> tuple[Floats, Floats]:
        """Clusters x tracks: cosine of the best pair, and :func:`likeness`."""
        best, mean = compared(self.looks, self.starts, self.bank, self.bank_starts)
        return best, np.float32(0.5) * (best + mean)

    def each(self, cluster: int, tracks: Ints) -> Floats:
        """Looks of one cluster x some tracks: cosine to the nearest exemplar."""
        mine = _group(self.looks, self.starts, cluster)
        theirs = grouped([_group(self.bank, self.bank_starts, j) for j in tracks.tolist()])
        return likeness(mine, np.arange(len(mine)), *theirs)


def likeness(looks: Floats, starts: Ints, bank: Floats, bank_starts: Ints) -> Floats:
    """Half the best cosine of :func:`compared`, half the mean: clusters x tracks, float32."""
    best, mean = compared(looks, starts, bank, bank_starts)
    return np.float32(0.5) * (best + mean)


def compared(looks: Floats, starts: Ints, bank: Floats, bank_starts: Ints) -> tuple[Floats, Floats]:
    """Cosines of a cluster's exemplars to the nearest of each track's bank: the best, and their mean.

    The first exemplars of all clusters are compared with the first of all banks, then with the second ones, and so on:
    the running maximum is then taken over whole matrices.

    Args:
        looks: exemplars x dimensions, unit length, grouped by cluster.
        starts: where each cluster's exemplars begin in ``looks``, ascending, no empty group.
        bank: exemplars x dimensions, unit length, grouped by track.
        bank_starts: where each track's exemplars begin in ``bank``.

    Returns:
        Two of clusters x tracks, float32.
    """
    all_best, all_mean = np.empty((2, len(starts), len(bank_starts)), dtype=np.float32)
    if not all_best.size:
        return all_best, all_mean
    sizes = np.diff(np.append(starts, len(looks))).astype(np.float32)
    columns, tracks = _by_rank(bank, bank_starts)
    step = max(1, BLOCK // len(bank_starts))
    for first in range(0, len(starts), step):
        some = starts[first : first + step]
        end = starts[first + step] if first + step < len(starts) else len(looks)
        rows, clusters = _by_rank(looks[some[0] : end], some - some[0])
        best = np.full((len(some), len(bank_starts)), -np.inf, dtype=np.float32)
        total = np.zeros_like(best)
        for ours in clusters:
            near = np.full((len(ours), len(bank_starts)), -np.inf, dtype=np.float32)
            for theirs in tracks:
                part = near[:, : len(theirs)]
                np.maximum(part, ours @ theirs.T, out=part)
            np.maximum(best[: len(ours)], near, out=best[: len(ours)])
            total[: len(ours)] += near
        place = np.ix_(first + rows, columns)
        all_best[place], all_mean[place] = best, total / sizes[first + rows][:, None]
    return all_best, all_mean


def _by_rank(looks: Floats, starts: Ints) -> tuple[Ints, list[Floats]]:
    """Groups in order of size, the largest first, and of each rank the exemplars of the groups that have one."""
    sizes = np.diff(np.append(starts, len(looks)))
    order = np.argsort(-sizes, kind="stable")
    return order, [looks[starts[order[: np.count_nonzero(sizes > r)]] + r] for r in range(sizes.max())]


def _group(looks: Floats, starts: Ints, number: int) -> Floats:
    return looks[starts[number] : starts[number + 1] if number + 1 < len(starts) else len(looks)]
