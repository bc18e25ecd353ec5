import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import is_valid_linkage, linkage

from pipeline.compute.trees import expand, labels_of, tree_of_forest


def test_labels_are_those_of_the_topmost_chosen_line() -> None:
    tree = np.array([[0, 1, 0.1, 2], [2, 3, 0.2, 2], [4, 5, 0.5, 3], [6, 7, 0.9, 5]])
    # Line 2 (node 7) joins 0, 1 (node 5) and point 4; node 6 joins points 2 and 3.
    np.testing.assert_array_equal(labels_of(tree, np.array([True, True, True, False])), [7, 7, 6, 6, 7])


def test_a_forest_becomes_a_tree_with_what_it_leaves_apart_at_infinity() -> None:
    tree = tree_of_forest(5, np.array([[3, 4], [0, 1]]), np.array([0.3, 0.1]))
    np.testing.assert_array_equal(tree, [[0, 1, 0.1, 2], [3, 4, 0.3, 2], [2, 5, np.inf, 3], [6, 7, np.inf, 5]])


def test_equal_rows_are_merged_first() -> None:
    tree = expand(np.array([[0, 1, 0.4, 2]]), np.array([0, 1, 0, 0]))
    np.testing.assert_array_equal(tree, [[0, 2, 0, 2], [3, 4, 0, 3], [1, 5, 0.4, 4]])


@given(st.lists(st.integers(0, 6), min_size=2, max_size=30), st.integers(0, 99))
def test_an_expanded_tree_is_one_of_scipys(numbers: list[int], seed: int) -> None:
    group = np.unique(numbers, return_inverse=True)[1]
    count = int(group.max()) + 1
    points = np.random.default_rng(seed).normal(size=(count, 3))
    tree = expand(linkage(points, "average") if count > 1 else np.zeros((0, 4)), group)
    assert is_valid_linkage(tree)
    labels = labels_of(tree, tree[:, 2] == 0)
    np.testing.assert_array_equal(labels[:, None] == labels, group[:, None] == group)
