import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compute.reasons import Flaw, Reason
from pipeline.compute.regions import Box, box_text, crop, to_pixels

PICTURE = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)


@pytest.mark.parametrize(
    ("given", "unit", "expected"),
    [
        (Box(3, 4, 5, 6), "pixels", Box(3, 4, 5, 6)),
        (Box(3.2, 4.9, 5, 6), "pixels", Box(3, 4, 6, 7)),  # every pixel that it touches
        (Box(0.1, 0.5, 0.2, 0.25), "fractions", Box(3, 10, 6, 5)),
        (Box(0, 0, 1, 1), "fractions", Box(0, 0, 30, 20)),
        (Box(-2, -3, 10, 10), "pixels", Box(0, 0, 8, 7)),
        (Box(25, 15, 10, 5), "pixels", Box(25, 15, 5, 5)),  # half of it
        (Box(29.5, 19.5, 0.3, 0.3), "pixels", Box(29, 19, 1, 1)),
    ],
)
def test_a_box_is_the_pixels_that_it_touches_within_the_photograph(given: Box, unit: str, expected: Box) -> None:
    assert to_pixels(given, unit, 30, 20) == expected


@pytest.mark.parametrize(
    "box", [Box(30, 0, 5, 5), Box(0, -5, 5, 5), Box(25, 0, 11, 5), Box(1e9, 0, 1e9, 1), Box(0, 0, 1e30, 1)]
)
def test_a_box_that_lies_outside_is_said(box: Box) -> None:
    with pytest.raises(Flaw) as caught:
        to_pixels(box, "pixels", 30, 20)
    assert caught.value.reason == Reason.BAD_REGION


def test_a_margin_is_a_share_of_the_box_as_far_as_the_photograph_goes() -> None:
    assert np.array_equal(crop(PICTURE, Box(10, 5, 8, 4), 0), PICTURE[5:9, 10:18])
    assert np.array_equal(crop(PICTURE, Box(10, 5, 8, 4), 0.25), PICTURE[4:10, 8:20])
    assert np.array_equal(crop(PICTURE, Box(0, 5, 28, 15), 0.5), PICTURE[0:20, 0:30])


BOXES = st.builds(Box, st.floats(-40, 60), st.floats(-40, 60), st.floats(0.01, 80), st.floats(0.01, 80))


@given(BOXES, st.floats(0, 3))
def test_what_is_cut_out_lies_within_the_photograph(given: Box, margin: float) -> None:
    try:
        box = to_pixels(given, "pixels", 30, 20)
    except Flaw:
        return
    assert box.x >= 0
    assert box.y >= 0
    assert 1 <= box.width <= 30 - box.x
    assert 1 <= box.height <= 20 - box.y
    cut = crop(PICTURE, box, margin)
    assert cut.shape[0] >= box.height
    assert cut.shape[1] >= box.width


def test_a_box_has_one_name_however_its_numbers_are_written() -> None:
    assert box_text(Box(1, 2.0, 0.25, 1e3)) == box_text(Box(1.0, 2, 0.250, 1000)) == "1,2,0.25,1000"
