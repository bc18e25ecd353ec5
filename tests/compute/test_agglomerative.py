import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from pipeline.compute import dendrogram
from pipeline.compute.agglomerative import agglomerative, condensed_distances
from pipeline.compute.clustering import canonical_labels
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.projection import unit_rows
from pipeline.compute.task import ClusteringTask, Settings
from pipeline.errors import UserError
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
@settings(max_examples=20)
def test_the_neighbour_graph_gives_what_all_pairs_give(count: int, seed: int, similarity: float) -> None:
    vectors = clustered(count, seed)
    assert cut(vectors, similarity=similarity, dense_below=0) == cut(vectors, similarity=similarity)


def test_condensed_distances_are_those_of_pdist() -> None:
    vectors = clustered(1500, 0)
    np.testing.assert_allclose(condensed_distances(vectors), pdist(vectors.astype(float), "cosine"), atol=1e-6)


def partition(labels: object) -> np.ndarray:
    return np.equal.outer(labels, labels)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("sim", [0.0, 0.4, 0.6, 0.8, 1.0])
def test_imagecluster_by_hand(alpha: float, sim: float) -> None:
    """As that program does it: both distances over their largest, and sim of the largest mixed distance."""
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(30, 5)) * 7 + 3).astype(np.float32)
    hours = rng.uniform(0, 100, 30)
    content, time = pdist(vectors.astype(float)), pdist(hours[:, None])
    mixed = content / content.max() * (1 - alpha) + time / time.max() * alpha
    expected = fcluster(linkage(mixed, "average"), mixed.max() * (1 - sim), "distance")
    asked = Settings(sim=sim, sim_scale="dendrogram", metric="euclidean", mix="imagecluster", alpha=alpha)
    nothing = (np.zeros((30, 0), np.int64), np.zeros((30, 0), np.float32))
    found = agglomerative(ClusteringTask(vectors, *nothing, asked, unit=False, hours=hours))
    np.testing.assert_array_equal(partition(found), partition(expected))


@pytest.mark.parametrize("kind", ["average", "complete", "ward", "single"])
@pytest.mark.parametrize("unit", [True, False])
def test_the_graph_gives_the_linkages_of_scipy_where_it_holds_all_pairs(kind: str, unit: bool) -> None:
    vectors = clustered(60, 3) * (1 if unit else np.linspace(1, 4, 60, dtype=np.float32)[:, None])
    graph = neighbor_graph(vectors, 59, Search(unit=unit))
    for count in (2, 7, 20, 59):
        dense, sparse = (
            agglomerative(ClusteringTask(vectors, *graph, Settings(count, linkage=kind, dense_below=n), unit=unit))
            for n in (100, 0)
        )
        np.testing.assert_array_equal(partition(dense), partition(sparse))


@pytest.mark.parametrize("kind", ["complete", "ward", "single"])
def test_a_sparse_graph_finds_planted_groups(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dendrogram, "_ALL_PAIRS", 10)
    truth = np.repeat(np.arange(40), 5)
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(40, 16))
    vectors = unit_rows(centers[truth] + 0.1 * rng.normal(size=(200, 16))).astype(np.float32)
    asked = Settings(num_clusters=40, linkage=kind, dense_below=0)
    found = agglomerative(ClusteringTask(vectors, *neighbor_graph(vectors, 8, Search()), asked))
    np.testing.assert_array_equal(partition(found), partition(truth))


def test_sim_runs_from_one_cluster_to_every_image_alone() -> None:
    vectors = directions(0, 20, 80, 180)
    assert cut(vectors, sim=0.0) == [0, 0, 0, 0]
    assert cut(vectors, sim=1.0) == [0, 1, 2, 3]
    # 1 - cos 20 = .06 of 2: merged up to sim .97; by the date's largest distance, 2 too.
    for scale in ("fixed", "dendrogram"):
        assert cut(vectors, sim=0.96, sim_scale=scale) == [0, 0, 1, 2]
        assert cut(vectors, sim=0.98, sim_scale=scale) == [0, 1, 2, 3]


def test_other_metrics_and_criteria_are_those_of_scipy() -> None:
    vectors = clustered(40, 1)
    tree = linkage(pdist(vectors.astype(float), "cityblock"), "complete")
    found = cut(vectors, distance=1.5, metric="cityblock", linkage="complete")
    np.testing.assert_array_equal(partition(found), partition(fcluster(tree, 1.5, "distance")))
    found = cut(vectors, distance=0.9, metric="cityblock", linkage="complete", criterion="inconsistent")
    np.testing.assert_array_equal(partition(found), partition(fcluster(tree, 0.9, "inconsistent")))
    with pytest.raises(UserError, match="cityblock reads all pairs"):
        cut(vectors, distance=1.5, metric="cityblock", dense_below=10)
