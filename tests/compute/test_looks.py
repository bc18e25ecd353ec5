"""Looks of planted tracks: which are kept, and where they change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.compute.looks import change_points, distance, kept

A, B = np.eye(8)[:2]


def units(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_distances_by_hand() -> None:
    assert distance(A, A) == 0
    assert distance(A, 3 * A) == 0
    assert distance(A, B) == pytest.approx(1)
    assert distance(A, -A) == pytest.approx(2)
    assert distance(A, A + B) == pytest.approx(1 - 1 / np.sqrt(2))
    assert distance(A, 0 * A) == 0


@settings(max_examples=30)
@given(st.integers(1, 100), st.sampled_from([2, 4, 16]))
def test_what_is_kept_depends_on_the_number_of_looks_alone(number: int, most: int) -> None:
    places = np.array([0])
    for newest in range(1, number):
        places = np.append(places, newest)
        places = places[kept(places, most)]
    every = np.arange(number)
    assert places.tolist() == every[kept(every, most)].tolist()
    assert len(places) <= most
    assert len(places) > min(number, most) / 2
    assert places[0] == 0
    assert places[-(most // 2) :].tolist() == every[-(most // 2) :].tolist()


@pytest.mark.slow  # imports ruptures
@pytest.mark.parametrize("number", range(3, 17))
def test_a_constant_track_has_no_change_point_and_a_jump_is_one_at_its_look(number: int) -> None:
    assert change_points(np.tile(A, (number, 1)), 0.1).tolist() == []
    for at in range(1, number):
        looks = np.tile(A, (number, 1))
        looks[at:] = units(np.array([A + 0.9 * B]))
        assert change_points(looks, 0.1).tolist() == [at]


@pytest.mark.slow  # imports ruptures
def test_a_jump_below_the_least_is_none() -> None:
    looks = np.tile(A, (3, 1))
    looks[2:] = units(np.array([A + 0.3 * B]))  # distance .042, which saves 4 / 3 of it
    assert change_points(looks, 0.06).tolist() == []
    assert change_points(looks, 0.02).tolist() == [2]


def test_two_looks_are_too_few() -> None:
    assert change_points(np.array([A, B]), 0.1).tolist() == []


@pytest.mark.slow  # imports ruptures
def test_shots_noise_is_no_change_and_a_jump_in_it_is() -> None:
    rng = np.random.default_rng(0)
    false = found = 0
    for _ in range(50):
        looks = units(np.eye(64)[0] + rng.normal(0, 0.05, (16, 64)))
        false += len(change_points(looks, 0.1))
        looks[9:] = units(np.eye(64)[1] + rng.normal(0, 0.05, (7, 64)))
        found += change_points(looks, 0.1).tolist() == [9]
    assert false == 0
    assert found == 50
