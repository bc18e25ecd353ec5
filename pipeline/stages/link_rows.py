"""What a date's links tell: the rows of ``link_decisions`` and of ``link_events``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.stages.link_tables import DateClusters, OpenTracks, to_date, track_key_of

if TYPE_CHECKING:
    from pipeline.compute.linking.decisions import Decisions


def link_row(date: str, i: int, found: DateClusters, tracks: OpenTracks, decisions: "Decisions") -> dict[str, Any]:
    """The row of ``link_decisions`` of cluster ``i``, for the reasons that similarity alone gives."""
    j = int(decisions.track[i])
    runner = int(decisions.runner_up[i])
    row: dict[str, Any] = {
        "cluster_id": found.ids[i],
        "track_key": tracks.ids[j] if j >= 0 else track_key_of(found.ids[i]),
        "probability": float(decisions.probability[i]),
        "score": float(decisions.score[i]) if tracks.ids else None,
        "runner_up_track_key": tracks.ids[runner] if runner >= 0 else None,
        "runner_up_margin": float(decisions.margin[i]) if runner >= 0 else None,
        "similarity": float(decisions.similarity[i]) if tracks.ids else None,
        "previous_cluster_id": None,
        "gap_dates": None,
        "gap_days": None,
    }
    if j < 0:
        row["reason"] = "nothing continues" if row["probability"] > 0.5 else "ambiguous"
        return row
    row["previous_cluster_id"] = tracks.rows[j]["last_cluster_id"]
    row["gap_dates"] = int(tracks.gaps[j])
    row["gap_days"] = (to_date(date) - to_date(tracks.last_dates[j])).days
    row["reason"] = "continues" if row["gap_dates"] == 1 else "continues after a gap"
    return row


def event(link: Mapping[str, Any]) -> dict[str, Any]:
    """The birth, continuation or gap that a link is."""
    if link["previous_cluster_id"] is None:
        kind, evidence = "birth", link["reason"]
    elif link["gap_dates"] == 1:
        kind, evidence = "continuation", f"similarity {link['similarity']:.3f}"
    else:
        kind = "gap"
        evidence = f"not seen on {link['gap_dates'] - 1} dates; similarity {link['similarity']:.3f}"
    return {
        "track_key": link["track_key"],
        "kind": kind,
        "cluster_id": link["cluster_id"],
        "other_track_key": None,
        "probability": link["probability"],
        "evidence": evidence,
    }


def doubts(links: Sequence[Mapping[str, Any]], doubtful: float) -> list[dict[str, Any]]:
    """Links on which alone it rests that what was before and what comes after is one track."""
    return [
        {
            **event(link),
            "kind": "doubtful",
            "evidence": f"one link of probability {link['probability']:.2f} joins what was before to what comes after",
        }
        for link in links
        if link["previous_cluster_id"] is not None and link["probability"] < doubtful
    ]


def ended_tracks(tracks: OpenTracks, decisions: "Decisions", max_gap: int) -> list[int]:
    """Tracks that have now been away for more than ``max_gap`` dates."""
    continued = set(decisions.track.tolist())
    return [j for j in range(len(tracks.ids)) if j not in continued and tracks.gaps[j] == max_gap + 1]


def end(tracks: OpenTracks, j: int, decisions: "Decisions", max_gap: int) -> dict[str, Any]:
    """The end of track ``j``."""
    return {
        "track_key": tracks.ids[j],
        "kind": "end",
        "cluster_id": tracks.rows[j]["last_cluster_id"],
        "other_track_key": None,
        "probability": float(decisions.unseen[j]),
        "evidence": f"not seen for more than {max_gap} dates",
    }
