from dataclasses import replace

import numpy as np
import pytest

from pipeline.compute.clustering import canonical_labels
from pipeline.compute.kmeans import kmeans
from pipeline.compute.projection import unit_rows
from pipeline.compute.task import ClusteringTask, Settings
from tests.gpus import pretend_gpus

NO_GRAPH = (np.zeros((0, 0), np.int64), np.zeros((0, 0), np.float32))


def test_planted_groups_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 25)
    vectors = unit_rows(np.eye(4)[truth] + 0.05 * rng.normal(size=(100, 4))).astype(np.float32)
    # FAISS draws the first centers among the points; one of these seeds draws each group.
    found = [
        canonical_labels(kmeans(ClusteringTask(vectors, *NO_GRAPH, Settings(num_clusters=4, seed=s)))) for s in range(6)
    ]
    assert any(np.array_equal(labels, truth) for labels in found)
    assert all(labels.max() <= 3 for labels in found)


@pytest.mark.parametrize("gpus", [0, 1, 3])
def test_every_gpu_that_is_seen_has_the_centers(monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    """With FAISS's own replicas on the CPU in the GPUs' place: see ``tests.gpus``; no GPU is asked for anything."""
    vectors = unit_rows(np.random.default_rng(1).normal(size=(300, 8))).astype(np.float32)
    task = ClusteringTask(vectors, *NO_GRAPH, Settings(num_clusters=12))
    expected = kmeans(task)
    seen = pretend_gpus(monkeypatch, gpus)
    np.testing.assert_array_equal(kmeans(replace(task, gpu=True)), expected)
    assert seen == ([(gpus, False), (gpus, True)] if gpus else [])  # to train, and to label


@pytest.mark.parametrize("wanted", [3, 10])
def test_no_more_clusters_than_distinct_images(wanted: int) -> None:
    vectors = np.eye(3, dtype=np.float32)[[0, 1, 1, 2, 0]]
    labels = kmeans(ClusteringTask(vectors, *NO_GRAPH, Settings(num_clusters=wanted)))
    np.testing.assert_array_equal(labels, [0, 1, 1, 2, 0])


def test_the_same_seed_gives_the_same_and_zero_vectors_are_labelled() -> None:
    vectors = unit_rows(np.random.default_rng(1).normal(size=(200, 8))).astype(np.float32)
    vectors[:5] = 0
    task = ClusteringTask(vectors, *NO_GRAPH, Settings(num_clusters=12, seed=7))
    labels = kmeans(task)
    np.testing.assert_array_equal(labels, kmeans(task))
    assert labels.shape == (200,)
    assert labels.min() >= 0
    assert labels.max() < 12
    assert len(set(labels[:5])) == 1


def test_euclidean_centers_part_by_length_and_spherical_ones_cannot() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 30)
    vectors = (np.array([[1, 0], [9, 0]])[truth] + 0.1 * rng.normal(size=(60, 2))).astype(np.float32)
    asked = Settings(num_clusters=2, restarts=3)
    np.testing.assert_array_equal(
        canonical_labels(kmeans(ClusteringTask(vectors, *NO_GRAPH, asked, unit=False))), truth
    )
    rows = unit_rows(vectors).astype(np.float32)
    found = canonical_labels(kmeans(ClusteringTask(rows, *NO_GRAPH, asked)))
    assert not np.array_equal(found, truth)


def test_a_sample_is_logged_and_all_points_are_not(caplog: pytest.LogCaptureFixture) -> None:
    vectors = unit_rows(np.random.default_rng(1).normal(size=(100, 4))).astype(np.float32)
    kmeans(ClusteringTask(vectors, *NO_GRAPH, Settings(num_clusters=3, train_points=0)))
    assert "trained on" not in caplog.text
    labels = kmeans(ClusteringTask(vectors, *NO_GRAPH, Settings(num_clusters=3, train_points=10)))
    assert "trained on 30 of 100 images" in caplog.text
    assert len(labels) == 100
