"""Events and the links' probabilities against the truth, through the identity that a cluster mostly shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.scoring import EventScore, Happening, Reliability, reliability, score_events

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """The labelled images as codes, a row an image; -1 where there is none.

    Attributes:
        subject: (images,) int64, position of the identity among the sorted identities.
        track: (images,) int64, any code.
        cluster: (images,) int64, position in ``cluster_ids``.
        date: (images,) int64, position among the collection's dates; -1 undated.
        cluster_ids: the clusters of the labelled images.
    """

    subject: Ints
    track: Ints
    cluster: Ints
    date: Ints
    cluster_ids: pa.Array


@dataclass(frozen=True)
class Majority:
    """A row a cluster with labelled images: the identity most of them have (level: the first by name) and its date."""

    cluster_ids: pa.Array
    subject: Ints
    date: Ints

    def of(self, cluster_ids: pa.ChunkedArray) -> tuple[Ints, Ints]:
        """(subject, date) of clusters, both -1 where the cluster is null or has no labelled image."""
        found = pc.fill_null(pc.index_in(cluster_ids, self.cluster_ids), -1)
        row = np.asarray(found.to_numpy(zero_copy_only=False), np.int64)
        known = row >= 0
        return np.where(known, self.subject[row], -1), np.where(known, self.date[row], -1)


def majority(images: Labelled) -> Majority:
    """What every cluster mostly shows."""
    width = int(images.subject.max(initial=0)) + 1
    clustered = images.cluster >= 0
    cells, count = np.unique(images.cluster[clustered] * width + images.subject[clustered], return_counts=True)
    cluster, subject = np.divmod(cells, width)
    order = np.lexsort((subject, -count, cluster))
    first = order[np.diff(cluster[order], prepend=-1) > 0]
    date = np.full(len(images.cluster_ids), -1)
    date[images.cluster[clustered]] = images.date[clustered]
    return Majority(images.cluster_ids, subject[first], date)


def scored_events(
    events: pa.Table, truth_events: pa.Table, looks: Majority, identities: pa.Array, dates: list[str]
) -> tuple[EventScore, ...]:
    """Precision and recall of the events, by kind.

    An event lies on its cluster's date and happens to the identity its cluster mostly shows.  Left out on both sides:
    events whose subject has no labelled image, and births on the collection's first date and ends on its last, where
    the collection starts and stops and nobody is born or ends.  Where the truth knows no revivals, a revival is a gap,
    and takes back the end of its track before it.
    """
    subject, date = looks.of(events["cluster_id"])
    kind = np.asarray(events["kind"].to_pylist(), str)
    found = Happening(kind, date, subject, np.full_like(subject, -1))
    if not pc.any(pc.equal(truth_events["kind"], "revival")).as_py():
        kept = ~_taken_back(events["track_id"].to_pylist(), found)
        found = replace(found, kind=np.where(kind == "revival", "gap", kind)).select(kept)
    days = np.asarray(pc.cast(truth_events["date"], pa.string()).to_pylist(), str)
    true = Happening(
        np.asarray(truth_events["kind"].to_pylist(), str),
        np.searchsorted(np.asarray(dates, str), days).astype(np.int64),
        _codes(truth_events["identity"], identities),
        _codes(truth_events["other"], identities),
    )
    return tuple(score_events(_within(found, len(dates)), _within(true, len(dates))))


def _taken_back(track: Sequence[str], events: Happening) -> Bools:
    """Which ends were followed by a revival of their track."""
    revived: dict[str, int] = {}
    for i in np.flatnonzero(events.kind == "revival").tolist():
        revived[track[i]] = max(revived.get(track[i], -1), int(events.date[i]))
    later = np.array([revived.get(one, -1) for one in track], np.int64)
    out: Bools = (events.kind == "end") & (later > events.date)
    return out


def _codes(values: pa.ChunkedArray, order: pa.Array) -> Ints:
    found = pc.index_in(pc.cast(values, pa.string()), order)
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int64)


def _within(events: Happening, num_dates: int) -> Happening:
    known = (events.subject >= 0) & (events.date >= 0)
    starts = (events.kind == "birth") & (events.date == 0)
    stops = (events.kind == "end") & (events.date >= num_dates - 1)
    return events.select(known & ~starts & ~stops)


def link_reliability(links: pa.Table, looks: Majority, images: Labelled) -> dict[str, Reliability]:
    """Whether decisions said to be p likely are right in a share p of the cases.

    A continuation is right when the cluster mostly shows what the track's previous cluster mostly shows; a birth when
    its identity was on no earlier date.  Decisions about clusters without labelled images are left out.
    """
    subject, date = looks.of(links["cluster_id"])
    previous, _ = looks.of(links["previous_cluster_id"])
    first = np.full(int(images.subject.max(initial=0)) + 1, np.iinfo(np.int64).max)
    dated = images.date >= 0
    np.minimum.at(first, images.subject[dated], images.date[dated])
    born = np.asarray(pc.is_null(links["previous_cluster_id"]).to_numpy(zero_copy_only=False), bool)
    right = np.where(born, first[subject] >= date, subject == previous)
    known = (subject >= 0) & (date >= 0) & (born | (previous >= 0))
    probability = np.asarray(links["probability"].to_numpy(zero_copy_only=False), np.float64)
    kinds = {"continuations": known & ~born, "births": known & born, "all": known}
    found = {name: reliability(probability[which], right[which]) for name, which in kinds.items()}
    return {name: result for name, result in found.items() if result is not None}
