"""What changed between runs, as tables for people."""

from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import RenderableType

from pipeline.reports.text import DASH, count, table

SHOWN = 100
"""Lines, at most; the tables ``changes`` and ``aliases`` have all."""


def render_changes(found: pa.Table, since: str) -> RenderableType:
    """A line a track: what happened to it, which other track is concerned, and how many images.

    Args:
        found: what, track_id, other_track_id, images.
        since: as the user gave it.
    """
    if not found.num_rows:
        return f"no track changed since {since}"
    rows = [
        (row["what"], row["track_id"], row["other_track_id"] or DASH, count(row["images"]))
        for row in found.slice(0, SHOWN).to_pylist()
    ]
    more = f" (the first {SHOWN} of {count(found.num_rows)})" if found.num_rows > SHOWN else ""
    return table(f"Tracks that changed since {since}{more}", ("what", "track", "other track", "images"), rows, 3)


def notes_of(found: pa.Table) -> dict[str, str]:
    """What happened to each track, as ``render_changes`` takes it, in a few words to write beside it."""
    said, came = defaultdict[str, list[str]](list), defaultdict[tuple[str, str], list[str]](list)
    for row in found.to_pylist():
        if row["what"] in ("merged", "renamed") and row["other_track_id"]:
            came[row["other_track_id"], row["what"]].append(row["track_id"])
        else:
            words = f"split from {row['other_track_id']}" if row["what"] == "split" else row["what"]
            said[row["track_id"]].append(words)
    for (track, what), others in came.items():
        which = others[0] if len(others) == 1 else count(len(others))
        said[track].append(f"{which} merged into it" if what == "merged" else f"was {which}")
    return {track: ", ".join(words) for track, words in said.items()}


def as_truth(tracks: pa.Table, column: str = "track_id") -> pa.Table:
    """``image_id`` and ``identity`` of the images that have a track, or a cluster (``cluster_id``)."""
    rows = tracks.filter(pc.is_valid(tracks[column]))
    return rows.select(["image_id", column]).rename_columns(["image_id", "identity"])
