"""What the map of fingerprints sends to workers: how images are read, made into vectors, and written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute import extractors
from pipeline.parts import read_rows
from pipeline.runtime.engine import Fragment
from pipeline.runtime.fragments import FragmentWriter
from pipeline.stages.fingerprint import Fingerprinter, FingerprintParams
from pipeline.tablestore import TableStore

READS = ("image_id", "content_hash", "region", "reason")
"""The columns of ``images`` that decide a fingerprint; the pixels follow from them and the ingest parameters."""


@dataclass(frozen=True)
class Reader:
    """Reads the images that a unit names from their parts; sent to workers."""

    images: TableStore

    def __call__(self, unit: pa.Table) -> Iterator[pa.Table]:
        """One table of the columns that the extractor reads, and ``date``."""
        yield pa.concat_tables([self._span(one) for one in unit.to_pylist()]).combine_chunks()

    def _span(self, one: Mapping[str, Any]) -> pa.Table:
        columns = [*READS, "pixels"]
        found = read_rows(self.images.filesystem, one["path"], one["bytes"], (one["start"], one["stop"]), columns)
        if one["wanted"] is not None:
            found = found.filter(pc.is_in(found["image_id"], value_set=pa.array(one["wanted"], pa.string())))
        return found.append_column("date", pa.array([one["date"]] * found.num_rows, pa.string()))


class Worker:
    """Built once in each process: the extractors; keeps the date, and which of them it was, beside the fingerprint.

    The tables that they make have vectors of different lengths, so they go from here to the writer as one row each.
    """

    def __init__(
        self,
        makers: Sequence[tuple[FingerprintParams, str]],
        fitted: Mapping[str, extractors.Words],
        *,
        device: Literal["cpu", "cuda"],
        threads: int,
    ) -> None:
        self._makers = [(Fingerprinter(params, device, threads, fitted), made_by) for params, made_by in makers]

    def __call__(self, images: pa.Table) -> pa.Table:
        """Images with their date -> fingerprints with their date; of several extractors, see :class:`Writer`."""
        dates = images["date"]
        made = [one(images.drop_columns(["date"]), made_by) for one, made_by in self._makers]
        first = made[0].append_column("date", dates)
        for number, rows in enumerate(made[1:], start=1):
            for name in _MADE:
                first = first.append_column(f"{name} {number}", rows[name])
        return first


_MADE = ("pixels_key", "vector", "reason")


@dataclass(frozen=True)
class Writer:
    """Stores what a worker made: a fragment for each table of fingerprints; sent to workers."""

    writers: tuple[FragmentWriter, ...]

    def __call__(self, rows: pa.Table) -> Fragment:
        """The first table's fragment, with the others' beside it."""
        names = ("image_id", *_MADE, "date")
        made = []
        for number, write in enumerate(self.writers):
            own = [f"{name} {number}" if number and name in _MADE else name for name in names]
            made.append(write(rows.select(own).rename_columns(list(names))))
        return replace(made[0], beside=tuple(made[1:]))
