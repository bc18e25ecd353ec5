"""Calibration on cases counted by hand."""

import numpy as np
import pytest

from pipeline.compute.scoring import reliability


def test_a_case_counted_by_hand():
    found = reliability(np.array([0.9, 0.9, 0.9, 0.9, 0.25]), np.array([True, True, True, False, False]))
    assert found.count.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 4, 0]  # a bin holds its upper limit
    assert found.right[8] == 0.75
    assert found.probability[8] == pytest.approx(0.9)
    assert np.isnan(found.right[0])
    assert found.error == pytest.approx((4 * 0.15 + 1 * 0.25) / 5)
    assert found.brier == pytest.approx((3 * 0.01 + 0.81 + 0.0625) / 5)


def test_limits_of_the_scale_lie_in_the_first_and_the_last_bin():
    found = reliability(np.array([0.0, 1.0]), np.array([False, True]))
    assert found.count.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert (found.error, found.brier, found.num) == (0.0, 0.0, 2)


def test_probabilities_that_are_true_have_nearly_no_error():
    random = np.random.default_rng(0)
    probability = random.random(100_000)
    assert reliability(probability, random.random(100_000) < probability).error < 0.01
    assert reliability(probability, random.random(100_000) < probability**2).error > 0.1


def test_no_decision():
    assert reliability(np.zeros(0), np.zeros(0, bool)) is None
