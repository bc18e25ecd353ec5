import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from pipeline.compute.choosing.resampling import Clusterer, reference_rows, stability
from pipeline.compute.choosing.rules import Limits, by_gap, weighted_rank
from pipeline.compute.choosing.trials import Trials, try_settings

COUNTS = [2, 3, 4, 5, 6, 8]
BLOBS = 4
NO_LIMITS = Limits()


def blobs(spread: float = 0.15, each: int = 8) -> np.ndarray:
    """Rows of BLOBS clouds at the corners of a square."""
    corners = np.array([[0, 0], [0, 3], [3, 0], [3, 3]])
    rows = np.repeat(corners, each, axis=0) + spread * np.random.default_rng(0).normal(size=(BLOBS * each, 2))
    return rows.astype(np.float32)


def average(counts: list[int]) -> Clusterer:
    """A tree once for the rows, cut by each setting."""

    def cluster(vectors: np.ndarray) -> object:
        tree = linkage(vectors, "average")
        return lambda number: fcluster(tree, counts[number], "maxclust").astype(np.int64) - 1

    return cluster


def tried(vectors: np.ndarray, *rules: str, limits: Limits = NO_LIMITS) -> Trials:
    return try_settings(vectors, len(COUNTS), average(COUNTS), dict.fromkeys(rules, 1.0), limits)


@pytest.mark.parametrize("rule", ["silhouette", "calinski_harabasz", "davies_bouldin", "gap", "stability"])
def test_every_rule_finds_the_planted_number(rule: str) -> None:
    assert COUNTS[tried(blobs(), rule).chosen] == BLOBS


@pytest.mark.slow  # kneed imports matplotlib
def test_the_elbow_finds_it_too() -> None:
    assert COUNTS[tried(blobs(), "elbow").chosen] == BLOBS
    assert COUNTS[tried(blobs(), "elbow", "silhouette", "stability").chosen] == BLOBS


def test_silhouette_alone_takes_one_giant_cluster_and_a_limit_prevents_it() -> None:
    """Two tight clouds of different subjects, close together, and one image far away from both."""
    rows = np.concatenate([blobs(spread=0.4), [[60.0, 60.0]]]).astype(np.float32)
    alone = tried(rows, "silhouette")
    assert np.bincount(alone.labels[alone.chosen]).tolist() == [1, len(rows) - 1] or (
        alone.measures["largest_fraction"][alone.chosen] > 0.9
    )
    limited = tried(rows, "silhouette", limits=Limits(max_cluster_fraction=0.5))
    assert COUNTS[limited.chosen] == BLOBS + 1
    assert limited.refusals[COUNTS.index(2)] == "a cluster above max_cluster_fraction"
    assert COUNTS[tried(rows, "silhouette", limits=Limits(min_clusters=5)).chosen] == BLOBS + 1


def test_noise_counts_as_clusters_of_one_and_is_limited() -> None:
    """Two pairs far apart and nothing else would have the best silhouette, if what is left out did not count."""
    rows = blobs()
    all_but_two = np.repeat(np.arange(BLOBS), 8)
    mostly_noise = np.where(np.arange(len(rows)) < 4, np.arange(len(rows)) // 2, -1)
    cuts = [all_but_two, mostly_noise]
    found = try_settings(rows, 2, lambda _: cuts.__getitem__, {"silhouette": 1.0}, Limits(max_noise_fraction=0.5))
    assert found.measures["noise_fraction"].tolist() == [0.0, 28 / 32]
    assert found.measures["num_clusters"].tolist() == [BLOBS, 2 + 28]
    assert found.measures["silhouette"][1] < 4 / 32
    free = try_settings(rows, 2, lambda _: cuts.__getitem__, {"silhouette": 1.0}, NO_LIMITS)
    assert free.chosen == 0
    assert found.refusals == [None, "more noise than max_noise_fraction"]
    assert found.chosen == 0


def test_limits_that_nothing_keeps_are_set_aside() -> None:
    found = tried(blobs(), "silhouette", limits=Limits(min_clusters=100))
    assert COUNTS[found.chosen] == BLOBS
    assert all(found.refusals)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("same", [True, False])
def test_small_dates(size: int, same: bool) -> None:
    rows = np.zeros((size, 2), np.float32) if same else blobs()[:size]
    cuts = [np.zeros(size, np.int64), np.arange(size)]
    weights = dict.fromkeys(("silhouette", "gap", "stability", "davies_bouldin"), 1.0)
    found = try_settings(rows, 2, lambda _: cuts.__getitem__, weights, Limits())
    assert found.chosen in (0, 1)
    assert not np.isnan(found.ranks).any()


def test_the_gap_by_tibshiranis_rule() -> None:
    measures = {
        "num_clusters": np.array([4, 1, 2, 3]),
        "gap": np.array([0.9, 0.1, 0.5, 0.52]),
        "gap_error": np.array([0.0, 0.0, 0.0, 0.05]),
    }
    # 1: 0.1 < 0.5; 2: 0.5 >= 0.52 - 0.05, the smallest; 4 has the largest gap and comes second.
    assert np.argsort(-by_gap(measures)).tolist() == [2, 0, 3, 1]


def test_a_cloud_without_clusters_is_one_cluster_by_its_gaps() -> None:
    rows = np.random.default_rng(3).uniform(size=(60, 2)).astype(np.float32)
    found = try_settings(rows, 7, average([1, *COUNTS]), {"gap": 1.0}, Limits())
    assert found.measures["num_clusters"][found.chosen] == 1
    assert np.isfinite(reference_rows(rows, np.random.default_rng(0))).all()


def test_a_clustering_that_could_not_differ_is_not_stable() -> None:
    rows = blobs()
    cuts = [np.zeros, lambda size, _: np.arange(size)]
    values = stability(rows, 2, lambda v: lambda i: cuts[i](len(v), np.int64), 3, 0)
    assert np.isnan(values).all()


def test_the_same_seed_gives_the_same_trials() -> None:
    one, other = (tried(blobs(0.8), "gap", "stability") for _ in range(2))
    for name, values in one.measures.items():
        np.testing.assert_array_equal(values, other.measures[name])


def test_ranks_by_hand() -> None:
    merits = [np.array([3.0, 1.0, 2.0, 9.0]), np.array([0.5, 0.5, np.nan, 0.0])]
    allowed = np.array([True, True, True, False])
    # First rule: 1, 3, 2. Second: 1.5, 1.5, 3 (no merit). Weights 1 and 2.
    np.testing.assert_allclose(
        weighted_rank(merits, [1.0, 2.0], allowed), [(1 + 3) / 3, (3 + 3) / 3, (2 + 6) / 3, np.nan]
    )
