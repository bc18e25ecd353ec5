"""The similarity of every cluster of a date to every open track: the best pair of their exemplars."""

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
    """Groups of exemplars, at least one, as :func:`best_pairs` takes them: end to end, and where each begins."""
    return np.concatenate(groups), starts_of([len(one) for one in groups])


@dataclass(frozen=True)
class Looks:
    """Exemplars of clusters (``looks``) and of tracks (``bank``), end to end, as :func:`best_pairs` takes them."""

    looks: Floats
    starts: Ints
    bank: Floats
    bank_starts: Ints

    def similarity(self) -> Floats:
        """Clusters x tracks: cosine of the best pair."""
        return best_pairs(self.looks, self.starts, self.bank, self.bank_starts)

    def each(self, cluster: int, tracks: Ints) -> Floats:
        """Looks of one cluster x some tracks: cosine of the best pair."""
        mine = _group(self.looks, self.starts, cluster)
        theirs = grouped([_group(self.bank, self.bank_starts, j) for j in tracks.tolist()])
        return best_pairs(mine, np.arange(len(mine)), *theirs)


def best_pairs(looks: Floats, starts: Ints, bank: Floats, bank_starts: Ints) -> Floats:
    """Best cosine between an exemplar of each cluster and one of each track's bank.

    The first exemplars of all clusters are compared with the first of all banks, then with the second ones, and so on:
    the running maximum is then taken over whole matrices.

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
    columns, tracks = _by_rank(bank, bank_starts)
    step = max(1, BLOCK // len(bank_starts))
    for first in range(0, len(starts), step):
        some = starts[first : first + step]
        end = starts[first + step] if first + step < len(starts) else len(looks)
        rows, clusters = _by_rank(looks[some[0] : end], some - some[0])
        best = np.full((len(some), len(bank_starts)), -np.inf, dtype=np.float32)
        for ours in clusters:
            for theirs in tracks:
                part = best[: len(ours), : len(theirs)]
                np.maximum(part, ours @ theirs.T, out=part)
        out[np.ix_(first + rows, columns)] = best
    return out


def _by_rank(looks: Floats, starts: Ints) -> tuple[Ints, list[Floats]]:
    """Groups in order of size, the largest first, and of each rank the exemplars of the groups that have one."""
    sizes = np.diff(np.append(starts, len(looks)))
    order = np.argsort(-sizes, kind="stable")
    return order, [looks[starts[order[: np.count_nonzero(sizes > r)]] + r] for r in range(sizes.max())]


def _group(looks: Floats, starts: Ints, number: int) -> Floats:
    return looks[starts[number] : starts[number + 1] if number + 1 < len(starts) else len(looks)]
