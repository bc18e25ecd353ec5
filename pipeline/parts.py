"""Parts: one Parquet file each, named by its content, written once and never changed."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.digests import ContentDigest
from pipeline.errors import SchemaError, damaged
from pipeline.schemas import Table
from pipeline.storage import FileSystem, is_local, put_atomic

_WHOLE_FILE_BYTES = 16 << 20
"""Parts up to this size are read by one GET even if only some columns are wanted: a round trip costs more."""

_CARRIED_BYTES = 256 << 10
"""A partition that is one part of at most this size travels to the driver instead of through the store: two writes
less.  The driver holds one a call in flight."""

_ROWS_PER_GROUP = {"images": 128, "fingerprints": 2048}
"""Small where rows are large, so that a few images are read without their part."""

_DEFAULT_ROWS_PER_GROUP = 65_536

_UNCOMPRESSED = frozenset({"pixels"})
_DICTIONARY = frozenset({"reason", "kind", "format", "captured_at_source", "cluster_id", "track_id", "parameter"})


@dataclass(frozen=True)
class Part:
    """A committed or staged Parquet file; ``name`` holds its content's hash."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Staged:
    """What a worker made of one partition and the driver may commit: descriptors, or one small part as it is."""

    folder: str
    parts: tuple[Part, ...]
    content: Mapping[str, str]
    failed: Mapping[str, int] = field(default_factory=dict)
    kept: bool = False
    """Whether the parts are the committed ones, which hold the same: then nothing was written."""
    carried: bytes | None = field(default=None, repr=False)
    """The only part's bytes where it is small; then it lies nowhere yet."""

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts)


def encode_part(table: Table, rows: pa.Table) -> bytes:
    """``rows`` as Parquet: zstd, dictionaries only where values repeat, statistics only of the key.

    Dense vectors grow and slow down under dictionaries and statistics, JPEGs do not compress (PERFORMANCE.md §G).
    """
    buffer = io.BytesIO()
    pq.write_table(
        rows,
        buffer,
        compression={name: "none" if name in _UNCOMPRESSED else "zstd" for name in _leaves(rows.schema)},
        use_dictionary=[name for name in rows.column_names if name in _DICTIONARY],
        write_statistics=[name for name in (*table.key, table.partition_key) if name in rows.column_names],
        row_group_size=_ROWS_PER_GROUP.get(table.name, _DEFAULT_ROWS_PER_GROUP),
    )
    return buffer.getvalue()


def put_part(filesystem: FileSystem, folder: str, table: Table, rows: pa.Table) -> Part:
    """Write ``rows`` into ``folder`` under a name that holds the content's hash."""
    return _put(filesystem, folder, encode_part(table, rows), rows.num_rows)


def _put(filesystem: FileSystem, folder: str, data: bytes, rows: int) -> Part:
    part = _part(data, rows)
    put_atomic(filesystem, f"{folder}/{part.name}", data)
    return part


def _part(data: bytes, rows: int) -> Part:
    return Part(_name(data), rows, len(data))


def stage_parts(
    filesystem: FileSystem,
    folder: str,
    table: Table,
    batches: Iterable[pa.Table],
    part_bytes: int,
    committed: Staged | None = None,
) -> Staged:
    """Write one partition's rows, given in the order of the key, as parts of some ``part_bytes`` (at least one part).

    Where they fit into one part, nothing is written if ``committed`` holds the same (then that is returned) or if
    the part is so small that it can be carried.

    Raises:
        SchemaError: a batch is not this table's, or does not follow the one before.
        ValueError: there is no batch; an empty partition is one batch without rows.
    """
    content, failed, parts = ContentDigest(), dict[str, int](), list[Part]()
    last: tuple[Any, ...] | None = None
    waiting: tuple[bytes, int] | None = None
    for rows in _cut(batches, part_bytes):
        if waiting is not None:
            parts.append(_put(filesystem, folder, *waiting))
        table.check(rows)
        last = _follows(table, rows, last)
        content.update(rows)
        if "reason" in rows.column_names and table.name in ("images", "fingerprints"):
            _count(failed, rows["reason"])
        waiting = encode_part(table, rows), rows.num_rows
    if waiting is None:
        raise ValueError(f"{table.name}: no batch to stage, not even an empty one")
    if committed is not None and not parts and content.hexdigests() == dict(committed.content):
        return replace(committed, kept=True)
    carried = waiting[0] if not parts and len(waiting[0]) <= _CARRIED_BYTES else None
    parts.append(_put(filesystem, folder, *waiting) if carried is None else _part(*waiting))
    return Staged(folder, tuple(parts), content.hexdigests(), dict(sorted(failed.items())), carried=carried)


def read_part(filesystem: FileSystem, path: str, size: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Rows of one part in the order they were written."""
    with open_part(filesystem, path, size) as file:
        return file.read(columns=None if columns is None else list(columns))


def read_rows(filesystem: FileSystem, path: str, size: int, span: tuple[int, int], columns: Sequence[str]) -> pa.Table:
    """Rows ``span[0]`` to ``span[1]`` (exclusive) of a part, reading only the row groups that hold them."""
    with open_part(filesystem, path, size) as file:
        starts = [0]
        for group in range(file.num_row_groups):
            starts.append(starts[-1] + file.metadata.row_group(group).num_rows)
        groups = [g for g in range(file.num_row_groups) if starts[g] < span[1] and starts[g + 1] > span[0]]
        rows = file.read_row_groups(groups, columns=list(columns))
    offset = starts[groups[0]] if groups else 0
    return rows.slice(span[0] - offset, span[1] - span[0])


@contextmanager
def open_part(filesystem: FileSystem, path: str, size: int) -> Iterator[pq.ParquetFile]:
    """A part opened for reading; on an object store, one of modest size is fetched whole by a single request.

    Raises:
        DamagedError: it is gone, or no longer what was written.
    """
    with _as_written(path):
        if is_local(filesystem):
            file = pq.ParquetFile(path)
        else:
            file = pq.ParquetFile(_remote(filesystem, path, size), pre_buffer=size > _WHOLE_FILE_BYTES)
        with file:
            yield file


def read_where(
    filesystem: FileSystem, path: str, size: int, where: pc.Expression | None, columns: Sequence[str] | None = None
) -> pa.Table:
    """Rows of a part or fragment that fulfil ``where``; row groups that cannot are not read.

    Raises:
        DamagedError: it is gone, or no longer what was written.
    """
    names = None if columns is None else list(columns)
    with _as_written(path):
        source = path if is_local(filesystem) else _remote(filesystem, path, size)
        return pq.read_table(source, columns=names, filters=where, partitioning=None)


def is_as_written(filesystem: FileSystem, path: str) -> bool:
    """Whether a part's bytes are those that its name was made of; reads all of them."""
    return path.endswith(f"/{_name(filesystem.cat_file(path))}")


def _name(data: bytes) -> str:
    return f"part-{blake2b(data, digest_size=16).hexdigest()}.parquet"


@contextmanager
def _as_written(path: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise damaged(path, error) from error
    except OSError as error:
        if type(error) is not OSError or error.errno is not None:
            raise  # the store's or the disk's; Arrow's own, of pages that do not decode, have no number
        raise damaged(path, error) from error


def _remote(filesystem: FileSystem, path: str, size: int) -> Any:
    if size <= _WHOLE_FILE_BYTES:
        return pa.BufferReader(filesystem.cat_file(path))
    return _Ranges(filesystem, path, size)


class _Ranges(io.RawIOBase):
    """An object read by ranges, one request each and no byte more than was asked for; its size is known.

    ``filesystem.open`` would ask for the size first and read ahead by tens of megabytes at every jump.
    """

    def __init__(self, filesystem: FileSystem, path: str, size: int) -> None:
        super().__init__()
        self._filesystem, self._path, self._size, self._at = filesystem, path, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        start = self._at
        stop = self._size if size is None or size < 0 else min(self._size, start + size)
        if stop <= start:
            return b""
        data: bytes = self._filesystem.cat_file(self._path, start=start, end=stop)
        self._at = start + len(data)
        return data


def _cut(batches: Iterable[pa.Table], part_bytes: int) -> Iterator[pa.Table]:
    """Join batches until they reach ``part_bytes``; an empty batch counts only when there is nothing else."""
    held: list[pa.Table] = []
    empty: pa.Table | None = None
    cut_any = False
    for batch in batches:
        if not batch.num_rows:
            empty = batch
            continue
        held.append(batch)
        if sum(one.nbytes for one in held) >= part_bytes:
            yield pa.concat_tables(held)
            held, cut_any = [], True
    if held:
        yield pa.concat_tables(held)
    elif not cut_any and empty is not None:
        yield empty


def _follows(table: Table, rows: pa.Table, last: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """The key of the last row, after a look whether the first comes behind ``last``."""
    if not rows.num_rows:
        return last
    first = tuple(rows[name][0].as_py() for name in table.key)
    if last is not None and first <= last:
        raise SchemaError(f"{table.name}: a part begins at {first}, behind one that ends at {last}")
    return tuple(rows[name][rows.num_rows - 1].as_py() for name in table.key)


def _count(failed: dict[str, int], reasons: pa.ChunkedArray) -> None:
    for one in reasons.drop_null().value_counts().to_pylist():
        failed[one["values"]] = failed.get(one["values"], 0) + one["counts"]


def _leaves(schema: pa.Schema) -> list[str]:
    """Dotted paths of the leaf columns, as Parquet names them."""

    def walk(path: str, kind: pa.DataType) -> Iterator[str]:
        if pa.types.is_struct(kind):
            for index in range(kind.num_fields):
                yield from walk(f"{path}.{kind.field(index).name}", kind.field(index).type)
        elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
            yield from walk(f"{path}.list.{kind.field(0).name}", kind.value_type)
        else:
            yield path

    return [leaf for one in schema for leaf in walk(one.name, one.type)]
