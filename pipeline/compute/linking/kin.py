"""Kin: several tracks, or several clusters of one date, that are pieces of one subject now and then cut.

A date clusterer that cuts too finely once in a while leaves a second track behind, and a link that was not made leaves
the earlier part of one.  The subject's next cluster fits both tracks, and would be given to neither.  Two subjects that
look alike are seen together again and again; pieces of one are seen together on the date of the cut, and its parts
never.  So what a cluster has in common with tracks that were seen together once at most is its probability to go on
with one of them, as far as no other cluster lays claim to them.

On the date of the cut two clusters fit one track.  There no time has passed that could tell them from look-alikes; how
often clusters met kin on earlier dates says how likely they are pieces.  Where subjects are cut always, and no track
is hardly ever seen beside another, :mod:`pipeline.compute.linking.pieces` finds out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compute.linking.matching import Edges
from pipeline.compute.linking.memory import Memory

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CERTAIN = 0.95
"""Chance of cuts from which clusters that fit one track, and tracks that are kin, are taken for one."""

TOGETHER = 1
"""Dates on which tracks of one subject may both have been seen: that of the cut."""

SURE = 0.97
"""Chance that tracks that were hardly seen together are of one subject, or that the right one of two was taken."""

SHARED = 0.05
"""Probability from which a track counts as one that a cluster fits."""

RARELY, NOW_AND_THEN = 0.01, 0.05
"""Share of clusters that meet kin: where subjects are hardly ever cut, and where they are now and then."""

PRIOR = 0.01
"""Chance that a collection's subjects are cut now and then, before anything was seen."""


@dataclass(frozen=True)
class Lives:
    """When the open tracks were seen.

    Attributes:
        seen: tracks x dates, whether the track has a cluster on each of the dates that keep it open, oldest first.
        young: of each track, whether it began on one of these dates but the first: ``seen`` is all there is of it, and
            others were there before.
    """

    seen: Bools
    young: Bools

    @classmethod
    def of(cls, gaps: Ints) -> "Lives":
        """Of tracks of which only is known how many dates ago (1: the last) they were seen."""
        dates = np.arange(int(gaps.max(initial=0)), 0, -1)
        return cls(gaps[:, None] == dates, np.zeros(len(gaps), dtype=bool))

    def kin(self, tracks: Ints) -> Ints:
        """The oldest of ``tracks`` and those that were hardly seen beside it."""
        first = np.where(self.young[tracks], self.seen[tracks].argmax(axis=1), -1)
        oldest = np.lexsort((-self.seen[tracks].sum(axis=1), first))[0]
        together = (self.seen[tracks] & self.seen[tracks[oldest]]).sum(axis=1)
        hardly = self.young[tracks] & (together <= TOGETHER)
        hardly[oldest] = True
        out: Ints = tracks[hardly]
        return out

    def families(self, label: Ints) -> Ints:
        """Labels of tracks parted: the oldest of a label with its kin, the oldest of the others with theirs, ..."""
        out, number = np.empty_like(label), 0
        for same in _by_label(label, np.arange(len(label))):
            left = same
            while len(left):
                kin = self.kin(left)
                out[kin] = number
                number, left = number + 1, np.setdiff1d(left, kin)
        return out

    def likeliest(self, tracks: Ints, likeness: Doubles) -> int:
        """Which of several tracks of one subject goes on: seen on most dates, then most alike, then seen last.

        Args:
            tracks: the tracks.
            likeness: of each.
        """
        seen = self.seen[tracks]
        away = seen[:, ::-1].argmax(axis=1)
        return int(np.lexsort((away, -likeness, -seen.sum(axis=1)))[0])


@dataclass(frozen=True)
class Claims:
    """Edges that stand for several.

    Attributes:
        edge: indices of edges; one may be there twice.
        probability: of each that the link is right.
        kin: clusters that fit several kin, each by its probability to continue them.
    """

    edge: Ints
    probability: Doubles
    kin: float


NONE = Claims(np.zeros(0, dtype=np.int64), np.zeros(0), 0.0)


def claims(edges: Edges, probability: Doubles, lives: Lives, cut: float) -> Claims:
    """From clusters to one of the kin that they fit, and from the likeliest of several clusters to the track they fit.

    Args:
        edges: the candidates.
        probability: of each that it is the link, each track having one cluster.
        lives: of the tracks.
        cut: how likely several clusters of one date that fit one track are pieces (:func:`chance_of_cuts`).
    """
    of_row: Doubles = np.bincount(edges.row, probability, minlength=edges.num_rows).astype(np.float64)
    of_column: Doubles = np.bincount(edges.column, probability, minlength=edges.num_columns).astype(np.float64)
    shared = np.flatnonzero(probability > SHARED)
    found, kin = list[tuple[int, float]](), 0.0
    for fitting in _several(edges.row, shared):
        tracks = lives.kin(edges.column[fitting])
        mine = fitting[np.isin(edges.column[fitting], tracks)]
        goes_on = int(mine[lives.likeliest(edges.column[mine], probability[mine])])
        own, more = _share(probability, goes_on, mine, of_column[tracks])
        found.append((goes_on, own + SURE * more))
        kin += own + more if len(mine) > 1 else 0.0
    for mine in _several(edges.column, shared):
        goes_on = int(mine[probability[mine].argmax()])
        own, more = _share(probability, goes_on, mine, of_row[edges.row[mine]])
        found.append((goes_on, own + cut * more))
    edge, value = zip(*found, strict=True) if found else ((), ())
    return Claims(np.array(edge, dtype=np.int64), np.array(value, dtype=np.float64), kin)


def chance_of_cuts(memory: Memory) -> float:
    """Probability that subjects are cut now and then: of two Poisson rates at which clusters meet kin."""
    odds = np.log(PRIOR / (1.0 - PRIOR)) + memory.kin * np.log(NOW_AND_THEN / RARELY)
    odds -= memory.kin_among * (NOW_AND_THEN - RARELY)
    return float(1.0 / (1.0 + np.exp(-np.clip(odds, -50.0, 50.0))))


def _share(probability: Doubles, one: int, several: Ints, claimed: Doubles) -> tuple[float, float]:
    """The probability of one edge, and what the others add to it but for what third parties claim."""
    own, all_of_them = float(probability[one]), float(probability[several].sum())
    third = float(claimed.sum()) - all_of_them
    return own, (all_of_them - own) * max(1.0 - third, 0.0)


def _several(label: Ints, chosen: Ints) -> Iterator[Ints]:
    """Those of ``chosen`` that have their label in common with others, label by label."""
    return (group for group in _by_label(label, chosen) if len(group) > 1)


def _by_label(label: Ints, chosen: Ints) -> Iterator[Ints]:
    order = chosen[np.argsort(label[chosen], kind="stable")]
    return (group for group in np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if len(group))
