import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.geometry import augment, categorical, cyclic, fill_missing, geographic, numeric, ordered

NAN = float("nan")


def squares(block: np.ndarray) -> np.ndarray:
    return ((block[:, None] - block) ** 2).sum(axis=2)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (categorical(["a", "b", "a"]), [1, 0, 1]),
        (numeric(np.array([5.0, 8.0, 4.0]), 2.0), [2.25, 0.25, 4]),
        (cyclic(np.array([23.0, 5.0, 11.0]), 24.0), [0.5, 1, 0.5]),  # chords of 90, 180 and 90 degrees
        (cyclic(np.array([0.0, 360.0, 180.0]), 360.0), [0, 1, 1]),
        (ordered(["low", "high", "mid"], ("low", "mid", "high")), [1, 0.25, 0.25]),
    ],
)
def test_squared_distances_by_hand(block: np.ndarray, expected: list[float]) -> None:
    np.testing.assert_allclose(squares(block)[[0, 0, 1], [1, 2, 2]], expected, atol=1e-9)


def test_a_degree_of_latitude_is_111_kilometres_and_poles_have_no_longitude() -> None:
    found = squares(geographic(np.array([50.0, 51.0, 90.0, 90.0]), np.array([8.0, 8.0, 0.0, 77.0]), 111.19))
    assert found[0, 1] == pytest.approx(1, rel=1e-3)
    assert found[2, 3] == pytest.approx(0, abs=1e-9)
    assert np.isnan(geographic(np.array([1.0]), np.array([NAN]), 1.0)).any()


@given(
    st.integers(2, 30), st.integers(1, 40), st.integers(0, 999), st.sampled_from(["numeric", "categorical", "cyclic"])
)
@settings(max_examples=30)
def test_a_missing_value_is_as_far_as_values_are_on_average(known: int, missing: int, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    numbers = np.append(rng.normal(size=known), np.full(missing, NAN))
    if kind == "categorical":
        block = categorical([None if np.isnan(x) else "abc"[int(x * 10) % 3] for x in numbers])
    else:
        block = numeric(numbers, 0.5) if kind == "numeric" else cyclic(numbers, 3.0)
    mean = squares(block[:known]).sum() / (known * (known - 1))
    filled = squares(fill_missing(block, [str(i) for i in range(len(block))], "m"))
    np.testing.assert_allclose(filled[:known, :known], squares(block[:known]), atol=1e-9)
    np.testing.assert_allclose(filled[:known, known:].mean(axis=0), np.full(missing, mean), atol=1e-9)


def test_two_missing_values_are_so_in_expectation() -> None:
    block = numeric(np.append([0.0, 1.0, 5.0], np.full(400, NAN)), 1.0)
    mean = (1 + 25 + 16) / 3
    filled = squares(fill_missing(block, [str(i) for i in range(403)], "m"))[3:, 3:]
    assert filled.sum() / (400 * 399) == pytest.approx(mean, rel=0.01)


def test_too_few_values_say_nothing_and_none_missing_changes_nothing() -> None:
    block = numeric(np.array([NAN, 3.0, NAN]), 1.0)
    assert not fill_missing(block, ["a", "b", "c"], "m").any()
    whole = numeric(np.array([1.0, 3.0]), 1.0)
    assert fill_missing(whole, ["a", "b"], "m") is whole


def test_weights_are_of_squared_distances() -> None:
    content = np.array([[1, 0], [0, 1]], np.float32)
    found = squares(augment(content, 0.5, [(4.0, numeric(np.array([0.0, 3.0]), 1.0))]))
    assert found[0, 1] == pytest.approx(0.5 * 2 + 4 * 9)
