"""The legend of the picture of the tracks: one small drawing and a few words for each mark."""

from collections.abc import Callable

from pipeline.reports.picture_ink import INK, THREAD, Canvas, Point, mixed, track_colour, width_of

LENGTH = 26
"""Width of a mark in the legend, in pixels."""

SPACE = 26
"""Between two marks, in pixels."""

COLOUR, OTHER = track_colour(0), track_colour(1)


def legend_width() -> int:
    """Width of the line of marks, in pixels."""
    return int(sum(LENGTH + 8 + width_of(words, 13) + SPACE for _, words in MARKS)) - SPACE


def draw_legend(canvas: Canvas, at: Point) -> None:
    """Draw all marks in a line that starts at ``at`` (its left end, its middle height)."""
    x, y = at
    for draw, words in MARKS:
        draw(canvas, x, y)
        canvas.text((x + LENGTH + 8, y), words, 13, INK)
        x += LENGTH + 8 + width_of(words, 13) + SPACE


def _seen(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x, y), (x + LENGTH, y)], COLOUR, THREAD)


def _birth(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x + 6, y), (x + LENGTH, y)], COLOUR, THREAD)
    canvas.begin((x + 6, y), COLOUR)


def _gap(canvas: Canvas, x: float, y: float) -> None:
    canvas.dashes((x, y), (x + LENGTH, y), mixed(COLOUR, 0.55), 2)


def _split(canvas: Canvas, x: float, y: float) -> None:
    canvas.bend((x + 2, y - 6), (x + LENGTH, y + 7), OTHER, THREAD)
    canvas.line([(x, y - 6), (x + LENGTH, y - 6)], COLOUR, THREAD)


def _merge(canvas: Canvas, x: float, y: float) -> None:
    canvas.bend((x, y + 7), (x + LENGTH - 2, y - 6), OTHER, THREAD)
    canvas.line([(x, y - 6), (x + LENGTH, y - 6)], COLOUR, THREAD)


def _end(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x, y), (x + LENGTH - 6, y)], COLOUR, THREAD)
    canvas.stop((x + LENGTH - 6, y), COLOUR)


def _open(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x, y), (x + LENGTH - 6, y)], COLOUR, THREAD)
    canvas.arrow((x + LENGTH - 6, y), COLOUR)


def _earlier(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x + 4, y), (x + LENGTH, y)], mixed(COLOUR, 0.5), THREAD)


MARKS: tuple[tuple[Callable[[Canvas, float, float], None], str], ...] = (
    (_seen, "same subject"),
    (_birth, "birth: first seen here"),
    (_gap, "gap: not seen for a while"),
    (_split, "split: one became two"),
    (_merge, "merge: two became one"),
    (_end, "end: not seen again"),
    (_open, "open: may go on"),
    (_earlier, "seen earlier"),
)
