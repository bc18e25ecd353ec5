"""Following subjects through dates of vectors, by the linker or by anything else, and scoring what came out.

It is the fold of ``pipeline.stages.link`` on arrays: the same similarities, decisions and banks, without the tables.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.compute.linking.banks import keep
from pipeline.compute.linking.decisions import Rules, decide
from pipeline.compute.linking.kin import Lives
from pipeline.compute.linking.memory import Memory
from pipeline.compute.linking.mixtures import Parts
from pipeline.compute.linking.scores import Looks, grouped, starts_of
from pipeline.compute.scoring.contingency import contingency
from pipeline.compute.scoring.matching import max_weight_matching
from pipeline.compute.scoring.reliability import Reliability, reliability
from pipeline.stages.link import LinkParams
from tests.bench.worlds import Day

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
PARAMS = LinkParams()
EXEMPLARS = 5
"""Of a cluster, as ``ClusterParams.num_exemplars``."""

RESAMPLED = 400
"""Bootstrap samples of an interval."""

STEP = 10**7
"""More subjects or tracks than any world has."""


class Seen(NamedTuple):
    """A date's clusters and the open tracks: looks, likeness (clusters x tracks), dates since, and when seen."""

    looks: Looks
    similarity: Floats
    gaps: Ints
    lives: Lives


class Linked(NamedTuple):
    """Of each cluster its track, or -1, and the probability; ``own``: the looks that may enter banks, None for all."""

    track: Ints
    probability: Doubles
    memory: Memory
    own: Bools | None = None


Linker = Callable[[Seen, Memory], Linked]

Interval = tuple[float, float]


@dataclass(frozen=True)
class Outcome:
    """What came out.

    A row a cluster: ``subject`` of most of its images; ``linked``, whether it was linked; ``shares``, whether it and
    the track's cluster before have a subject in common; ``same``, whether most of their images have; ``known``, whether
    its subject was there to link to; ``probability`` of the decision.  A row an image: its subject and its track.
    """

    subject: Ints
    linked: Bools
    shares: Bools
    same: Bools
    known: Bools
    probability: Doubles
    image_subject: Ints
    image_track: Ints

    @property
    def right(self) -> Bools:
        """True links: a cluster of two subjects continues either."""
        return self.linked & self.shares

    def false_link_rate(self) -> float:
        """Of the links written."""
        return 1.0 - _ratio(self.right, self.linked)

    def false_by_majority(self) -> float:
        """Of the links written, those that do not lead from most images' subject to the same: merged clusters count."""
        return 1.0 - _ratio(self.linked & self.same, self.linked)

    def false_links(self) -> float:
        """Of all clusters."""
        return float((self.linked & ~self.right).mean())

    def recall(self) -> float:
        """True links among the clusters whose subject was seen within reach before."""
        return _ratio(self.right, self.known)

    def f_of_links(self) -> float:
        precision, recall = 1.0 - self.false_link_rate(), self.recall()
        return 2 * precision * recall / max(precision + recall, 1e-9)

    def confident_wrong(self, least: float) -> float:
        """Of the links more probable than ``least``, those that are false."""
        sure = self.linked & (self.probability > least)
        return 1.0 - _ratio(sure & self.right, sure)

    def reliability(self) -> Reliability | None:
        """Of all decisions; a birth is right if nobody was there to link to."""
        return reliability(self.probability, np.where(self.linked, self.right, ~self.known))

    def idf1(self) -> float:
        return float(self._explained().sum()) / len(self.image_subject)

    def false_interval(self) -> Interval:
        """95 % bootstrap over subjects of the false-link rate."""
        return self._interval(self.linked & ~self.right, self.linked)

    def recall_interval(self) -> Interval:
        return self._interval(self.right, self.known)

    def idf1_interval(self) -> Interval:
        """The matching of subjects and tracks is kept."""
        subjects = np.unique(self.image_subject)
        return _bootstrap(self._explained(), np.bincount(np.searchsorted(subjects, self.image_subject)))

    def _explained(self) -> Ints:
        """Images of each subject (ascending) that lie in the track matched with it."""
        table = contingency(self.image_subject, self.image_track)
        cells = max_weight_matching(table)
        return np.bincount(table.row[cells], table.count[cells], minlength=len(table.row_size)).astype(np.int64)

    def _interval(self, some: Bools, of: Bools) -> Interval:
        code = np.unique(self.subject, return_inverse=True)[1]
        return _bootstrap(np.bincount(code, some), np.bincount(code, of))


def pooled(outcomes: Sequence[Outcome]) -> Outcome:
    """Several worlds as one; subjects and tracks of different worlds are different."""
    apart = [
        replace(
            one,
            subject=one.subject + k * STEP,
            image_subject=one.image_subject + k * STEP,
            image_track=one.image_track + k * STEP,
        )
        for k, one in enumerate(outcomes)
    ]
    return Outcome(**{name: np.concatenate([getattr(one, name) for one in apart]) for name in vars(apart[0])})


def ours(scale: Callable[[Floats], Floats] = np.asarray) -> Linker:
    """The pipeline's own; ``scale`` of similarities."""

    def link(seen: Seen, memory: Memory) -> Linked:
        parts = Parts.of(seen.looks.compared()[0], seen.looks, memory.usual_level)
        similarity = scale(parts.similarity(seen.looks, seen.similarity)).astype(np.float32)
        rules = Rules(PARAMS.false_link_rate, PARAMS.candidates)
        found, own = parts.whole(decide(similarity, seen.gaps, memory, rules, seen.lives))
        return Linked(found.track, found.probability, found.memory, own)

    return link


@dataclass
class _Track:
    number: int
    subject: int
    subjects: frozenset[int]
    date: int
    bank: Floats
    dates: Ints
    seen: list[int]


@dataclass
class Followed:
    """The columns of an outcome, cluster by cluster."""

    subject: list[int] = field(default_factory=list)
    linked: list[bool] = field(default_factory=list)
    shares: list[bool] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)
    probability: list[float] = field(default_factory=list)
    number: list[int] = field(default_factory=list)

    def outcome(self, days: Sequence[Day]) -> Outcome:
        columns = {name: np.array(values) for name, values in vars(self).items()}
        number = columns.pop("number")
        sizes = np.concatenate([np.diff(np.append(day.starts, len(day.vectors))) for day in days])
        image_subject = np.concatenate([day.image_subject for day in days])
        return Outcome(**columns, image_subject=image_subject, image_track=np.repeat(number, sizes))


def follow(days: Sequence[Day], link: Linker) -> Outcome:
    """Link date after date."""
    tracks: list[_Track] = []
    memory, number = Memory(), 0
    last_seen: dict[int, int] = {}
    followed = Followed()
    for t, day in enumerate(days):
        spans = spans_of(day)
        looks = [day.vectors[a : min(b, a + EXEMPLARS)] for a, b in spans]
        starts = starts_of([len(one) for one in looks])
        tracks = [one for one in tracks if t - one.date <= PARAMS.max_gap + 1]
        chosen, probability, memory, own = link(_seen(looks, tracks, t), memory)
        before = [(one.subject, one.subjects) for one in tracks]
        for i, j in enumerate(chosen.tolist()):
            subject = int(day.subject[i])
            subjects = frozenset(day.image_subject[slice(*spans[i])].tolist())
            if j < 0:
                number += 1
                tracks.append(_Track(number, subject, subjects, t, looks[i][:0], np.zeros(0, dtype=np.int64), []))
            mine = tracks[j] if j >= 0 else tracks[-1]
            was, were = before[j] if j >= 0 else (-1, frozenset())
            _grow(mine, t, looks[i] if own is None or j < 0 else looks[i][own[starts[i] : starts[i] + len(looks[i])]])
            # of several clusters that continue one track on one date any may be continued
            mine.subject, mine.subjects = subject, subjects | (mine.subjects if mine.date == t else frozenset())
            mine.date = t
            if mine.seen[-1:] != [t]:
                mine.seen.append(t)
            followed.subject.append(subject)
            followed.linked.append(j >= 0)
            followed.shares.append(bool(subjects & were))
            followed.same.append(was == subject)
            followed.known.append(t - last_seen.get(subject, -(10**6)) <= PARAMS.max_gap + 1)
            followed.probability.append(float(probability[i]))
            followed.number.append(mine.number)
        last_seen |= {int(s): t for s in day.subject}
    return followed.outcome(days)


def spans_of(day: Day) -> list[tuple[int, int]]:
    """Where each cluster's images begin and end."""
    return list(zip(day.starts.tolist(), [*day.starts[1:].tolist(), len(day.vectors)], strict=True))


def _grow(track: _Track, t: int, looks: Floats) -> None:
    bank = np.concatenate([track.bank, looks])
    dates = np.append(track.dates, np.full(len(looks), t))
    kept = keep(bank, t - dates, PARAMS.bank_size)
    track.bank, track.dates = bank[kept], dates[kept]


def _seen(looks: list[Floats], tracks: list[_Track], t: int) -> Seen:
    gaps = np.array([t - one.date for one in tracks], dtype=np.int64)
    every = Looks(*grouped(looks), *(grouped([one.bank for one in tracks]) if tracks else (looks[0][:0], gaps)))
    first = max(t - PARAMS.max_gap - 1, 0)
    seen = np.zeros((len(tracks), t - first), dtype=bool)
    for row, one in enumerate(tracks):
        seen[row, [date - first for date in one.seen[first - t :] if date >= first]] = True
    young = np.array([one.seen[0] > first for one in tracks], dtype=bool)
    return Seen(every, every.compared()[1], gaps, Lives(seen, young))


def _ratio(some: Bools, of: Bools) -> float:
    """1 where there is nothing to divide by: nothing was done wrong."""
    return float(some.sum() / of.sum()) if of.any() else 1.0


def _bootstrap(some: npt.NDArray[np.generic], of: npt.NDArray[np.generic]) -> Interval:
    """95 % interval of the sum of ``some`` over that of ``of``, subjects drawn with replacement."""
    pick = np.random.default_rng(0).integers(len(of), size=(RESAMPLED, len(of)))
    rates = np.asarray(some)[pick].sum(axis=1) / np.maximum(np.asarray(of)[pick].sum(axis=1), 1)
    return float(np.quantile(rates, 0.025)), float(np.quantile(rates, 0.975))
