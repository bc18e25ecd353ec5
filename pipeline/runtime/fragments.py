"""From fragments to partitions: how the map stages' rows, in any order and split, become a date's sorted parts.

A fragment holds rows of a map stage as they came, with their date, and is complete when it exists; a run that is
killed takes up the fragments it finds.  When the map is through, each date is composed once: rows of the old
partition that still hold, and new ones, by ranges of the id (ids are hashes, so equal ranges hold equal shares), so
that a date never has to fit into memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.commits import Manifest
from pipeline.parts import read_where
from pipeline.runtime.engine import Fragment
from pipeline.tablestore import TableStore

_ID_DIGITS = 8
"""Leading hex digits by which ids are cut into ranges."""


@dataclass(frozen=True)
class FragmentWriter:
    """Writes rows (a table's columns and ``date``) as one fragment; sent to workers."""

    store: TableStore
    digest: str

    def __call__(self, rows: pa.Table) -> Fragment:
        """Sort, write, describe."""
        order = [("date", "ascending"), *((name, "ascending") for name in self.store.table.key)]
        rows = rows.sort_by(order)
        part = self.store.put_fragment(self.digest, rows)
        return describe(self.store.fragment_path(self.digest, part.name), part.bytes, rows)


def describe(path: str, size: int, rows: pa.Table) -> Fragment:
    """What the driver needs to know of a fragment (``date`` and ``reason`` are read)."""
    dates = {one["values"]: one["counts"] for one in rows["date"].value_counts().to_pylist()}
    failed = {one["values"]: one["counts"] for one in rows["reason"].drop_null().value_counts().to_pylist()}
    return Fragment(path, size, dates, failed)


@dataclass(frozen=True)
class Pieces:
    """Where the rows of one date lie: the committed partition, and fragments."""

    store: TableStore
    date: str
    old: Manifest | None
    fragments: tuple[tuple[str, int], ...]

    @property
    def bytes(self) -> int:
        """An upper bound of what a partition of all these rows takes."""
        return (sum(part.bytes for part in self.old.parts) if self.old else 0) + sum(size for _, size in self.fragments)

    def new(self, where: pc.Expression | None = None, columns: Sequence[str] | None = None) -> pa.Table | None:
        """The fragments' rows of this date; None without fragments."""
        condition = pc.field("date") == self.date
        condition = condition if where is None else condition & where
        return self._read(self.fragments, condition, columns)

    def kept(self, where: pc.Expression | None = None, columns: Sequence[str] | None = None) -> pa.Table | None:
        """The committed partition's rows; None if there is none."""
        folder = self.store.folder(self.date)
        parts = [(f"{folder}/{part.name}", part.bytes) for part in self.old.parts] if self.old else []
        return self._read(parts, where, columns)

    def ranges(self, part_bytes: int) -> Iterator[pc.Expression | None]:
        """Conditions on ``image_id`` that cut the rows into pieces of some ``part_bytes``, ascending."""
        count = -(-self.bytes // part_bytes)
        if count <= 1:
            yield None
            return
        ends = [f"{(index << 4 * _ID_DIGITS) // count:0{_ID_DIGITS}x}" for index in range(1, count)]
        field = pc.field("image_id")
        yield field < ends[0]
        for low, high in pairwise(ends):
            yield (field >= low) & (field < high)
        yield field >= ends[-1]

    def _read(
        self, files: Sequence[tuple[str, int]], where: pc.Expression | None, columns: Sequence[str] | None
    ) -> pa.Table | None:
        tables = [read_where(self.store.filesystem, path, size, where, columns) for path, size in files]
        tables = [rows.drop_columns([name for name in ("date",) if name in rows.column_names]) for rows in tables]
        return pa.concat_tables(tables, promote_options="default") if tables else None


def newest(rows: pa.Table) -> pa.Table:
    """Of the rows with one ``image_id`` the first, sorted by ``image_id``."""
    position = pa.array(range(rows.num_rows), pa.int64())
    numbered = pa.table({"image_id": rows["image_id"], "position": position})
    first = numbered.group_by("image_id").aggregate([("position", "min")]).sort_by("image_id")
    return rows.take(first["position_min"])


Merge = Callable[[pa.Table | None, pa.Table | None], pa.Table]
"""Fragments' rows and the old partition's rows of one range -> the rows that hold, the newer of an id first."""


def compose(pieces: Pieces, part_bytes: int, merge: Merge, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The date's rows in the order of the id, a range at a time."""
    for where in pieces.ranges(part_bytes):
        yield newest(merge(pieces.new(where, columns), pieces.kept(where, columns)))
