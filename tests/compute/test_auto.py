import numpy as np
import pytest

from pipeline.compute.auto import auto, join_within
from pipeline.compute.clustering import canonical_labels
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.projection import unit_rows
from pipeline.compute.task import ClusteringTask
from tests.bench.dates import planted
from tests.compute.test_dendrogram import directions


def clustered_by_auto(vectors: np.ndarray) -> np.ndarray:
    rows = np.asarray(vectors, dtype=np.float32)
    return canonical_labels(auto(ClusteringTask(rows, *neighbor_graph(rows, 30, Search()))))


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([100] * 5, id="few large"),
        pytest.param([3] * 60, id="many small"),
        pytest.param([2] * 40, id="pairs"),
        pytest.param(list(range(1, 21)), id="mixed"),
        pytest.param([10] * 8 + [1] * 80, id="half noise"),
        pytest.param([20] * 5 + [1] * 300, id="mostly noise"),
        pytest.param([4] * 10, id="four shots"),
    ],
)
def test_planted_subjects_are_found(sizes: list[int]) -> None:
    vectors, truth = planted(sizes, scatter=0.1, seed=1)
    np.testing.assert_array_equal(clustered_by_auto(vectors), canonical_labels(truth))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 11, 30, 150])
def test_one_image_a_subject_stays_alone(count: int) -> None:
    for seed in range(5):
        vectors, _ = planted([1] * count, scatter=0.1, seed=seed)
        assert len(set(clustered_by_auto(vectors))) == count


@pytest.mark.slow
@pytest.mark.parametrize("count", [400, 1000, 2500])
def test_many_images_without_company_are_neither_halved_nor_chained(count: int) -> None:
    """The halves of a large cloud are apart by more than chance, and its outliers by more than its inside."""
    for seed in (0, 9):
        vectors, _ = planted([1] * count, scatter=0.1, seed=seed)
        assert len(set(clustered_by_auto(vectors))) == count


@pytest.mark.slow
def test_pairs_by_the_thousand_are_found() -> None:
    """Averages find few of them in so crowded a date; that most images are in company is told by single linkage."""
    vectors, truth = planted([2] * 1200, scatter=0.1, seed=1)
    labels = clustered_by_auto(vectors)
    together, alike = labels[:, None] == labels, truth[:, None] == truth
    assert (together & alike).sum() > 0.9 * alike.sum()
    assert (together & alike).sum() > 0.9 * together.sum()


@pytest.mark.slow
def test_large_dates_are_followed_along_the_neighbour_graph() -> None:
    vectors, truth = along_curves(12, 200)
    np.testing.assert_array_equal(clustered_by_auto(vectors), truth)


def test_scatter_may_differ_threefold() -> None:
    vectors, truth = planted([5] * 40, scatter=0.1, seed=2, spread=3.0)
    labels = clustered_by_auto(vectors)
    together, alike = labels[:, None] == labels, truth[:, None] == truth
    assert not (together & ~alike).any()
    assert (together & alike).sum() > 0.95 * alike.sum()


def test_identical_images_are_one_subject_whatever_else_there_is() -> None:
    assert len(set(clustered_by_auto(directions(*[3] * 7)))) == 1
    assert clustered_by_auto(directions(3, 3)).tolist() == [0, 0]
    assert clustered_by_auto(directions(3, 90, 3)).tolist() == [0, 1, 0]
    assert len(set(clustered_by_auto(np.zeros((4, 3))))) == 1
    vectors, _ = planted([1] * 20, scatter=0.1, seed=3)
    doubled = clustered_by_auto(np.concatenate([vectors, vectors]))
    np.testing.assert_array_equal(doubled[:20], doubled[20:])
    assert doubled.max() == 19


def along_curves(subjects: int, shots: int) -> tuple[np.ndarray, np.ndarray]:
    """Subjects that turn by 150 degrees, each in a plane of its own; shots in order, subject after subject."""
    angle = np.linspace(0.0, np.radians(150), shots)
    vectors = np.zeros((subjects * shots, 2 * subjects))
    for one in range(subjects):
        rows = slice(one * shots, (one + 1) * shots)
        vectors[rows, 2 * one], vectors[rows, 2 * one + 1] = np.cos(angle), np.sin(angle)
    return vectors, np.repeat(np.arange(subjects), shots)


def test_a_subject_that_turns_is_followed_along_its_curve() -> None:
    """Its ends are farther apart (1 - cos 150 degrees = 1.87) than any two subjects (1)."""
    vectors, truth = along_curves(6, 40)
    np.testing.assert_array_equal(clustered_by_auto(vectors), truth)


def test_clusters_are_joined_where_they_lie_whole_in_a_wider_one() -> None:
    labels, wider = np.array([0, 0, 1, 2, 2, 3]), np.array([5, 5, 5, 5, 7, 7])
    assert canonical_labels(join_within(labels, wider)).tolist() == [0, 0, 0, 1, 1, 2]


def test_a_power_of_the_distance_changes_little() -> None:
    """Another extractor's scale: angles shrunk towards a common direction leave the partition as it is."""
    vectors, truth = planted([4] * 20, scatter=0.15, seed=4)
    squeezed = unit_rows(np.concatenate([vectors, np.full((len(vectors), 1), 3.0)], axis=1))
    np.testing.assert_array_equal(clustered_by_auto(squeezed), canonical_labels(truth))
