"""The contact sheet of questions: pairs of images, and what hangs on each."""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from pipeline.reports.picture_ink import FAINT, INK, QUIET, Canvas, track_colour

TITLE = "Do these show the same subject?"
CAPTION = (
    "Answer same or different in the column verdict of the row with the number; what nobody answers is left as it is"
)

EDGE, HEAD, FOOT = 28, 104, 24
SIDE, GAP, COLUMNS = 150, 8, 3
LINES, STEP_X = 46, 2 * SIDE + GAP + 40
STEP_Y = SIDE + LINES + 30


def draw_pairs(questions: Sequence[Mapping[str, Any]], pixels: Mapping[str, bytes | None]) -> Image.Image:
    """Draw the questions in reading order.

    Args:
        questions: rows of :data:`pipeline.stages.review.QUESTIONS`.
        pixels: image_id -> the bytes of its picture; one without is an empty tile.
    """
    rows = -(-len(questions) // COLUMNS)
    across = min(COLUMNS, max(len(questions), 1))
    canvas = Canvas(max(2 * EDGE + across * STEP_X - 40, 900), HEAD + rows * STEP_Y + FOOT)
    canvas.text((EDGE, 36), TITLE, 24, INK, bold=0.35)
    canvas.text((EDGE, 68), CAPTION, 14, QUIET)
    for place, one in enumerate(questions):
        left, top = EDGE + (place % COLUMNS) * STEP_X, HEAD + (place // COLUMNS) * STEP_Y
        canvas.text((left, top + 8), f"{one['question']}   {one['date']}  and  {one['other_date']}", 13, INK, bold=0.2)
        for at, name in enumerate(("image_id", "other_image_id")):
            corner = (left + at * (SIDE + GAP), top + 20)
            canvas.picture(corner, SIDE, pixels.get(one[name]), track_colour(place))
        canvas.text((left, top + SIDE + 34), told(one), 12, QUIET)
        canvas.line([(left, top + STEP_Y - 12), (left + STEP_X - 40, top + STEP_Y - 12)], FAINT, 1)
    return canvas.finished()


def told(question: Mapping[str, Any]) -> str:
    """What is thought now, and what an answer is worth."""
    share = f"{100 * question['probability_same']:.0f} % same"
    return f"now {question['now']}, {share}; {question['images']} images, gain {question['expected_gain']:.1f}"
