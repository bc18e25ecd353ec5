from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import UserError
from pipeline.reports.picture import HEAD, LEFT, draw_tracks
from pipeline.reports.picture_ink import FAINT, PAPER, track_colour
from tests.pictures import exif, quadrants, saved
from tests.reports.test_picture_rows import cells, events

pytestmark = pytest.mark.slow  # seconds together


DATES = [date(2024, 1, 1) + timedelta(days=7 * week) for week in range(10)]
CELL, STEP_X, STEP_Y = 104, 130, 126
"""Of a picture with few dates: cells are as large as they get."""

Pixels = NDArray[np.int16]


def blue(table: pa.Table) -> pa.Table:
    """Every cell with a plain blue photograph."""
    data = saved(Image.new("RGB", (64, 48), (20, 40, 200)))
    return table.set_column(3, "pixels", pa.array([data] * table.num_rows, pa.binary()))


def drawn(table: pa.Table, happened: pa.Table, num_dates: int, **limits: int) -> Pixels:
    return np.asarray(draw_tracks(table, happened, DATES[:num_dates], **limits), dtype=np.int16)


def cell(picture: Pixels, row: int, column: int) -> Pixels:
    """The inside of a cell, clear of its rim, its round corners and its figure."""
    top, left = HEAD + row * STEP_Y, LEFT + column * STEP_X
    return picture[top + 8 : top + CELL - 26, left + 8 : left + CELL - 8]


def near(part: Pixels, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Which pixels are of a colour, anti-aliasing and JPEG allowed for."""
    return np.asarray((np.abs(part - np.array(colour)) < 24).all(axis=-1))


def gutter(picture: Pixels, row: int, column: int) -> Pixels:
    """The space before a column, as high as a cell."""
    top, left = HEAD + row * STEP_Y, LEFT + column * STEP_X
    return picture[top : top + CELL, left - 24 : left - 2]


def test_cells_hold_their_photographs_and_gaps_are_empty_but_for_a_dashed_line() -> None:
    picture = drawn(blue(cells({"a": "x  x"})), events(), 4)
    assert near(cell(picture, 0, 0), (20, 40, 200)).all()
    assert near(cell(picture, 0, 3), (20, 40, 200)).all()
    for column in (1, 2):
        empty = cell(picture, 0, column)
        assert near(empty, PAPER).mean() > 0.9
        # The dashes: on the middle line some pixels are inked and some are not.
        middle = near(empty[CELL // 2 - 8], PAPER)
        assert 0.2 < middle.mean() < 0.8


def test_a_line_runs_from_cell_to_cell() -> None:
    picture = drawn(blue(cells({"a": "xx"})), events(), 2)
    assert near(gutter(picture, 0, 1)[CELL // 2], track_colour(0)).mean() > 0.9


@pytest.mark.parametrize(
    ("tracks", "happened", "row", "column"),
    [
        ({"a": "xxxx", "b": "  xx"}, ("b", "birth", None, 2), 1, 2),
        ({"a": "xxxx", "b": "xx  "}, ("b", "end", None, 1), 1, 2),
    ],
)
def test_births_and_ends_are_marked(
    tracks: dict[str, str], happened: tuple[str, str, str | None, int], row: int, column: int
) -> None:
    """In the space before the first cell, or after the last: ink with the event, none without."""
    table = blue(cells(tracks))
    marked, plain = (gutter(drawn(table, found, 4), row, column) for found in (events(happened), events()))
    assert near(marked, track_colour(row)).sum() > 40
    assert near(plain, PAPER).all()


@pytest.mark.parametrize(
    ("tracks", "happened", "column"),
    [
        ({"a": "xxxx", "b": "  xx"}, ("b", "split", "a", 2), 2),
        ({"a": "xxxx", "b": "xx  "}, ("b", "merge", "a", 2), 2),
    ],
)
def test_splits_and_merges_are_curves_between_rows(
    tracks: dict[str, str], happened: tuple[str, str, str | None, int], column: int
) -> None:
    table = blue(cells(tracks))
    left = LEFT + column * STEP_X - 26
    between = np.s_[HEAD + CELL // 2 + 8 : HEAD + STEP_Y + CELL // 2 - 8, left : left + 26]
    marked, plain = (drawn(table, found, 4)[between] for found in (events(happened), events()))
    # Something of the other track's colour at every height between the two rows' middles.
    assert near(marked, track_colour(1)).any(axis=1).mean() > 0.9
    # Without the event there is only the rim of the cells on both sides.
    assert not near(plain[:, 3:-3], track_colour(1)).any()


def test_a_curve_to_a_row_further_down_reaches_it() -> None:
    table = blue(cells({"a": "xxxx", "b": " xxx", "c": "  xx"}))
    picture = drawn(table, events(("b", "split", "a", 1), ("c", "split", "a", 2)), 4)
    left = LEFT + 2 * STEP_X - 26
    between = picture[HEAD + CELL // 2 + 8 : HEAD + 2 * STEP_Y + CELL // 2 - 8, left : left + 26]
    assert near(between, track_colour(2)).any(axis=1).mean() > 0.9


def test_an_image_that_cannot_be_read_or_is_not_given_is_an_empty_tile() -> None:
    table = blue(cells({"a": "xxx"}))
    pixels = table["pixels"].to_pylist()
    table = table.set_column(3, "pixels", pa.array([pixels[0], b"no image", None], pa.binary()))
    picture = drawn(table, events(), 3)
    assert near(cell(picture, 0, 0), (20, 40, 200)).all()
    assert near(cell(picture, 0, 1), FAINT).all()
    assert near(cell(picture, 0, 2), FAINT).all()


def test_an_image_stored_lying_is_drawn_upright() -> None:
    lying = quadrants(64, 64).transpose(Image.Transpose.ROTATE_90)
    data = saved(lying, exif=exif(orientation=6), quality=95)
    table = blue(cells({"a": "x"})).set_column(3, "pixels", pa.array([data], pa.binary()))
    inside = cell(drawn(table, events(), 1), 0, 0)
    assert near(inside[:20, :20], (255, 0, 0)).all()
    assert near(inside[:20, -20:], (0, 255, 0)).all()


def test_it_does_not_depend_on_the_order_of_the_rows() -> None:
    table = blue(cells({"a": "xxxx", "b": "  xx", "c": "xx"}))
    happened = events(("b", "split", "a", 2), ("c", "end", None, 1))
    turned = table.take(list(reversed(range(table.num_rows))))
    one = draw_tracks(table, happened, DATES[:4])
    assert one.tobytes() == draw_tracks(turned, happened.take([1, 0]), DATES[:4]).tobytes()


@pytest.mark.parametrize(("tracks", "days"), [(1, 1), (5, 3), pytest.param(40, 10, marks=pytest.mark.slow)])
def test_every_size_is_drawn_whole(tracks: int, days: int) -> None:
    table = blue(cells({f"{number:032x}": "x" * days for number in range(tracks)}))
    picture = draw_tracks(table, events(), DATES[:days], max_tracks=40)
    pixels = np.asarray(picture, dtype=np.int16)
    assert picture.mode == "RGB"
    # Paper all around: nothing is cut off.
    for edge in (pixels[:10], pixels[-10:], pixels[:, :10], pixels[:, -6:]):
        assert near(edge, PAPER).all()


def test_fewer_rows_are_drawn_than_there_are_and_the_foot_says_so() -> None:
    table = blue(cells({f"t{number}": "xx" for number in range(6)}))
    few, some, all_of_them = (drawn(table, events(), 2, max_tracks=most) for most in (2, 3, 6))
    assert some.shape[0] - few.shape[0] == STEP_Y
    assert all_of_them.shape[0] - few.shape[0] == 4 * STEP_Y
    assert (few[-44:] != some[-44:]).any()


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(UserError, match="no track"):
        draw_tracks(cells({}), events(), DATES)
