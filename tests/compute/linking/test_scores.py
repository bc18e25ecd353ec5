"""The likeness of exemplars, and scores against the lists' own strangers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compute.linking import scores
from pipeline.compute.linking.cohorts import PRIOR_SPACING, closeness, levels, normalise, own_entries
from pipeline.compute.linking.scores import likeness


def units(rng: np.random.Generator, num: int) -> np.ndarray:
    vectors = rng.normal(size=(num, 5)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_likeness_of_every_cluster_and_track(clusters: list[int], tracks: list[int]) -> None:
    rng = np.random.default_rng(0)
    looks, bank = units(rng, sum(clusters)), units(rng, sum(tracks))
    starts, bank_starts = np.cumsum([0, *clusters[:-1]]), np.cumsum([0, *tracks[:-1]])
    found = likeness(looks, starts, bank, bank_starts)
    for i, (a, m) in enumerate(zip(starts, clusters, strict=True)):
        for j, (b, n) in enumerate(zip(bank_starts, tracks, strict=True)):
            nearest = (looks[a : a + m] @ bank[b : b + n].T).max(axis=1)
            assert found[i, j] == pytest.approx((nearest.max() + nearest.mean()) / 2, abs=1e-6)


def test_a_look_of_a_stranger_counts_less_than_all_of_a_subject() -> None:
    """Two looks, of which one is the track's own (cosine 1) and one is as far as can be (0): half of 1 and 1/2."""
    looks, bank = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)[:1]
    assert likeness(looks, np.array([0]), bank, np.array([0])).tolist() == [[0.75]]
    assert likeness(looks[:1], np.array([0]), bank, np.array([0])).tolist() == [[1.0]]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    looks, bank = units(rng, 30), units(rng, 20)
    starts, bank_starts = np.arange(0, 30, 3), np.arange(0, 20, 2)
    whole = likeness(looks, starts, bank, bank_starts)
    monkeypatch.setattr(scores, "BLOCK", 50)
    assert likeness(looks, starts, bank, bank_starts) == pytest.approx(whole, abs=1e-6)


def test_no_tracks() -> None:
    nothing = likeness(units(np.random.default_rng(0), 2), np.array([0, 1]), np.zeros((0, 5), np.float32), np.array([]))
    assert nothing.shape == (2, 0)


def test_closeness_of_equal_vectors_is_finite() -> None:
    assert closeness(np.array([1.0, 0.0], dtype=np.float32)) == pytest.approx([-np.log(1e-6), 0.0])


def test_level_and_spacing_by_hand() -> None:
    """Eight entries: two are skipped, (8 - 2) / 3 = 2 make the level, spacings of ranks 3 and 4 are 3 * 1 and 4 * 2."""
    found = levels(np.array([[9.0, 0.0, 8.0, 5.0, 4.0, 2.0, 1.0, 0.5]], dtype=np.float32))
    assert found.level.tolist() == [4.5]
    assert (found.spacing_sum, found.num_spacings) == (11.0, 2.0)


@pytest.mark.parametrize(
    ("widest", "own"),
    [((), 0), ((0,), 0), ((0, 3), 0), ((3,), 4), ((4, 5, 6, 7), 8), ((1, 3), 4)],
    ids=["strangers", "one track", "look-alikes", "four pieces", "up to eight pieces", "two to four"],
)
def test_pieces_end_at_the_last_wide_step_unless_the_first_is_the_widest(widest: tuple[int, ...], own: int) -> None:
    """A thousand lists of sixteen ranks; a step is five times as wide as strangers', and of the first rank, ten."""
    spacings = np.ones((1000, 16))
    spacings[:, list(widest)] = 5.0
    if 0 in widest:
        spacings[:, 0] = 10.0
    assert own_entries(spacings) == own


def test_a_subjects_pieces_are_not_its_level_of_strangers() -> None:
    """Twenty lists, each of eight equal pieces at 9 and strangers at 3 - log rank: the level is of strangers alone."""
    strangers = 3.0 - np.log(np.arange(1, 25))
    close = np.tile(np.append(np.full(8, 9.0), strangers), (20, 1)).astype(np.float32)
    assert levels(close).level == pytest.approx((6 * 9.0 + strangers[:4].sum()) / 10)
    assert levels(close, pieces=True).level == pytest.approx(strangers[:8].mean())


def test_a_score_is_half_the_row_and_half_the_column() -> None:
    """Two by two: each list's level is its second entry, and no spacing is known but the prior's."""
    close = np.array([[3.0, 1.0], [0.0, 2.0]], dtype=np.float32)
    found = normalise(close, None)
    assert found is not None
    row, column = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert found == pytest.approx((close - (row[:, None] + column[None]) / 2) / PRIOR_SPACING, rel=1e-5)


def test_nothing_to_compare_with() -> None:
    assert normalise(np.array([[2.0]], dtype=np.float32), None) is None
    known = normalise(np.array([[2.0]], dtype=np.float32), 0.5)
    assert known is not None
    assert known[0, 0] == pytest.approx(1.5 / PRIOR_SPACING, rel=1e-5)


def test_a_power_of_the_distance_changes_no_score_of_long_lists() -> None:
    """Scores are units of the strangers' own tail: squaring all distances doubles closeness and its spacings alike."""
    rng = np.random.default_rng(2)
    close = rng.exponential(size=(60, 60)).astype(np.float32)
    plain, squared = normalise(close, None), normalise(2 * close, None)
    assert plain is not None
    assert squared is not None
    assert squared == pytest.approx(plain, rel=0.02, abs=0.02)
