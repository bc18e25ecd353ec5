import numpy as np
import pytest

from pipeline.compute.clustering import canonical_labels, cluster_rows
from pipeline.compute.communities import affinity_graph, mean_similarities
from pipeline.compute.graphs import mutual_edges
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.projection import unit_rows
from pipeline.compute.task import ClusteringTask, Settings
from pipeline.compute.trees import tree_of_forest
from tests.bench.dates import planted
from tests.compute.test_dendrogram import directions


def found(method: str, vectors: np.ndarray, k: int = 3, **settings: object) -> list[int]:
    return cluster_rows(
        method, ClusteringTask(vectors, *neighbor_graph(vectors, k, Search()), Settings(**settings))
    ).tolist()


def test_mutual_edges_by_hand() -> None:
    neighbors = np.array([[1, 2], [0, -1], [1, 0], [4, 0], [3, -1]])
    similarities = np.array([[0.9, 0.8], [0.9, 0], [0.7, 0.8], [1.0, 0.1], [1.0, 0]], np.float32)
    pairs, weight = mutual_edges(neighbors, similarities, np.array([0, 1, 2, 3, 3]))
    np.testing.assert_array_equal(pairs, [[0, 1], [0, 2]])
    np.testing.assert_allclose(weight, [0.9, 0.8])
    assert len(mutual_edges(neighbors, similarities, np.zeros(5, np.int64))[0]) == 0


@pytest.mark.parametrize("method", ["components", "chinese_whispers"])
def test_two_groups_and_one_alone(method: str) -> None:
    assert found(method, directions(0, 3, 40, 43, 6, 120), similarity=0.9) == [0, 0, 1, 1, 0, 2]


def test_a_chain_is_cut_where_it_is_weakest() -> None:
    # Steps of 20 degrees but one of 24: cos 29 joins them all; three in a row are on average as alike, six are not.
    chain = directions(0, 20, 40, 64, 84, 104)
    assert found("components", chain, similarity=float(np.cos(np.radians(29)))) == [0, 0, 0, 1, 1, 1]
    close = directions(0, 2, 4, 6, 8, 10)
    assert found("components", close, similarity=float(np.cos(np.radians(29)))) == [0] * 6


def test_affinities_fall_with_the_distance_in_multiples_of_the_nearest_ones() -> None:
    """At angles so small that distances are angles: 0, 10 and 30 degrees have their nearest at 10, 10 and 20."""
    vectors = directions(0, 10, 30)
    graph = neighbor_graph(vectors, 2, Search())
    _, edges, weights = affinity_graph(ClusteringTask(vectors, *graph, Settings()))
    np.testing.assert_array_equal(edges, [[0, 1], [0, 2], [1, 2]])
    np.testing.assert_allclose(weights, np.exp([-1, -9 / 2, -2]), rtol=0.1)
    least = float(np.cos(np.radians(25)))
    edges = affinity_graph(ClusteringTask(vectors, *graph, Settings(similarity=least)))[1]
    np.testing.assert_array_equal(edges, [[0, 1], [1, 2]])


@pytest.mark.slow  # leidenalg takes seconds to import
def test_leiden_finds_subjects_where_all_images_are_alike() -> None:
    """Two shots a subject at .95 or so and all others at .85: shares of similarity hardly differ."""
    vectors, truth = planted([2] * 11, scatter=0.1, seed=0)
    alike = unit_rows(np.concatenate([vectors, np.full((len(vectors), 1), 2.4)], axis=1)).astype(np.float32)
    labels = np.array(found("leiden", alike, k=30, resolution=4.0))
    assert (alike @ alike.T).min() > 0.75
    np.testing.assert_array_equal(labels, canonical_labels(truth))


def test_mean_similarities_are_of_all_pairs_below() -> None:
    points = directions(0, 60, 90)
    tree = tree_of_forest(3, np.array([[0, 1], [1, 2]]), np.array([0.5, 0.2]))
    expected = [np.cos(np.radians(30)), (np.cos(np.radians(30)) + 0.5 + 0) / 3]
    np.testing.assert_allclose(mean_similarities(tree, points), expected, atol=1e-6)
