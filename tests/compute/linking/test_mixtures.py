"""Clusters of several subjects, parted by the tracks that their looks fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.linking.decisions import Decisions, Rules, decide
from pipeline.compute.linking.memory import Memory
from pipeline.compute.linking.mixtures import Parts
from pipeline.compute.linking.scores import Looks, grouped, starts_of

DIMENSIONS, TRACKS = 32, 12
SUBJECTS = np.random.default_rng(0).normal(size=(TRACKS, DIMENSIONS))


def shot(subject: np.ndarray, seed: int) -> np.ndarray:
    look = subject + np.random.default_rng([7, seed]).normal(0, 0.2, DIMENSIONS)
    return (look / np.linalg.norm(look)).astype(np.float32)


def date(clusters: list[list[int]]) -> Looks:
    """Clusters by the subject of each of their looks, against a track of two looks of each subject."""
    banks = [np.stack([shot(one, 100 * j), shot(one, 100 * j + 1)]) for j, one in enumerate(SUBJECTS)]
    numbered = [(100 * i + k, s) for i, some in enumerate(clusters) for k, s in enumerate(some)]
    shots = np.stack([shot(SUBJECTS[s], 9000 + number) for number, s in numbered])
    return Looks(shots, starts_of([len(some) for some in clusters]), *grouped(banks))


def linked(looks: Looks) -> tuple[Parts, Decisions, list[bool]]:
    parts = Parts.of(looks.compared()[0], looks, None)
    gaps = np.ones(TRACKS, dtype=np.int64)
    found, own = parts.whole(decide(parts.similarity(looks, looks.compared()[1]), gaps, Memory(), Rules()))
    return parts, found, own.tolist()


def test_a_cluster_of_two_subjects_goes_with_the_one_of_most_looks_and_keeps_the_others_from_its_bank() -> None:
    parts, found, own = linked(date([[0, 1, 0], *([j, j] for j in range(2, TRACKS))]))
    assert parts.cluster.tolist() == [0, 0, *range(1, TRACKS - 1)]
    assert parts.order.tolist()[:3] == [0, 2, 1]
    assert found.track.tolist() == [0, *range(2, TRACKS)]
    assert own == [True, False, True] + [True] * 2 * (TRACKS - 2)


def test_clusters_of_one_subject_are_one_part_each() -> None:
    parts, found, own = linked(date([[j, j] for j in range(TRACKS)]))
    assert parts.cluster.tolist() == found.track.tolist() == list(range(TRACKS))
    assert all(own)


def test_every_look_of_a_look_alike_fits_both_tracks_so_it_is_one_part() -> None:
    between = SUBJECTS[0] + SUBJECTS[1]
    looks = date([[j, j] for j in range(1, TRACKS)])
    looks.looks[:2] = [shot(between, 8001), shot(between, 8002)]
    assert Parts.of(looks.compared()[0], looks, None).cluster.tolist() == list(range(TRACKS - 1))


@pytest.mark.parametrize("clusters", [[[0, 1]], [[0], [1]]])
def test_a_look_of_nobody_there_is_no_part(clusters: list[list[int]]) -> None:
    looks = date([*clusters, *([j] for j in range(2, TRACKS))])
    looks.looks[0] = shot(-SUBJECTS.sum(axis=0), 8003)
    assert Parts.of(looks.compared()[0], looks, None).cluster.tolist() == list(range(len(looks.starts)))


def test_no_tracks_or_no_clusters() -> None:
    some = date([[0, 1], [2]])
    alone = Looks(some.looks, some.starts, some.bank[:0], some.bank_starts[:0])
    nobody = Looks(some.looks[:0], some.starts[:0], some.bank, some.bank_starts)
    assert Parts.of(alone.compared()[0], alone, None).cluster.tolist() == [0, 1]
    parts = Parts.of(nobody.compared()[0], nobody, None)
    found, own = parts.whole(decide(parts.similarity(nobody, nobody.compared()[1]), np.ones(TRACKS, dtype=np.int64)))
    assert len(parts.cluster) == len(found.track) == len(own) == 0


def test_a_part_that_continues_nothing_stays_with_the_one_that_does() -> None:
    numbers = np.array([0.8, 0.9, 0.5, 0.6])
    ints = np.arange(4)
    found = Decisions(np.array([3, -1, -1, -1]), numbers, numbers, numbers, ints, numbers, np.ones(4), Memory())
    parts = Parts(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3]), np.array([0, 1, 2, 3]))
    whole, own = parts.whole(found)
    assert whole.track.tolist() == [3, -1]
    assert whole.probability.tolist() == pytest.approx([0.8, 0.3])  # a birth only if both parts are: 0.5 times 0.6
    assert own.all()


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(st.permutations(range(TRACKS - 1)))
def test_order_carries_no_information(order: list[int]) -> None:
    clusters = [[0, 1, 0], *([j, j] for j in range(2, TRACKS))]
    looks = date(clusters)
    cuts = np.split(looks.looks, looks.starts[1:])
    moved = Looks(*grouped([cuts[i] for i in order]), looks.bank, looks.bank_starts)
    plain, found = linked(looks)[1], linked(moved)[1]
    assert found.track.tolist() == plain.track[order].tolist()
    assert found.probability == pytest.approx(plain.probability[order], abs=1e-6)
