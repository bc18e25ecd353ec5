"""Bytes of images in archives: a tar's or zip's by ranges, neighbours together; a Parquet file's by row group."""

import struct
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.compute.reasons import Flaw, Reason
from pipeline.runtime.archives import image_field, kind_of
from pipeline.runtime.listing import look_up
from pipeline.storage import FileSystem

Fetched = tuple[bytes | None, Flaw | None]

_GAP = 2**16
"""So many bytes between two members are read with them: cheaper than another request."""

_LONGEST = 2**23
"""Members are read together up to this; a longer one is read by itself."""

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
"""Of a zip's member (APPNOTE.TXT 6.3, 4.3.7)."""


class Member(NamedTuple):
    """An image in an archive; ``size`` is its own, unpacked (None if unknown), ``flaw`` why it cannot be read."""

    archive: str
    archive_version: str
    place: int
    length: int
    flaw: str | None
    size: int | None


class Range(NamedTuple):
    """Bytes of one object, from ``start`` to before ``end``; None: all of it."""

    path: str
    start: int | None = None
    end: int | None = None


ReadRanges = Callable[[FileSystem, list[Range]], list[Fetched]]


def read_members(
    filesystem: FileSystem, path: str, members: Sequence[Member], image_column: str | None, read: ReadRanges
) -> list[Fetched]:
    """The bytes of members of one archive, in their order.

    Args:
        filesystem: the archive's.
        path: of the archive.
        members: all of that archive.
        image_column: of a Parquet file, if it is not the only one of bytes.
        read: reads ranges, failures as reasons, trying again as is the store's way.
    """
    kind = kind_of(path)
    if kind != "zip" and _has_changed(filesystem, path, members[0].archive_version):
        return [(None, Flaw(Reason.CHANGED, "the archive is not the one that was listed"))] * len(members)
    if kind == "parquet":
        return _of_parquet(filesystem, path, members, image_column)
    ranges = together([(one.place, one.place + one.length) for one in members])
    blocks = read(filesystem, [Range(path, start, end) for start, end, _ in ranges])
    found: list[Fetched] = [(None, None)] * len(members)
    for (start, _, rows), (data, flaw) in zip(ranges, blocks, strict=True):
        for row in rows:
            one = members[row]
            if data is None:
                found[row] = None, flaw
                continue
            piece = data[one.place - start : one.place - start + one.length]
            found[row] = unzipped(piece, one.size) if kind == "zip" else (piece, None)
    return found


def together(places: Sequence[tuple[int, int]]) -> list[tuple[int, int, list[int]]]:
    """Ranges to read, each with the numbers of the places in it: neighbours in one, up to some megabytes."""
    ranges: list[tuple[int, int, list[int]]] = []
    for row in sorted(range(len(places)), key=lambda row: places[row]):
        start, end = places[row]
        if ranges:
            first, last, rows = ranges[-1]
            if start - last <= _GAP and max(end, last) - first <= _LONGEST:
                ranges[-1] = (first, max(end, last), [*rows, row])
                continue
        ranges.append((start, end, [row]))
    return ranges


def unzipped(data: bytes, size: int | None) -> Fetched:
    """A member's content from its bytes in a zip, the local header first.

    Never unpacks more than the directory promised, so that a small member cannot fill the memory.
    """
    if len(data) < _LOCAL_HEADER.size or not data.startswith(b"PK\3\4"):
        return None, Flaw(Reason.CHANGED, "no member of a zip where one was listed")
    _, _, flags, method, _, _, crc, _, _, name, extra = _LOCAL_HEADER.unpack_from(data)
    if flags & _ENCRYPTED or method not in _UNPACKED:
        how = "a password" if flags & _ENCRYPTED else f"compression {method}"
        return None, Flaw(Reason.UNSUPPORTED_FORMAT, f"a zip's member with {how}, expected stored or deflated")
    try:
        content = _UNPACKED[method](data[_LOCAL_HEADER.size + name + extra :], size or 0)
    except zlib.error as error:
        return None, Flaw(Reason.CORRUPT, f"a damaged member of a zip: {error}")
    if not flags & _CHECKSUM_BEHIND and zlib.crc32(content) != crc:
        return None, Flaw(Reason.CORRUPT, "a member of a zip whose checksum is another")
    return content, None


_ENCRYPTED, _CHECKSUM_BEHIND = 1, 8
_UNPACKED: dict[int, Callable[[bytes, int], bytes]] = {
    0: lambda body, size: body[:size],
    8: lambda body, size: zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, size + 1),
}
"""Compression method -> content of at most a byte more than the size."""


def _has_changed(filesystem: FileSystem, path: str, version: str) -> bool:
    found = look_up(filesystem, [path], []).get(path)
    return found is None or found.version != version


def _of_parquet(
    filesystem: FileSystem, path: str, members: Sequence[Member], image_column: str | None
) -> list[Fetched]:
    found: list[Fetched] = []
    for one in members:
        value = _images(filesystem, path, one.archive_version, one.place, image_column)[one.length].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        found.append((data, None) if data is not None else (None, Flaw(Reason.EMPTY, "no bytes in the row")))
    return found


@lru_cache(maxsize=1)
def _images(filesystem: FileSystem, path: str, version: str, group: int, asked: str | None) -> Any:
    """One row group's column of images; kept, for the next rows are of the same one."""
    del version  # only so that a file that changed is read again
    with filesystem.open(path, "rb") as file:
        opened = pq.ParquetFile(file)
        field = image_field(opened.schema_arrow, asked, path)
        column = opened.read_row_group(group, [field.name])[field.name]
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
