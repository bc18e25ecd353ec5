"""What past runs did to the tracks, read back: what changed since, and how the tracks stood after a run."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.runtime.context import Context
from pipeline.runtime.tables import read_dates
from pipeline.schemas import Table

TRACK_CHANGES = pa.schema(
    [("what", pa.string()), ("track_id", pa.string()), ("other_track_id", pa.string()), ("images", pa.int64())]
)
_WHAT = {"merged into": "merged", "split from": "split", "revived": "revived"}


def changed_tracks(context: Context, since: str) -> pa.Table:
    """Tracks that are new, ended, revived, split, merged, renamed or gone since a day or a run.

    Args:
        context: the workspace and its clustering.
        since: a day (``2024-05-01``: what runs from that day on did) or a run (what was done after it).

    Returns:
        ``TRACK_CHANGES``, sorted: ``images`` are those that went over, for a new, ended or revived track its own.
        A track is revived if it had ended and goes on, or if its id had been retired and is there again.

    Raises:
        UserError: neither a day nor a run of this workspace.
    """
    runs = _runs_since(context, since)
    aliases, changes = (_of_runs(context, table, runs) for table in (schemas.ALIASES, schemas.CHANGES))
    rows = [
        {
            "what": _WHAT.get(row["kind"], "renamed" if row["other_track_id"] else "gone"),
            **{name: row[name] for name in ("track_id", "other_track_id", "images")},
        }
        for row in aliases.to_pylist()
    ]
    known = {(row["what"], row["track_id"]) for row in rows}
    now, then = _images(context), _images(context, changes)
    sizes = Counter[str]()
    for (_, track), images in now.items():
        sizes[track] += images
    for what, tracks in _came_and_went(now, then, context.config.link.max_gap).items():
        told = {track for said, track in known if what in (said, "new")}
        rows += [{"what": what, "track_id": track, "images": sizes[track]} for track in tracks - told]
    found = pa.Table.from_pylist(rows, schema=TRACK_CHANGES)
    return found.sort_by([(name, "ascending") for name in ("what", "track_id", "other_track_id")])


def state(context: Context, name: str) -> pa.Table:
    """``tracks`` with a column ``date``: of a clustering of the workspace, or as the config's stood after a run.

    The state after a run is that of today with every later change undone, so only images that are still there have
    their cluster; of a workspace that was first run by an older version the runs before are not known.

    Raises:
        UserError: no such clustering and no such run.
    """
    columns = ("image_id", "uri", "cluster_id", "track_id")
    if name in context.workspace.names("clusterings"):
        config = context.config.model_copy(update={"clustering": name})
        return read_dates(replace(context, config=config), schemas.TRACKS, columns)
    later = _after(context, name)
    tracks = read_dates(context, schemas.TRACKS, columns)
    then: dict[str, str | None] = {}
    for run in sorted(later, reverse=True):
        rows = _of_runs(context, schemas.CHANGES, [run])
        then.update(zip(rows["image_id"].to_pylist(), rows["old_track_id"].to_pylist(), strict=True))
    ids = tracks["image_id"].to_pylist()
    old = [then.get(image, track) for image, track in zip(ids, tracks["track_id"].to_pylist(), strict=True)]
    return tracks.set_column(tracks.schema.get_field_index("track_id"), "track_id", pa.array(old, pa.string()))


def _runs_since(context: Context, since: str) -> list[str]:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", since):
        first = since.replace("-", "")
        return [run for run in _known(context) if run >= first]
    return _after(context, since)


def _after(context: Context, run: str) -> list[str]:
    reports = context.workspace.reports()
    if run not in reports:
        last = ", ".join(reports[-3:]) or "none"
        raise UserError(f"found no run and no clustering {run}\nthe last runs of this workspace are {last}")
    return [one for one in _known(context) if one > run]


def _known(context: Context) -> list[str]:
    return sorted({*context.store(schemas.CHANGES).partitions, *context.store(schemas.ALIASES).partitions})


def _of_runs(context: Context, table: Table, runs: list[str]) -> pa.Table:
    store = context.store(table)
    found = [store.read(run, None, store.partitions[run]) for run in runs if run in store.partitions]
    return pa.concat_tables([table.empty(), *found])


def _images(context: Context, undone: pa.Table | None = None) -> Counter[tuple[str, str]]:
    """Images of each date and track; as they were before the ``changes`` that are ``undone``."""
    rows = read_dates(context, schemas.TRACKS, ("track_id",))
    counts = rows.filter(pc.is_valid(rows["track_id"])).group_by(["date", "track_id"]).aggregate([([], "count_all")])
    columns = (counts[name].to_pylist() for name in ("date", "track_id", "count_all"))
    found = Counter({(date, track): images for date, track, images in zip(*columns, strict=True)})
    for row in () if undone is None else undone.to_pylist():
        for name, by in (("old_track_id", 1), ("new_track_id", -1)):
            if row[name] is not None:
                found[row["date"].isoformat(), row[name]] += by
    return +found


def _came_and_went(
    now: Mapping[tuple[str, str], int], then: Mapping[tuple[str, str], int], max_gap: int
) -> dict[str, set[str]]:
    """The tracks that are ``new``, ``ended`` and ``revived``: an ended one is not seen on more than max_gap dates."""
    (alive, over), (before, over_then) = _lasting(now, max_gap), _lasting(then, max_gap)
    return {"new": alive - before, "ended": over - over_then, "revived": (alive - over) & over_then}


def _lasting(images: Mapping[tuple[str, str], int], max_gap: int) -> tuple[set[str], set[str]]:
    """The tracks that there are, and of these the ended ones."""
    last = {track: date for date, track in sorted(images)}
    dates = sorted({date for date, _ in images})
    first_open = dates[-max_gap - 1] if len(dates) > max_gap else ""
    return set(last), {track for track, date in last.items() if date < first_open}
