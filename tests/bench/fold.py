"""Dates of vectors through linking's own stage, date after date, and scored as the published tables would be."""

import datetime
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import schemas
from pipeline.compute.constraints import mend
from pipeline.schemas import vector_type
from pipeline.stages.constraints import Known, bonds, constraints
from pipeline.stages.link import Before, LinkResult, link_date
from pipeline.stages.vectors import to_column
from tests.bench.following import EXEMPLARS, PARAMS, Followed, Outcome, spans_of
from tests.bench.worlds import Day

Days = deque[tuple[str, pa.Table]]


class Fold:
    """What link_date is given of the dates before."""

    def __init__(self) -> None:
        self.states = Days(maxlen=PARAMS.max_gap + 1)
        self.ended, self.stitches = Days(maxlen=PARAMS.stitch_gap), Days(maxlen=PARAMS.stitch_gap)
        self.calibration: pa.Table | None = None
        self.known_subjects: pa.Table | None = None

    def link(
        self,
        date: str,
        clusters: pa.Table,
        exemplars: pa.Table,
        known: Known | None = None,
    ) -> LinkResult:
        before = Before(list(self.states), self.calibration, list(self.ended), list(self.stitches), self.known_subjects)
        return link_date(date, clusters, exemplars, before, PARAMS, known=known)

    def add(self, date: str, found: LinkResult) -> None:
        self.states.append((date, found.link_state))
        self.ended.append((date, found.ended))
        self.stitches.append((date, found.stitches))
        self.calibration, self.known_subjects = found.calibration, found.known_subjects


def image_ids(day: Day, t: int) -> list[str]:
    return [f"{t:04d}-{i:05d}" for i in range(len(day.vectors))]


def date_of(t: int, day: Day) -> str:
    return (datetime.date(2000, 1, 1) + datetime.timedelta(days=max(t, day.day))).isoformat()


def clustered(day: Day, t: int, known: pa.Table) -> tuple[pa.Table, pa.Table, pa.Table]:
    """A date's ``assignments``, ``clusters`` and the looks of its images, under its constraints."""
    ids, labels = image_ids(day, t), np.repeat(np.arange(len(day.starts)), np.diff([*day.starts, len(day.vectors)]))
    labels = mend(day.vectors, labels.astype(np.int64), bonds(known, ids))
    first = {int(label): i for i, label in reversed(list(enumerate(labels)))}
    names = [f"{t:04d}/{ids[first[int(label)]]}" for label in labels]
    rows = []
    for name in sorted(set(names)):
        of = np.array([i for i, one in enumerate(names) if one == name])
        center = day.vectors[of].astype(np.float64).mean(axis=0)
        center /= np.linalg.norm(center)
        nearest = of[np.argsort(-(day.vectors[of] @ center), kind="stable")]
        shown = [ids[i] for i in of[:EXEMPLARS]]
        own = {"cluster_id": name, "num_images": len(of), "medoid_image_id": ids[nearest[0]], "center": center}
        rows.append({**own, "exemplar_image_ids": shown})
    schema = schemas.CLUSTERS.empty([("center", vector_type(day.vectors.shape[1]))]).schema
    assigned = pa.table({"image_id": ids, "cluster_id": names})
    looks = pa.table({"image_id": ids, "vector": to_column(day.vectors)})
    return assigned, pa.Table.from_pylist(rows, schema=schema), looks


@dataclass
class _Link:
    """A cluster's: ``before`` is the date (its number) of the track's cluster before, -1 for a birth."""

    t: int
    subject: int
    subjects: frozenset[int]
    track: str
    before: int
    earlier: str
    probability: float


def followed(days: Sequence[Day]) -> Outcome:
    """Link by the stage; a track that is stitched to an earlier one is that one, and its first link the stitch."""
    links, stitches = _linked(days)
    births = {link.track: link for link in links if link.before < 0}
    last = {link.track: link.t for link in links}
    for row in stitches:
        link = births[row["track_key"]]
        link.earlier, link.probability = row["earlier_track_key"], row["probability"]
        link.before = last[link.earlier]
    there, main = defaultdict(set), defaultdict(set)
    for link in links:
        there[link.track, link.t] |= link.subjects
        main[link.track, link.t].add(link.subject)
    out, last_seen = Followed(), dict[int, int]()
    stitched = {row["track_key"]: row["earlier_track_key"] for row in stitches}
    number = {key: i for i, key in enumerate(last)}
    for t, day in enumerate(days):
        for link in (one for one in links if one.t == t):
            place = (link.earlier, link.before)
            shares = link.before >= 0 and bool(link.subjects & there[place])
            reached = t - last_seen.get(link.subject, -(10**6)) <= PARAMS.max_gap + 1
            out.subject.append(link.subject)
            out.linked.append(link.before >= 0)
            out.shares.append(shares)
            out.same.append(link.before >= 0 and link.subject in main[place])
            out.known.append(reached or (shares and link.earlier != link.track))
            out.probability.append(link.probability)
            key = link.track
            while key in stitched:
                key = stitched[key]
            out.number.append(number[key])
        last_seen |= {int(s): t for s in day.subject}
    return out.outcome(days)


def _linked(days: Sequence[Day]) -> tuple[list[_Link], list[dict[str, Any]]]:
    fold, links, stitches = Fold(), list[_Link](), list[dict[str, Any]]()
    at: dict[str, int] = {}
    for t, day in enumerate(days):
        _, clusters, looks = clustered(day, t, _nothing(day, t))
        result = fold.link(date_of(t, day), clusters, looks)
        fold.add(date_of(t, day), result)
        stitches += result.stitches.to_pylist()
        rows = result.links.sort_by("cluster_id").to_pylist()
        for row, subject, (first, end) in zip(rows, day.subject.tolist(), spans_of(day), strict=True):
            at[row["cluster_id"]] = t
            subjects = frozenset(day.image_subject[first:end].tolist())
            before = at.get(row["previous_cluster_id"], -1)
            key = row["track_key"]
            links.append(_Link(t, subject, subjects, key, before, key, row["probability"]))
    return links, stitches


def _nothing(day: Day, t: int) -> pa.Table:
    """No constraints of a date's images."""
    ids = image_ids(day, t)
    images = pa.table({"image_id": ids, "uri": ids, "region": pa.nulls(len(ids), pa.int32())})
    return constraints(images, schemas.VERDICTS.empty())
