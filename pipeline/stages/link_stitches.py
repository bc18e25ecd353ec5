"""The second pass of linking: tracks that began a few dates ago and are one that was seen before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.stages.link_tables import Floats, Ints, OpenTracks, to_date

if TYPE_CHECKING:
    from pipeline.compute.linking.decisions import Rules
    from pipeline.compute.linking.memory import Memory


@dataclass(frozen=True)
class Fold:
    """What a date's linking leaves to stitch: tracks whose subject no verdict names: those are decided.

    Attributes:
        birth: the date on which the newborn tracks began, ``YYYY-MM-DD``.
        lag: dates of the collection from then to now.
        seen: rows of ``link_state`` of this date.
        open: tracks that were open before this date, without those that have become part of a later one.
        ended: tracks that ended within reach, likewise; their gaps are dates since they *ended*.
        max_gap: dates after their last on which they did.
    """

    birth: str
    lag: int
    seen: Sequence[Mapping[str, Any]]
    open: OpenTracks
    ended: OpenTracks
    max_gap: int

    def away(self, most: int) -> tuple[list[tuple[Mapping[str, Any], Floats]], Ints]:
        """Row, bank and gap (dates from its last to the newborn's first) of the tracks not seen since; newest first."""
        now = {row["track_key"] for row in self.seen}
        found = [
            (int(self.open.gaps[j]) - self.lag, self.open.ids[j], self.open.rows[j], self.open.bank_of(j))
            for j in range(len(self.open.ids))
            if self.open.ids[j] not in now and self.open.gaps[j] > self.lag
        ]
        found += [
            (int(gap) + self.max_gap + 1 - self.lag, self.ended.ids[j], self.ended.rows[j], self.ended.bank_of(j))
            for j, gap in enumerate(self.ended.gaps)
        ]
        found = sorted((one for one in found if not one[2]["subjects"]), key=lambda one: one[:2])[:most]
        return [one[2:] for one in found], np.array([one[0] for one in found], dtype=np.int64)

    def newborn(self) -> list[tuple[Mapping[str, Any], Floats]]:
        """Row and bank of the tracks that began on ``birth``."""
        now = {row["track_key"] for row in self.seen}
        rest = [j for j, key in enumerate(self.open.ids) if key not in now]
        tracks = [*_banked(self.seen), *((self.open.rows[j], self.open.bank_of(j)) for j in rest)]
        begun = [one for one in tracks if one[0]["first_date"] == to_date(self.birth) and not one[0]["subjects"]]
        return sorted(begun, key=lambda one: str(one[0]["track_key"]))

    def going_on(self) -> list[Floats]:
        """Banks of the tracks seen now that were there before the newborn."""
        return [bank for row, bank in _banked(self.seen) if row["first_date"] < to_date(self.birth)]


def stitches(
    fold: Fold, memory: "Memory", rules: "Rules", least: float, most: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], "Memory"]:
    """Rows of ``stitches`` and of ``link_events``, and what is remembered; ``most``: tracks away that are compared."""
    from pipeline.compute.linking.stitching import Banks, stitch

    newborn = fold.newborn()
    away, gaps = fold.away(most)
    banks = Banks([bank for _, bank in newborn], fold.going_on(), [bank for _, bank in away])
    found = stitch(banks, gaps, memory, rules, least)
    rows, events = [], []
    for i, j in enumerate(found.earlier.tolist()):
        if j >= 0:
            later, earlier = newborn[i][0], away[j][0]
            row = {
                "track_key": later["track_key"],
                "earlier_track_key": earlier["track_key"],
                "kind": "revival" if gaps[j] > fold.max_gap + 1 else "gap",
                "previous_cluster_id": earlier["last_cluster_id"],
                "last_date": max(earlier["bank_dates"]),
                "first_date": later["first_date"],
                "gap_dates": int(gaps[j]),
                "similarity": float(found.similarity[i]),
                "probability": float(found.probability[i]),
            }
            rows.append(row)
            events.append(_event(row, later["last_cluster_id"]))
    return rows, events, found.memory


def _banked(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Floats]]:
    return [(row, np.asarray(row["bank_vectors"]).reshape(len(row["bank_image_ids"]), -1)) for row in rows]


def _event(row: Mapping[str, Any], cluster_id: str) -> dict[str, Any]:
    return {
        "track_key": row["track_key"],
        "kind": "ambiguous-resolved",
        "cluster_id": cluster_id,
        "other_track_key": row["earlier_track_key"],
        "probability": row["probability"],
        "evidence": f"it began on {row['first_date']}, not seen on {row['gap_dates'] - 1} dates before; "
        f"similarity {row['similarity']:.3f}",
    }
