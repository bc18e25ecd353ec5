"""Where the images of a manifest lie: within the collection, or elsewhere as far as a manifest may reach."""

import os
import posixpath
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from pipeline.errors import ImagetracksError, UserError
from pipeline.failures import explain
from pipeline.runtime.listing import Entry, look_up
from pipeline.runtime.manifest import Manifest
from pipeline.storage import FileSystem, is_local, open_filesystem, redact, refuse_keys, without_secrets

_PROTOCOLS = frozenset({"file", "local", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "http", "https", "memory"})
"""Stores that a manifest may name unless asked for more: of the others, some run programs or open any file."""

_STORES_ERRORS = frozenset(
    ("OSError", "BotoCoreError", "ClientError", "HttpError", "EOFError", "error_perm", "error_temp", "error_reply")
)
"""Names of what stores raise; the packages may not be installed."""

T = TypeVar("T")


class Root(NamedTuple):
    """A collection's root; ``retries`` is for other stores too."""

    filesystem: FileSystem
    path: str
    retries: int

    @property
    def inside(self) -> str:
        """What the paths of all that lies in it begin with."""
        return self.path.rstrip("/") + "/"


class Place(NamedTuple):
    """Where one image of a manifest lies; ``row`` counts from 1."""

    key: str
    filesystem: FileSystem
    path: str
    row: int
    is_inside: bool


def places_of(root: Root, manifest: Manifest, anywhere: bool) -> list[Place]:
    """The place of each row.

    Args:
        root: the collection's.
        manifest: its places are keys within the root, or URIs.
        anywhere: whether files of this machine outside the root, and any store, may be named.

    Raises:
        UserError: a row leaves the collection where it must not, or cannot be understood.
        ImagetracksError: a row's store does not answer.
    """
    stores: dict[str, FileSystem] = {}
    guard = _Guard(root)
    places = []
    for row, written in enumerate(manifest.places, 1):
        if manifest.relative:
            place = _within(root, written, row)
        else:
            if not anywhere:
                _refuse_protocol(root, written, row)
            place = _anywhere(root, written, row, stores)
        if not anywhere and is_local(place.filesystem) and not guard.holds(place.path):
            raise _outside(row, "a file outside the collection", written)
        places.append(place)
    return places


def found_at(places: list[Place], collection: str, unlisted: list[str]) -> list[Entry | None]:
    """What is there of each place; folders of this machine that cannot be entered are added to ``unlisted``.

    Raises:
        UserError: the store refuses; says whose.
    """
    stores: dict[tuple[int, bool], list[Place]] = {}
    for place in places:
        stores.setdefault((id(place.filesystem), place.is_inside), []).append(place)
    found = {}
    for key, group in stores.items():
        first = group[0]
        what = f"the collection {collection}"
        if not first.is_inside:
            shown = redact(without_secrets(str(first.filesystem.unstrip_protocol(first.path))))
            what = f"row {first.row} of the manifest, {shown}" + (", or one like it" if len(group) > 1 else "")
        ask = partial(look_up, first.filesystem, [one.path for one in group], unlisted)
        found[key] = asked(ask, f"{'list' if first.is_inside else 'look up'} {what}", what)
    return [found[id(place.filesystem), place.is_inside].get(place.path) for place in places]


def asked(ask: Callable[[], T], work: str, place: str) -> T:
    """The store's answer; a refusal is the user's to mend."""
    try:
        return ask()
    except FileNotFoundError as error:
        raise UserError(f"there is nothing at {place}\ncheck its spelling") from error
    except Exception as error:
        known = {kind.__name__ for kind in type(error).__mro__}
        if not known & _STORES_ERRORS:
            raise
        raise UserError(
            f"cannot {work}: {redact(f'{type(error).__name__}: {error}')[:200]}\n"
            "expected to be allowed to list and read it; check credentials, permissions and the network"
        ) from error


class _Guard:
    """Tells whether files of this machine lie within a collection, links followed; asks once a folder."""

    def __init__(self, root: Root) -> None:
        self._home = os.path.realpath(root.path) if is_local(root.filesystem) else None
        self._folders: dict[str, str] = {}

    def holds(self, path: str) -> bool:
        """Whether ``path`` leads to within the root."""
        if self._home is None or "\0" in path:
            return False
        folder, name = posixpath.split(posixpath.normpath(path))
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        real = posixpath.join(self._folders[folder], name)
        if os.path.islink(real):  # noqa: PTH114  (text throughout: there may be millions)
            real = os.path.realpath(real)
        return real.startswith(self._home.rstrip("/") + "/")


def _within(root: Root, written: str, row: int) -> Place:
    """A path of the manifest, which must stay within the root."""
    path = written
    if "://" in written or written.startswith("/"):
        path = str(root.filesystem._strip_protocol(written)).removeprefix(root.inside)
    if ".." in written.split("/") or path.startswith("/") or "://" in path or "\0" in path:
        raise UserError(
            f"row {row} of the manifest leaves the collection: {redact(written)!r}\n"
            "expected a path relative to the collection's root; an image elsewhere goes into a column 'uri'"
        )
    if is_local(root.filesystem):
        path = posixpath.normpath(path)
    key = path.removeprefix("./")
    return Place(key, root.filesystem, root.inside + key, row, is_inside=True)


def _anywhere(root: Root, written: str, row: int, stores: dict[str, FileSystem]) -> Place:
    """A URI of the manifest; its key is relative to the root if it lies there, else the URI itself."""
    filesystem = root.filesystem
    if "://" not in written and not written.startswith("/"):
        written = f"{filesystem.unstrip_protocol(root.path).rstrip('/')}/{written}"
    protocol = _protocol(written)
    store = filesystem if protocol in _protocols(filesystem) else stores.get(protocol)
    try:
        refuse_keys(written)
        if store is None:
            store = stores[protocol] = open_filesystem(written, root.retries)[0]
    except Exception as error:
        raise _not_opened(error, f"row {row} of the manifest") from error
    path = str(store._strip_protocol(written))
    if is_local(store):
        path = posixpath.normpath(path)
    is_inside = store is filesystem and path.startswith(root.inside)
    key = path.removeprefix(root.inside) if is_inside else without_secrets(str(store.unstrip_protocol(path)))
    return Place(key, store, path, row, is_inside)


def _refuse_protocol(root: Root, written: str, row: int) -> None:
    if re.search(r"^\w+::.*://|::[^/]*://", written):
        raise _outside(row, "a chain of stores", written)
    if "://" in written and _protocol(written) not in _PROTOCOLS | set(_protocols(root.filesystem)):
        raise _outside(row, f"the store {_protocol(written)}://", written)


def _not_opened(error: Exception, row: str) -> ImagetracksError:
    if isinstance(error, UserError):
        return UserError(f"{row}: {error}")
    said = redact(" ".join(str(error).split()))[:200]
    return explain(error, row) or UserError(f"{row} cannot be opened ({said})\nmend it, or leave the row out")


def _outside(row: int, what: str, written: str) -> UserError:
    return UserError(
        f"row {row} of the manifest names {what}: {redact(written)!r}\n"
        "expected an image within the collection, or in an object store or on a web server\n"
        "if the manifest is to be trusted with more, set ingest.outside=read"
    )


def _protocol(written: str) -> str:
    return written.split("://", 1)[0] if "://" in written else "file"


def _protocols(filesystem: FileSystem) -> Sequence[str]:
    protocol: str | Sequence[str] = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else protocol
