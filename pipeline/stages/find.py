"""Which track a photograph shows: photographs to looks, and looks against all tracks' banks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.stages.fingerprint import Fingerprinter
from pipeline.stages.ingest import OBJECTS, IngestParams, ingest
from pipeline.stages.link_tables import OpenTracks, calibration_rows
from pipeline.stages.projection import apply

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Match:
    """A track that a look may be of, by linking's own id; see :func:`pipeline.compute.linking.search.probabilities`."""

    track_id: str
    last_date: str
    last_cluster_id: str
    similarity: float
    probability: float


@dataclass(frozen=True)
class Look:
    """A photograph: the hash of its bytes, and its projected vector, of unit length; or why there is none."""

    content_hash: str | None
    vector: Floats | None
    reason: str | None


def looks_of(
    photographs: Sequence[bytes], params: IngestParams, extractor: Fingerprinter, model: pa.Table
) -> list[Look]:
    """What photographs look like, made exactly as the collection's were: shrunk, fingerprinted, projected."""
    names = [f"{k:08d}" for k in range(len(photographs))]
    columns = {"image_id": names, "key": names, "uri": names, "object_version": names, "bytes": list(photographs)}
    objects = pa.table({name: pa.array(columns.get(name, [None] * len(names)), kind) for name, kind in OBJECTS.items()})
    images = ingest(objects, params)
    fingerprints = extractor(images.select(["image_id", "content_hash", "region", "pixels", "reason"]))
    ids, vectors = apply(model, fingerprints)
    found = dict(zip(ids, vectors, strict=True))
    hashes, reasons = images["content_hash"].to_pylist(), fingerprints["reason"].to_pylist()
    return [Look(hashes[k], found.get(name), reasons[k]) for k, name in enumerate(names)]


def last_states(dates: Iterable[tuple[str, pa.Table, pa.Table]]) -> list[tuple[str, pa.Table]]:
    """The newest ``link_state`` row of every track, by date, from (date, link_state, track_summary) of every date."""
    return [
        (date, state.filter(pc.is_in(state["track_id"], value_set=last["track_id"].combine_chunks())))
        for date, state, last in dates
    ]


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
    from pipeline.compute.linking.scores import best_pairs
    from pipeline.compute.linking.search import probabilities

    tracks = OpenTracks.read(states)
    memory = Memory.read(calibration_rows(calibration))
    similarity = best_pairs(vectors, np.arange(len(vectors)), tracks.bank, tracks.starts)
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
