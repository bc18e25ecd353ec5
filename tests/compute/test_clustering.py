import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compute.clustering import NOISE, canonical_labels, noise_alone


@given(st.lists(st.integers(-3, 8), min_size=1, max_size=30))
def test_canonical_labels_count_up_and_keep_the_partition(labels: list[int]) -> None:
    found = canonical_labels(np.array(labels))
    seen: list[int] = [label for label in dict.fromkeys(labels) if label != NOISE]
    assert found.tolist() == [NOISE if label == NOISE else seen.index(label) for label in labels]


def test_noise_becomes_clusters_of_one() -> None:
    assert noise_alone(np.array([NOISE, 0, 1, NOISE, 0])).tolist() == [0, 1, 2, 3, 1]
    assert noise_alone(np.array([NOISE, NOISE])).tolist() == [0, 1]
