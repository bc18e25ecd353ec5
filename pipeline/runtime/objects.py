"""The columns of a listing, built a block at a time: a million objects never are a million Python values at once."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.identity import image_id
from pipeline.runtime.described import Described
from pipeline.schemas import MICROSECONDS

BLOCK_ROWS = 2**16

MEMBER = pa.struct(
    [("archive", pa.string()), ("archive_version", pa.string()), ("place", pa.int64()), ("length", pa.int64())]
)
"""Where an image lies in an archive: a tar's or zip's bytes from ``place`` on, a Parquet file's row group and row."""

_SCHEMA = pa.schema(
    {
        "key": pa.string(),
        "uri": pa.string(),
        "size": pa.int64(),
        "object_version": pa.string(),
        "modified_at": MICROSECONDS,
        "member": MEMBER,
    }
)


class Objects:
    """Objects, one after the other, as columns."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._blocks: list[pa.RecordBatch] = []

    def add(
        self,
        key: str,
        uri: str,
        size: int | None,
        version: str,
        modified_at: dt.datetime | None,
        member: dict[str, Any] | None = None,
    ) -> None:
        """One more object; ``member`` is where it lies in an archive."""
        self._rows.append((key, uri, size, version, modified_at, member))
        if len(self._rows) == BLOCK_ROWS:
            self._close()

    def table(self) -> pa.Table:
        """All objects: key, uri, size, object_version, modified_at, and member where there is one; in their order."""
        self._close()
        rows = pa.Table.from_batches(self._blocks, _SCHEMA)
        return rows if rows["member"].null_count < rows.num_rows else rows.drop_columns(["member"])

    def _close(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, _SCHEMA, strict=True)]
            self._blocks.append(pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA))
            self._rows = []


def in_blocks(rows: pa.Table) -> pa.Table:
    """The same rows in chunks of some 65 000, so that what is made of them value by value is made a block at a time."""
    return pa.Table.from_batches(rows.to_batches(max_chunksize=BLOCK_ROWS), rows.schema)


def sorted_by_key(rows: pa.Table) -> pa.Table:
    """Rows by key, each key once: of several the last, as unpacking an archive would leave it."""
    order = pc.sort_indices(rows["key"])
    rows = rows.take(order)
    keys = rows["key"].combine_chunks()
    repeated = pc.equal(keys[1:], keys[:-1]) if len(keys) > 1 else pa.array([], pa.bool_())
    if pc.any(repeated).as_py():
        # Sorting is stable: the last of equal keys is the one that was added last.
        rows = rows.filter(pa.concat_arrays([pc.invert(repeated), pa.array([True])]))
    return in_blocks(rows)


def completed(rows: pa.Table, described: Described | None) -> pa.Table:
    """A listing: its columns in their order, with what is known of the rows otherwise.

    Args:
        rows: as :meth:`Objects.table` gives them.
        described: of the same rows, in the same order; None: nothing.
    """
    ids = described.ids if described is not None else None
    columns = {"image_id": _ids(rows["key"] if ids is None else pa.chunked_array([pa.array(ids, pa.string())]))}
    columns |= {name: rows[name] for name in ("key", "uri", "size", "object_version", "modified_at")}
    columns["date_value"] = pa.nulls(rows.num_rows, pa.string()) if described is None else described.dates
    if described is not None:
        optional = {"box": described.boxes, "metadata": described.metadata}
        columns |= {name: column for name, column in optional.items() if column is not None}
    if "member" in rows.column_names:
        columns["member"] = rows["member"]
    return pa.table(columns)


def _ids(names: pa.ChunkedArray) -> pa.ChunkedArray:
    chunks = [pa.array([image_id(name) for name in chunk.to_pylist()], pa.string()) for chunk in names.chunks]
    return pa.chunked_array(chunks, pa.string())


def first_repeated(values: pa.ChunkedArray) -> tuple[int, int] | None:
    """Positions of the first value that stands twice, and of where it stood first; None if every value stands once."""
    if pc.count_distinct(values).as_py() == len(values):
        return None
    seen: dict[str, int] = {}
    for row, value in enumerate(values.to_pylist()):
        first = seen.setdefault(value, row)
        if first != row:
            return first, row
    return None


def keys_of(rows: pa.Table) -> Sequence[str]:
    """The keys as Python text; for what is done where there is something to do for each."""
    keys: list[str] = rows["key"].to_pylist()
    return keys
