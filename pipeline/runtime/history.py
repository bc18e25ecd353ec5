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
from pipeline.runtime.steps import CURRENT
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
    told = set(aliases["track_id"].to_pylist())
    now = _sizes(context)
    came, went = (Counter(changes[name].to_pylist()) for name in ("new_track_id", "old_track_id"))
    for track, images in now.items():
        if track not in told and images and images == came[track] - went[track]:
            rows.append({"what": "new", "track_id": track, "images": images})
    dates = {day.isoformat() for day in pc.unique(changes["date"]).to_pylist()}
    happened = read_dates(context, schemas.EVENTS, ("track_id", "kind"), dates.__contains__)
    for kind, what in (("end", "ended"), ("revival", "revived")):
        tracks = pc.unique(happened.filter(pc.equal(happened["kind"], kind))["track_id"]).to_pylist()
        shown = {row["track_id"] for row in rows if row["what"] == what}
        rows += [{"what": what, "track_id": one, "images": now.get(one, 0)} for one in tracks if one not in shown]
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


def _sizes(context: Context) -> Mapping[str, int]:
    """Images of each track there is."""
    store = context.store(schemas.REGISTRY)
    if CURRENT not in store.partitions:
        return {}
    rows = store.read(CURRENT, ("track_id", "num_images", "retired"), store.partitions[CURRENT])
    rows = rows.filter(pc.invert(rows["retired"]))
    return dict(zip(rows["track_id"].to_pylist(), rows["num_images"].to_pylist(), strict=True))
