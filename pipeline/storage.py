"""The seam to storage: anything that fsspec opens, and a put that is seen whole or not at all."""

import os
import re
import uuid
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import UserError

FileSystem = Any
"""An ``fsspec.AbstractFileSystem`` (fsspec ships no types)."""

TEMPORARY_SUFFIX = ".tmp"
"""Ends the hidden name under which a local file is written before it is renamed: a crash may leave one behind."""

_S3_OPTIONS = {
    "max_concurrency": 1,  # one GET an object: with more, s3fs sends a HEAD before each (RAY.md §1)
    "use_listings_cache": False,  # what another process wrote must be seen
}


def open_filesystem(uri: str) -> tuple[FileSystem, str]:
    """The filesystem of ``uri`` and the path within it, without a trailing slash.

    Args:
        uri: anything fsspec opens (``s3://bucket/prefix``, ``file:///folder``) or a path on this machine.

    Raises:
        UserError: the protocol is unknown, or the package that speaks it is not installed.
    """
    options = _S3_OPTIONS if uri.startswith(("s3://", "s3a://")) else {}
    try:
        filesystem, path = url_to_fs(os.fspath(uri), **options)
    except (ValueError, ImportError) as error:
        known = ", ".join(f"{name}://" for name in ("s3", "gs", "az", "http") if name in fsspec.available_protocols())
        raise UserError(
            f"cannot open {uri.split('://', 1)[0]}://…: {error}\n"
            f"expected a path on this machine or a URI that fsspec opens ({known}, …)\n"
            "check the spelling, or install the fsspec package for that store (gcsfs, adlfs, …)"
        ) from error
    if is_local(filesystem):  # fsspec leaves "." and ".." in it
        path = os.path.abspath(path)  # noqa: PTH100  (Path has nothing that does not follow links)
    return filesystem, str(path).rstrip("/") or "/"


def is_local(filesystem: FileSystem) -> bool:
    """Whether the files lie on a disk of this machine (or one mounted as such)."""
    return isinstance(filesystem, LocalFileSystem)


def put_atomic(filesystem: FileSystem, path: str, data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old content or the new, never a part of it.

    On a local disk the bytes go to a hidden temporary file in the same folder, are synced and then renamed; on an
    object store one PUT does it.  Missing folders are made.

    Raises:
        OSError: the store refused; what was there before is still there.
    """
    if is_local(filesystem):
        _put_local(Path(path), data)
    else:
        filesystem.pipe_file(path, data)


def _put_local(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name is unique a write, so two writers of one path never share a temporary file.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename last: without this a power cut may undo it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def redact(text: str) -> str:
    """``text`` without what may be a secret in a URI: user and password, and the query (signatures, tokens)."""
    return re.sub(r"(://[^\s?'\"]*)\?[^\s'\"]*", r"\1?***", re.sub(r"://[^/\s@'\"]*@", "://***@", text))
