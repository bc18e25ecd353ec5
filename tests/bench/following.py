"""Following subjects through dates of vectors, by the linker or by anything else, and scoring what came out.

It is the fold of ``pipeline.stages.link`` on arrays: the same similarities, decisions and banks, without the tables.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from pipeline.compute.linking.banks import keep
from pipeline.compute.linking.decisions import Rules, decide
from pipeline.compute.linking.memory import Memory
from pipeline.compute.linking.scores import best_pairs
from pipeline.compute.scoring.contingency import contingency
from pipeline.compute.scoring.partitions import partition_scores
from pipeline.stages.link import LinkParams
from tests.bench.worlds import Day

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
PARAMS = LinkParams()
EXEMPLARS = 5
"""Of a cluster, as ``ClusterParams.num_exemplars``."""

Linker = Callable[[Floats, Ints, Memory], tuple[Ints, Doubles, Memory]]
"""similarity, gaps, memory -> track of each cluster or -1, probability of the decision, memory."""


@dataclass(frozen=True)
class Outcome:
    """One row a cluster: who it is, whom it was linked to (-1: a birth), and whether there was somebody to link to."""

    subject: Ints
    linked: Ints
    probability: Doubles
    known: npt.NDArray[np.bool_]
    image_subject: Ints
    image_track: Ints

    def idf1(self) -> float:
        return partition_scores(contingency(self.image_subject, self.image_track))["idf1"]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Links that are true."""
        return (self.linked >= 0) & (self.linked == self.subject)

    def false_link_rate(self) -> float:
        """Of the links written."""
        return float(1.0 - self.right.sum() / max((self.linked >= 0).sum(), 1))

    def false_links(self) -> float:
        """Of all clusters."""
        return float(((self.linked >= 0) & ~self.right).mean())

    def recall(self) -> float:
        """True links among the clusters whose subject was seen within reach before."""
        return float(self.right.sum() / max(self.known.sum(), 1))

    def calibration_error(self) -> float:
        """Expected calibration error over ten bins of the decisions' probabilities; a birth is right if nobody was."""
        truth = np.where(self.linked >= 0, self.right, ~self.known)
        place = np.minimum((self.probability * 10).astype(int), 9)
        gaps = [abs(float((self.probability - truth)[place == k].sum())) for k in range(10)]
        return sum(gaps) / max(len(truth), 1)


@dataclass
class _Track:
    number: int
    subject: int
    date: int
    bank: Floats
    dates: Ints


def ours(false_link_rate: float = PARAMS.false_link_rate) -> Linker:
    def link(similarity: Floats, gaps: Ints, memory: Memory) -> tuple[Ints, Doubles, Memory]:
        found = decide(similarity, gaps, memory, Rules(false_link_rate, PARAMS.candidates))
        return found.track, found.probability, found.memory

    return link


def threshold(least: float) -> Linker:
    """One-to-one by similarity, nothing below ``least``."""

    def link(similarity: Floats, _: Ints, memory: Memory) -> tuple[Ints, Doubles, Memory]:
        track = np.full(len(similarity), -1, dtype=np.int64)
        if similarity.size:
            rows, columns = linear_sum_assignment(-np.maximum(similarity - least, 0.0))
            good = similarity[rows, columns] > least
            track[rows[good]] = columns[good]
        return track, np.ones(len(track)), memory

    return link


def nearest(similarity: Floats, gaps: Ints, memory: Memory) -> tuple[Ints, Doubles, Memory]:
    """Every cluster takes the nearest cluster of the date before; the first by similarity where two want one."""
    masked = np.where(gaps[None] == 1, similarity, -2.0)
    track = np.full(len(similarity), -1, dtype=np.int64)
    if masked.size:
        best = masked.argmax(axis=1)
        for i in np.argsort(-masked.max(axis=1), kind="stable"):
            if masked[i, best[i]] > -2 and best[i] not in track:
                track[i] = best[i]
    return track, np.ones(len(track)), memory


def follow(days: Sequence[Day], link: Linker) -> Outcome:
    """Link date after date."""
    tracks: list[_Track] = []
    memory, number = Memory(), 0
    last_seen: dict[int, int] = {}
    columns: tuple[list[int], list[int], list[float], list[bool], list[int]] = ([], [], [], [], [])
    for t, day in enumerate(days):
        looks = [day.vectors[a : min(b, a + EXEMPLARS)] for a, b in _spans(day)]
        tracks = [one for one in tracks if t - one.date <= PARAMS.max_gap + 1]
        gaps = np.array([t - one.date for one in tracks], dtype=np.int64)
        similarity = _similarity(looks, [one.bank for one in tracks])
        chosen, probability, memory = link(similarity, gaps, memory)
        born: list[_Track] = []
        for i, j in enumerate(chosen.tolist()):
            subject = int(day.subject[i])
            known = t - last_seen.get(subject, -(10**6)) <= PARAMS.max_gap + 1
            linked = tracks[j].subject if j >= 0 else -1
            number += j < 0
            mine = tracks[j] if j >= 0 else _Track(number, subject, t, looks[i][:0], np.zeros(0, dtype=np.int64))
            born += [mine] if j < 0 else []
            _grow(mine, subject, t, looks[i])
            for column, value in zip(
                columns, (subject, linked, float(probability[i]), known, mine.number), strict=True
            ):
                column.append(value)
        tracks += born
        last_seen |= {int(s): t for s in day.subject}
    sizes = np.concatenate([[b - a for a, b in _spans(day)] for day in days]).astype(np.int64)
    subject, linked_to, belief, reachable, label = (np.array(column) for column in columns)
    image_subject = np.concatenate([day.image_subject for day in days])
    return Outcome(subject, linked_to, belief, reachable, image_subject, np.repeat(label, sizes))


def pooled(outcomes: Sequence[Outcome]) -> Outcome:
    """Several worlds as one; subjects and tracks of different worlds are different."""
    step = 10**7
    parts = []
    for k, one in enumerate(outcomes):
        linked = np.where(one.linked >= 0, one.linked + k * step, -1)
        parts.append((one.subject + k * step, linked, one.image_subject + k * step, one.image_track + k * step))
    subject, linked_to, image_subject, image_track = (np.concatenate(column) for column in zip(*parts, strict=True))
    probability = np.concatenate([one.probability for one in outcomes])
    known = np.concatenate([one.known for one in outcomes])
    return Outcome(subject, linked_to, probability, known, image_subject, image_track)


def _grow(track: _Track, subject: int, t: int, looks: Floats) -> None:
    bank = np.concatenate([track.bank, looks])
    dates = np.append(track.dates, np.full(len(looks), t))
    kept = keep(bank, t - dates, PARAMS.bank_size)
    track.bank, track.dates, track.subject, track.date = bank[kept], dates[kept], subject, t


def _spans(day: Day) -> list[tuple[int, int]]:
    return list(zip(day.starts.tolist(), [*day.starts[1:].tolist(), len(day.vectors)], strict=True))


def _similarity(looks: list[Floats], banks: list[Floats]) -> Floats:
    if not banks or not looks:
        return np.zeros((len(looks), len(banks)), dtype=np.float32)
    starts, bank_starts = (np.cumsum([0, *map(len, groups[:-1])]) for groups in (looks, banks))
    return best_pairs(np.concatenate(looks), starts, np.concatenate(banks), bank_starts)
