"""Pieces: a date clusterer that cuts too finely makes several clusters, and then several tracks, of one subject.

On one date pieces cannot be told from look-alikes; over dates they can.  Two subjects that look alike have a track
each, and each cluster prefers its own.  Pieces of one subject fit its tracks equally well, and two of them often prefer
the same one: they *collide*.  How often they do, against chance, says what a collection's competing clusters are.  Once
they are pieces rather than look-alikes, tracks that the same clusters fit are taken for one (a *family*), and clusters
that are left over beside one that fits the same family are taken for one cluster (*siblings*).
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from pipeline.compute.linking.kin import Lives
from pipeline.compute.linking.memory import Memory

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Numbers = TypeVar("Numbers", Floats, Ints)

LEAST = 2.0
"""Score that a cluster's best track must have for the cluster to count: below it everybody is a stranger."""

NEAR = 0.5
"""A track fits a cluster as well as its best one from this fraction of the best score."""

LOOK_ALIKES, PIECES = 0.6, 1.0
"""Collisions against chance: of look-alikes, who prefer their own tracks, and of pieces, who have no own."""

PRIOR = 10.0
"""Collisions by chance that the prior, look-alikes only, is worth."""

MOSTLY = 0.5
"""Share of pieces above which competing clusters are taken for pieces."""

INDIFFERENT = 0.05
"""Tail units within which two scores are one."""


@dataclass(frozen=True)
class Collisions:
    """Pairs of clusters that fit the same tracks and prefer the same one, and how many would by chance."""

    met: float
    by_chance: float


NOTHING = Collisions(0.0, 0.0)


@dataclass(frozen=True)
class Groups:
    """Clusters and tracks that are taken for one: a label each, 0 to the number of groups less one."""

    cluster: Ints
    track: Ints

    def best(self, similarity: Floats) -> Floats:
        """Groups of clusters x groups of tracks: the best similarity of their members."""
        rows = _best_of(similarity, self.cluster)
        return np.ascontiguousarray(_best_of(np.ascontiguousarray(rows.T), self.track).T)

    def newest(self, gaps: Ints) -> Ints:
        """Dates since any track of each family was seen."""
        return -_best_of(-gaps, self.track)


def fitting(scores: Floats) -> Bools:
    """Clusters x tracks: whether the track fits the cluster about as well as its best one does."""
    best = scores.max(axis=1, keepdims=True)
    out: Bools = (scores >= NEAR * best) & (best >= LEAST)
    return out


def collisions(scores: Floats, among: Bools) -> Collisions:
    """Count the collisions of a date.

    Args:
        scores: clusters x tracks, normalised.
        among: of each track, whether preferring it says something.
    """
    fits = fitting(scores) & among
    met, by_chance = 0.0, 0.0
    rows = np.flatnonzero(fits.sum(axis=1) >= 2)
    common = csr_array(fits[rows].astype(np.float32))
    pairs = (common @ common.T).tocoo()
    wanted = (pairs.row < pairs.col) & (pairs.data >= 2)
    for a, b in zip(rows[pairs.row[wanted]].tolist(), rows[pairs.col[wanted]].tolist(), strict=True):
        both = np.flatnonzero(fits[a] & fits[b])
        one, other = scores[a, both], scores[b, both]
        if _tied(one) or _tied(other) or np.abs(one - other).max() < INDIFFERENT:
            continue  # who has no preference cannot show it, and of two that are the same neither can
        met += float(one.argmax() == other.argmax())
        by_chance += 1.0 / len(both)
    return Collisions(met, by_chance)


def share_of_pieces(memory: Memory, today: Collisions = NOTHING) -> float:
    """Share of competing clusters that are pieces of one subject: where the collisions lie between the two extremes."""
    by_chance = memory.by_chance + today.by_chance + PRIOR
    ratio = (memory.collisions + today.met + PRIOR * LOOK_ALIKES) / by_chance
    return float(np.clip((ratio - LOOK_ALIKES) / (PIECES - LOOK_ALIKES), 0.0, 1.0))


def group(scores: Floats, lives: Lives | None = None) -> Groups:
    """Families of tracks and siblings among the clusters, from normalised scores (clusters x tracks).

    With ``lives`` only kin are of one family: tracks that were hardly seen together.
    """
    track = families(scores)
    if lives is not None:
        track = lives.families(track)
    of_family = np.ascontiguousarray(_best_of(np.ascontiguousarray(scores.T), track).T)
    return Groups(siblings(of_family), track)


def families(scores: Floats) -> Ints:
    """A label for each track; tracks have the same one if every cluster that prefers one of them fits the others too.

    Two families are joined while all clusters that prefer either fit both, those that most clusters fit first (one
    cluster between two subjects, a noisy look, is then not enough: the subjects' own clusters object).
    """
    labels = np.arange(scores.shape[1], dtype=np.int64)
    best = np.ascontiguousarray(scores.T)
    while True:
        merged = _joined(np.ascontiguousarray(best.T))
        if merged.max(initial=-1) + 1 == len(best):
            return labels
        labels, best = merged[labels], _best_of(best, merged)


def _joined(best: Floats) -> Ints:
    """One round of joining disjoint pairs of families; ``best``: clusters x families."""
    num = best.shape[1]
    fits = csr_array(fitting(best).astype(np.float32))
    rows = np.flatnonzero(best.max(axis=1) >= LEAST)
    prefers = csr_array((np.ones(len(rows)), (rows, best[rows].argmax(axis=1))), shape=best.shape)
    also = (prefers.T @ fits).tocoo()  # clusters that prefer the one, and fit the other
    wants = np.bincount(best[rows].argmax(axis=1), minlength=num)
    agree = also.data >= wants[also.row]
    agreed = {(int(j), int(k)) for j, k in zip(also.row[agree], also.col[agree], strict=True)}
    both = (fits.T @ fits).tocoo()
    upper = both.row < both.col
    first, second, count = both.row[upper], both.col[upper], both.data[upper]
    close = csr_array(fits * best).tocsc()
    strength: Doubles = np.asarray((close[:, first] * close[:, second]).sum(axis=0)).ravel()
    labels, taken = np.arange(num, dtype=np.int64), np.zeros(num, dtype=bool)
    for at in np.lexsort((-strength, -count)).tolist():
        j, k = int(first[at]), int(second[at])
        content = (not wants[j] or (j, k) in agreed) and (not wants[k] or (k, j) in agreed)
        if content and wants[j] + wants[k] > 0 and not (taken[j] or taken[k]):
            taken[[j, k]] = True
            labels[k] = j
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def siblings(scores: Floats) -> Ints:
    """A label for each cluster; those that the best one-to-one assignment leaves over join who got what they want.

    A cluster that the assignment gives another family that fits it as well is a subject of its own: exclusivity tells
    look-alikes apart where both are there.

    Args:
        scores: clusters x families, normalised.
    """
    num = len(scores)
    rows, columns = linear_sum_assignment(-np.maximum(scores, 0.0))
    got = np.full(num, -1.0)
    got[rows] = scores[rows, columns]
    best, wanted = scores.max(axis=1), scores.argmax(axis=1)
    served = (got >= NEAR * best) | (best < LEAST)
    holder = np.full(scores.shape[1], -1, dtype=np.int64)
    holder[columns[served[rows]]] = rows[served[rows]]
    labels = np.arange(num, dtype=np.int64)
    for i in np.flatnonzero(~served):
        j = int(wanted[i])
        if holder[j] >= 0 and scores[i, j] >= NEAR * scores[holder[j], j]:
            labels[i] = holder[j]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _best_of(rows: Numbers, labels: Ints) -> Numbers:
    """The maximum of the rows of each label."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(labels[order]) > 0))
    out: Numbers = np.maximum.reduceat(rows[order], starts, axis=0)
    return out


def _tied(scores: Floats) -> bool:
    top = np.partition(scores, -2)[-2:]
    return bool(top[1] - top[0] < INDIFFERENT)
