"""What is remembered survives its table."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compute.linking.memory import FADING, GAP_BINS, Memory, gap_bin, score_bin


@given(st.integers(0, 10_000))
def test_rows_round_trip(seed: int) -> None:
    rng = np.random.default_rng(seed)
    memory = Memory()
    for name, value in vars(memory).items():
        filled = rng.random(np.shape(value)) * (rng.random(np.shape(value)) < 0.5)
        setattr(memory, name, float(filled) if isinstance(value, float) else filled)
    back = Memory.read(memory.rows())
    for name, value in vars(memory).items():
        assert np.array_equal(getattr(back, name), value), name


def test_rows_have_unique_keys_and_no_zeros() -> None:
    memory = Memory(births=2.0)
    memory.genuine[1, 3] = 1.5
    assert memory.rows() == [(2, "genuine_003", 1.5), (0, "births", 2.0)]
    assert Memory().rows() == []


def test_fading_leaves_the_original() -> None:
    memory = Memory(births=2.0)
    assert memory.faded().births == 2.0 * FADING
    assert memory.births == 2.0


def test_bins() -> None:
    assert [GAP_BINS[g] for g in gap_bin(np.array([1, 2, 3, 4, 5, 40]))] == [1, 2, 3, 3, 5, 5]
    assert score_bin(np.array([-99.0, -4.0, -3.51, -3.5, 0.0, 99.0])).tolist() == [0, 0, 0, 1, 8, 63]
