"""The columns of a listing, built a block at a time: a million objects are never held at once."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.identity import image_id
from pipeline.runtime.blocks import BLOCK_ROWS, Blocks
from pipeline.runtime.described import Described
from pipeline.schemas import MICROSECONDS

MEMBER = pa.struct(
    {
        "archive": pa.string(),
        "archive_version": pa.string(),
        "place": pa.int64(),
        "length": pa.int64(),
        "flaw": pa.string(),
    }
)
"""Where an image lies in an archive: a tar's or zip's bytes from ``place`` on, a Parquet file's row group and row.

``flaw`` is what the listing found already: it cannot be read, the reason and the detail.
"""

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
        self._blocks: Blocks | None = None

    def add(
        self,
        key: str,
        uri: str,
        size: int | None,
        version: str,
        modified_at: dt.datetime | None,
        member: dict[str, Any] | None = None,
    ) -> None:
        """One more object; ``member`` is where it lies in an archive: all do, or none."""
        self._rows.append((key, uri, size, version, modified_at, member))
        if len(self._rows) == BLOCK_ROWS:
            self._close()

    def blocks(self) -> Blocks:
        """All objects: key, uri, size, object_version, modified_at, and member where there is one; in their order."""
        self._close()
        return self._blocks or Blocks(_SCHEMA.remove(_SCHEMA.get_field_index("member")))

    def _close(self) -> None:
        if self._rows:
            columns = [
                pa.array(values, field.type)
                for values, field in zip(zip(*self._rows, strict=True), _SCHEMA, strict=True)
            ]
            rows = pa.table(columns, schema=_SCHEMA)
            if rows["member"].null_count == rows.num_rows:
                rows = rows.drop_columns(["member"])
            self._blocks = self._blocks or Blocks(rows.schema)
            self._blocks.add(rows)
            self._rows = []


def completed(rows: pa.Table, described: Described | None) -> pa.Table:
    """A listing: its columns in their order, with what is known of the rows otherwise.

    Args:
        rows: as :meth:`Objects.blocks` gives them.
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
