"""What the picture of the tracks needs, read from a workspace: narrow columns first, then pixels of what is shown."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.reports.picture import draw_tracks
from pipeline.reports.picture_rows import plan
from pipeline.runtime.context import Context
from pipeline.runtime.tables import read_dates

MAX_DATES = 16


def draw(context: Context, file: Path, max_tracks: int) -> None:
    """Draw the tracks of the dates in the window into ``file``.

    Raises:
        UserError: there is nothing to draw, or the file cannot be written.
    """
    cells, events = _cells(context), _events(context)
    dates = sorted(set(cells["date"].to_pylist()))
    if not dates:
        raise UserError("there is no track to draw: run `imagetracks run` first, or give other --dates")
    shown = plan(cells, events, dates, max_tracks, MAX_DATES)
    wanted = {(row.track, shown.dates[column]) for row in shown.rows for column in row.cells}
    cells = _with_pixels(context, cells, wanted)
    picture = draw_tracks(cells, events, dates, max_tracks=max_tracks, max_dates=MAX_DATES)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(file)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write the picture {file}: {error}; give a file like tracks.png") from None


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
    store = context.store(schemas.IMAGES)
    ids_by_date: dict[str, list[str]] = {}
    for cell in cells.select(["track_id", "date", "image_id"]).to_pylist():
        if (cell["track_id"], cell["date"]) in wanted:
            ids_by_date.setdefault(cell["date"].isoformat(), []).append(cell["image_id"])
    pixels: dict[str, bytes] = {}
    for date, ids in ids_by_date.items():
        for _, rows in store.scan(date, store.partitions[date], ("image_id", "pixels"), 1024):
            found = rows.filter(pc.is_in(rows["image_id"], value_set=pa.array(ids, pa.string())))
            pixels.update(zip(found["image_id"].to_pylist(), found["pixels"].to_pylist(), strict=True))
    column = pa.array([pixels.get(image_id) for image_id in cells["image_id"].to_pylist()], pa.binary())
    return cells.drop_columns(["image_id"]).append_column("pixels", column)


def _days(dates: pa.ChunkedArray) -> pa.Array:
    return pa.array([dt.date.fromisoformat(date) for date in dates.to_pylist()], pa.date32())
