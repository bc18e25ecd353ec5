import numpy as np

from pipeline.compute.paths import widest_path

# 0 - 1 - 2 by .9 and .8; 0 - 2 directly by .5; 3 hangs on 2 by 1 (a duplicate); 4 is alone with 5.
NEIGHBORS = np.array([[1, 2], [0, 2], [3, 1], [2, -1], [5, -1], [4, -1]])
SIMILARITIES = np.array([[0.9, 0.5], [0.9, 0.8], [1.0, 0.8], [1.0, 0], [0.3, 0], [0.3, 0]])


def test_the_path_avoids_the_weak_edge() -> None:
    assert widest_path(NEIGHBORS, SIMILARITIES, 0, 3) == [0, 1, 2, 3]
    assert widest_path(NEIGHBORS, SIMILARITIES, 3, 0) == [3, 2, 1, 0]


def test_images_that_are_not_connected_have_no_path() -> None:
    assert widest_path(NEIGHBORS, SIMILARITIES, 0, 4) == []


def test_an_image_and_itself() -> None:
    assert widest_path(NEIGHBORS, SIMILARITIES, 4, 4) == [4]
