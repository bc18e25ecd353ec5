"""One look against all tracks: the figures of a planted memory."""

import numpy as np
import pytest

from pipeline.compute.linking.memory import Memory, score_bin
from pipeline.compute.linking.search import probabilities


def learnt() -> Memory:
    """Fifty clusters of which one was a birth; links scored about 12."""
    memory = Memory(births=1.0, clusters=50.0, level_sum=0.4, levels=1.0, tail_pairs=200.0, tail_excess=100.0)
    memory.genuine[0, score_bin(np.array([12.0]))] = 50.0
    return memory


def strangers(number: int = 300) -> np.ndarray:
    return np.random.default_rng(0).normal(0.3, 0.08, number).astype(np.float32)


def test_a_track_far_ahead_of_all_others_is_it() -> None:
    similarity = strangers()
    similarity[7] = 0.97
    found = probabilities(similarity, learnt())
    assert found.argmax() == 7
    assert found[7] > 0.95
    assert found.sum() <= 1


def test_nobody_ahead_is_nobody_for_sure() -> None:
    assert probabilities(strangers(), learnt()).max() < 0.25


def test_two_that_are_equally_near_share() -> None:
    similarity = strangers()
    similarity[[3, 9]] = 0.97
    found = probabilities(similarity, learnt())
    assert found[3] == pytest.approx(found[9])
    assert 0.4 < found[3] <= 0.5


def test_nothing_to_compare_with() -> None:
    assert probabilities(np.array([0.9], np.float32), Memory()).tolist() == [0]
    assert probabilities(np.zeros(0, np.float32), learnt()).tolist() == []
