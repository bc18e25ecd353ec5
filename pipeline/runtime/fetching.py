"""Bytes of objects: one GET an object, failures as reasons, bounded retries."""

import asyncio
import os
import re
import stat
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
from fsspec.asyn import sync

from pipeline import storage
from pipeline.compute.reasons import Flaw, Reason, flaw_from
from pipeline.runtime.members import Fetched, Member, Range, read_members
from pipeline.storage import RETRIES, FileSystem, is_local, open_filesystem, redact, tries_itself, without_secrets

_TIMEOUT = 120.0
"""Seconds for one object: 256 MB, the default limit, at 20 Mbit/s; the filesystem has shorter ones for silence."""

_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")
"""A byte of a name that is not UTF-8, as the listing writes it."""

_RETRIED = (Reason.IO_ERROR, Reason.TIMED_OUT)


def fetch(
    objects: pa.Table,
    filesystem: FileSystem,
    concurrency: int,
    max_bytes: int | None = None,
    retries: int = RETRIES,
    image_column: str | None = None,
) -> pa.Table:
    """Read objects, many at once.

    Args:
        objects: with ``uri`` and ``size`` (bytes by the listing, null if unknown), and perhaps ``member``, where in an
            archive it lies.
        filesystem: the collection's; an object whose URI belongs to another store is read through that one.
        concurrency: objects on their way at once.
        max_bytes: an object that the listing says is larger is not read.
        retries: times that an object is tried again when what went wrong may pass.
        image_column: of a Parquet file, if it is not the only one of bytes.

    Returns:
        The same rows with ``bytes``, and where that is null ``reason`` and ``detail``; ``uri`` as it may be kept.
    """
    results: list[Fetched] = [(None, None)] * objects.num_rows
    stores: dict[str, tuple[FileSystem, list[tuple[int, str]]]] = {}
    archives: dict[str, list[tuple[int, Member]]] = {}
    sizes = objects["size"].to_pylist()
    members = objects["member"].to_pylist() if "member" in objects.column_names else [None] * objects.num_rows
    for row, uri in enumerate(objects["uri"].to_pylist()):
        size, member = sizes[row], members[row]
        if (flaw := _known_flaw(size, member, max_bytes)) is not None:
            results[row] = None, flaw
        elif member is not None:
            archives.setdefault(member["archive"], []).append((row, Member(**member, size=size)))
        else:
            store, path = _store(filesystem, uri, retries)
            stores.setdefault(str(store.protocol), (store, []))[1].append((row, path))

    def read(store: FileSystem, ranges: list[Range]) -> list[Fetched]:
        return _read_all(store, ranges, concurrency, 0 if tries_itself(store) else retries)

    for store, wanted in stores.values():
        _put(results, [row for row, _ in wanted], read(store, [Range(path) for _, path in wanted]), sizes)
    for uri, listed in archives.items():
        store, path = _store(filesystem, uri, retries)
        rows, inside = [row for row, _ in listed], [member for _, member in listed]
        try:
            found = read_members(store, path, inside, image_column, read)
        except Exception as error:  # one archive must not disturb another
            found = [(None, flaw_of(error))] * len(rows)
        _put(results, rows, found, sizes)
    return _with_results(objects, results)


def _known_flaw(size: int | None, member: dict[str, Any] | None, max_bytes: int | None) -> Flaw | None:
    """What is wrong with an object by its listing alone."""
    if max_bytes is not None and size is not None and size > max_bytes:
        return Flaw(Reason.TOO_LARGE, f"{size} bytes, at most {max_bytes}")
    return None if member is None or member["flaw"] is None else flaw_from(member["flaw"])


def _put(results: list[Fetched], rows: list[int], found: list[Fetched], sizes: list[int | None]) -> None:
    for row, got in zip(rows, found, strict=True):
        results[row] = _checked(got, sizes[row])


def _with_results(objects: pa.Table, results: list[Fetched]) -> pa.Table:
    # The types are given, because a column of nulls only would get none.
    columns = {
        "bytes": pa.array([data for data, _ in results], pa.binary()),
        "reason": pa.array([None if flaw is None else str(flaw.reason) for _, flaw in results], pa.string()),
        "detail": pa.array([None if flaw is None else flaw.detail for _, flaw in results], pa.string()),
    }
    kept = pa.array([without_secrets(uri) for uri in objects["uri"].to_pylist()], pa.string())
    objects = objects.set_column(objects.schema.get_field_index("uri"), "uri", kept)
    for name, column in columns.items():
        objects = objects.append_column(name, column)
    return objects


def _store(filesystem: FileSystem, uri: str, retries: int) -> tuple[FileSystem, str]:
    protocols = (filesystem.protocol,) if isinstance(filesystem.protocol, str) else filesystem.protocol
    if uri.split("://", 1)[0] in protocols:
        return filesystem, str(filesystem._strip_protocol(uri))
    return open_filesystem(uri, retries)


def _checked(got: Fetched, size: int | None) -> Fetched:
    data, _ = got
    if data is not None and size is not None and len(data) != size:
        return None, Flaw(Reason.CHANGED, f"{len(data)} bytes, {size} when it was listed")
    return got


def _read_all(filesystem: FileSystem, ranges: list[Range], concurrency: int, retries: int) -> list[Fetched]:
    if getattr(filesystem, "async_impl", False) and not getattr(filesystem, "asynchronous", False):
        return list(sync(filesystem.loop, _gather, filesystem, ranges, concurrency, retries))
    read = _read_local if is_local(filesystem) else lambda one: filesystem.cat_file(one.path, **_limits(one))
    with ThreadPoolExecutor(max(1, min(concurrency, len(ranges)))) as pool:
        return list(pool.map(lambda one: _attempts(read, one, retries), ranges))


def _limits(one: Range) -> dict[str, int | None]:
    """What is asked of a store beside the path; not every store's answer to a range of everything is everything."""
    return {} if one.start is None else {"start": one.start, "end": one.end}


async def _gather(filesystem: FileSystem, ranges: list[Range], concurrency: int, retries: int) -> list[Fetched]:
    slots = asyncio.Semaphore(concurrency)

    async def read(one: Range) -> bytes:
        return bytes(await filesystem._cat_file(one.path, **_limits(one)))

    async def attempts(one: Range) -> Fetched:
        async with slots:
            return await _attempts_async(read, one, retries)

    return await asyncio.gather(*(attempts(one) for one in ranges))


def _attempts(read: Callable[[Range], bytes], one: Range, retries: int) -> Fetched:
    for attempt in range(1, retries + 2):
        try:
            return read(one), None
        except Exception as error:  # stores raise anything, and one object must not disturb another
            flaw = flaw_of(error)
        if flaw.reason not in _RETRIED or attempt > retries:
            break
        time.sleep(storage.pause(attempt))
    return None, flaw


async def _attempts_async(read: Callable[[Range], Awaitable[bytes]], one: Range, retries: int) -> Fetched:
    for attempt in range(1, retries + 2):
        try:
            return await asyncio.wait_for(read(one), _TIMEOUT), None
        except Exception as error:
            flaw = flaw_of(error)
        if flaw.reason not in _RETRIED or attempt > retries:
            break
        await asyncio.sleep(storage.pause(attempt))
    return None, flaw


def flaw_of(error: Exception) -> Flaw:
    """The reason for an error of a store."""
    detail = redact(f"{type(error).__name__}: {error}")
    names = {kind.__name__ for kind in (*type(error).__mro__, *type(error.__cause__).__mro__)}
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return Flaw(Reason.NOT_FOUND, detail)
    if isinstance(error, PermissionError) or names & {"NoCredentialsError", "CredentialRetrievalError"}:
        return Flaw(Reason.PERMISSION_DENIED, detail)
    if isinstance(error, TimeoutError) or names & {"ReadTimeoutError", "ConnectTimeoutError", "FSTimeoutError"}:
        return Flaw(Reason.TIMED_OUT, detail)
    if isinstance(error, MemoryError):
        return Flaw(Reason.OUT_OF_MEMORY, detail)
    return Flaw(Reason.IO_ERROR, detail)


def _read_local(one: Range) -> bytes:
    """A regular file's bytes; opening does not wait for the other end of a pipe."""
    descriptor = os.open(_on_disk(one.path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(f"not a regular file: {one.path}")
        file.seek(one.start or 0)
        return file.read() if one.end is None else file.read(one.end - file.tell())


def _on_disk(path: str) -> str | bytes:
    """The path of a file whose name is in a legacy encoding: what is no text of it was listed as escapes."""
    if "\\x" not in path or os.path.lexists(path):
        return path
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), path.encode())
