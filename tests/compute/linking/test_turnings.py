"""Splits and merges: planted ones are found, and what all of a date have in common is none."""

import numpy as np
import pytest

from pipeline.compute.linking.turnings import FEWEST, merges, splits

NUM = 6


def a_date(figure: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of six clusters that continue six tracks, and of a seventh that comes near to track 2."""
    scores = np.full((NUM + 1, NUM), 0.2, dtype=np.float32)
    scores[np.arange(NUM), np.arange(NUM)] = 8.0
    scores[0, 1] = 1.0  # the closest anybody comes to another's track
    scores[NUM, 2] = figure
    return scores, np.append(np.arange(NUM), -1)


def test_a_cluster_that_comes_nearer_to_anothers_track_than_anybody_else_split_from_it() -> None:
    scores, track = a_date(1.5)
    near, far = np.full((NUM + 1, NUM), 0.8), np.full((1, NUM + 1), 0.3)
    (found,) = splits(scores, track, near.astype(np.float32), far.astype(np.float32))
    assert (found.first, found.second) == (NUM, 2)
    assert found.probability == NUM / (NUM + 1)
    assert (found.figure, found.others) == (1.5, 1.0)


def test_a_birth_like_any_other_and_a_piece_cut_off_are_no_splits() -> None:
    similar = np.full((NUM + 1, NUM + 1), 0.9, dtype=np.float32)
    scores, track = a_date(0.9)
    assert splits(scores, track, similar[:, :NUM] * 2, similar[NUM:]) == []
    scores, track = a_date(5.0)  # near to the track, but nearer still to the cluster that continues it
    assert splits(scores, track, similar[:, :NUM] * np.float32(0.5), similar[NUM:]) == []


def a_change(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six continued tracks against themselves and one that stopped: noise, a darker date, a track that moss covers."""
    rng = np.random.default_rng(seed)
    change = rng.normal(0, 0.02, (NUM, NUM + 1)) + 0.5
    change[3] += 1.0
    change[:, 4] += 0.7
    own = np.eye(NUM, NUM + 1, dtype=bool)
    return change, own, np.append(np.ones(NUM, dtype=bool), False)


def test_a_look_that_turns_towards_a_track_that_stopped_merged_with_it() -> None:
    change, own, going_on = a_change()
    change[2, NUM] += 0.5
    (found,) = merges(change, own, going_on)
    assert (found.first, found.second) == (NUM, 2)
    assert found.figure > found.others


@pytest.mark.slow
def test_what_a_whole_row_or_column_does_is_no_merge() -> None:
    found = [merges(*a_change(seed)) for seed in range(60)]
    chance = sum(map(len, found)) / 60
    assert chance < 3 / (NUM + 1)  # by chance once in seven


def test_among_too_few_nothing_is_said() -> None:
    scores, _ = a_date(9.0)
    few = FEWEST - 1
    keep = [*range(few), NUM]
    few_scores, few_track = scores[keep][:, :few], np.append(np.arange(few), -1)
    ones = np.ones((few + 1, few + 1), dtype=np.float32)
    assert splits(few_scores, few_track, ones[:, :few], ones * 0) == []
    change, own, going_on = a_change()
    assert merges(change[:2, [0, 1, NUM]], own[:2, [0, 1, NUM]], going_on[[0, 1, NUM]]) == []
