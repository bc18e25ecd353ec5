"""Linking a date's clusters to the open tracks: the step of the fold over the dates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from pipeline import schemas
from pipeline.compute.constraints import Demands
from pipeline.params import Params
from pipeline.stages.constraints import Known, demands
from pipeline.stages.link_rows import doubts, end, ended_tracks, event, link_row
from pipeline.stages.link_state import members_of, state_row, subjects_shown
from pipeline.stages.link_stitches import Fold, stitches
from pipeline.stages.link_tables import (
    Bools,
    DateClusters,
    Floats,
    OpenTracks,
    calibration_rows,
    calibration_table,
    table,
)
from pipeline.stages.link_turnings import turnings
from pipeline.stages.link_verdicts import known_subjects, taken_up

if TYPE_CHECKING:
    from pipeline.compute.linking.decisions import Decisions, Rules
    from pipeline.compute.linking.memory import Memory


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
    known: Known | None = None,
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
    given = _Given.read(date, clusters, exemplars, before, params, known or {})
    decided = _decide(given)
    state = _state(given, decided)
    found, tracks, decisions = given.found, given.tracks, decided.decisions
    stitched, resolved, stitch_memory = _stitch(given, state)
    taken = {row["earlier_track_key"] for row in stitched}
    ended = [j for j in ended_tracks(tracks, decisions, params.max_gap) if tracks.ids[j] not in taken]
    links = _links(given, decided)
    happened = [*(event(link) for link in links), *doubts(links, params.doubtful), *resolved]
    happened += [end(tracks, j, decisions, params.max_gap) for j in ended]
    happened += turnings(found, tracks, decided.similarity, decisions.track)
    return LinkResult(
        links=table(schemas.LINK_DECISIONS, links),
        events=table(schemas.LINK_EVENTS, happened),
        link_state=table(schemas.LINK_STATE, state),
        calibration=calibration_table(decisions.memory.rows(), stitch_memory.rows()),
        ended=table(schemas.LINK_ENDED, [tracks.row(j) for j in ended]),
        stitches=table(schemas.STITCHES, stitched),
        known_subjects=table(schemas.KNOWN_SUBJECTS, known_subjects(date, state, before.known_subjects)),
    )


@dataclass(frozen=True)
class _Given:
    """What a date's links are decided from.

    Attributes:
        closed: tracks that a later one has taken up.
        tracks: the open ones, without those.
        known: cluster -> the ``constraints`` of its images.
        asked: what these ask of the date's links.
    """

    date: str
    params: LinkParams
    before: Before
    found: DateClusters
    closed: frozenset[str]
    tracks: OpenTracks
    known: Known
    asked: Demands

    @classmethod
    def read(
        cls, date: str, clusters: pa.Table, exemplars: pa.Table, before: Before, params: LinkParams, known: Known
    ) -> "_Given":
        found, closed = DateClusters.read(clusters, exemplars), before.closed()
        tracks = OpenTracks.read(before.states, closed)
        asked = demands(known, found.ids, [set(row["subjects"]) for row in tracks.rows])
        return cls(date, params, before, found, closed, tracks, known, asked)

    @property
    def rules(self) -> "Rules":
        from pipeline.compute.linking.decisions import Rules

        many = self.params.allow == "many_to_one"
        return Rules(self.params.false_link_rate, self.params.candidates, many, self.params.least_probability)


@dataclass(frozen=True)
class _Decided:
    """A date's links.

    Attributes:
        decisions: one for each cluster.
        own: for each look of the date, whether it may enter the bank of its cluster's track.
        similarity: of each cluster to each track, ``(clusters, tracks)``, as it is, whatever verdicts impose.
        members: the clusters of each track that has any, the surest first.
    """

    decisions: "Decisions"
    own: Bools
    similarity: Floats
    members: list[list[int]]


def _decide(given: _Given) -> _Decided:
    from pipeline.compute.linking.decisions import decide
    from pipeline.compute.linking.memory import Memory
    from pipeline.compute.linking.mixtures import Parts
    from pipeline.compute.linking.scores import Looks

    found, tracks, asked = given.found, given.tracks, given.asked
    looks = Looks(found.looks, found.starts, tracks.bank, tracks.starts)
    best, similarity = looks.compared()
    memory = Memory.read(calibration_rows(given.before.calibration))
    parts = Parts.of(asked.impose(best), looks, memory.usual_level)
    imposed = asked.of(parts.cluster).impose(parts.similarity(looks, similarity))
    decisions, own = parts.whole(decide(imposed, tracks.gaps, memory, given.rules, tracks.lives))
    if not asked.empty:
        decisions = _obeying(decisions, asked, similarity)
    return _Decided(decisions, own, similarity, members_of(found.ids, decisions))


def _obeying(decisions: "Decisions", asked: Demands, similarity: Floats) -> "Decisions":
    """Decisions that obey, with the similarities that there are and not those that were imposed."""
    track, probability = asked.enforce(decisions.track, decisions.probability)
    seen = decisions.similarity.copy()
    for i, j in enumerate(track.tolist()):
        if j >= 0:
            seen[i] = similarity[i, j]
    return replace(decisions, track=track, probability=probability, similarity=seen)


def _links(given: _Given, decided: _Decided) -> list[dict[str, Any]]:
    """The row of each cluster; of several reasons that one could have, the last of these."""
    found, decisions = given.found, decided.decisions
    links = [link_row(given.date, i, found, given.tracks, decisions) for i in range(len(found.ids))]
    beside = [i for clusters in decided.members for i in clusters[1:]]
    reasons: list[tuple[str, Iterable[int]]] = [
        ("first date", () if given.before.states else range(len(links))),
        ("same subject by a verdict", np.flatnonzero(np.any(given.asked.must, axis=1))),
        ("continues in a mixed cluster", np.flatnonzero(found.has(~decided.own))),
        ("continues beside another cluster", beside),
    ]
    for reason, clusters in reasons:
        for i in clusters:
            links[i]["reason"] = reason
    return links


def _state(given: _Given, decided: _Decided) -> list[dict[str, Any]]:
    """What the date leaves of each track that it shows."""
    found, tracks, decisions = given.found, given.tracks, decided.decisions
    shown = found.only(decided.own)
    return [
        state_row(given.date, clusters, shown, tracks, decisions, given.params.bank_size)
        | {"subjects": subjects_shown(clusters, found, tracks, decisions, given.known)}
        for clusters in decided.members
    ]


def _stitch(
    given: _Given, state: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], "Memory"]:
    """The second pass: rows of ``stitches``, the events that tell of them, and what the pass remembers."""
    from pipeline.compute.linking.memory import Memory

    params, before = given.params, given.before
    memory = Memory.read(calibration_rows(before.calibration, stitching=True))
    stitched: list[dict[str, Any]] = []
    resolved: list[dict[str, Any]] = []
    if params.stitch_candidates and params.lag <= len(before.states):
        birth = before.states[-params.lag][0] if params.lag else given.date
        ended = OpenTracks.read(before.ended, given.closed)
        fold = Fold(birth, params.lag, state, given.tracks, ended, params.max_gap)
        bounds = (given.rules, params.stitch_probability, params.stitch_candidates)
        stitched, resolved, memory = stitches(fold, memory, *bounds)
    stitched += taken_up(state, given.tracks.ids, given.known, before.known_subjects)
    return stitched, resolved, memory
