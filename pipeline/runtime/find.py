"""Which track a photograph shows, from a workspace as it is stored; in this process, without Ray."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.failures import explain
from pipeline.runtime.context import Context
from pipeline.runtime.tables import read_dates
from pipeline.stages.find import Look, Match, last_states, looks_of, matches
from pipeline.stages.fingerprint import Fingerprinter
from pipeline.storage import open_filesystem, redact

MOST = 5
"""Tracks named for a photograph."""


@dataclass(frozen=True)
class SameImage:
    """An image of the collection with the very same bytes."""

    image_id: str
    date: str
    track_id: str | None


@dataclass(frozen=True)
class Candidate:
    """A track that a look may be of; ``similarity`` is the best cosine with one of its exemplars."""

    track_id: str
    probability: float
    similarity: float
    last_date: str


@dataclass(frozen=True)
class Found:
    """A photograph (or a region of it): images of the collection with its bytes, and the tracks it may be of."""

    image: str
    region: dict[str, int] | None
    same: tuple[SameImage, ...]
    tracks: tuple[Candidate, ...]

    @property
    def none(self) -> float:
        """The probability that it is of no track: what those named leave, and so at most that."""
        return max(0.0, 1.0 - sum(one.probability for one in self.tracks))


def find(context: Context, images: Sequence[str]) -> list[Found]:
    """Find the tracks of photographs.

    Raises:
        UserError: the workspace has no tracks by this config, or an image cannot be read.
    """
    states = context.store(schemas.LINK_STATE)
    model = context.store(schemas.PROJECTION).extra.get("model")
    if model is None or not states.partitions:
        raise UserError(
            f"workspace {context.workspace.uri} has no tracks by {context.config.fingerprint.extractor} and clustering "
            f"{context.config.clustering} yet\nfinish `imagetracks run` first, or give its --config and --set"
        )
    fitted = context.store(schemas.PROJECTION).read(model)
    if fitted.column_names != schemas.PROJECTION.names:
        raise UserError(
            f"workspace {context.workspace.uri} was written by another version of imagetracks\n"
            "bring it up to date with `imagetracks run` first"
        )
    looks = _looks(context, images, fitted)
    vectors = np.stack([look.vector for look in looks if look.vector is not None])
    newest_first = sorted(states.partitions.items(), reverse=True)
    newest = last_states((date, states.read(date, None, one)) for date, one in newest_first)
    calibration = context.store(schemas.CALIBRATION).read(max(states.partitions))
    same = _same_images(context, [look.content_hash for look in looks])
    found = matches(vectors, newest, calibration, MOST)
    return [
        Found(
            images[look.photograph],
            look.region,
            tuple(same.get(look.content_hash or "", ())),
            tuple(_published(context, one)),
        )
        for look, one in zip(looks, found, strict=True)
    ]


def _looks(context: Context, images: Sequence[str], model: pa.Table) -> list[Look]:
    data = [_bytes_of(image) for image in images]
    extractor = Fingerprinter(context.config.fingerprint, threads=1)
    looks = looks_of(data, context.config.ingest, extractor, model)
    for look in looks:
        if look.vector is None:
            name = redact(images[look.photograph])
            raise UserError(f"{name} cannot be read as an image ({look.reason}); expected a photograph")
    return looks


def _bytes_of(image: str) -> bytes:
    try:
        filesystem, path = open_filesystem(image)
        return bytes(filesystem.cat_file(path))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise UserError(f"there is no image at {redact(image)}: expected a file, or a URI that fsspec opens") from None
    except Exception as error:
        raise explain(error, f"the image {redact(image)}") or error from error


def _same_images(context: Context, hashes: Sequence[str | None]) -> dict[str, list[SameImage]]:
    """Images of the collection by the hash of their bytes; one narrow column of all images is read."""
    images, tracks = context.store(schemas.IMAGES), context.store(schemas.TRACKS)
    wanted = pa.array([one for one in hashes if one is not None], pa.string())
    found: dict[str, list[SameImage]] = {}
    for date, manifest in images.partitions.items():
        rows = images.read(date, ["image_id", "content_hash"], manifest)
        rows = rows.filter(pc.is_in(rows["content_hash"], value_set=wanted))
        if not rows.num_rows:
            continue
        of_date = tracks.read(date, ["image_id", "track_id"]).to_pylist() if date in tracks.partitions else []
        track = {row["image_id"]: row["track_id"] for row in of_date}
        for row in rows.to_pylist():
            same = SameImage(row["image_id"], date, track.get(row["image_id"]))
            found.setdefault(row["content_hash"], []).append(same)
    return found


def _published(context: Context, found: Sequence[Match]) -> list[Candidate]:
    """The matches by their published ids: those of the images of each track's last cluster."""
    dates = {one.last_date for one in found}
    rows = read_dates(context, schemas.TRACKS, ["cluster_id", "track_id"], dates.__contains__)
    ids = dict(zip(rows["cluster_id"].to_pylist(), rows["track_id"].to_pylist(), strict=True))
    tracks_of: dict[str, Candidate] = {}
    for one in found:
        if one.last_cluster_id in ids:
            track = ids[one.last_cluster_id]
            known = tracks_of.get(track)
            here = Candidate(track, one.probability, one.similarity, one.last_date)
            tracks_of[track] = here if known is None else _together(known, here)
    return sorted(tracks_of.values(), key=lambda one: -one.probability)


def _together(one: Candidate, other: Candidate) -> Candidate:
    """Two parts of a track that was stitched: the photograph may be of either."""
    probability, similarity = one.probability + other.probability, max(one.similarity, other.similarity)
    return Candidate(one.track_id, probability, similarity, max(one.last_date, other.last_date))
