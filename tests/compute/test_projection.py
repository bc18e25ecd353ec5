import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from pipeline.compute.projection import Moments, principal_components, project, round_components, unit_rows


def some_vectors(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, dimensions)) * np.linspace(3, 0.3, dimensions) + 1).astype(np.float32)


def moments_of(*blocks: np.ndarray) -> Moments:
    moments = Moments(blocks[0].shape[1], 1000)
    for block in blocks:
        moments.add(block)
    return moments


@given(st.lists(st.integers(0, 60), max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_the_moments_are_bit_equal_for_any_split_and_order(cuts: list[int], random: object) -> None:
    vectors = some_vectors(60, 7)
    whole = moments_of(vectors)
    order = list(range(60))
    random.shuffle(order)
    parts = moments_of(*np.split(vectors[order], sorted(cuts)))
    assert whole.count == parts.count == 60
    assert whole.first.tobytes() == parts.first.tobytes()
    assert whole.second.tobytes() == parts.second.tobytes()


def test_the_moments_are_those_of_the_unit_vectors() -> None:
    vectors = some_vectors(300, 6)
    units = unit_rows(vectors)
    moments = moments_of(vectors)
    np.testing.assert_allclose(moments.mean(), units.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(moments.covariance(), np.cov(units.T), atol=1e-6)


def test_more_rows_than_announced_are_refused() -> None:
    moments = Moments(3, 10)
    moments.add(some_vectors(10, 3))
    with pytest.raises(ValueError, match="capacity 10"):
        moments.add(some_vectors(1, 3))


def test_the_components_are_those_of_scikit_learn() -> None:
    vectors = some_vectors(500, 10)
    components, variance = principal_components(moments_of(vectors).covariance(), 4)
    peer = PCA(4, svd_solver="full").fit(unit_rows(vectors))
    np.testing.assert_allclose(variance, peer.explained_variance_, rtol=1e-4)
    np.testing.assert_allclose(np.abs(np.sum(components * peer.components_, axis=1)), 1, atol=1e-6)
    largest = np.argmax(np.abs(components), axis=1)
    assert np.all(components[np.arange(4), largest] > 0)


def test_a_row_is_bit_equal_in_any_company() -> None:
    vectors = some_vectors(9000, 24)
    moments = Moments(24, 9000)
    moments.add(vectors)
    components = round_components(principal_components(moments.covariance(), 8)[0])
    mean, scales = moments.mean().astype(np.float32), np.linspace(1, 5, 8, dtype=np.float32)
    together = project(vectors, mean, components, scales)
    order = np.random.default_rng(1).permutation(len(vectors))
    assert project(vectors[order], mean, components, scales).tobytes() == together[order].tobytes()
    for row in (0, 1, 4095, 4096, 8999):
        assert project(vectors[row : row + 1], mean, components, scales).tobytes() == together[row].tobytes()
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_projecting_is_centring_rotating_and_normalising() -> None:
    mean = np.array([0.6, 0.8, 0], dtype=np.float32)
    components = np.eye(3, dtype=np.float32)[[2, 0]]
    # (0, 3, 4) has unit vector (0, .6, .8); minus the mean (-.6, -.2, .8); coordinates 2 and 0: (.8, -.6).
    found = project(np.array([[0, 3, 4]], np.float32), mean, components, None)
    np.testing.assert_allclose(found, [[0.8, -0.6]], atol=1e-6)


def test_zero_vectors_stay_and_extremes_are_normalised() -> None:
    rows = unit_rows(np.array([[0, 0], [3e-30, 4e-30], [3e30, 4e30]]))
    np.testing.assert_allclose(rows, [[0, 0], [0.6, 0.8], [0.6, 0.8]])
