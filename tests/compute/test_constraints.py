"""Labels and links that obey what is said of images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.constraints import Bonds, ContradictionError, Demands, mend, subjects
from tests.vectors import directions


def bonds(num: int, *together: tuple[int, ...], apart: tuple[tuple[int, int], ...] = ()) -> Bonds:
    label = np.full(num, -1, dtype=np.int64)
    for k, rows in enumerate(together):
        label[list(rows)] = k
    return Bonds(label, apart)


def groups(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


def test_the_same_through_others_is_the_same() -> None:
    assert subjects(5, [(0, 1), (3, 1)], [(0, 4)]).tolist() == [0, 0, 1, 0, 2]


def test_a_contradiction_names_the_shortest_chain() -> None:
    with pytest.raises(ContradictionError) as found:
        subjects(5, [(0, 1), (1, 2), (2, 3), (0, 3)], [(3, 4), (0, 2)])
    assert (found.value.different, found.value.chain) == (1, [0, 1])


def test_clusters_of_one_subject_are_merged_whole() -> None:
    labels = mend(directions(0, 1, 50, 51, 99), np.array([0, 0, 1, 1, 2]), bonds(5, (1, 2)))
    assert groups(labels) == {frozenset({0, 1, 2, 3}), frozenset({4})}


def test_a_cluster_of_two_subjects_is_parted_and_the_others_go_to_the_nearer() -> None:
    labels = mend(directions(0, 10, 30, 40), np.zeros(4, dtype=np.int64), bonds(4, apart=((0, 3),)))
    assert groups(labels) == {frozenset({0, 1}), frozenset({2, 3})}


def test_a_photograph_with_three_regions_makes_three_parts_and_a_second_one_is_shared_out_among_them() -> None:
    apart = ((0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5))
    labels = mend(directions(0, 40, 80, 1, 41, 79), np.zeros(6, dtype=np.int64), bonds(6, apart=apart))
    assert groups(labels) == {frozenset({0, 3}), frozenset({1, 4}), frozenset({2, 5})}


def test_merging_and_parting_go_together() -> None:
    """0 and 2 are one and pull their clusters together; 1 is not 3."""
    labels = mend(directions(0, 2, 60, 62), np.array([0, 0, 1, 1]), bonds(4, (0, 2), apart=((1, 3),)))
    assert labels[0] == labels[2]
    assert labels[1] != labels[3]


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_whatever_the_labels_they_obey_and_order_carries_no_information(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num = int(rng.integers(2, 12))
    vectors, truth = directions(*rng.uniform(0, 180, num)), rng.integers(0, 4, num)
    told = rng.random(num) < 0.6
    together = np.where(told, truth, -1)
    pairs = [(i, j) for i in range(num) for j in range(i) if told[i] and told[j] and truth[i] != truth[j]]
    apart = tuple((min(pair), max(pair)) for pair in pairs)
    labels = mend(vectors, rng.integers(0, 3, num), Bonds(together, apart))
    for i in range(num):
        for j in range(i):
            if told[i] and told[j]:
                assert (labels[i] == labels[j]) == (truth[i] == truth[j])


def test_links_obey() -> None:
    """Cluster 0 must go on with track 1; 1 cannot with 0; 2 and 3 were both given track 2 and are apart."""
    must, cannot = np.zeros((2, 4, 3), dtype=bool)
    must[0, 1] = cannot[1, 0] = True
    asked = Demands(must, cannot, [(2, 3)])
    similarity = asked.impose(np.array([[7, 5, 6], [9, 1, 2], [8, 9, 3], [1, 4, 6]], dtype=np.float32))
    assert similarity.tolist() == [[6, 5, 6], [2, 2, 2], [8, 8, 3], [1, 4, 6]]  # excluded: the median of the row
    track, probability = asked.enforce(np.array([-1, 0, 2, 2]), np.array([0.3, 0.9, 0.8, 0.95]))
    assert track.tolist() == [1, -1, -1, 2]
    assert asked.enforce(np.array([0, 1, -1, -1]), np.full(4, 0.9))[0].tolist() == [1, -1, -1, -1]  # 1 is taken by 0
    assert probability == pytest.approx([1.0, 0.1, 0.2, 0.95])


def test_nothing_demanded_changes_nothing() -> None:
    none = np.zeros((2, 2), dtype=bool)
    similarity = np.array([[0.1, 0.9], [0.3, 0.2]], dtype=np.float32)
    assert Demands(none, none, ()).impose(similarity).tolist() == similarity.tolist()


def test_regions_of_a_photograph_obey_on_a_first_date_when_no_track_is_open() -> None:
    none = np.zeros((2, 0), dtype=bool)
    asked = Demands(none, none, ((0, 1),))
    assert asked.impose(np.zeros((2, 0), dtype=np.float32)).shape == (2, 0)
    track, probability = asked.enforce(np.array([-1, -1]), np.array([1.0, 1.0]))
    assert (track.tolist(), probability.tolist()) == ([-1, -1], [1.0, 1.0])
