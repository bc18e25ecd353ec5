"""Verdicts across more dates than linking looks back: the track that showed a subject last is taken up again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.stages.constraints import subjects_of
from pipeline.stages.link_tables import to_date

Row = Mapping[str, Any]


def taken_up(
    state: Iterable[Row], open_keys: Iterable[str], known: Mapping[str, Sequence[Row]], before: pa.Table | None
) -> list[dict[str, Any]]:
    """Rows of ``stitches``: tracks that begin on a date and show, by a verdict, what a track showed that is closed.

    Args:
        state: the ``link_state`` rows of the date.
        open_keys: the tracks that could be continued; those that verdicts asked for were.
        known: cluster -> the ``constraints`` of its images.
        before: ``known_subjects`` of the date before, None if there are none.
    """
    last = {one["subject"]: one for one in _rows(before)}
    shown: dict[str, set[str]] = {}
    for subject, one in last.items():
        shown.setdefault(one["track_key"], set()).add(subject)
    reach = set(open_keys)
    found = []
    for row in state:
        others = subjects_of(known.get(row["last_cluster_id"], ()))[1]
        earlier = [
            last[subject]
            for subject in row["subjects"]
            if subject in last and row["track_key"] not in reach and last[subject]["track_key"] not in reach
        ]
        allowed = [one for one in earlier if not others & shown[one["track_key"]]]
        if allowed:
            found.append(_stitch(row, max(allowed, key=lambda one: (one["last_date"], one["track_key"]))))
    return found


def known_subjects(date: str, state: Iterable[Row], before: pa.Table | None) -> list[dict[str, Any]]:
    """Rows of ``known_subjects`` after a date."""
    found = {row["subject"]: {**row, "gap_dates": row["gap_dates"] + 1} for row in _rows(before)}
    for row in state:
        seen = {"last_date": to_date(date), "gap_dates": 0}
        seen |= {name: row[name] for name in ("track_key", "last_cluster_id")}
        found |= {subject: {"subject": subject, **seen} for subject in row["subjects"]}
    return [found[subject] for subject in sorted(found)]


def _rows(before: pa.Table | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [] if before is None else before.to_pylist()
    return rows


def _stitch(row: Row, earlier: Row) -> dict[str, Any]:
    return {
        "track_key": row["track_key"],
        "earlier_track_key": earlier["track_key"],
        "kind": "verdict",
        "previous_cluster_id": earlier["last_cluster_id"],
        "last_date": earlier["last_date"],
        "first_date": row["first_date"],
        "gap_dates": earlier["gap_dates"] + 1,
        "similarity": None,
        "probability": 1.0,
    }
