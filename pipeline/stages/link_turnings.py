"""Split and merge events of one date."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.stages.link_tables import DateClusters, Floats, Ints, OpenTracks, track_key_of

if TYPE_CHECKING:
    from pipeline.compute.linking.turnings import Turning

MAX_COMPARED = 256
"""Tracks that go on, at most, with which one that stops is compared; the first by id, and ids are hashes."""


def turnings(found: DateClusters, tracks: OpenTracks, similarity: Floats, track: Ints) -> list[dict[str, Any]]:
    """Rows of ``link_events`` for splits and merges; ``track``: of each cluster the track that it continues, or -1.

    A split names the track that begins and, as the other, the one it left.  A merge names the track that stops and, as
    the other, the one that goes on, with the cluster that shows both.
    """
    if not len(found.ids) or not tracks.ids:
        return []
    return [*_splits(found, tracks, similarity, track), *_merges(found, tracks, track)]


def _splits(found: DateClusters, tracks: OpenTracks, similarity: Floats, track: Ints) -> Iterator[dict[str, Any]]:
    from pipeline.compute.linking.cohorts import closeness, normalise
    from pipeline.compute.linking.scores import grouped, likeness
    from pipeline.compute.linking.turnings import splits

    scores = normalise(closeness(similarity), None) if (track < 0).any() and (track >= 0).any() else None
    if scores is None:
        return
    born = [found.looks_of(int(i)) for i in np.flatnonzero(track < 0)]
    within = likeness(*grouped(born), found.looks, found.starts)
    for one in splits(scores, track, similarity, within):
        cluster = found.ids[one.first]
        yield _event("split", track_key_of(cluster), tracks.ids[one.second], cluster, one)


def _merges(found: DateClusters, tracks: OpenTracks, track: Ints) -> Iterator[dict[str, Any]]:
    from pipeline.compute.linking.cohorts import closeness
    from pipeline.compute.linking.scores import grouped, likeness
    from pipeline.compute.linking.turnings import merges

    continued = {int(j): i for i, j in enumerate(track) if j >= 0}
    fresh = [j for j in range(len(tracks.ids)) if tracks.gaps[j] == 1]
    stopped = [j for j in fresh if j not in continued]
    rows = [j for j in fresh if j in continued]
    columns = [*stopped, *rows[:MAX_COMPARED]]
    if not stopped or not rows:
        return
    old, new = [tracks.last_looks(j) for j in rows], [found.looks_of(continued[j]) for j in rows]
    targets = grouped([tracks.last_looks(j) for j in columns])

    def near(looks: list[Floats]) -> Floats:
        return closeness(likeness(*grouped(looks), *targets))

    own = np.array(rows)[:, None] == np.array(columns)[None, :]
    going_on = np.arange(len(columns)) >= len(stopped)
    for one in merges((near(new) - near(old)).astype(np.float64), own, going_on):
        stops, goes_on = columns[one.first], rows[one.second]
        yield _event("merge", tracks.ids[stops], tracks.ids[goes_on], found.ids[continued[goes_on]], one)


def _event(kind: str, track_id: str, other: str, cluster_id: str, one: "Turning") -> dict[str, Any]:
    return {
        "track_key": track_id,
        "kind": kind,
        "cluster_id": cluster_id,
        "other_track_key": other,
        "probability": one.probability,
        "evidence": f"figure {one.figure:.2f}, the highest of the others of the date {one.others:.2f}",
    }
