"""What the pictures of a date's clusters need, read from a workspace."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.reports.charts import draw_dendrogram, draw_elbow, draw_silhouettes, draw_trials
from pipeline.reports.cluster_sheet import draw_sheet, plan_sheet
from pipeline.reports.map_picture import draw_map, on_paper, side_of, thumbnails
from pipeline.reports.saving import check_folder, save
from pipeline.runtime.clustered import MAX_TREE, clustered
from pipeline.runtime.context import Context
from pipeline.runtime.tables import pixels_of, read_date, read_dates


@dataclass(frozen=True)
class ClusterView:
    """What to draw: the ``page`` of the contact sheet, what ``colours`` the map (cluster or track)."""

    page: int = 1
    colours: str = "track"


def draw_clusters(context: Context, kind: str, file: Path, view: ClusterView) -> None:
    """Draw one of ``KINDS`` of the dates in the window into ``file``: of several dates, the one with most clusters.

    Raises:
        UserError: there is nothing to draw, or the file cannot be written.
    """
    check_folder(file)
    save(KINDS[kind](context, view), file, "clusters.png")


def _sheet(context: Context, view: ClusterView) -> Image.Image:
    date = _date(context)
    rows = _members(context, date)
    grouped = rows.group_by("cluster_id", use_threads=False).aggregate([("image_id", "list")])
    members = zip(grouped["cluster_id"].to_pylist(), grouped["image_id_list"].to_pylist(), strict=True)
    sheet = plan_sheet(list(members), view.page)
    return draw_sheet(sheet, pixels_of(context, date, sheet.image_ids), _named(date))


def _map(context: Context, view: ClusterView) -> Image.Image:
    places, what = _places(context)
    places = places.filter(places["x"].is_valid()).sort_by([("date", "ascending"), ("image_id", "ascending")])
    if not places.num_rows:
        raise UserError("there is no image with a place on these dates")
    tracks = read_dates(context, schemas.TRACKS, ("image_id", "cluster_id", "track_id"), context.in_window)
    of_image = dict(zip(tracks["image_id"].to_pylist(), tracks[f"{view.colours}_id"].to_pylist(), strict=True))
    names = [of_image.get(image_id) for image_id in places["image_id"].to_pylist()]
    numbers = {name: number for number, name in enumerate(sorted({name for name in names if name is not None}))}
    groups = [-1 if name is None else numbers[name] for name in names]
    at = on_paper(np.stack([places["x"].to_numpy(), places["y"].to_numpy()], axis=1))
    shown = thumbnails(at, groups, side_of(len(at)))
    pixels: dict[int, bytes | None] = {}
    ids, dates = places["image_id"].to_pylist(), places["date"].to_pylist()
    for date in sorted({dates[row] for row in shown}):
        found = pixels_of(context, date, {ids[row] for row in shown if dates[row] == date})
        pixels |= {row: found.get(ids[row]) for row in shown if dates[row] == date}
    title = f"Map of {what}"
    caption = f"{len(at)} images; what looks alike lies together; colours: {len(numbers)} {view.colours}s"
    return draw_map(at, groups, pixels, title, caption)


def _dendrogram(context: Context) -> Image.Image:
    date = _date(context)
    found = clustered(context, date)
    if len(found.ids) < 2:
        raise UserError(f"the dendrogram of {_named(date)} would have {len(found.ids)} images, expected two at least")
    tree = found.tree
    if tree is None:
        raise UserError(
            f"{_named(date)} has {len(found.ids)} images and no dendrogram; expected {MAX_TREE} at most\n"
            "set cluster.method=agglomerative, which writes one, or choose a smaller date with --dates"
        )
    largest = np.argsort(-np.bincount(found.labels), kind="stable")
    place = np.argsort(largest)
    return draw_dendrogram(tree, place[found.labels], [found.names[label] for label in largest], _named(date))


def _elbow(context: Context) -> Image.Image:
    date = _date(context)
    return draw_elbow(read_date(context, schemas.TRIALS, date), _named(date))


def _silhouettes(context: Context) -> Image.Image:
    date = _date(context)
    rows = _members(context, date)
    grouped = rows.group_by("cluster_id", use_threads=False).aggregate([("silhouette", "list")])
    values = [
        np.array([np.nan if v is None else v for v in one], dtype=np.float64)
        for one in grouped["silhouette_list"].to_pylist()
    ]
    order = sorted(range(len(values)), key=lambda place: (-len(values[place]), place))
    names = grouped["cluster_id"].to_pylist()
    trials = read_date(context, schemas.TRIALS, date)
    return draw_silhouettes([values[at] for at in order], [names[at] for at in order], trials, _named(date))


def _trials(context: Context) -> Image.Image:
    date = _date(context)
    return draw_trials(read_date(context, schemas.TRIALS, date), _named(date))


KINDS: dict[str, Callable[[Context, ClusterView], Image.Image]] = {
    "clusters": _sheet,
    "map": _map,
    "dendrogram": lambda context, _: _dendrogram(context),
    "elbow": lambda context, _: _elbow(context),
    "silhouette": lambda context, _: _silhouettes(context),
    "trials": lambda context, _: _trials(context),
}
"""Kind of picture -> how it is made."""


def _date(context: Context) -> str:
    """The date in the window with the most clusters, the latest of equals."""
    clusters = context.store(schemas.CLUSTERS).partitions
    found = [(manifest.rows, date) for date, manifest in clusters.items() if context.in_window(date) and manifest.rows]
    if not found:
        raise UserError("there is no cluster to draw: run `imagetracks run` first, or give other --dates")
    return max(found)[1]


def _members(context: Context, date: str) -> pa.Table:
    """``assignments`` of the clustered images, the nearest to its cluster's center first."""
    rows = read_date(context, schemas.ASSIGNMENTS, date)
    order = [("cluster_id", "ascending"), ("similarity_to_center", "descending"), ("image_id", "ascending")]
    return rows.filter(rows["cluster_id"].is_valid()).sort_by(order)


def _places(context: Context) -> tuple[pa.Table, str]:
    """The map of the one date asked for, or that of the collection; and what it is of."""
    dates = [date for date in context.store(schemas.MAP).partitions if context.in_window(date)]
    columns = ("image_id", "x", "y")
    if len(dates) == 1:
        return read_dates(context, schemas.MAP, columns, dates.__contains__), _named(dates[0])
    if context.store(schemas.COLLECTION_MAP).partitions:
        return read_dates(context, schemas.COLLECTION_MAP, columns, context.in_window), "the collection"
    if dates:
        largest = max(dates, key=lambda date: context.store(schemas.MAP).partitions[date].rows)
        return read_dates(context, schemas.MAP, columns, largest.__eq__), _named(largest)
    raise UserError(
        "there is no map: `imagetracks map` makes one of the collection, a run with map.method=umap one of each date"
    )


def _named(date: str) -> str:
    return "the undated images" if date == schemas.UNDATED else date
