"""Stitches in the published tables: tracks of linking that are one have one id, and the later one's birth is none.

Linking calls the later part of a track by a key of its own and says in ``stitches`` which earlier key it is.  Naming
gives both one id, and publishing puts a ``gap`` or a ``revival`` in the place of the birth.
"""

import datetime
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas

REASONS = {"verdict": "same subject by a verdict"}
"""Kind of a stitch -> reason of the link; of the others they are taken up again."""


@dataclass(frozen=True)
class Chains:
    """Which keys are one track.

    Attributes:
        root: Later key -> the first key of its track.
        since: Later key -> the first date of its part.
        later: First key -> the later ones, in the order of their dates.
        taken_up: Date on which parts begin -> the last dates of the parts before them, ascending.
        ends: Later key -> the last date of the part before it.
    """

    root: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, datetime.date] = field(default_factory=dict)
    later: Mapping[str, list[str]] = field(default_factory=dict)
    taken_up: Mapping[str, list[str]] = field(default_factory=dict)
    ends: Mapping[str, datetime.date] = field(default_factory=dict)

    @classmethod
    def of(cls, stitches: pa.Table) -> "Chains":
        """From all rows of ``schemas.STITCHES``."""
        rows = sorted(stitches.to_pylist(), key=lambda row: (row["first_date"], row["track_key"]))
        earlier = {row["track_key"]: row["earlier_track_key"] for row in rows}
        root = {key: _first(key, earlier) for key in earlier}
        later, taken = defaultdict[str, list[str]](list), defaultdict[str, set[str]](set)
        for row in rows:
            later[root[row["track_key"]]].append(row["track_key"])
            taken[row["first_date"].isoformat()].add(row["last_date"].isoformat())
        since = {row["track_key"]: row["first_date"] for row in rows}
        ends = {row["track_key"]: row["last_date"] for row in rows}
        return cls(root, since, later, {day: sorted(ends) for day, ends in sorted(taken.items())}, ends)

    def rooted(self, keys: pa.ChunkedArray) -> pa.ChunkedArray:
        """Keys, each by the first of its track."""
        if not self.root:
            return keys
        found = pc.index_in(keys, value_set=pa.array(list(self.root), pa.string()))
        return pc.coalesce(pc.take(pa.array(list(self.root.values()), pa.string()), found), keys)

    def moved(self, registry: pa.Table) -> tuple[set[str], bool]:
        """Keys that are a later part now and were none of the same track in ``registry``; whether any is none now."""
        rows = registry.filter(pc.greater(pc.list_value_length(registry["later_keys"]), 0))
        pairs = zip(rows["track_key"].to_pylist(), rows["later_keys"].to_pylist(), strict=True)
        before = {key: first for first, keys in pairs for key in keys}
        fresh = {key for key, first in self.root.items() if before.get(key) != first}
        return fresh, bool(before.keys() - self.root.keys())


NONE = Chains()
"""No track is stitched to another."""


def _first(key: str, earlier: Mapping[str, str]) -> str:
    seen = set[str]()  # parts left behind by --dates might go round in a circle
    while key in earlier and key not in seen:
        seen.add(key)
        key = earlier[key]
    return key


def told_later(
    date: str, decisions: pa.Table, happened: pa.Table, stitches: Sequence[pa.Table]
) -> tuple[pa.Table, pa.Table]:
    """A date's ``link_decisions`` and ``link_events`` with what was told later of the tracks that began on it.

    A decision that began the later part of a track becomes a link to its earlier part, and the event ``birth`` a
    ``gap``, or a ``revival`` where the earlier part had ended.

    Args:
        date: ``YYYY-MM-DD``.
        decisions: ``schemas.LINK_DECISIONS`` of the date.
        happened: ``schemas.LINK_EVENTS`` of the date.
        stitches: rows of ``schemas.STITCHES``, of which those count whose ``first_date`` is the date.
    """
    began = datetime.date.fromisoformat(date)
    told = {row["track_key"]: row for rows in stitches for row in rows.to_pylist() if row["first_date"] == began}
    if not told:
        return decisions, happened
    links = [_link(row, told.get(row["track_key"])) for row in decisions.to_pylist()]
    events = [_event(row, told.get(row["track_key"])) for row in happened.to_pylist()]
    ordered = sorted(events, key=lambda row: tuple(row[name] for name in schemas.LINK_EVENTS.key))
    return pa.Table.from_pylist(links, decisions.schema), pa.Table.from_pylist(ordered, happened.schema)


def _link(row: dict[str, Any], stitch: Mapping[str, Any] | None) -> dict[str, Any]:
    if stitch is None or row["previous_cluster_id"] is not None:
        return row
    told = {name: stitch[name] for name in ("previous_cluster_id", "gap_dates", "similarity", "probability")}
    days = (stitch["first_date"] - stitch["last_date"]).days
    return {**row, **told, "gap_days": days, "reason": REASONS.get(stitch["kind"], "taken up again")}


def _event(row: dict[str, Any], stitch: Mapping[str, Any] | None) -> dict[str, Any]:
    if stitch is None or row["kind"] != "birth":
        return row
    looks = "a verdict" if stitch["similarity"] is None else f"similarity {stitch['similarity']:.3f}"
    return {
        **row,
        "kind": "gap" if stitch["kind"] == "gap" else "revival",
        "probability": stitch["probability"],
        "evidence": f"not seen on {stitch['gap_dates'] - 1} dates; {looks}",
    }
