import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from pipeline.compute.agglomerative import agglomerative, condensed_distances
from pipeline.compute.clustering import canonical_labels
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.task import ClusteringTask, Settings
from tests.compute.test_dendrogram import clustered, directions


def cut(vectors: np.ndarray, **settings: object) -> list[int]:
    task = ClusteringTask(vectors, *neighbor_graph(vectors, 10, Search()), Settings(**settings))
    return canonical_labels(agglomerative(task)).tolist()


# 0 and 20 degrees merge at cos 20 = .940; 80 joins them at (cos 80 + cos 60) / 2 = .337.
@pytest.mark.parametrize("dense_below", [0, 100])
@pytest.mark.parametrize(
    ("similarity", "expected"), [(0.95, [0, 1, 2]), (0.93, [0, 0, 1]), (0.34, [0, 0, 1]), (0.33, [0, 0, 0])]
)
def test_a_cut_by_hand(similarity: float, expected: list[int], dense_below: int) -> None:
    assert cut(directions(0, 20, 80), similarity=similarity, dense_below=dense_below) == expected


@pytest.mark.parametrize("dense_below", [0, 100])
@pytest.mark.parametrize(("wanted", "expected"), [(1, [0, 0, 0]), (2, [0, 0, 1]), (3, [0, 1, 2]), (9, [0, 1, 2])])
def test_as_many_clusters_as_asked(wanted: int, expected: list[int], dense_below: int) -> None:
    assert cut(directions(0, 20, 80), num_clusters=wanted, dense_below=dense_below) == expected


@pytest.mark.parametrize("dense_below", [0, 100])
def test_equal_images_share_a_cluster_at_any_similarity(dense_below: int) -> None:
    assert cut(directions(5, 90, 5, 5), similarity=1.0, dense_below=dense_below) == [0, 1, 0, 0]
    assert cut(directions(5, 5), similarity=1.0, dense_below=dense_below) == [0, 0]
    assert cut(directions(5), similarity=1.0, dense_below=dense_below) == [0]


@given(st.integers(2, 50), st.integers(0, 100), st.floats(0.1, 0.95))
@settings(max_examples=20, deadline=None)
def test_the_neighbour_graph_gives_what_all_pairs_give(count: int, seed: int, similarity: float) -> None:
    vectors = clustered(count, seed)
    assert cut(vectors, similarity=similarity, dense_below=0) == cut(vectors, similarity=similarity)


def test_condensed_distances_are_those_of_pdist() -> None:
    vectors = clustered(1500, 0)
    np.testing.assert_allclose(condensed_distances(vectors), pdist(vectors.astype(float), "cosine"), atol=1e-6)
