"""A collection that is an archive, or a folder of archives: its members, described by what lies in them beside."""

import logging
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from pipeline.errors import UserError
from pipeline.runtime.archives import KINDS, Archive, add_members, parquet_rows
from pipeline.runtime.blocks import Blocks, sorted_by_key
from pipeline.runtime.choosing import chosen_by, is_hidden
from pipeline.runtime.described import describe
from pipeline.runtime.folder import Folder, described_by, entries_of, refuse_repeated_ids
from pipeline.runtime.listing import look_up
from pipeline.runtime.objects import Objects, completed
from pipeline.runtime.places import asked
from pipeline.runtime.sidecars import is_sidecar
from pipeline.stages.ingest_params import SourceParams

_LOG = logging.getLogger("imagetracks")  # where nobody has set it up, Python writes warnings to stderr


def of_archives(folder: Folder, kind: str) -> Blocks:
    """The members of one archive, or of all archives of a folder.

    Raises:
        UserError: there is none, no image in any, or one cannot be read.
    """
    what = f"the collection {folder.name}"
    archives = asked(lambda: _archives(folder, kind), f"list {what}", what)
    if not archives:
        raise UserError(f"found no {' or '.join(KINDS[kind])} at {what}\ncheck ingest.source, or the path")
    return _of_parquet(folder, archives) if kind == "parquet" else _of_members(folder, archives)


def _of_members(folder: Folder, archives: list[Archive]) -> Blocks:
    def is_noted(name: str) -> bool:
        return folder.params.sidecars and is_sidecar(name)

    rows, noted = _members(folder, archives, chosen_by(folder.params), is_noted)
    if not rows.num_rows:
        raise UserError(
            f"found no image in the archives of {folder.name}\n"
            f"expected members that end in {', '.join(folder.params.suffixes)} (ingest.suffixes)"
        )
    return described_by(folder, rows, noted)


def members_named(folder: Folder, kind: str) -> pa.Table:
    """Every member of the tars or zips that a collection is or holds, whatever its name ends like; sorted by key.

    Raises:
        UserError: there is no archive, or one cannot be read.
    """
    what = f"the collection {folder.name}"
    archives = asked(lambda: _archives(folder, kind), f"list {what}", what)
    return _members(folder, archives, lambda _: True, lambda _: False)[0].table()


def _members(
    folder: Folder, archives: list[Archive], chosen: Callable[[str], bool], is_noted: Callable[[str], bool]
) -> tuple[Blocks, dict[str, bytes]]:
    objects, noted = Objects(), dict[str, bytes]()

    def look_through() -> None:
        for archive in archives:
            noted.update(add_members(archive, objects, chosen, is_noted))

    asked(look_through, f"read the archives of {folder.name}", f"the collection {folder.name}")
    repeated = set[str]()
    rows = sorted_by_key(objects.blocks(), repeated)
    if repeated:
        _LOG.warning(
            "imagetracks: %d names stand more than once in the archives of %s, e.g. %r; the last is taken, as "
            "unpacking would leave it, the others are not read",
            *(len(repeated), folder.name, min(repeated)),
        )
    return rows, noted


def _of_parquet(folder: Folder, archives: list[Archive]) -> Blocks:
    objects, named = Objects(), f"the Parquet of {folder.name}"
    columns = asked(lambda: [_add_rows(one, folder.params, objects) for one in archives], f"read {named}", named)
    rows = objects.blocks().table()
    if not rows.num_rows:
        raise UserError(f"{named} has no rows\nexpected one row an image")
    others = pa.concat_tables(columns, promote_options="permissive")
    described = refuse_repeated_ids(named, describe(named, others, folder.params)) if others.num_columns else None
    return Blocks.of(completed(rows, described).sort_by([("key", "ascending"), ("image_id", "ascending")]))


def _archives(folder: Folder, kind: str) -> list[Archive]:
    filesystem = folder.filesystem
    if filesystem.isfile(folder.path):
        entries = look_up(filesystem, [folder.path], [])
        return [Archive(filesystem, entry, folder.uri.rstrip("/"), "") for entry in entries.values()]
    start, unlisted = len(folder.inside), list[str]()
    entries = {
        entry.path: entry for entry in entries_of(folder, None, unlisted) if entry.path.lower().endswith(KINDS[kind])
    }
    if unlisted:  # the members of an archive that is not seen would count as gone
        raise UserError(f"a folder of archives cannot be listed: {unlisted[0]}\nmend its permissions, or move it away")
    return [
        Archive(filesystem, entry, folder.uri + path[start:], f"{path[start:]}/")
        for path, entry in sorted(entries.items())
        if not is_hidden(path[start:])
    ]


def _add_rows(archive: Archive, params: SourceParams, objects: Objects) -> pa.Table:
    """Add a Parquet file's rows; what its other columns say of them."""
    rows = parquet_rows(archive, params.image_column, params.id_column)
    version, modified_at = archive.entry.version, archive.entry.modified_at
    for name, (group, row) in zip(rows.names, rows.places, strict=True):
        member: dict[str, Any] = {"archive": archive.uri, "archive_version": version, "place": group, "length": row}
        of_row, uri = f"{version}#{group}+{row}", f"{archive.uri}#{name}"
        objects.add(archive.prefix + name, uri, None, of_row, modified_at, member)
    return rows.columns
