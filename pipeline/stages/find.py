"""Which track a photograph shows: photographs to looks, and looks against all tracks' banks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.stages.fingerprint import Fingerprinter
from pipeline.stages.ingest import OBJECTS, ingest
from pipeline.stages.ingest_params import IngestParams
from pipeline.stages.link_tables import OpenTracks, calibration_rows
from pipeline.stages.projection import apply

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Match:
    """A track, by linking's own key, that a look may be of (:func:`pipeline.compute.linking.search.probabilities`)."""

    track_key: str
    last_date: str
    last_cluster_id: str
    similarity: float
    probability: float


@dataclass(frozen=True)
class Look:
    """A photograph, or a region of one where the collection's are cut out: its projected vector, of unit length.

    ``photograph`` is its position among those given; without a vector ``reason`` says why.
    """

    photograph: int
    region: dict[str, int] | None
    content_hash: str | None
    vector: Floats | None
    reason: str | None


def looks_of(
    photographs: Sequence[bytes], params: IngestParams, extractor: Fingerprinter, model: pa.Table
) -> list[Look]:
    """What photographs look like, made exactly as the collection's were: cut out, shrunk, fingerprinted, projected."""
    rows = [
        {"key": "", "uri": str(k), "bytes": data, "images": [{"image_id": str(k), "object_version": ""}]}
        for k, data in enumerate(photographs)
    ]
    images = ingest(pa.Table.from_pylist(rows, pa.schema(list(OBJECTS.items()))), params)
    fingerprints = extractor(images.select(["image_id", "content_hash", "region", "pixels", "reason"]))
    ids, vectors = apply(model, fingerprints)
    found = dict(zip(ids, vectors, strict=True))
    described = images.select(["image_id", "uri", "region", "content_hash"]).to_pylist()
    reasons = fingerprints["reason"].to_pylist()
    return [
        Look(int(row["uri"]), row["region"], row["content_hash"], found.get(row["image_id"]), reason)
        for row, reason in zip(described, reasons, strict=True)
    ]


def last_states(newest_first: Iterable[tuple[str, pa.Table]]) -> list[tuple[str, pa.Table]]:
    """The newest ``link_state`` row of every track, from (date, link_state) of every date; older ones are let go."""
    seen: set[str] = set()
    found = []
    for date, state in newest_first:
        keys = state["track_key"].to_pylist()
        found.append((date, state.filter(pa.array([key not in seen for key in keys], pa.bool_()))))
        seen.update(keys)
    return found[::-1]


def matches(
    vectors: Floats, states: Sequence[tuple[str, pa.Table]], calibration: pa.Table, most: int
) -> list[list[Match]]:
    """The likeliest tracks of each look.

    Args:
        vectors: looks x dimensions, unit length.
        states: ``(date, link_state table)`` that hold every track.
        calibration: ``schemas.CALIBRATION`` of the newest date.
        most: tracks a look, at most.

    Returns:
        For each look its matches, the likeliest first; of equals the most similar, then the smaller id.
    """
    from pipeline.compute.linking.memory import Memory
    from pipeline.compute.linking.scores import likeness
    from pipeline.compute.linking.search import probabilities

    tracks = OpenTracks.read(states)
    memory = Memory.read(calibration_rows(calibration))
    similarity = likeness(vectors, np.arange(len(vectors)), tracks.bank, tracks.starts)
    found = []
    for row in similarity:
        probability = probabilities(row, memory)
        order = np.lexsort((np.arange(len(row)), -row, -probability))[:most]
        found.append(
            [
                Match(
                    tracks.ids[j],
                    tracks.last_dates[j],
                    tracks.rows[j]["last_cluster_id"],
                    float(row[j]),
                    float(probability[j]),
                )
                for j in order.tolist()
            ]
        )
    return found
