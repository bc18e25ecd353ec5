import numpy as np
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from pipeline.compute.cuts import cut_between, joining_height, top_height, whole_branches

# Points 0, 1, 3, 7: merges at 1 (0, 1), 2.5 (with 3), 17/3 (with 7).
TREE = linkage(np.array([[0.0], [1.0], [3.0], [7.0]]), "average")


def test_branches_and_the_cut_by_hand() -> None:
    whole = whole_branches(TREE, np.array([0, 0, 0, 1]))
    np.testing.assert_array_equal(whole, [0, 0, 0, 1, 0, 0, -1])
    assert cut_between(TREE, whole) == (2.5, 17 / 3)
    assert (top_height(TREE, whole, 0), top_height(TREE, whole, 1)) == (2.5, None)
    assert cut_between(TREE, whole_branches(TREE, np.zeros(4, np.int64))) == (17 / 3, None)
    assert cut_between(TREE, whole_branches(TREE, np.arange(4))) == (0.0, 1.0)


def test_heights_are_scipys_cophenetic_distances() -> None:
    tree = linkage(np.random.default_rng(0).normal(size=(12, 2)), "average")
    expected = squareform(cophenet(tree))
    np.testing.assert_allclose([[joining_height(tree, i, j) for j in range(12)] for i in range(12)], expected)
