"""Evaluation of tracks and of the date clusterings against the truth.

Images without a label are left out: labels may cover a part of the collection.  A labelled image without a track (no
vector, no date) is in nobody's company and counts as a track of its own, so it costs recall; the same holds for a
labelled image without a cluster.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.scoring import (
    SCORES,
    Breakdown,
    EventScore,
    Reliability,
    by_gap,
    by_length,
    by_size,
    contingency,
    continuity,
    num_dates,
    partition_scores,
    singletons,
)
from pipeline.errors import UserError
from pipeline.reports.evaluate_links import Labelled, link_reliability, majority, scored_events
from pipeline.schemas import UNDATED

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        counts: images, labelled images (with a track, without), subjects, dates, unmatched labels; tracks and clusters
            that have a labelled image, and all of them.
        tracks: ``SCORES`` over all labelled images, then what :func:`_over_time` adds.
        clusters: ``SCORES`` of the clusters within their dates, all dates' images and pairs pooled: a pair of images
            of two dates is no pair.  The dates count as known to both sides, so the information scores and ARI
            stand higher than within a date.
        clusters_mean: Mean over the dates, weighted by their labelled images, of the scores within each date.
        clusters_by_date: The scores within each date; undated images stand under their partition's date.
        breakdowns: Scores by gap and track length (tracks) and cluster size (clusters).
        events: One a kind that the true events have; empty without true events.
        num_events: Kind -> rows of the table ``events``, those that are not scored among them.
        reliability: ``continuations``, ``births`` and ``all``, where links were given and there are such decisions.
    """

    counts: Mapping[str, int]
    tracks: Mapping[str, float]
    clusters: Mapping[str, float]
    clusters_mean: Mapping[str, float]
    clusters_by_date: Mapping[str, Mapping[str, float]]
    breakdowns: tuple[Breakdown, ...]
    events: tuple[EventScore, ...]
    num_events: Mapping[str, int]
    reliability: Mapping[str, Reliability]


def evaluate(
    tracks: pa.Table,
    truth: pa.Table,
    *,
    events: pa.Table | None = None,
    truth_events: pa.Table | None = None,
    links: pa.Table | None = None,
) -> Evaluation:
    """Score a clustering's result.

    Args:
        tracks: ``schemas.TRACKS`` (image_id, uri, cluster_id, track_id are read) with a column ``date``, in any order.
        truth: image_id, identity, and optionally key (as :func:`pipeline.reports.truth.read_truth` gives it).
        events: ``schemas.EVENTS``; scored where ``truth_events`` are given.
        truth_events: kind, date, identity, other.
        links: ``schemas.LINKS``; their probabilities are compared with the truth.

    Raises:
        UserError: no label belongs to any image.
    """
    labelled, identities, dates = _label(tracks, truth)
    over_time, breakdowns = _over_time(labelled)
    clusters, mean, by_date, sizes = _within_dates(labelled, [*dates, UNDATED])
    looks = majority(labelled)
    scored: tuple[EventScore, ...] = ()
    if events is not None and truth_events is not None:
        scored = scored_events(events, truth_events, looks, identities, dates)
    return Evaluation(
        counts=_counts(tracks, truth, labelled, len(dates)),
        tracks=over_time,
        clusters=clusters,
        clusters_mean=mean,
        clusters_by_date=by_date,
        breakdowns=(*breakdowns, *sizes),
        events=scored,
        num_events=Counter(events["kind"].to_pylist()) if events is not None else {},
        reliability=link_reliability(links, looks, labelled) if links is not None else {},
    )


def _label(tracks: pa.Table, truth: pa.Table) -> tuple[Labelled, pa.Array, list[str]]:
    """The labelled images as codes, the identities in order, and the collection's dates in order."""
    label = truth["identity"].combine_chunks().take(pc.index_in(tracks["image_id"], truth["image_id"].combine_chunks()))
    if label.null_count == len(label):
        raise UserError(_no_match(tracks, truth))
    dates = sorted(set(pc.unique(pc.cast(tracks["date"], pa.string())).to_pylist()) - {UNDATED})
    rows = tracks.select(["image_id", "cluster_id", "track_id", "date"]).filter(pc.is_valid(label))
    label = label.drop_null()
    identities = pc.unique(label)
    identities = identities.take(pc.sort_indices(identities))
    cluster = pc.dictionary_encode(rows["cluster_id"].combine_chunks())
    labelled = Labelled(
        subject=_codes(label, identities),
        track=_indices(pc.dictionary_encode(rows["track_id"].combine_chunks()).indices),
        cluster=_indices(cluster.indices),
        date=_codes(pc.cast(rows["date"], pa.string()), pa.array(dates, pa.string())),
        cluster_ids=cluster.dictionary,
    )
    return labelled, identities, dates


def _codes(values: pa.ChunkedArray | pa.Array, order: pa.Array) -> Ints:
    return _indices(pc.index_in(values, order))


def _indices(found: pa.ChunkedArray | pa.Array) -> Ints:
    """Positions as int64, -1 for null."""
    return np.asarray(pc.fill_null(pc.cast(found, pa.int64()), -1).to_numpy(zero_copy_only=False), np.int64)


def _no_match(tracks: pa.Table, truth: pa.Table) -> str:
    name = "key" if "key" in truth.column_names else "image_id"
    label = truth[name][0].as_py() if truth.num_rows else "nothing: it has no rows"
    image = f"{tracks['uri'][0]} ({tracks['image_id'][0]})" if tracks.num_rows else "none"
    return (
        f"no label of the truth belongs to an image of the workspace; the truth's first is {label!r}, the workspace's "
        f"first image {image}; paths are read relative to the collection"
    )


def _counts(tracks: pa.Table, truth: pa.Table, labelled: Labelled, dates: int) -> dict[str, int]:
    images = len(labelled.subject)
    return {
        "images": tracks.num_rows,
        "labelled_images": images,
        "labelled_without_track": int((labelled.track < 0).sum()),
        "labelled_without_date": int((labelled.date < 0).sum()),
        "labels_without_image": truth.num_rows - images,
        "dates": dates,
        "subjects": _num_used(labelled.subject),
        "tracks": _num_used(labelled.track),
        "clusters": _num_used(labelled.cluster),
        "all_tracks": pc.count_distinct(tracks["track_id"]).as_py(),
        "all_clusters": pc.count_distinct(tracks["cluster_id"]).as_py(),
    }


def _num_used(codes: Ints) -> int:
    return int(np.count_nonzero(np.bincount(codes[codes >= 0])))


def _over_time(images: Labelled) -> tuple[dict[str, float], list[Breakdown]]:
    """Scores of the tracks: partition, identity switches (also as a share of the steps they can happen on), spread."""
    track = singletons(images.track)
    table = contingency(images.subject, track)
    followed = (images.track >= 0) & (images.date >= 0)
    subject, found, date = images.subject[followed], images.track[followed], images.date[followed]
    of_subjects, of_tracks = continuity(subject, found, date), continuity(found, subject, date)
    scores = partition_scores(table) | {
        "identity_switches": float(of_subjects.switches),
        "identity_switch_share": of_subjects.switches / len(of_subjects.gap) if of_subjects.gap.size else float("nan"),
        "fragmentation": of_subjects.fragmentation,
        "subjects_per_track": of_tracks.fragmentation,
    }
    lengths = by_length(table, num_dates(images.subject, images.date), num_dates(track, images.date))
    return scores, [*by_gap(of_subjects, of_tracks), *lengths]


def _within_dates(
    images: Labelled, dates: list[str]
) -> tuple[dict[str, float], dict[str, float], dict[str, dict[str, float]], list[Breakdown]]:
    """Scores of the clusters: pooled, mean over the dates, by date; and by size."""
    cluster = singletons(images.cluster)
    date = np.where(images.date < 0, len(dates) - 1, images.date)  # undated images are a date of their own, the last
    subject = date * (int(images.subject.max()) + 1) + images.subject
    pooled = contingency(subject, cluster)
    order = np.argsort(date, kind="stable")
    used, starts = np.unique(date[order], return_index=True)
    by_date, weights = {}, []
    for day, rows in zip(used.tolist(), np.split(order, starts[1:]), strict=True):
        by_date[dates[day]] = partition_scores(contingency(subject[rows], cluster[rows]))
        weights.append(len(rows))
    mean = {name: float(np.average([scores[name] for scores in by_date.values()], weights=weights)) for name in SCORES}
    return partition_scores(pooled), mean, dict(sorted(by_date.items())), by_size(pooled)
