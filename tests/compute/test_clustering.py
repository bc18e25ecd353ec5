import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compute.clustering import NOISE, canonical_labels, describe, exemplars, noise_alone
from pipeline.compute.knn import Search
from tests.compute.test_dendrogram import directions


@given(st.lists(st.integers(-3, 8), min_size=1, max_size=30))
def test_canonical_labels_count_up_and_keep_the_partition(labels: list[int]) -> None:
    found = canonical_labels(np.array(labels))
    seen: list[int] = [label for label in dict.fromkeys(labels) if label != NOISE]
    assert found.tolist() == [NOISE if label == NOISE else seen.index(label) for label in labels]


def test_noise_becomes_clusters_of_one() -> None:
    assert noise_alone(np.array([NOISE, 0, 1, NOISE, 0])).tolist() == [0, 1, 2, 3, 1]
    assert noise_alone(np.array([NOISE, NOISE])).tolist() == [0, 1]


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
    # The image at 0: a = 1 - cos 30, b = 1 - cos 90 (nearest other center 90). At 60: a the same, b = 1 - cos 30.
    expected = [(1 - (1 - cos30)) / 1, 0, 0, 0]
    np.testing.assert_allclose(described.silhouette, expected, atol=1e-6)


def test_one_cluster_has_no_silhouette_and_no_neighbour() -> None:
    described = describe(directions(0, 10), np.array([0, 0]), Search())
    assert np.isnan(described.silhouette).all()
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
