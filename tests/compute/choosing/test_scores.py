import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.choosing.scores import (
    EXACT_ROWS,
    calinski_harabasz,
    davies_bouldin,
    inertia,
    scatter,
    silhouettes,
)
from pipeline.compute.clustering import canonical_labels

LINE = np.array([[0], [2], [10], [12], [30]], np.float32)
LABELS = np.array([0, 0, 1, 1, 2])


def silhouette(rows: np.ndarray, labels: np.ndarray, most: int = EXACT_ROWS) -> float:
    return silhouettes(rows, [labels], most=most)[0]


def test_the_scores_by_hand() -> None:
    found = scatter(LINE, LABELS)
    np.testing.assert_array_equal(found.centers[:, 0], [1, 11, 30])
    assert inertia(found) == 1 + 1 + 1 + 1
    # Mean 10.8: between = 2 * 9.8² + 2 * 0.2² + 19.2²; 3 clusters, 5 rows.
    np.testing.assert_allclose(calinski_harabasz(found), (2 * 9.8**2 + 2 * 0.2**2 + 19.2**2) / 4 * 2 / 2)
    # Extents 1, 1, 0; distances 10, 19, 29: worst 0.2, 0.2, 1 / 19.
    np.testing.assert_allclose(davies_bouldin(LINE, LABELS, found), (0.2 + 0.2 + 1 / 19) / 3)
    # a = 2 each; b = 11, 9, 9, 11; the row alone counts 0.
    np.testing.assert_allclose(silhouette(LINE, LABELS), (9 / 11 + 7 / 9 + 7 / 9 + 9 / 11 + 0) / 5)


@pytest.mark.parametrize("labels", [[0] * 5, [0, 1, 2, 3, 4]], ids=["one cluster", "every row alone"])
def test_where_there_is_nothing_to_compare(labels: list[int]) -> None:
    found = scatter(LINE, np.array(labels))
    assert np.isnan(calinski_harabasz(found))
    assert np.isnan(davies_bouldin(LINE, np.array(labels), found))
    value = silhouette(LINE, np.array(labels))
    assert np.isnan(value) if max(labels) == 0 else value == 0.0


def test_points_on_top_of_each_other_are_finite() -> None:
    same = np.zeros((4, 3), np.float32)
    labels = np.array([0, 0, 1, 1])
    assert silhouette(same, labels) == 0.0
    assert davies_bouldin(same, labels, scatter(same, labels)) == 0.0


@settings(max_examples=20)
@given(st.integers(0, 99), st.integers(4, 40))
def test_neither_order_nor_names_matter(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    rows, labels = rng.normal(size=(size, 3)).astype(np.float32), np.arange(size) % 3
    order, names = rng.permutation(size), rng.permutation(3)
    for one, other in ((labels, names[labels][order]),):
        there = scatter(rows, one), scatter(rows[order], other)
        np.testing.assert_allclose(calinski_harabasz(there[1]), calinski_harabasz(there[0]))
        np.testing.assert_allclose(silhouette(rows[order], other), silhouette(rows, one))
        np.testing.assert_allclose(davies_bouldin(rows[order], other, there[1]), davies_bouldin(rows, one, there[0]))


def test_a_sample_of_the_rows_estimates_the_silhouette() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 3
    rows = (rng.normal(size=(600, 2)) + 4 * labels[:, None]).astype(np.float32)
    assert abs(silhouette(rows, labels, most=100) - silhouette(rows, labels)) < 0.05


@pytest.mark.slow
def test_scikit_learn_has_the_same_figures() -> None:
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

    rng = np.random.default_rng(1)
    rows = rng.normal(size=(700, 5)).astype(np.float32)
    labels = rng.integers(300, size=700)
    labels = canonical_labels(labels)
    found = scatter(rows, labels)
    np.testing.assert_allclose(calinski_harabasz(found), calinski_harabasz_score(rows, labels), rtol=1e-5)
    np.testing.assert_allclose(davies_bouldin(rows, labels, found), davies_bouldin_score(rows, labels), rtol=1e-5)
    np.testing.assert_allclose(silhouette(rows, labels), silhouette_score(rows, labels), rtol=1e-4)


def test_silhouettes_of_several_clusterings_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(700, 5)).astype(np.float32)
    every = [rng.permutation(np.arange(700) % count) for count in (2, 30, 700)]
    found = silhouettes(rows, [np.zeros(700, dtype=np.int64), *every])
    assert np.isnan(found[0])
    expected = [silhouette(rows, labels) for labels in every[:2]]
    np.testing.assert_allclose(found[1:], [*expected, 0.0], rtol=1e-4)
