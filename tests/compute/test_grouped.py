import numpy as np

from pipeline.compute.grouped import sums_of


def test_rows_are_summed_by_label_in_their_order() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 7)).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 40, 500)
    labels[labels == 11] = 12  # nobody's
    one_by_one = np.zeros((41, 7))
    for label, row in zip(labels, rows, strict=True):
        one_by_one[label] += row
    np.testing.assert_array_equal(sums_of(rows, labels, 41), one_by_one)
    assert not sums_of(rows, labels, 41)[[11, 40]].any()
