"""The evidence on two images, by hand on directions of the plane: cos of their angle is the similarity."""

import numpy as np
import pytest

from pipeline.compute.clustering import cluster_rows, noise_alone
from pipeline.compute.criteria import Connected, Criterion, Dense, Pulled, criterion
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.task import ClusteringTask, Settings
from tests.compute.test_dendrogram import directions

DEGREES = (0, 4, 8, 40, 44, 48, 120)
"""Two groups of three, 32 degrees apart, and one alone."""


def apart(degrees: float) -> float:
    """The cosine distance of two directions."""
    return float(1.0 - np.cos(np.radians(degrees)))


def a_task(*degrees: float, k: int = 6, **settings: object) -> ClusteringTask:
    vectors = directions(*degrees)
    return ClusteringTask(vectors, *neighbor_graph(vectors, k, Search()), Settings(**settings))


def evidence(method: str, task: ClusteringTask, first: int, second: int, labels: list[int] | None = None) -> Criterion:
    found = np.array(labels) if labels else noise_alone(cluster_rows(method, task))
    told = criterion(method, task, found, first, second)
    assert told is not None
    return told


def dense(found: Criterion) -> Dense:
    assert isinstance(found, Dense)
    return found


TWO = [0, 0, 0, 1, 1, 1, 2]


@pytest.mark.parametrize("dense_below", [100, 0])
def test_cores_and_steps_of_dbscan(dense_below: int) -> None:
    task = a_task(*DEGREES, similarity=1.0 - apart(10), min_samples=3, dense_below=dense_below)
    found = dense(evidence("dbscan", task, 0, 4, TWO))
    assert found.cores == pytest.approx((apart(8), apart(4)), abs=1e-6)  # 0 needs 8 for three, 44 has 40 and 48
    assert found.reach == pytest.approx(apart(10), abs=1e-5)
    assert found.joined == pytest.approx(apart(32), abs=1e-6)
    inside = dense(evidence("dbscan", task, 0, 2, TWO))
    assert inside.joined == pytest.approx(apart(8), abs=1e-6)  # 0 and 8 are cores themselves only within 8 degrees
    alone = dense(evidence("dbscan", task, 0, 6, TWO))
    assert alone.cores[1] == pytest.approx(apart(76), abs=1e-6)


def test_the_border_of_dbscan_begins_at_its_core() -> None:
    task = a_task(0, 4, 8, 17, similarity=1.0 - apart(10), min_samples=3)
    found = dense(evidence("dbscan", task, 3, 1, [0, 0, 0, 0]))
    assert found.cores[0] > found.reach  # 17 has 8 alone within 10 degrees
    assert found.joined == pytest.approx(apart(8), abs=1e-6)  # of 8, the core that is nearest to 17


def test_dbscan_without_any_core() -> None:
    task = a_task(0, 40, 80, similarity=1.0 - apart(10), min_samples=2)
    assert dense(evidence("dbscan", task, 0, 1, [0, 1, 2])).joined == np.inf


@pytest.mark.parametrize("dense_below", [100, 0])
def test_density_levels_of_hdbscan(dense_below: int) -> None:
    found = dense(evidence("hdbscan", a_task(*DEGREES, min_samples=2, dense_below=dense_below), 0, 4, TWO))
    assert found.reach is None
    assert found.cores == pytest.approx((apart(4), apart(4)), abs=1e-6)
    assert found.joined == pytest.approx(apart(32), abs=1e-6)
    assert found.tops == pytest.approx((apart(4), apart(4)), abs=1e-6)


def pulled(found: Criterion) -> Pulled:
    assert isinstance(found, Pulled)
    return found


def test_centers_of_kmeans() -> None:
    found = pulled(evidence("kmeans", a_task(*DEGREES, num_clusters=3), 0, 4, TWO))
    assert found.first == pytest.approx((1 - apart(4), 1 - apart(44)), abs=1e-6)
    assert found.second == pytest.approx((1, 1 - apart(40)), abs=1e-6)
    lengths = pulled(evidence("kmeans", a_task(0, 90, num_clusters=1, spherical=False), 0, 1, [0, 0]))
    assert lengths.first[0] == pytest.approx(0.75)  # the mean is half a unit from both axes in square: 1 - .5 / 2


def test_edges_that_chinese_whispers_hears() -> None:
    task = a_task(*DEGREES, similarity=1.0 - apart(37))
    found = pulled(evidence("chinese_whispers", task, 0, 3, TWO))
    # 0 hears 4 and 8, and of the others none within 37 degrees; 40 hears 44, 48, and 4 and 8.
    assert found.first == pytest.approx((2 - apart(4) - apart(8), 0), abs=1e-6)
    assert found.second == pytest.approx((2 - apart(4) - apart(8), 2 - apart(36) - apart(32)), abs=1e-6)
    assert found.gain is None


def test_modularity_of_leiden() -> None:
    """Two edges, 0 = 1 and 2 = 3, of weight w each: of two that are each other's nearest exp(-1)."""
    task = a_task(0, 1e-3, 90, 90.001, k=1)
    found = pulled(evidence("leiden", task, 0, 2, [0, 0, 1, 1]))
    w = np.exp(-1)
    assert found.first == pytest.approx((w, 0))
    # Degrees w, total weight 2 w: by chance w * w / 4 w into the own pair (itself left out), w * 2 w / 4 w elsewhere.
    assert found.expected == (pytest.approx((w / 4, w / 2)), pytest.approx((w / 4, w / 2)))
    assert found.gain == pytest.approx(0 / 2 - 2 * 2 / (2 * 2**2), abs=1e-5)
    assert pulled(evidence("leiden", task, 0, 1, [0, 0, 1, 1])).gain is None


def test_what_connects_components() -> None:
    task = a_task(*DEGREES, k=4, similarity=1.0 - apart(20))
    found = evidence("components", task, 0, 4, TWO)
    angles = [4, 4, 8, 4, 4, 8, *(a - b for a in (40, 44, 48) for b in (0, 4, 8))]
    assert found == Connected(
        pytest.approx(1 - apart(32), abs=1e-6), pytest.approx(np.cos(np.radians(angles)).mean()), 1 - apart(20)
    )
    assert evidence("components", a_task(0, 4, 90, 94, k=1, similarity=0.5), 0, 2, [0, 0, 1, 1]) == Connected(
        None, None, 0.5
    )
    assert evidence("components", a_task(3, 3, 90, similarity=0.5), 0, 1, [0, 0, 1]) == Connected(1.0, 1.0, 0.5)


def test_methods_with_a_tree_have_no_other_criterion() -> None:
    assert criterion("auto", a_task(0, 4), np.array([0, 0]), 0, 1) is None
