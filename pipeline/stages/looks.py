"""How each track's look changes: the step of a fold over the dates, beside linking."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline import schemas
from pipeline.compute.looks import change_points, distance, kept
from pipeline.params import Params
from pipeline.schemas import Table
from pipeline.stages.vectors import to_matrix

Doubles = npt.NDArray[np.float64]


class LooksParams(Params):
    """Parameters of how a track's look changes."""

    kept: int = Field(
        16,
        ge=4,
        le=1024,
        multiple_of=2,
        description="Looks kept of a track: the newest half, and older ones at even spaces. Up to so many dates change "
        "points are those of the whole track; of longer tracks, those older than the newest half are settled.",
    )
    least_change: float = Field(
        0.1,
        gt=0,
        le=2,
        description="Cosine distance (0 to 2) that a change point has to bridge, beside a track's own unrest.",
    )


@dataclass(frozen=True)
class _History:
    """A track's row of ``look_state``; ``vectors`` looks x dimensions."""

    mean: Doubles
    places: list[int]
    dates: list[dt.date]
    image_ids: list[str]
    num_images: int
    vectors: Doubles
    change_dates: list[dt.date]


@dataclass(frozen=True)
class _Look:
    """A track on the date."""

    num_images: int
    image_id: str
    vector: Doubles


def looks(
    date: str,
    links: pa.Table,
    clusters: pa.Table,
    states: Sequence[tuple[str, pa.Table]],
    params: LooksParams,
) -> tuple[pa.Table, pa.Table]:
    """Compare the look of every track of ``date`` with its earlier ones.

    A track's look is the mean of its clusters' centers, each by its images, of unit length.

    Args:
        date: ``YYYY-MM-DD``, later than every date in ``states``.
        links: ``cluster_id`` and ``track_id`` of every cluster of the date.
        clusters: ``cluster_id``, ``num_images``, ``medoid_image_id`` and ``center`` of the date's clusters.
        states: ``(date, look_state table)`` of the dates before, oldest first, as far back as a track may be continued,
            before them those of the last dates of tracks that are taken up on this one; a track's newest row counts.
        params: the stage's parameters.

    Returns:
        Rows of ``looks`` and of ``look_state``: one a track with a cluster on the date.
    """
    today = dt.date.fromisoformat(date)
    before = _histories(states)
    rows, after = [], []
    for track, look in _looks_of(links, clusters):
        old = before.get(track)
        new = _grown(old, today, look, params)
        after.append({"track_id": track, **vars(new), "vectors": new.vectors.ravel()})
        rows.append({"track_id": track, **_row(old, new, look)})
    return _table(schemas.LOOKS, rows), _table(schemas.LOOK_STATE, after)


def summaries(look_state: pa.Table) -> Iterator[dict[str, Any]]:
    """Of each row of ``schemas.LOOK_STATE`` what ``schemas.TRACK_SUMMARY`` says of the track up to then.

    The images that stand for it are of the looks kept: the one nearest to half of the track's dates, and those nearest
    to and farthest from its mean, the earliest of equals.
    """
    for track, history in _rows(look_state):
        half = 0.5 * history.places[-1]
        near = history.vectors @ history.mean
        images = history.image_ids
        yield {
            "track_id": track,
            "first_date": history.dates[0],
            "num_dates": history.places[-1] + 1,
            "num_images": history.num_images,
            "first_image_id": images[0],
            "middle_image_id": images[int(np.argmin(np.abs(np.array(history.places) - half)))],
            "last_image_id": images[-1],
            "typical_image_id": images[int(near.argmax())],
            "unusual_image_id": images[int(near.argmin())],
            "drift": distance(history.vectors[0], history.vectors[-1]),
            "change_dates": history.change_dates,
        }


def _looks_of(links: pa.Table, clusters: pa.Table) -> Iterator[tuple[str, _Look]]:
    """Each track of the date, by its id."""
    clusters = clusters.sort_by("cluster_id")
    centers = to_matrix(clusters["center"]).astype(np.float64)
    sizes, medoids = clusters["num_images"].to_pylist(), clusters["medoid_image_id"].to_pylist()
    place = {cluster: i for i, cluster in enumerate(clusters["cluster_id"].to_pylist())}
    members: dict[str, list[int]] = {}
    for cluster, track in zip(links["cluster_id"].to_pylist(), links["track_id"].to_pylist(), strict=True):
        members.setdefault(track, []).append(place[cluster])
    for track, unordered in sorted(members.items()):
        own = sorted(unordered)
        vector = np.array([sizes[i] for i in own], dtype=np.float64) @ centers[own]
        length = float(np.linalg.norm(vector))
        largest = max(own, key=lambda i: (sizes[i], -i))
        unit = (vector / length if length else vector).astype(np.float32)  # as it is kept, so that no change is none
        yield track, _Look(sum(sizes[i] for i in own), medoids[largest], unit.astype(np.float64))


def _grown(old: _History | None, today: dt.date, look: _Look, params: LooksParams) -> _History:
    """The history with today's look."""
    vector = look.vector[None, :]
    if old is None:
        return _History(look.vector, [0], [today], [look.image_id], look.num_images, vector, [])
    number = old.places[-1] + 2
    places = [*old.places, number - 1]
    chosen = kept(np.array(places), params.kept).tolist()
    dates, images = [*old.dates, today], [*old.image_ids, look.image_id]
    grown = _History(
        old.mean + (look.vector - old.mean) / number,
        [places[k] for k in chosen],
        [dates[k] for k in chosen],
        [images[k] for k in chosen],
        old.num_images + look.num_images,
        np.concatenate([old.vectors, vector])[chosen],
        old.change_dates,
    )
    return replace(grown, change_dates=_change_dates(grown, params))


def _change_dates(history: _History, params: LooksParams) -> list[dt.date]:
    """All change points anew while all looks are kept; later on, those of the newest half of what is kept."""
    found = change_points(history.vectors, params.least_change).tolist()
    if len(history.dates) == history.places[-1] + 1:
        return [history.dates[k] for k in found]
    since = history.dates[-(params.kept // 2)]
    settled = [day for day in history.change_dates if day < since]
    # What lies between two looks of which those in between were dropped was settled when they were there.
    fresh = [k for k in found if not any(history.dates[k - 1] < day for day in settled)]
    return settled + [history.dates[k] for k in fresh if history.dates[k] >= since]


def _row(old: _History | None, new: _History, look: _Look) -> dict[str, Any]:
    """What ``looks`` says of a track today."""
    row: dict[str, Any] = {
        "num_images": look.num_images,
        "image_id": look.image_id,
        "from_first": distance(new.vectors[0], look.vector),
        "from_mean": distance(new.mean, look.vector),
        "last_change": max(new.change_dates, default=None),
    }
    if old is not None:
        row["from_previous"] = distance(old.vectors[-1], look.vector)
        row["gap_days"] = (new.dates[-1] - old.dates[-1]).days
        row["per_day"] = row["from_previous"] / row["gap_days"]
    return row


def _histories(states: Sequence[tuple[str, pa.Table]]) -> dict[str, _History]:
    """The newest row of each track."""
    return {track: history for _, state in states for track, history in _rows(state)}


def _rows(state: pa.Table) -> Iterator[tuple[str, _History]]:
    flat = pc.list_flatten(state["vectors"]).to_numpy().astype(np.float64)
    ends = np.cumsum(pc.list_value_length(state["vectors"]).to_numpy())
    for row, end in zip(state.drop_columns(["vectors"]).to_pylist(), ends.tolist(), strict=True):
        mean = np.asarray(row.pop("mean"), dtype=np.float64)
        size = len(row["places"])
        vectors = flat[end - size * len(mean) : end].reshape(size, len(mean))
        yield row.pop("track_id"), _History(mean=mean, vectors=vectors, **row)


def _table(declared: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=declared.empty().schema)
