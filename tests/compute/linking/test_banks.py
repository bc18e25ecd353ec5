"""Which looks a track keeps."""

import numpy as np

from pipeline.compute.linking.banks import keep
from tests.vectors import directions


def test_a_small_bank_keeps_all() -> None:
    assert keep(directions(0, 10), np.array([1, 0]), 4).tolist() == [0, 1]


def test_the_newest_and_the_most_distinct() -> None:
    """Of looks at 0, 80, 1, 2, 3 degrees with ages 4..0: the two newest (2 and 3), then 80, then 0."""
    ages = np.array([4, 3, 2, 1, 0])
    assert keep(directions(0, 80, 1, 2, 3), ages, 3).tolist() == [1, 3, 4]
    assert keep(directions(0, 80, 1, 2, 3), ages, 4).tolist() == [0, 1, 3, 4]


def test_one_place_is_the_newest() -> None:
    assert keep(directions(0, 90, 45), np.array([2, 1, 0]), 1).tolist() == [2]


def test_ties_go_to_the_first() -> None:
    assert keep(directions(0, 0, 0, 0), np.array([0, 0, 0, 0]), 2).tolist() == [0, 1]
