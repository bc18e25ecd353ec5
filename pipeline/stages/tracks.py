"""The result tables: every image with its track, and every track in one row."""

import datetime
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas


def tracks(date: str, images: pa.Table, assignments: pa.Table, links: pa.Table | None) -> pa.Table:
    """Rows of ``tracks`` for one date: one per image, also those without a cluster.

    Args:
        date: the partition; of ``schemas.UNDATED`` every track_id is null.
        images: ``image_id``, ``uri``, ``captured_at`` (other columns are ignored).
        assignments: ``image_id``, ``cluster_id`` (an image without a row has no cluster).
        links: ``cluster_id``, ``track_id``, ``probability``; None or empty for the undated partition.
    """
    names = ["image_id", "uri", "captured_at"]
    rows = images.select(names).join(assignments.select(["image_id", "cluster_id"]), "image_id", join_type="left outer")
    linked = schemas.LINKS.empty() if links is None or date == schemas.UNDATED else links
    rows = rows.join(linked.select(["cluster_id", "track_id", "probability"]), "cluster_id", join_type="left outer")
    return rows.select(schemas.TRACKS.names).cast(schemas.TRACKS.empty().schema).sort_by("image_id")


def track_summary(
    date: str, link_state: pa.Table, look_state: pa.Table, later_links: Sequence[pa.Table], max_gap: int
) -> pa.Table:
    """Rows of ``track_summary`` for one date: the tracks last seen on it.

    A pure function of the date's states and of the links of the following dates, so that adding a date changes the
    partitions of the last ``max_gap + 1`` dates and its own, and no other.

    Args:
        date: the partition, ``YYYY-MM-DD``.
        link_state: the ``link_state`` rows of this date (every track that had a cluster on it).
        look_state: the ``look_state`` rows of this date, of the same tracks.
        later_links: the ``links`` of the dates of the collection after this one, ascending: the first ``max_gap + 1``
            of them, or as many as there are.
        max_gap: ``LinkParams.max_gap``.

    Returns:
        One row per track of this date that no later link continues; ``ended`` once ``max_gap + 1`` later dates exist.
    """
    from pipeline.stages.looks import representatives

    horizon = list(later_links)[: max_gap + 1]
    later = pa.chunked_array([chunk for links in horizon for chunk in links["track_id"].chunks], pa.string())
    rows = link_state.filter(pc.invert(pc.is_in(link_state["track_id"], value_set=later)))
    shown = look_state.take(pc.index_in(rows["track_id"], look_state["track_id"].combine_chunks()))
    for name, column in representatives(shown).items():
        rows = rows.append_column(name, column)
    state = "ended" if len(horizon) > max_gap else "open"
    rows = rows.append_column("last_date", pa.array([datetime.date.fromisoformat(date)] * rows.num_rows, pa.date32()))
    rows = rows.append_column("state", pa.array([state] * rows.num_rows, pa.string()))
    rows = rows.append_column("change_dates", shown["change_dates"])
    schema = schemas.TRACK_SUMMARY.empty().schema
    return rows.select(schemas.TRACK_SUMMARY.names).cast(schema).sort_by("track_id")
