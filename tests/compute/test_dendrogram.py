import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, is_valid_linkage, linkage

from pipeline.compute import dendrogram
from pipeline.compute.dendrogram import grow_tree
from pipeline.compute.graphs import union_edges
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.projection import unit_rows
from pipeline.compute.trees import labels_of
from tests.vectors import directions


def tree_of(points: np.ndarray, k: int = 10, sizes: np.ndarray | None = None) -> np.ndarray:
    edges = union_edges(neighbor_graph(points, k, Search())[0], np.arange(len(points)))
    return grow_tree(points, np.ones(len(points), np.int64) if sizes is None else sizes, edges, Search())


def clustered(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(count // 3 + 1, 6))
    return unit_rows(centers[rng.integers(len(centers), size=count)] + 0.3 * rng.normal(size=(count, 6))).astype("f4")


def test_three_directions_by_hand() -> None:
    # 0 and 20 degrees merge at 1 - cos 20; then 80 with both at 1 - (cos 80 + cos 60) / 2.
    tree = tree_of(directions(0, 20, 80))
    np.testing.assert_array_equal(tree[:, [0, 1, 3]], [[0, 1, 2], [2, 3, 3]])
    expected = [1 - np.cos(np.radians(20)), 1 - (np.cos(np.radians(80)) + 0.5) / 2]
    np.testing.assert_allclose(tree[:, 2], expected, atol=1e-6)


def test_a_point_that_stands_for_two_weighs_twice() -> None:
    tree = tree_of(directions(0, 20, 80), sizes=np.array([2, 1, 1]))
    average = (2 * np.cos(np.radians(80)) + 0.5) / 3
    np.testing.assert_allclose(tree[1, 2], 1 - average, atol=1e-6)


@given(st.integers(3, 60), st.integers(0, 1000))
@settings(max_examples=30)
def test_all_pairs_give_the_tree_of_scipy(count: int, seed: int) -> None:
    points = clustered(count, seed)
    tree = tree_of(points)
    peer = linkage(np.maximum(1 - points.astype(float) @ points.T, 0)[np.triu_indices(count, 1)], "average")
    assert is_valid_linkage(tree)
    np.testing.assert_allclose(tree[:, 2], peer[:, 2], atol=1e-5)
    middle = (peer[len(peer) // 2, 2] + peer[len(peer) // 2 - 1, 2]) / 2
    ours, theirs = labels_of(tree, tree[:, 2] < middle), fcluster(peer, middle, "distance")
    np.testing.assert_array_equal(ours[:, None] == ours, theirs[:, None] == theirs)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_graph_gives_the_tree_of_all_pairs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points = clustered(400, seed)
    exact = tree_of(points)
    monkeypatch.setattr(dendrogram, "_ALL_PAIRS", 16)
    graph = tree_of(points)
    assert is_valid_linkage(graph)
    np.testing.assert_allclose(graph[:, 2], exact[:, 2], atol=0.02)
    assert np.mean(np.abs(graph[:, 2] - exact[:, 2]) > 1e-6) < 0.05


def test_edges_join_groups_once() -> None:
    neighbors = np.array([[1, 2], [0, -1], [0, 1], [2, 0]])
    np.testing.assert_array_equal(union_edges(neighbors, np.array([0, 0, 1, 2])), [[0, 1], [0, 2], [1, 2]])
