"""Arrow <-> arrays for linking: a date's clusters, the open tracks, and the state they leave behind."""

import base64
import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas
from pipeline.compute.linking.kin import Lives
from pipeline.compute.linking.scores import starts_of
from pipeline.schemas import Table
from pipeline.stages.vectors import to_matrix

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


STITCHING = "stitching_"
"""Prefix of stitching's own parameters in ``calibration``."""

_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def track_key_of(cluster_id: str) -> str:
    """A track's key from its birth cluster's id: 10 characters, 50 bits.

    Among a million tracks the chance that any two share a key is 4 in 10 000 (n^2 / 2^51).
    """
    digest = hashlib.blake2b(cluster_id.encode(), digest_size=10).digest()
    return base64.b32encode(digest).translate(_CROCKFORD).decode()[:10]


@dataclass(frozen=True)
class DateClusters:
    """The clusters of one date in order of their ids, with their exemplars."""

    ids: list[str]
    exemplar_ids: list[list[str]]
    looks: Floats
    starts: Ints

    @classmethod
    def read(cls, clusters: pa.Table, exemplars: pa.Table) -> "DateClusters":
        """Join the clusters with their exemplars' vectors by image_id.

        Raises:
            KeyError: an exemplar has no vector (a bug of the caller).
        """
        rows = clusters.sort_by("cluster_id")
        exemplar_ids: list[list[str]] = rows["exemplar_image_ids"].to_pylist()
        position = {image: i for i, image in enumerate(exemplars["image_id"].to_pylist())}
        wanted = np.array([position[image] for images in exemplar_ids for image in images], dtype=np.int64)
        return cls(
            ids=rows["cluster_id"].to_pylist(),
            exemplar_ids=exemplar_ids,
            looks=to_matrix(exemplars["vector"])[wanted],
            starts=starts_of([len(images) for images in exemplar_ids]),
        )

    def looks_of(self, cluster: int) -> Floats:
        """The exemplars' vectors of one cluster, exemplars x dimensions."""
        first = int(self.starts[cluster])
        return self.looks[first : first + len(self.exemplar_ids[cluster])]

    def has(self, some: Bools) -> Bools:
        """Of each cluster whether any of its exemplars is one of ``some`` (exemplars)."""
        out: Bools = np.logical_or.reduceat(some, self.starts) if len(some) else some
        return out

    def only(self, some: Bools) -> "DateClusters":
        """The clusters with ``some`` of their exemplars, at least one each."""
        if some.all():
            return self
        of_each = np.split(some, self.starts[1:])
        ids = [
            [name for name, mine in zip(names, kept, strict=True) if mine]
            for names, kept in zip(self.exemplar_ids, of_each, strict=True)
        ]
        starts = starts_of([len(names) for names in ids])
        return replace(self, exemplar_ids=ids, looks=self.looks[some], starts=starts)


@dataclass(frozen=True)
class OpenTracks:
    """The tracks that may be continued, in order of their ids; ``rows`` are their newest link_state rows."""

    ids: list[str]
    last_dates: list[str]
    gaps: Ints
    rows: list[Mapping[str, Any]]
    bank: Floats
    starts: Ints
    lives: Lives

    @classmethod
    def read(cls, states: Sequence[tuple[str, pa.Table]], closed: frozenset[str] = frozenset()) -> "OpenTracks":
        """The newest row of each track over ``states`` (oldest first), without those ``closed``."""
        newest: dict[str, tuple[str, Mapping[str, Any]]] = {}
        banks: dict[str, Floats] = {}
        for day, state in states:
            flat = pc.list_flatten(state["bank_vectors"]).to_numpy().astype(np.float32, copy=False)
            lengths = pc.list_value_length(state["bank_vectors"]).to_numpy().astype(np.int64)
            ends = np.cumsum(lengths)
            rows = state.drop_columns(["bank_vectors"]).to_pylist()
            for row, start, end in zip(rows, ends - lengths, ends, strict=True):
                newest[row["track_key"]] = (day, row)
                banks[row["track_key"]] = flat[start:end].reshape(len(row["bank_image_ids"]), -1)
        ids = sorted(set(newest) - closed)
        place = {day: len(states) - i for i, (day, _) in enumerate(states)}
        return cls(
            ids=ids,
            last_dates=[newest[i][0] for i in ids],
            gaps=np.array([place[newest[i][0]] for i in ids], dtype=np.int64),
            rows=[newest[i][1] for i in ids],
            bank=np.concatenate([banks[i] for i in ids]) if ids else np.zeros((0, 0), dtype=np.float32),
            starts=starts_of([len(banks[i]) for i in ids]),
            lives=_lives(ids, states),
        )

    def row(self, track: int) -> dict[str, Any]:
        """The newest row of one track, with its bank."""
        return {**self.rows[track], "bank_vectors": self.bank_of(track).ravel()}

    def bank_of(self, track: int) -> Floats:
        """One track's bank, exemplars x dimensions."""
        first = int(self.starts[track])
        return self.bank[first : first + len(self.rows[track]["bank_image_ids"])]

    def last_looks(self, track: int) -> Floats:
        """The exemplars of the track's newest date that its bank holds."""
        dates = self.rows[track]["bank_dates"]
        return self.bank_of(track)[[day == max(dates) for day in dates]]


def _lives(ids: Sequence[str], states: Sequence[tuple[str, pa.Table]]) -> Lives:
    seen = np.zeros((len(ids), len(states)), dtype=bool)
    young = np.zeros(len(ids), dtype=bool)
    place = {key: i for i, key in enumerate(ids)}
    for t, (_, state) in enumerate(states):
        began = pc.greater(state["first_date"], to_date(states[0][0])).to_pylist()
        for key, here in zip(state["track_key"].to_pylist(), began, strict=True):
            if key in place:
                seen[place[key], t] = True
                young[place[key]] = here
    return Lives(seen, young)


def table(declared: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of a declared table without open columns, sorted by its key."""
    schema = declared.empty().schema
    built = pa.Table.from_pylist(list(rows), schema=schema)
    return built.sort_by([(name, "ascending") for name in declared.key])


Numbers = Sequence[tuple[int, str, float]]
"""(gap_bin, parameter, value) of a score model."""


def calibration_rows(calibration: pa.Table | None, *, stitching: bool = False) -> Numbers:
    """The numbers of linking's model, or of stitching's; none before the first date."""
    if calibration is None:
        return []
    columns = (calibration[name].to_pylist() for name in ("gap_bin", "parameter", "value"))
    mine = [row for row in zip(*columns, strict=True) if row[1].startswith(STITCHING) == stitching]
    return [(gap, name.removeprefix(STITCHING), value) for gap, name, value in mine]


def calibration_table(linking: Numbers, stitching: Numbers) -> pa.Table:
    """The inverse of :func:`calibration_rows`, sorted by the key."""
    rows = [*linking, *((gap, STITCHING + name, value) for gap, name, value in stitching)]
    named = [dict(zip(("gap_bin", "parameter", "value"), row, strict=True)) for row in rows]
    return table(schemas.CALIBRATION, named)


def to_date(day: str) -> datetime.date:
    """A partition's date."""
    return datetime.date.fromisoformat(day)
