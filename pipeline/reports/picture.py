"""The picture of the tracks: a row is a track, a column is a date, a cell is what the subject looked like then."""

import itertools
from collections.abc import Sequence
from datetime import date

import pyarrow as pa
from PIL import Image

from pipeline.errors import UserError
from pipeline.reports.picture_ink import FAINT, INK, QUIET, THREAD, Canvas, Colour, mixed, track_colour
from pipeline.reports.picture_legend import draw_legend, legend_width
from pipeline.reports.picture_rows import Plan, Row, Tie, plan

LEFT, RIGHT, HEAD, FOOT = 216, 44, 172, 44
WIDTH = 1560
"""Width that the cells share out among them, in pixels; with many dates the picture gets wider instead."""

EDGE = 28
"""Paper left of the words, in pixels."""

CELL_LARGEST, CELL_SMALLEST = 104, 52

TITLE = "Tracks: each row is one subject, followed from date to date"
CAPTION = (
    "A picture is the most typical photograph of the subject on that date, the figure how many photographs there are."
)


def draw_tracks(
    cells: pa.Table,
    events: pa.Table,
    dates: Sequence[date],
    *,
    max_tracks: int = 30,
    max_dates: int = 16,
    page: int = 1,
) -> Image.Image:
    """Draw the tracks.

    ``picture_rows.plan`` with the same arguments says which cells will be drawn; the others need no pixels.

    Args:
        cells: one row a track and date: track_id (string), date (date32), num_images (integer) and pixels (binary: a
            JPEG or any image file of one typical image; null draws an empty tile); note, if there is one, is written
            beside the track.  Rows in any order.
        events: track_id, kind, other_track_id and date; the kinds birth, split, merge and end are marked, a gap is
            seen from the cells.
        dates: the collection's dates, ascending, without the undated ones.
        max_tracks: rows, at most; a caption says how many there are in all.
        max_dates: columns, at most; of more dates evenly spaced ones are shown.
        page: which ``max_tracks`` of the tracks, from 1.

    Returns:
        An RGB picture; the same input gives the same pixels.

    Raises:
        UserError: there is no track to draw, or no such page.
    """
    if not cells.num_rows or not dates:
        raise UserError("there is no track to draw: the run has found none, or none on the dates asked for")
    return _Drawing(plan(cells, events, dates, max_tracks, max_dates, page)).draw()


class _Drawing:
    """Geometry of one picture, and the pen."""

    def __init__(self, shown: Plan) -> None:
        self._plan = shown
        across = (WIDTH - LEFT - RIGHT) / len(shown.dates)
        self._cell = int(min(CELL_LARGEST, max(CELL_SMALLEST, across * 0.8)))
        self._step_x = self._cell + max(18, self._cell // 4)
        self._step_y = self._cell + 22
        table = LEFT + self._step_x * len(shown.dates) - (self._step_x - self._cell) + RIGHT
        self._width = max(table, legend_width() + 2 * EDGE)
        self._height = HEAD + self._step_y * len(shown.rows) + FOOT
        self._canvas = Canvas(self._width, self._height)
        self._place = {row.track: index for index, row in enumerate(shown.rows)}

    def draw(self) -> Image.Image:
        self._head()
        for row in self._plan.rows:
            self._thread(row)
        for tie in self._plan.ties:
            self._tie(tie)
        for row in self._plan.rows:
            self._cells(row)
        for tie in self._plan.ties:
            self._tie_label(tie)
        self._foot()
        return self._canvas.finished()

    def _left(self, column: int) -> float:
        return LEFT + self._step_x * column

    def _middle(self, track: str) -> float:
        return HEAD + self._step_y * self._place[track] + self._cell / 2

    def _colour(self, track: str) -> Colour:
        return track_colour(self._place[track])

    def _gutter(self, column: int) -> float:
        """The middle of the space before a column."""
        return self._left(column) - (self._step_x - self._cell) / 2

    def _head(self) -> None:
        self._canvas.text((EDGE, 36), TITLE, 24, INK, bold=0.35)
        self._canvas.text((EDGE, 66), CAPTION, 14, QUIET)
        draw_legend(self._canvas, (EDGE, 100))
        before: date | None = None
        for column, day in enumerate(self._plan.dates):
            x = self._left(column) + self._cell / 2
            size = 15 if self._cell >= 80 else 12
            self._canvas.text((x, HEAD - 40), f"{day.day} {day:%b}", size, INK, "mm", bold=0.2)
            passed = f"{day.year}" if before is None or before.year != day.year else f"+{(day - before).days} days"
            self._canvas.text((x, HEAD - 22), passed, size - 3, QUIET, "mm")
            before = day

    def _thread(self, row: Row) -> None:
        """The coloured line that runs through a row: whole where the track is seen, dashed where it is not."""
        colour, y = self._colour(row.track), self._middle(row.track)
        columns = sorted(row.cells)
        for here, following in itertools.pairwise(columns):
            start, end = (self._left(here) + self._cell, y), (self._left(following), y)
            if following == here + 1:
                self._canvas.line([start, end], colour, THREAD)
            else:
                self._canvas.dashes((start[0] + 6, y), (end[0] - 6, y), mixed(colour, 0.55), 2)
                missed = following - here - 1
                words = f"gap: {_many(missed, 'date')}" if len(self._plan.dates) == self._plan.num_dates else "gap"
                self._canvas.text(((start[0] + end[0]) / 2, y - 12), words, 12, mixed(colour, 0.85), "mm")
        self._edges(row, colour, y)

    def _edges(self, row: Row, colour: Colour, y: float) -> None:
        """How a row begins and ends."""
        start, end = self._left(row.first), self._left(row.last) + self._cell
        if row.born and not self._tied(row.track, "split"):
            self._canvas.line([(start - 14, y), (start, y)], colour, THREAD)
            self._canvas.begin((start - 14, y), colour)
            self._canvas.text((start - 25, y), "birth", 12, colour, "rm")
        if row.ended and not self._tied(row.track, "merge"):
            self._canvas.line([(end, y), (end + 14, y)], colour, THREAD)
            self._canvas.stop((end + 14, y), colour)
            self._canvas.text((end + 23, y), "end", 12, colour)
        if row.earlier:
            self._canvas.line([(start - 12, y), (start, y)], mixed(colour, 0.5), THREAD)
        if row.later:
            self._canvas.line([(end, y), (end + 15, y)], colour, THREAD)
            self._canvas.arrow((end + 16, y), colour)

    def _tied(self, track: str, kind: str) -> bool:
        return any(tie.other == track and tie.kind == kind for tie in self._plan.ties)

    def _tie(self, tie: Tie) -> None:
        """The curve of a split or a merge, in the space before its column."""
        goes, other = self._middle(tie.track), self._middle(tie.other)
        left, right = self._tie_span(tie)
        if tie.kind == "split":
            self._canvas.bend((left, goes), (right, other), self._colour(tie.other), THREAD)
        else:
            self._canvas.bend((left, other), (right, goes), self._colour(tie.other), THREAD)

    def _tie_span(self, tie: Tie) -> tuple[float, float]:
        """Where a curve leaves and arrives: from the cell before the column to the cell in it."""
        rows = {row.track: row for row in self._plan.rows}
        other = rows[tie.other]
        if tie.kind == "split":
            column = other.first
            return self._left(column) - (self._step_x - self._cell), self._left(column)
        column = other.last
        return self._left(column) + self._cell, self._left(column) + self._step_x

    def _tie_label(self, tie: Tie) -> None:
        left, right = self._tie_span(tie)
        middle = (self._middle(tie.track) + self._middle(tie.other)) / 2
        self._canvas.pill(((left + right) / 2, middle), tie.kind, 12, self._colour(tie.other))

    def _cells(self, row: Row) -> None:
        colour, y = self._colour(row.track), self._middle(row.track)
        self._canvas.dot((34, y - 16), 5, colour)
        self._canvas.text((46, y - 16), row.track[:12], 14, INK, bold=0.2)
        self._canvas.text((46, y + 1), f"{_many(row.num_images, 'image')}, {_many(row.num_dates, 'date')}", 12, QUIET)
        self._canvas.text((46, y + 17), _span(row), 11, QUIET)
        if row.note:
            self._canvas.text((46, y + 33), row.note, 11, colour)
        for column, cell in sorted(row.cells.items()):
            x, top = self._left(column), y - self._cell / 2
            self._canvas.picture((x, top), self._cell, cell.pixels, colour)
            if self._cell >= 70:
                self._canvas.count((x + self._cell - 4, top + self._cell - 4), str(cell.num_images), 10)

    def _foot(self) -> None:
        shown = self._plan
        words = [
            _of(len(shown.rows), shown.num_tracks, "tracks"),
            _of(len(shown.dates), shown.num_dates, "dates"),
            f"{shown.num_images:,} images in all",
        ]
        if shown.num_pages > 1:
            words.insert(0, f"page {shown.page:,} of {shown.num_pages:,}")
        y = self._height - 26
        self._canvas.line([(EDGE, y - 18), (self._width - EDGE, y - 18)], FAINT, 1)
        self._canvas.text((EDGE, y + 2), "  ·  ".join(words), 13, QUIET)


def _span(row: Row) -> str:
    """When the track was seen first and last."""
    first, last = (f"{day.day} {day:%b %Y}" for day in (row.since, row.until))
    return first if row.since == row.until else f"{first} - {last}"


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _of(shown: int, total: int, what: str) -> str:
    return f"{total:,} {what}" if shown == total else f"{shown:,} of {total:,} {what} shown"
