"""The listing of what a manifest names: no row twice, each with an id; and of rows that are members of archives.

Those are named by the keys that they have in a listing, or by their URIs.
"""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.reasons import Flaw, Reason
from pipeline.errors import UserError
from pipeline.runtime.archived import members_named
from pipeline.runtime.blocks import Blocks
from pipeline.runtime.described import Described
from pipeline.runtime.folder import Folder, refuse_repeated
from pipeline.runtime.listing import ABSENT
from pipeline.runtime.manifest import Manifest
from pipeline.runtime.objects import MEMBER, completed


def refuse_rows_twice(manifest: Manifest, places: Sequence[str]) -> None:
    """Refuse rows that are the same photograph, or the same region of one.

    Args:
        manifest: the manifest.
        places: of each row the photograph, as everybody would name it.

    Raises:
        UserError: there are some.
    """
    expected = "one row an image, or a region of one"
    refuse_repeated(manifest.keyed(places), f"the manifest {manifest.name} names", expected)


def identified(manifest: Manifest, keys: Sequence[str]) -> Described:
    """What a manifest's rows say, each with an id: its own, or its key with its box.

    Args:
        manifest: the manifest.
        keys: of each row the photograph's.

    Raises:
        UserError: two have one id.
    """
    written = manifest.described.ids
    ids = written or manifest.keyed(keys)
    refuse_repeated(ids, f"the manifest {manifest.name} gives to two images the id", "an id of its own", written)
    return replace(manifest.described, ids=ids)


def of_members(folder: Folder, kind: str, manifest: Manifest) -> Blocks:
    """The listing of what a manifest names in a collection of archives.

    Args:
        folder: the collection.
        kind: of the archives: tar or zip.
        manifest: its paths are members' names, in a folder of archives with the archive's path before them
            (``shards/00.tar/a.jpg``); its URIs are those of the table ``images`` (``tar://a.jpg::file:///x.tar``).

    Raises:
        UserError: an archive cannot be read, none of the members is there, or a row or an id stands twice.
    """
    members, column = members_named(folder, kind), "key" if manifest.relative else "uri"
    written = [place.removeprefix("./") for place in manifest.places] if manifest.relative else manifest.places
    refuse_rows_twice(manifest, written)
    found = pc.index_in(pa.array(written, pa.string()), value_set=members[column].combine_chunks())
    if found.null_count == len(found):
        shown = f", such as {members[column][0].as_py()}" if members.num_rows else ""
        raise UserError(
            f"none of the {len(found)} images that {manifest.name} names is in the archives of {folder.name}, "
            f"e.g. {written[0]}\n"
            f"expected a column path with members' names{shown}, or uri with what the table images says"
        )
    listed = _or_absent(members, found, written)
    rows = completed(listed, identified(manifest, listed["key"].to_pylist()))
    return Blocks.of(rows.sort_by([("key", "ascending"), ("image_id", "ascending")]))


def _or_absent(members: pa.Table, found: pa.Array, written: list[str]) -> pa.Table:
    """The members at ``found``, in that order; where it is null a row for what is not there."""
    rows, there = members.take(found), found.is_valid()
    flaw = str(Flaw(Reason.NOT_FOUND, "the manifest names it, and it is no member of the archives"))
    gone = {"archive": "", "archive_version": "", "place": 0, "length": 0, "flaw": flaw}
    instead = {
        "key": pa.array(written, pa.string()),
        "uri": pa.array(written, pa.string()),
        "object_version": pa.scalar(ABSENT),
    }
    for name, value in instead.items():
        filled = pc.if_else(there, rows[name], value)
        rows = rows.set_column(rows.schema.get_field_index(name), name, filled)
    places = pa.array([gone if place is None else place for place in rows["member"].to_pylist()], MEMBER)
    return rows.set_column(rows.schema.get_field_index("member"), "member", places)
