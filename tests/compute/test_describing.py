import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.clustering import canonical_labels
from pipeline.compute.describing import describe, exemplars, medoids, silhouettes
from pipeline.compute.knn import Search
from tests.compute.test_dendrogram import directions


def test_the_description_by_hand() -> None:
    # Clusters {0, 60}, {180} and {0 again}... centers at 30, 180 and 90 degrees.
    described = describe(directions(0, 60, 180, 90), np.array([0, 0, 1, 2]), Search())
    cos30, cos60 = np.sqrt(0.75), 0.5
    np.testing.assert_allclose(described.centers, directions(30, 180, 90), atol=1e-6)
    np.testing.assert_array_equal(described.sizes, [2, 1, 1])
    np.testing.assert_allclose(described.to_center, [cos30, cos30, 1, 1], atol=1e-6)
    np.testing.assert_allclose(described.cohesion, [cos30, 1, 1], atol=1e-6)
    np.testing.assert_array_equal(described.nearest, [2, 2, 0])
    np.testing.assert_allclose(described.nearest_similarity, [cos60, 0, cos60], atol=1e-6)


def test_one_cluster_has_no_silhouette_and_no_neighbour() -> None:
    described = describe(directions(0, 10), np.array([0, 0]), Search())
    assert np.isnan(silhouettes(directions(0, 10), np.array([0, 0]), Search())).all()
    np.testing.assert_array_equal(described.nearest, [-1])


def test_members_that_cancel_have_a_zero_center() -> None:
    described = describe(np.array([[1, 0], [-1, 0]], np.float32), np.array([0, 0]), Search())
    np.testing.assert_array_equal(described.centers, [[0, 0]])
    np.testing.assert_array_equal(described.to_center, [0, 0])


def test_exemplars_are_the_medoid_then_the_farthest() -> None:
    vectors = directions(0, 10, 12, 40, 12, 200)
    labels = np.array([0, 0, 0, 0, 0, 1])
    to_center = describe(vectors, labels, Search()).to_center
    # The center is near 14.7 degrees: rows 2 and 4 are nearest (2 by number); then 40 degrees, then 0, then 10.
    assert [rows.tolist() for rows in exemplars(vectors, labels, to_center, 3)] == [[2, 3, 0], [5]]
    # Row 4 equals row 2 and is never chosen.
    assert exemplars(vectors, labels, to_center, 9)[0].tolist() == [2, 3, 0, 1]


def test_silhouettes_by_hand() -> None:
    # At 0: a = 1 - cos 60 = .5, b = 1 - cos 90 = 1. At 60: a = .5, b = 1 - cos 30. The others are alone.
    found = silhouettes(directions(0, 60, 180, 90), np.array([0, 0, 1, 2]), Search())
    b = 1 - np.sqrt(0.75)
    np.testing.assert_allclose(found, [0.5, (b - 0.5) / 0.5, 0, 0], atol=1e-6)


@given(st.integers(3, 40), st.integers(0, 999), st.booleans())
@settings(max_examples=25)
def test_silhouettes_are_those_of_all_pairs(count: int, seed: int, unit: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 3)).astype(np.float32)
    if unit:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = canonical_labels(rng.integers(4, size=count))
    distance = ((vectors[:, None].astype(float) - vectors) ** 2).sum(axis=2) / 2
    expected = []
    for i, own in enumerate(labels):
        if len(set(labels)) == 1 or (labels == own).sum() == 1:
            expected.append(np.nan if len(set(labels)) == 1 else 0)
            continue
        a = distance[i][labels == own].sum() / ((labels == own).sum() - 1)
        b = min(distance[i][labels == other].mean() for other in set(labels) - {own})
        expected.append((b - a) / max(a, b))
    np.testing.assert_allclose(silhouettes(vectors, labels, Search(unit=unit)), expected, atol=1e-4)


@pytest.mark.parametrize(("degrees", "medoid"), [((0, 10, 12, 14, 80), 2), ((0, 0, 90), 0), ((5,), 0)])
def test_a_medoid_by_hand(degrees: tuple[float, ...], medoid: int) -> None:
    # Of 0, 10, 12, 14 and 80 degrees the center lies near 23: nearest to it is 14, in the middle is 12.
    vectors = directions(*degrees)
    labels = np.zeros(len(vectors), np.int64)
    assert medoids(vectors, labels, describe(vectors, labels, Search()).to_center).tolist() == [medoid]
