"""What the picture of the tracks needs, read from a workspace: narrow columns first, then pixels of what is shown."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.reports.picture import draw_tracks
from pipeline.reports.picture_rows import plan
from pipeline.reports.saving import check_folder, save
from pipeline.runtime.context import Context
from pipeline.runtime.tables import pixels_of, read_dates


@dataclass(frozen=True)
class View:
    """What of the tracks to draw.

    Attributes:
        max_tracks: rows of a page, at most.
        max_dates: columns, at most; of more dates evenly spaced ones are shown.
        page: from 1; None: every page, each in a file of its own.
        tracks: ids of the tracks to draw; empty: all.
        events: kinds of events; only tracks with one of them on the dates shown are drawn; empty: all.
        notes: track -> what is written beside it, a few words.
    """

    max_tracks: int = 30
    max_dates: int = 16
    page: int | None = 1
    tracks: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


def draw(context: Context, file: Path, view: View) -> list[Path]:
    """Draw the tracks of the dates in the window into ``file``, or all pages into ``file`` with a number.

    Returns:
        The files written.

    Raises:
        UserError: there is nothing to draw, no such page, or the file cannot be written.
    """
    check_folder(file)
    cells, events = _cells(context), _events(context)
    dates = sorted(set(cells["date"].to_pylist()))
    if not dates:
        raise UserError("there is no track to draw: run `imagetracks run` first, or give other --dates")
    cells = _wanted(cells, events, view)
    first = plan(cells, events, dates, view.max_tracks, view.max_dates)
    pages = range(1, first.num_pages + 1) if view.page is None else [view.page]
    digits = len(str(first.num_pages))
    written = []
    for page in pages:
        target = file if view.page is not None else file.with_stem(f"{file.stem}-{page:0{digits}d}")
        _draw_page(context, (cells, events, dates), view, page, target)
        written.append(target)
    return written


def _draw_page(
    context: Context, drawn: tuple[pa.Table, pa.Table, list[dt.date]], view: View, page: int, file: Path
) -> None:
    cells, events, dates = drawn
    shown = plan(cells, events, dates, view.max_tracks, view.max_dates, page)
    wanted = {(row.track, shown.dates[column]) for row in shown.rows for column in row.cells}
    cells = _with_pixels(context, cells, wanted)
    notes = [view.notes.get(track) for track in cells["track_id"].to_pylist()]
    cells = cells.append_column("note", pa.array(notes, pa.string()))
    limits = {"max_tracks": view.max_tracks, "max_dates": view.max_dates, "page": page}
    save(draw_tracks(cells, events, dates, **limits), file, "tracks.png")


def _wanted(cells: pa.Table, events: pa.Table, view: View) -> pa.Table:
    """The cells of the tracks asked for."""
    if view.tracks:
        unknown = sorted(set(view.tracks) - set(cells["track_id"].to_pylist()))
        if unknown:
            raise UserError(
                f"--tracks: found no track {', '.join(unknown[:3])}{', …' if len(unknown) > 3 else ''} on these dates\n"
                "expected ids as in the column track_id of the table tracks"
            )
        cells = cells.filter(pc.is_in(cells["track_id"], value_set=pa.array(view.tracks, pa.string())))
    if view.events:
        kinds = pa.array(view.events, pa.string())
        happened = events.filter(pc.is_in(events["kind"], value_set=kinds))
        ids = pa.chunked_array([*happened["track_id"].chunks, *happened["other_track_id"].chunks], pa.string())
        cells = cells.filter(pc.is_in(cells["track_id"], value_set=pc.drop_null(ids)))
        if not cells.num_rows:
            raise UserError(f"--events {','.join(view.events)}: no track has such an event on these dates")
    return cells


def _dated(context: Context) -> list[str]:
    dates = context.store(schemas.LINKS).partitions
    return [date for date in dates if context.in_window(date)]


def _cells(context: Context) -> pa.Table:
    """A row a track and date: its largest cluster's medoid stands for it."""
    wanted = set(_dated(context))
    links = read_dates(context, schemas.LINKS, ("cluster_id", "track_id"), wanted.__contains__)
    narrow = ("cluster_id", "num_images", "medoid_image_id")
    clusters = read_dates(context, schemas.CLUSTERS, narrow, wanted.__contains__).drop_columns(["date"])
    rows = links.join(clusters, "cluster_id").sort_by([("num_images", "descending"), ("cluster_id", "ascending")])
    grouped = rows.group_by(["track_id", "date"], use_threads=False)
    found = grouped.aggregate([("num_images", "sum"), ("medoid_image_id", "first")])
    return pa.table(
        {
            "track_id": found["track_id"],
            "date": _days(found["date"]),
            "num_images": found["num_images_sum"],
            "image_id": found["medoid_image_id_first"],
        }
    ).sort_by([("track_id", "ascending"), ("date", "ascending")])


def _events(context: Context) -> pa.Table:
    wanted = set(_dated(context))
    rows = read_dates(context, schemas.EVENTS, ("track_id", "kind", "other_track_id"), wanted.__contains__)
    return rows.set_column(rows.schema.get_field_index("date"), "date", _days(rows["date"]))


def _with_pixels(context: Context, cells: pa.Table, wanted: set[tuple[str, dt.date]]) -> pa.Table:
    ids_by_date: dict[str, list[str]] = {}
    for cell in cells.select(["track_id", "date", "image_id"]).to_pylist():
        if (cell["track_id"], cell["date"]) in wanted:
            ids_by_date.setdefault(cell["date"].isoformat(), []).append(cell["image_id"])
    pixels: dict[str, bytes | None] = {}
    for date, ids in ids_by_date.items():
        pixels |= pixels_of(context, date, ids)
    column = pa.array([pixels.get(image_id) for image_id in cells["image_id"].to_pylist()], pa.binary())
    return cells.drop_columns(["image_id"]).append_column("pixels", column)


def _days(dates: pa.ChunkedArray) -> pa.Array:
    return pa.array([dt.date.fromisoformat(date) for date in dates.to_pylist()], pa.date32())
