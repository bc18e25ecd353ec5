"""What a date leaves of a track for the next one: its row of ``link_state``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.compute.linking.banks import keep
from pipeline.stages.constraints import Known, subjects_of
from pipeline.stages.link_tables import DateClusters, OpenTracks, to_date, track_key_of

if TYPE_CHECKING:
    from pipeline.compute.linking.decisions import Decisions


def members_of(cluster_ids: Sequence[str], decisions: "Decisions") -> list[list[int]]:
    """The clusters of each track that has any, the surest first; a birth is alone."""
    tracks: dict[int, list[int]] = {}
    for i, j in enumerate(decisions.track.tolist()):
        tracks.setdefault(j if j >= 0 else -1 - i, []).append(i)
    return [sorted(each, key=lambda i: (-decisions.probability[i], cluster_ids[i])) for each in tracks.values()]


def state_row(
    date: str,
    clusters: Sequence[int],
    found: DateClusters,
    tracks: OpenTracks,
    decisions: "Decisions",
    bank_size: int,
) -> dict[str, Any]:
    """The row of ``link_state`` of a track with these clusters on ``date``, but for ``subjects``."""
    main = clusters[0]
    j = int(decisions.track[main])
    today = to_date(date)
    old: Mapping[str, Any] | None = tracks.rows[j] if j >= 0 else None
    looks = np.concatenate([found.looks_of(i) for i in clusters])
    ids = [image for i in clusters for image in found.exemplar_ids[i]]
    dates = [today] * len(ids)
    if old is not None:
        looks = np.concatenate([tracks.bank_of(j), looks])
        ids, dates = [*old["bank_image_ids"], *ids], [*old["bank_dates"], *dates]
    kept = keep(looks, np.array([(today - day).days for day in dates], dtype=np.int64), bank_size)
    return {
        "track_key": track_key_of(found.ids[main]) if old is None else tracks.ids[j],
        "first_date": today if old is None else old["first_date"],
        "last_cluster_id": found.ids[main],
        "bank_image_ids": [ids[k] for k in kept],
        "bank_dates": [dates[k] for k in kept],
        "bank_vectors": looks[kept].ravel(),
    }


def subjects_shown(
    clusters: Sequence[int],
    found: DateClusters,
    tracks: OpenTracks,
    decisions: "Decisions",
    known: Known,
) -> list[str]:
    """What the track of these clusters is known to show."""
    j = int(decisions.track[clusters[0]])
    shown = set() if j < 0 else set(tracks.rows[j]["subjects"])
    return sorted(shown.union(*(subjects_of(known.get(found.ids[i], ()))[0] for i in clusters)))
