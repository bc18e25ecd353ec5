"""The result tables: every image with its track, and every track in one row."""

import datetime
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas
from pipeline.stages.publish import Names

_LINKED = ["cluster_id", "track_id", "probability"]


def tracks(
    date: str, images: pa.Table, assignments: pa.Table, decisions: pa.Table | None, names: Names | None
) -> pa.Table:
    """Rows of ``tracks`` for one date: one per image, also those without a cluster.

    Args:
        date: the partition; of ``schemas.UNDATED`` every track_id is null.
        images: ``image_id``, ``uri``, ``captured_at`` (other columns are ignored).
        assignments: ``image_id``, ``cluster_id`` (an image without a row has no cluster).
        decisions: ``cluster_id``, ``track_key``, ``probability``; None for the undated partition.
        names: of the tracks; None for the undated partition.
    """
    rows = images.select(["image_id", "uri", "captured_at"]).join(
        assignments.select(["image_id", "cluster_id"]), "image_id", join_type="left outer"
    )
    linked = schemas.LINKS.empty().select(_LINKED)
    if decisions is not None and names is not None and date != schemas.UNDATED:
        columns = (decisions["cluster_id"], names.of(decisions["track_key"]), decisions["probability"])
        linked = pa.table(columns, _LINKED)
    rows = rows.join(linked, "cluster_id", join_type="left outer")
    return rows.select(schemas.TRACKS.names).cast(schemas.TRACKS.empty().schema).sort_by("image_id")


def track_summary(
    date: str,
    link_state: pa.Table,
    look_state: pa.Table,
    later_links: Sequence[pa.Table],
    max_gap: int,
    names: Names,
) -> pa.Table:
    """Rows of ``track_summary`` for one date: the tracks last seen on it.

    A pure function of the date's states and of the links of the following dates, so that adding a date changes the
    partitions of the last ``max_gap + 1`` dates and its own, and no other.

    Args:
        date: the partition, ``YYYY-MM-DD``.
        link_state: the ``link_state`` rows of this date (every track that had a cluster on it); ``track_key`` is read.
        look_state: the ``look_state`` rows of this date, of the same tracks.
        later_links: the ``link_decisions`` of the dates of the collection after this one, ascending: the first
            ``max_gap + 1`` of them, or as many as there are.
        max_gap: ``LinkParams.max_gap``.
        names: of the tracks.

    Returns:
        One row per track of this date that no later link continues, and that is not taken up later; ``ended`` once
        ``max_gap + 1`` later dates exist.
    """
    from pipeline.stages.looks import summaries

    horizon = list(later_links)[: max_gap + 1]
    later = pa.chunked_array([chunk for links in horizon for chunk in links["track_key"].chunks], pa.string())
    keys = link_state["track_key"]
    last = keys.filter(pc.invert(pc.or_(pc.is_in(keys, value_set=later), names.taken_up(keys))))
    shown = look_state.filter(pc.is_in(look_state["track_id"], value_set=names.of(last).combine_chunks()))
    state = "ended" if len(horizon) > max_gap else "open"
    same = {"last_date": datetime.date.fromisoformat(date), "state": state}
    rows = [{**row, **same} for row in summaries(shown)]
    return pa.Table.from_pylist(rows, schemas.TRACK_SUMMARY.empty().schema).sort_by("track_id")
