"""Precision and recall of events: births, ends, gaps, splits, merges."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from pipeline.compute.scoring.contingency import Ints

Bools = npt.NDArray[np.bool_]

IMPLIED = {"split": "birth", "merge": "end"}
"""What happens to ``subject`` besides: the piece that split off is born, the subject that merged away ends."""


@dataclass(frozen=True)
class Happening:
    """Events as columns.

    Attributes:
        kind: (events,) str.
        date: (events,) int64, index among the collection's dates.
        subject: (events,) int64 >= 0, the true subject it happened to.
        other: (events,) int64, the subject it split from or merged into; -1 where there is none.
    """

    kind: npt.NDArray[np.str_]
    date: Ints
    subject: Ints
    other: Ints

    def select(self, which: Bools) -> "Happening":
        """The events of a mask."""
        return Happening(self.kind[which], self.date[which], self.subject[which], self.other[which])


@dataclass(frozen=True)
class EventScore:
    """Counts and scores of one kind; a score over nothing is nan."""

    kind: str
    num_true: int
    num_found: int
    num_matched: int

    @property
    def precision(self) -> float:
        """Share of the found events that are true."""
        return self.num_matched / self.num_found if self.num_found else float("nan")

    @property
    def recall(self) -> float:
        """Share of the true events that were found."""
        return self.num_matched / self.num_true if self.num_true else float("nan")


def score_events(found: Happening, truth: Happening, tolerance: int = 1) -> list[EventScore]:
    """Match events of one kind, one subject and nearly one date, one to one, as many as can be.

    A found event's subject may be either party of a true split or merge.  A found birth (end) that shows the piece of
    a true split being born (the subject merged away ending) is neither right nor wrong and is left out.

    Args:
        found: events found; their ``other`` is not read.
        truth: true events; kinds that it does not have are not scored.
        tolerance: dates of the collection that the two may lie apart.

    Returns:
        One score a kind of the truth, kinds in alphabetical order.
    """
    scores = []
    for kind in np.unique(truth.kind).tolist():
        mine, true = found.select(found.kind == kind), truth.select(truth.kind == kind)
        matched = _matched(mine, true, tolerance)
        causes = [cause for cause, effect in IMPLIED.items() if effect == kind]
        implied = truth.select(np.isin(truth.kind, causes))
        implied = Happening(implied.kind, implied.date, implied.subject, np.full_like(implied.other, -1))
        excused = _matched(mine.select(~matched), implied, tolerance)
        scores.append(EventScore(kind, len(true.kind), len(mine.kind) - int(excused.sum()), int(matched.sum())))
    return scores


def _matched(found: Happening, truth: Happening, tolerance: int) -> Bools:
    """Which found events have a partner in a largest one-to-one matching: (found events,) bool."""
    matched = np.zeros(len(found.kind), bool)
    if not matched.size or not truth.kind.size:
        return matched
    partner_of = np.concatenate([np.arange(len(truth.kind))] * 2)
    subject = np.concatenate([truth.subject, truth.other])
    known = subject >= 0
    partner_of, subject = partner_of[known], subject[known]
    shifts = np.arange(-tolerance, tolerance + 1)
    width = int(max(found.date.max(), truth.date.max())) + 2 * tolerance + 1
    wanted = (subject * width + truth.date[partner_of] + tolerance)[:, None] + shifts
    keys = found.subject * width + found.date + tolerance
    order = np.argsort(keys, kind="stable")
    low, high = (np.searchsorted(keys[order], wanted.ravel(), side) for side in ("left", "right"))
    length = high - low
    offset = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    mine = order[np.repeat(low, length) + offset]
    true = np.repeat(np.repeat(partner_of, len(shifts)), length)
    edges = csr_array((np.ones(len(mine)), (mine, true)), shape=(len(found.kind), len(truth.kind)))
    partner = maximum_bipartite_matching(edges, perm_type="column")
    return np.asarray(partner >= 0)
