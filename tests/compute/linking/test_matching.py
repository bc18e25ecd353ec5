"""Marginals of one-to-one matchings against all matchings written out."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.linking.matching import Edges, Matching


def dense(num_rows: int, num_columns: int) -> Edges:
    row, column = np.divmod(np.arange(num_rows * num_columns), num_columns)
    return Edges(row, column, num_rows, num_columns)


def every_matching(odds: np.ndarray) -> tuple[np.ndarray, float]:
    """Marginals and the sum of all matchings' weights, by enumeration."""
    num_rows, num_columns = odds.shape
    total, share = 0.0, np.zeros_like(odds)
    for choice in itertools.product(range(-1, num_columns), repeat=num_rows):
        taken = [(i, j) for i, j in enumerate(choice) if j >= 0]
        if len({j for _, j in taken}) < len(taken):
            continue
        weight = float(np.prod([odds[i, j] for i, j in taken]))
        total += weight
        for i, j in taken:
            share[i, j] += weight
    return share / total, total


def test_a_pair_alone_has_its_own_odds() -> None:
    (probability,), log_sum = Matching(dense(1, 1)).marginals(np.array([[3.0]]))
    assert probability[0] == pytest.approx(0.75)
    assert log_sum == pytest.approx([np.log(4.0)])


def test_a_tree_is_exact() -> None:
    """One cluster, three tracks: 1 + 2 + 3 + 4 = 10."""
    (probability,), log_sum = Matching(dense(1, 3)).marginals(np.array([[2.0, 3.0, 4.0]]))
    assert probability == pytest.approx([0.2, 0.3, 0.4])
    assert log_sum == pytest.approx([np.log(10.0)])


def test_a_swap_that_explains_as_well_halves_both() -> None:
    (probability,), _ = Matching(dense(2, 2)).marginals(np.full((1, 4), 1e9))
    assert probability == pytest.approx([0.5] * 4, abs=1e-3)


def test_odds_of_any_size_keep_their_order() -> None:
    """Nothing cancels where one weight is all of a sum."""
    (probability,), _ = Matching(dense(2, 2)).marginals(np.array([[1e15, 1e6, 1e6, 1e15]]))
    assert probability == pytest.approx([1.0, 0.0, 0.0, 1.0], abs=1e-6)


def test_no_odds_no_links() -> None:
    (probability,), log_sum = Matching(dense(2, 3)).marginals(np.zeros((1, 6)))
    assert probability.tolist() == [0.0] * 6
    assert log_sum.tolist() == [0.0]


@settings(max_examples=50)
@given(st.lists(st.floats(0.0, 50.0), min_size=9, max_size=9), st.integers(1, 3), st.integers(1, 3))
def test_near_the_truth_on_small_problems(numbers: list[float], num_rows: int, num_columns: int) -> None:
    """Loops make belief propagation too sure of the better swap, never of the worse one."""
    odds = np.array(numbers[: num_rows * num_columns]).reshape(num_rows, num_columns)
    exact, _ = every_matching(odds)
    (found,), _ = Matching(dense(num_rows, num_columns)).marginals(odds.reshape(1, -1))
    assert found == pytest.approx(exact.ravel(), abs=0.3)
    assert (found.reshape(odds.shape).sum(axis=1) <= 1 + 1e-9).all()


@pytest.mark.slow
@given(st.permutations(range(4)), st.permutations(range(3)), st.integers(0, 1000))
def test_order_carries_no_information(rows: list[int], columns: list[int], seed: int) -> None:
    odds = np.random.default_rng(seed).lognormal(0, 3, (4, 3))
    (plain,), _ = Matching(dense(4, 3)).marginals(odds.reshape(1, -1), tolerance=1e-10)
    (moved,), _ = Matching(dense(4, 3)).marginals(odds[rows][:, columns].reshape(1, -1), tolerance=1e-10)
    assert moved.reshape(4, 3) == pytest.approx(plain.reshape(4, 3)[rows][:, columns], abs=1e-6)


def test_cases_do_not_touch_each_other() -> None:
    """One that is done at once beside one that takes many rounds; and each as if it were alone."""
    rng = np.random.default_rng(0)
    odds = np.array([np.zeros(20), rng.exponential(1.0, 20), rng.exponential(1e6, 20)])
    matching = Matching(dense(4, 5))
    together, log_sum = matching.marginals(odds)
    for k in range(3):
        (one,), (alone,) = matching.marginals(odds[[k]])
        assert together[k].tolist() == one.tolist()
        assert log_sum[k] == alone


def test_any_number_of_rows_a_column() -> None:
    """Two clusters, two tracks: each cluster by itself, 1 + 1 + 2 = 4."""
    assert Matching(dense(2, 2)).alone(np.array([[1.0, 2.0, 0.0, 3.0]]))[0] == pytest.approx([0.25, 0.5, 0.0, 0.75])
