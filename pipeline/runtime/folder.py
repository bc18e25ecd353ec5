"""A collection that is a folder or a prefix: its objects by their names, described by what lies beside them."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.digests import digest
from pipeline.errors import UserError
from pipeline.runtime.archives import KINDS
from pipeline.runtime.blocks import Blocks, sorted_by_key
from pipeline.runtime.choosing import chosen_by, is_hidden, prefixes_of
from pipeline.runtime.described import Described, describe, table_of
from pipeline.runtime.inventory import read_inventory
from pipeline.runtime.listing import Entry, other_suffixes, walk
from pipeline.runtime.objects import Objects, completed, first_repeated, keys_of
from pipeline.runtime.places import asked
from pipeline.runtime.sidecars import is_sidecar, names_of, record_of
from pipeline.stages.ingest_params import SourceParams
from pipeline.storage import FileSystem, is_local
from pipeline.workspace import IDENTITY

_SIDECAR_THREADS = 16  # requests wait for the store, not for a core
_OTHERS_KEPT = 10_000
"""Names that are passed over are remembered up to this, for a message."""


class Scope(NamedTuple):
    """How much of a collection was looked at.

    Attributes:
        folders: what the URIs of all that was begin with; None: all of it.
        unlisted: URIs, each with a slash at its end, of the folders that could not be listed.
    """

    folders: tuple[str, ...] | None = None
    unlisted: tuple[str, ...] = ()

    @property
    def is_all(self) -> bool:
        """Whether what was not found is not there."""
        return self.folders is None and not self.unlisted

    @property
    def digest(self) -> str:
        """The same for the same scope."""
        return digest([self.folders, self.unlisted])

    def holds(self, uri: str) -> bool:
        """Whether an object there would have been found."""
        return (self.folders is None or uri.startswith(self.folders)) and not uri.startswith(self.unlisted)


class Listing(NamedTuple):
    """What a collection holds.

    Attributes:
        objects: image_id, key, uri, size (bytes, null if unknown), object_version, modified_at (UTC), date_value
            (null where no time is given) and, where there are some, box (null for a whole photograph), metadata and
            member (where in an archive it lies); sorted by key, then image_id.
        filesystem: the collection's.
        scope: how much of the collection was looked at.
    """

    objects: Blocks
    filesystem: FileSystem
    scope: Scope


class Folder(NamedTuple):
    """A collection that is listed; ``name`` is for messages, ``days`` the first and last to list."""

    filesystem: FileSystem
    path: str
    name: str
    params: SourceParams
    days: tuple[str | None, str | None]

    @property
    def inside(self) -> str:
        """What the paths of all that lies in it begin with."""
        return self.path.rstrip("/") + "/"

    @property
    def uri(self) -> str:
        """What the URIs of all that lies in it begin with."""
        return str(self.filesystem.unstrip_protocol(self.path)).rstrip("/") + "/"


def of_folder(folder: Folder) -> Listing:
    """What the store lists, or an inventory.

    Raises:
        UserError: the store refuses; there is no image; an inventory or a sidecar cannot be read.
    """
    params = folder.params
    prefixes = None if params.prefix is None else prefixes_of(params.prefix, folder.days)
    what = f"the collection {folder.name}"
    found = asked(lambda: _look_through(folder, prefixes), f"list {what}", what)
    rows = sorted_by_key(found.images)
    if not rows.num_rows and prefixes is None:
        raise _no_image(folder, [*found.others, *found.sidecars])
    wanted = _wanted(rows, found.sidecars)
    read = asked(lambda: _read_all(folder.filesystem, wanted), f"read the sidecars of {what}", what)
    unlisted = unlisted_uris(folder.filesystem, found.unlisted)
    scope = Scope(None if prefixes is None else tuple(folder.uri + prefix for prefix in prefixes), unlisted)
    return Listing(described_by(folder, rows, read), folder.filesystem, scope)


def unlisted_uris(filesystem: FileSystem, folders: Iterable[str]) -> tuple[str, ...]:
    """Folders as a :class:`Scope` has them."""
    return tuple(f"{filesystem.unstrip_protocol(path)}/" for path in sorted(folders))


class _Found(NamedTuple):
    """What lies in a folder: images, paths of sidecars by their keys, keys of some others, folders not listed."""

    images: Blocks
    sidecars: dict[str, str]
    others: list[str]
    unlisted: list[str]


def _look_through(folder: Folder, prefixes: Sequence[str] | None) -> _Found:
    chosen, objects = chosen_by(folder.params), Objects()
    sidecars, others, workspaces = dict[str, str](), list[str](), list[str]()
    start, uri = len(folder.inside), folder.uri
    unlisted = list[str]()
    for entry in entries_of(folder, prefixes, unlisted):
        key = entry.path[start:]
        if chosen(key):
            objects.add(key, uri + key, entry.size, entry.version, entry.modified_at)
        elif key.endswith(f"/{IDENTITY}"):
            workspaces.append(key.removesuffix(IDENTITY))
        elif is_hidden(key):
            continue
        elif folder.params.sidecars and is_sidecar(key, (".json",)):
            sidecars[key] = entry.path
        elif len(others) < _OTHERS_KEPT:
            others.append(key)
    return _Found(_without(objects.blocks(), workspaces), sidecars, others, unlisted)


def entries_of(folder: Folder, prefixes: Sequence[str] | None, unlisted: list[str]) -> Iterator[Entry]:
    """All objects of a collection, or those below some prefixes of it, listed by the store or by an inventory.

    Folders that cannot be listed are added to ``unlisted``.
    """
    filesystem, inventory = folder.filesystem, folder.params.inventory
    if inventory is not None:
        below = None if prefixes is None else tuple(folder.inside + prefix for prefix in prefixes)
        yield from (e for e in read_inventory(inventory, folder.path) if below is None or e.path.startswith(below))
        return
    for prefix in [""] if prefixes is None else prefixes:
        path = (folder.inside + prefix).rstrip("/") if prefix else folder.path
        if not prefix or not is_local(filesystem) or filesystem.isdir(path):
            yield from walk(filesystem, path, unlisted)


def _without(rows: Blocks, folders: list[str]) -> Blocks:
    def outside(block: pa.Table) -> pa.Table:
        for one in folders:
            block = block.filter(pc.invert(pc.starts_with(block["key"], one)))
        return block

    return rows.mapped(outside) if folders else rows


def _no_image(folder: Folder, others: list[str]) -> UserError:
    params, named = folder.params, f"the collection {folder.name}"
    passed_over = [key for key in others if key.lower().endswith(tuple(suffix.lower() for suffix in params.suffixes))]
    if passed_over:
        return UserError(
            f"ingest.include={list(params.include)} and ingest.exclude={list(params.exclude)} leave nothing "
            f"of {named}, not even {min(passed_over)}\n"
            "expected patterns of whole paths below it, such as cam1/** or **/*.jpg"
        )
    found = other_suffixes(others)
    archives = [kind for kind, ends in KINDS.items() if any(key.lower().endswith(ends) for key in others)]
    hint = f"; ingest.source={archives[0]} reads the images within" if archives else ""
    return UserError(
        f"found no image at {named}, {f'only {found}' if found else 'nothing at all: check its spelling'}\n"
        f"expected files that end in {', '.join(params.suffixes)} (ingest.suffixes), or a --manifest{hint}"
    )


def _wanted(rows: Blocks, sidecars: dict[str, str]) -> dict[str, str]:
    """The sidecars of images that are there, by their keys: a JSON beside no image describes something else."""
    if not sidecars:
        return {}
    keys = (key for block in rows for key in keys_of(block))
    return {name: sidecars[name] for key in keys for name in names_of(key) if name in sidecars}


def _read_all(filesystem: FileSystem, paths: dict[str, str]) -> dict[str, bytes]:
    with ThreadPoolExecutor(_SIDECAR_THREADS) as pool:
        return dict(zip(paths, pool.map(filesystem.cat_file, paths.values()), strict=True))


def described_by(folder: Folder, rows: Blocks, sidecars: dict[str, bytes]) -> Blocks:
    """The listing of some objects, and what sidecars, by their keys, say of them; with any all is held in memory.

    Raises:
        UserError: one cannot be read, or two give one id.
    """
    if not sidecars:
        return rows.mapped(lambda block: completed(block, None))
    params, named, objects = folder.params, f"the sidecars of {folder.name}", rows.table()
    records = [record_of(key, sidecars) for key in keys_of(objects)]
    columns = table_of(records, (params.date_column, params.id_column))
    return Blocks.of(completed(objects, refuse_repeated_ids(named, describe(named, columns, params))))


def refuse_repeated_ids(named: str, described: Described) -> Described:
    """The same; ids that two images have are refused.

    Raises:
        UserError: there are some.
    """
    if described.ids is not None:
        refuse_repeated(described.ids, f"{named} give to two images the id", "an id of its own")
    return described


def refuse_repeated(values: list[str], found: str, expected: str, shown: Sequence[str] | None = None) -> None:
    """Refuse the first value that stands twice.

    Args:
        values: one a row.
        found: what is wrong, up to the value.
        expected: in its place.
        shown: how the user wrote the values, if not so.

    Raises:
        UserError: there is one.
    """
    twice = first_repeated(pa.chunked_array([pa.array(values, pa.string())]))
    if twice is not None:
        written = shown[twice[1]] if shown is not None else values[twice[1]]
        raise UserError(f"{found} {written!r} twice, in rows {twice[0] + 1} and {twice[1] + 1}\nexpected {expected}")
