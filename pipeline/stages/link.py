"""Linking a date's clusters to the open tracks: the step of the fold over the dates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from pipeline import schemas
from pipeline.compute.constraints import Demands
from pipeline.params import Params
from pipeline.stages.constraints import demands
from pipeline.stages.link_state import members_of, state_row, subjects_shown
from pipeline.stages.link_stitches import Fold, stitches
from pipeline.stages.link_tables import (
    DateClusters,
    Floats,
    OpenTracks,
    calibration_rows,
    calibration_table,
    table,
    to_date,
    track_key_of,
)
from pipeline.stages.link_turnings import turnings
from pipeline.stages.link_verdicts import known_subjects, taken_up

if TYPE_CHECKING:
    from pipeline.compute.linking.decisions import Decisions


class LinkParams(Params):
    """Parameters of linking."""

    false_link_rate: float = Field(
        0.01, gt=0, lt=1, description="Expected fraction of false links among the links written."
    )
    max_gap: int = Field(
        4, ge=0, description="Dates of the collection that a track may be absent and still be continued."
    )
    bank_size: int = Field(8, ge=1, le=64, description="Looks kept per track: the newest and distinct older ones.")
    candidates: int = Field(
        16, ge=1, description="Tracks weighed for a cluster, and clusters for a track: those with the best scores."
    )
    lag: int = Field(
        2,
        ge=0,
        description="Dates after which a track that began is compared, with what was seen of it since, with those that "
        "were away when it began: links that were ambiguous are resolved then.  At most max_gap + 1.",
    )
    stitch_gap: int = Field(
        30, ge=0, description="Dates after its end for which a track is kept to be stitched to a later one."
    )
    stitch_probability: float = Field(0.9, gt=0.5, le=1, description="Probability that a stitch must have.")
    stitch_candidates: int = Field(
        512, ge=0, description="Tracks that are away, at most, with which those that began are compared: the newest."
    )
    least_probability: float = Field(
        0.5, ge=0.5, le=1, description="Links less probable are cut: one doubtful link would hold two tracks together."
    )
    doubtful: float = Field(0.9, ge=0.5, le=1, description="Links less probable are marked by an event `doubtful`.")
    allow: Literal["one_to_one", "many_to_one"] = Field(
        "many_to_one",
        description="many_to_one: several clusters of a date may continue one track, once the dates so far have shown "
        "that the clusters are pieces of subjects; one_to_one: never.",
    )

    @model_validator(mode="after")
    def _lag_within_reach(self) -> "LinkParams":
        if self.lag > self.max_gap + 1:
            raise ValueError(f"lag is {self.lag}, expected at most max_gap + 1 = {self.max_gap + 1}")
        return self


@dataclass(frozen=True)
class LinkResult:
    """The tables of one date."""

    links: pa.Table
    events: pa.Table
    link_state: pa.Table
    calibration: pa.Table
    ended: pa.Table
    stitches: pa.Table
    known_subjects: pa.Table


@dataclass(frozen=True)
class Before:
    """What earlier dates left.

    Attributes:
        states: ``(date, link_state table)`` of the ``max_gap + 1`` dates of the collection before (all there are, if
            fewer; none on the first date), oldest first; a date without clusters has an empty table.  Gaps are counted
            in these dates.  A track is open if it is in one of them; its newest row counts.
        calibration: the ``calibration`` table of the date before; None on the first date.
        ended: ``(date, link_ended table)`` of the ``stitch_gap`` dates before, oldest first.
        stitches: ``(date, stitches table)`` of the same dates.
        known_subjects: the table of the date before; None where verdicts speak of no image up to then.
    """

    states: Sequence[tuple[str, pa.Table]] = ()
    calibration: pa.Table | None = None
    ended: Sequence[tuple[str, pa.Table]] = ()
    stitches: Sequence[tuple[str, pa.Table]] = ()
    known_subjects: pa.Table | None = None

    def closed(self) -> frozenset[str]:
        """Tracks that a later one has taken up."""
        return frozenset(key for _, rows in self.stitches for key in rows["earlier_track_key"].to_pylist())


def link_date(
    date: str,
    clusters: pa.Table,
    exemplars: pa.Table,
    before: Before,
    params: LinkParams,
    *,
    known: Mapping[str, Sequence[Mapping[str, object]]] | None = None,
) -> LinkResult:
    """Link the clusters of ``date`` to the open tracks.

    Args:
        date: ``YYYY-MM-DD``, later than every date before; never the undated partition.
        clusters: rows of the ``clusters`` table of this date (none is fine).
        exemplars: ``image_id``, ``vector`` (projected, unit length, fixed_size_list<float32>) of every image named in
            ``clusters.exemplar_image_ids``; other rows are ignored.
        before: what earlier dates left.
        params: the stage's parameters.
        known: cluster -> the ``constraints`` of its images, where there are any; links obey them.

    Returns:
        Rows of this date's ``link_decisions`` (one per cluster), ``link_events``, ``link_state`` (one per track with a
        cluster), ``calibration``, ``link_ended``, ``stitches`` and ``known_subjects``.
    """
    from pipeline.compute.linking.decisions import Rules, decide
    from pipeline.compute.linking.memory import Memory
    from pipeline.compute.linking.mixtures import Parts
    from pipeline.compute.linking.scores import Looks

    found, closed = DateClusters.read(clusters, exemplars), before.closed()
    open_tracks = OpenTracks.read(before.states, closed)
    looks = Looks(found.looks, found.starts, open_tracks.bank, open_tracks.starts)
    best, similarity = looks.compared()
    rules = Rules(params.false_link_rate, params.candidates, params.allow == "many_to_one", params.least_probability)
    known = known or {}
    asked = demands(known, found.ids, [set(row["subjects"]) for row in open_tracks.rows])
    memory = Memory.read(calibration_rows(before.calibration))
    parts = Parts.of(asked.impose(best), looks, memory.usual_level)
    imposed = asked.of(parts.cluster).impose(parts.similarity(looks, similarity))
    decisions, own = parts.whole(decide(imposed, open_tracks.gaps, memory, rules, open_tracks.lives))
    if not asked.empty:
        decisions = _obeying(decisions, asked, similarity)
    links = [_link(date, i, found, open_tracks, decisions) for i in range(len(found.ids))]
    if not before.states:
        links = [{**link, "reason": "first date"} for link in links]
    for i in np.flatnonzero(np.any(asked.must, axis=1)):
        links[i]["reason"] = "same subject by a verdict"
    for i in np.flatnonzero(found.has(~own)):
        links[i]["reason"] = "continues in a mixed cluster"
    members, shown = members_of(found.ids, decisions), found.only(own)
    for beside in (i for clusters in members for i in clusters[1:]):
        links[beside]["reason"] = "continues beside another cluster"
    state = [
        state_row(date, clusters, shown, open_tracks, decisions, params.bank_size)
        | {"subjects": subjects_shown(clusters, found, open_tracks, decisions, known)}
        for clusters in members
    ]
    stitched: list[dict[str, Any]] = []
    resolved: list[dict[str, Any]] = []
    memory = Memory.read(calibration_rows(before.calibration, stitching=True))
    if params.stitch_candidates and params.lag <= len(before.states):
        birth = before.states[-params.lag][0] if params.lag else date
        ended = OpenTracks.read(before.ended, closed)
        fold = Fold(birth, params.lag, state, open_tracks, ended, params.max_gap)
        given = (rules, params.stitch_probability, params.stitch_candidates)
        stitched, resolved, memory = stitches(fold, memory, *given)
    stitched += taken_up(state, open_tracks.ids, known, before.known_subjects)
    taken = {row["earlier_track_key"] for row in stitched}
    ended_now = [j for j in _ended(open_tracks, decisions, params.max_gap) if open_tracks.ids[j] not in taken]
    happened = [*(_event(link) for link in links), *_doubts(links, params.doubtful), *resolved]
    happened += [_end(open_tracks, j, decisions, params.max_gap) for j in ended_now]
    happened += turnings(found, open_tracks, similarity, decisions.track)
    return LinkResult(
        links=table(schemas.LINK_DECISIONS, links),
        events=table(schemas.LINK_EVENTS, happened),
        link_state=table(schemas.LINK_STATE, state),
        calibration=calibration_table(decisions.memory.rows(), memory.rows()),
        ended=table(schemas.LINK_ENDED, [open_tracks.row(j) for j in ended_now]),
        stitches=table(schemas.STITCHES, stitched),
        known_subjects=table(schemas.KNOWN_SUBJECTS, known_subjects(date, state, before.known_subjects)),
    )


def _obeying(decisions: "Decisions", asked: Demands, similarity: Floats) -> "Decisions":
    """Decisions that obey, with the similarities that there are and not those that were imposed."""
    track, probability = asked.enforce(decisions.track, decisions.probability)
    seen = decisions.similarity.copy()
    for i, j in enumerate(track.tolist()):
        if j >= 0:
            seen[i] = similarity[i, j]
    return replace(decisions, track=track, probability=probability, similarity=seen)


def _link(date: str, i: int, found: DateClusters, tracks: OpenTracks, decisions: "Decisions") -> dict[str, Any]:
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


def _event(link: Mapping[str, Any]) -> dict[str, Any]:
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


def _doubts(links: Sequence[Mapping[str, Any]], doubtful: float) -> list[dict[str, Any]]:
    """Links on which alone it rests that what was before and what comes after is one track."""
    return [
        {
            **_event(link),
            "kind": "doubtful",
            "evidence": f"one link of probability {link['probability']:.2f} joins what was before to what comes after",
        }
        for link in links
        if link["previous_cluster_id"] is not None and link["probability"] < doubtful
    ]


def _ended(tracks: OpenTracks, decisions: "Decisions", max_gap: int) -> list[int]:
    continued = set(decisions.track.tolist())
    return [j for j in range(len(tracks.ids)) if j not in continued and tracks.gaps[j] == max_gap + 1]


def _end(tracks: OpenTracks, j: int, decisions: "Decisions", max_gap: int) -> dict[str, Any]:
    return {
        "track_key": tracks.ids[j],
        "kind": "end",
        "cluster_id": tracks.rows[j]["last_cluster_id"],
        "other_track_key": None,
        "probability": float(decisions.unseen[j]),
        "evidence": f"not seen for more than {max_gap} dates",
    }
