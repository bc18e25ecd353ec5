"""What lies in a collection: objects by key, with the size and version that tell whether one has changed."""

import datetime as dt
import logging
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.storage import FileSystem, is_local
from pipeline.workspace import IDENTITY

ABSENT = "absent"
"""The ``object_version`` of an object that a manifest names and that is not there."""

_LOG = logging.getLogger("imagetracks")  # where nobody has set it up, Python writes warnings to stderr

_ETAGS = ("ETag", "etag", "md5Hash", "content_md5")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
_STAT_THREADS = 16  # requests wait for the store, not for a core
_FEW = 32
"""So few objects are asked for one by one; of more, the folders that hold them are listed, each once."""


@dataclass(frozen=True)
class Entry:
    """An object: ``size`` in bytes (None if unknown), ``modified_at`` in UTC, naive."""

    path: str
    size: int | None
    version: str
    modified_at: dt.datetime | None


def walk(filesystem: FileSystem, root: str, unlisted: list[str]) -> Iterator[Entry]:
    """Every object below ``root``, in no particular order; hidden ones too.

    The folders that cannot be listed are added to ``unlisted``.  Of a workspace below the root nothing comes on a
    local disk; elsewhere what lies in it comes with the rest, and with its ``imagetracks.json`` what tells whoever
    listens to forget it.
    """
    if is_local(filesystem):
        yield from _walk_local(Path(root), unlisted)
    elif hasattr(filesystem, "pages"):
        for infos in filesystem.pages(root):
            yield from (_entry(str(info["name"]), info) for info in infos)
    else:
        for path, info in filesystem.find(root, detail=True).items():
            yield _entry(str(path), info)


def look_up(filesystem: FileSystem, paths: list[str], unlisted: list[str]) -> dict[str, Entry]:
    """The objects among ``paths`` that are there, without listing more than the folders that they lie in.

    Folders of a local disk that cannot be entered are added to ``unlisted``.
    """
    if is_local(filesystem):
        found = (_local_entry(Path(path), path, unlisted) for path in paths)
        return {entry.path: entry for entry in found if entry is not None}
    if len(paths) <= _FEW or not _has_folders(filesystem):
        return _asked_for(filesystem, paths)
    wanted = set(paths)
    folders = sorted({path.rsplit("/", 1)[0] for path in paths})
    with ThreadPoolExecutor(_STAT_THREADS) as pool:
        listed = pool.map(lambda folder: _list_folder(filesystem, folder), folders)
        return {entry.path: entry for entries in listed for entry in entries if entry.path in wanted}


def other_suffixes(keys: Iterable[str]) -> str:
    """How many objects of which kind were passed over, for a message: ``12 .txt, 3 .psd``."""
    kinds = Counter(os.path.splitext(key)[1].lower() or "without a suffix" for key in keys)  # noqa: PTH122  (a key)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda one: (-one[1], one[0]))[:4])


def _has_folders(filesystem: FileSystem) -> bool:
    """Whether listing tells sizes: a web server's pages do not."""
    protocol = filesystem.protocol
    return "http" not in ((protocol,) if isinstance(protocol, str) else protocol)


def _asked_for(filesystem: FileSystem, paths: list[str]) -> dict[str, Entry]:
    def ask(path: str) -> Entry | None:
        try:
            info = filesystem.info(path)
        except FileNotFoundError:
            return None
        return _entry(path, info) if info.get("type") == "file" else None

    with ThreadPoolExecutor(_STAT_THREADS) as pool:
        return {entry.path: entry for entry in pool.map(ask, paths) if entry is not None}


def _list_folder(filesystem: FileSystem, folder: str) -> list[Entry]:
    try:
        infos = filesystem.ls(folder, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [_entry(str(info["name"]), info) for info in infos if info.get("type") == "file"]


def _entry(path: str, info: Mapping[str, Any]) -> Entry:
    """An entry from what fsspec says; every store has its own names for etag and time."""
    modified_at = next((info[name] for name in _TIMES if info.get(name) is not None), None)
    etag = next((str(info[name]) for name in _ETAGS if info.get(name)), None)
    return entry_of(path, info.get("size"), etag, modified_at)


def entry_of(path: str, size: int | None, etag: str | None, modified: object) -> Entry:
    """An entry whose version is its size and, where there is one, its etag, else its time."""
    modified_at = _as_utc(modified)
    mark = etag.strip('"') if etag else (modified_at.isoformat() if modified_at is not None else "unknown")
    return Entry(path, size, f"{size}-{mark}", modified_at)


def _as_utc(time: object) -> dt.datetime | None:
    if isinstance(time, str):
        try:
            time = dt.datetime.fromisoformat(time)
        except ValueError:
            return None
    if isinstance(time, int | float):
        return dt.datetime(1970, 1, 1) + dt.timedelta(seconds=time)
    if not isinstance(time, dt.datetime):
        return None
    return time.astimezone(dt.UTC).replace(tzinfo=None) if time.tzinfo is not None else time


def _local_entry(path: Path, name: str, unlisted: list[str]) -> Entry | None:
    """A regular file; None for what is not there, or is a pipe or a device, whose reading may never end.

    A folder that cannot be entered, though it may be one whose names can be read, is told and passed over.
    """
    try:
        found = path.stat()
    except PermissionError as error:
        if str(path.parent) not in unlisted:
            _tell_unlisted(str(path.parent), error, unlisted)
        return None
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    # Nanoseconds: an edit within the same second that keeps the size is seen.
    modified_at = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=found.st_mtime_ns // 1000)
    # A name in a legacy encoding has no text: it is listed with escapes, which reading it undoes.
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return Entry(name, found.st_size, f"{found.st_size}-{found.st_mtime_ns}", modified_at)


def _walk_local(root: Path, unlisted: list[str]) -> Iterator[Entry]:
    """Files below ``root``, but for those of a workspace.

    A link to a folder is followed once if it leads out of the collection; within it the images have keys already,
    and a loop would never end.  A folder below the root that cannot be read is told and passed over.
    """
    home = root.resolve()
    followed: set[Path] = set()
    waiting = [str(root)]
    while waiting:
        folder = waiting.pop()
        children = _children(folder, folder == str(root), unlisted)
        if folder != str(root) and any(child.name == IDENTITY for child in children):
            continue
        for child in children:
            if child.is_dir(follow_symlinks=False) or (child.is_symlink() and _leads_out(child, home, followed)):
                waiting.append(child.path)
                continue
            entry = _local_entry(Path(child.path), child.path, unlisted)
            if entry is not None:
                yield entry


def _children(folder: str, is_root: bool, unlisted: list[str]) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name; nothing in one below the root that went away or cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        if is_root:
            raise
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            _tell_unlisted(folder, error, unlisted)
        return []


def _tell_unlisted(folder: str, error: OSError, unlisted: list[str]) -> None:
    _LOG.warning("imagetracks: a folder cannot be listed, what is known of its images stays: %s", error)
    unlisted.append(folder)


def _leads_out(link: os.DirEntry[str], home: Path, followed: set[Path]) -> bool:
    """Whether a link leads to a folder outside ``home`` that no link before it led to, into or out of."""
    try:
        target = Path(link.path).resolve()
        if not target.is_dir():
            return False
    except (OSError, RuntimeError):  # a circle, or behind a folder that cannot be entered
        return False
    if any(target.is_relative_to(known) or known.is_relative_to(target) for known in (home, *followed)):
        return False
    followed.add(target)
    return True
