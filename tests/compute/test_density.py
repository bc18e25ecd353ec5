"""DBSCAN and HDBSCAN by scikit-learn, from all pairs and along the graph."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.compute.clustering import cluster_rows
from pipeline.compute.criteria import Dense, criterion
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.task import ClusteringTask, Settings
from pipeline.errors import UserError
from tests.bench.dates import planted

pytestmark = pytest.mark.slow  # scikit-learn takes seconds to import


def a_task(k: int, seed: int = 0, **settings: object) -> ClusteringTask:
    vectors, _ = planted([8, 5, 3, 2, 2, 1, 1, 1], scatter=0.3, seed=seed)
    return ClusteringTask(vectors, *neighbor_graph(vectors, k, Search()), Settings(**settings))


@pytest.mark.parametrize("min_samples", [1, 2, 3])
@pytest.mark.parametrize("method", ["dbscan", "hdbscan"])
def test_a_graph_of_all_pairs_gives_what_all_pairs_give(method: str, min_samples: int) -> None:
    differ = 0
    for seed in range(5):
        dense, graph = (
            cluster_rows(method, a_task(30, seed, min_samples=min_samples, similarity=0.7, dense_below=below))
            for below in (100, 0)
        )
        differ += int((dense != graph).sum())
    assert differ <= (method == "hdbscan")  # an image whose place hangs on how ties are broken


@pytest.mark.parametrize("dense_below", [100, 0])
def test_the_evidence_on_dbscan_is_what_parts_its_cores(dense_below: int) -> None:
    task = a_task(30, similarity=0.7, min_samples=2, dense_below=dense_below)
    labels = cluster_rows("dbscan", task)
    together = 0
    for first in range(len(labels)):
        for second in range(first):
            found = criterion("dbscan", task, labels + 1, first, second)
            assert isinstance(found, Dense)
            assert found.reach is not None
            if max(found.cores) <= found.reach:
                assert (labels[first] == labels[second]) == (found.joined <= found.reach)
                together += int(labels[first] == labels[second])
    assert together > 5


def test_another_metric_is_read_from_all_pairs_alone() -> None:
    """On the line, cityblock: 0, 1, 2 are within 1 of each other in steps, 5 is not."""
    vectors = np.array([[0, 0], [1, 0], [2, 0], [5, 0]], np.float32)
    graph = neighbor_graph(vectors, 3, Search(unit=False))
    settings = Settings(metric="cityblock", distance=1.0, min_samples=2)
    task = ClusteringTask(vectors, *graph, settings, unit=False)
    assert cluster_rows("dbscan", task).tolist() == [0, 0, 0, -1]
    with pytest.raises(UserError, match=r"cluster\.metric cityblock reads all pairs of images: 4 on a date"):
        cluster_rows("dbscan", replace(task, settings=replace(settings, dense_below=3)))
