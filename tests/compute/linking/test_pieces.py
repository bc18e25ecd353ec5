"""Collisions, families and siblings, on scores that are small enough to be counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.linking.memory import Memory
from pipeline.compute.linking.pieces import (
    NOTHING,
    Collisions,
    Groups,
    collisions,
    families,
    group,
    share_of_pieces,
    siblings,
)


def scores(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def among_all(*rows: list[float]) -> Collisions:
    return collisions(scores(*rows), np.ones(len(rows[0]), dtype=bool))


def test_a_collision_is_two_clusters_that_prefer_one_of_the_tracks_that_fit_both() -> None:
    # the first two fit tracks 0 and 1, and both prefer 0; the third fits 1 and 2, the fourth is a stranger
    found = among_all([9, 8, 0, 0], [8, 7, 0, 0], [0, 6, 9, 0], [1, 0, 1, 1.5])
    assert found == Collisions(met=1.0, by_chance=0.5)


def test_who_prefers_another_track_does_not_collide() -> None:
    assert among_all([9, 8], [7, 8]) == Collisions(met=0.0, by_chance=0.5)


@pytest.mark.parametrize("rows", [([9, 9], [9, 8]), ([9, 8], [9, 8]), ([9, 1], [9, 8]), ([1, 1], [1, 1])])
def test_what_shows_no_preference_does_not_count(rows: tuple[list[float], ...]) -> None:
    """A tie, two clusters that are the same, one that fits one track only, strangers."""
    assert among_all(*rows) == NOTHING


@pytest.mark.parametrize(
    ("met", "by_chance", "share"),
    [
        (0.0, 0.0, 0.0),  # nothing seen: look-alikes
        (90.0, 90.0, 0.9),  # (90 + 10 * 0.6) / (90 + 10) = 0.96, of the way from 0.6 to 1
        (24.0, 30.0, 0.375),  # (24 + 6) / 40 = 0.75
        (0.0, 90.0, 0.0),
    ],
)
def test_the_share_lies_between_look_alikes_and_pieces(met: float, by_chance: float, share: float) -> None:
    assert share_of_pieces(Memory(), Collisions(met, by_chance)) == pytest.approx(share)
    assert share_of_pieces(Memory(collisions=met, by_chance=by_chance)) == pytest.approx(share)


def test_preferring_a_newer_track_does_not_collide() -> None:
    rows = scores([9, 8, 5], [8, 7, 6])
    assert collisions(rows, np.array([True, False, False])) == NOTHING
    assert collisions(rows, np.array([False, True, True])) == Collisions(met=1.0, by_chance=0.5)


def test_tracks_that_the_same_clusters_fit_are_a_family() -> None:
    rows = scores([9, 8, 0, 0], [7, 8, 0, 0], [0, 0, 9, 0], [0, 0, 0, 9])
    assert families(rows).tolist() == [0, 0, 1, 2]


def test_one_cluster_between_two_subjects_does_not_make_them_one() -> None:
    """It fits both tracks; the cluster that prefers the second fits that one alone."""
    assert families(scores([9, 8], [1, 9])).tolist() == [0, 1]


def test_clusters_that_are_left_over_join_who_got_what_they_want() -> None:
    assert siblings(scores([9, 0], [7, 0], [0, 9])).tolist() == [0, 0, 1]


def test_a_look_alike_that_gets_a_family_of_its_own_joins_nobody() -> None:
    """The second prefers the first family, too, but the other one fits it as well and is free."""
    assert siblings(scores([9, 3], [8, 7])).tolist() == [0, 1]


def test_too_far_from_who_got_it_is_no_sibling() -> None:
    assert siblings(scores([9, 0], [4, 0])).tolist() == [0, 1]


def test_the_best_of_groups() -> None:
    groups = Groups(np.array([0, 0, 1]), np.array([1, 0, 1]))
    best = groups.best(scores([1, 2, 3], [4, 5, 6], [7, 8, 9]))
    assert best.tolist() == [[5, 6], [8, 9]]


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_order_carries_no_information(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.exponential(2.0, size=(8, 6)).astype(np.float32)
    rows, columns = rng.permutation(8), rng.permutation(6)
    plain, moved = group(table), group(table[rows][:, columns])
    for one, other, order in ((plain.cluster, moved.cluster, rows), (plain.track, moved.track, columns)):
        assert len(set(zip(one[order].tolist(), other.tolist(), strict=True))) == one.max() + 1 == other.max() + 1
