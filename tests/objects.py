"""Rows as stages are given them: fetched objects, and images."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipeline.runtime.folder import Listing, Scope
from pipeline.schemas import REGION
from pipeline.stages.ingest import OBJECTS, WANTED
from pipeline.storage import FileSystem


def objects(*rows: dict[str, Any], metadata: list[dict[str, Any]] | None = None) -> pa.Table:
    """A row an object, of which one image is wanted; both are described by the row, ``metadata`` by itself."""
    columns = {name: pa.array([row.get(name) for row in rows], kind) for name, kind in OBJECTS.items()}
    wanted = [[{name: row.get(name) for name in WANTED}] for row in rows]
    kind = pa.struct(WANTED)
    if metadata is not None:
        kind = pa.struct([*kind, pa.field("metadata", pa.array(metadata).type)])
        wanted = [[{**one[0], "metadata": given}] for one, given in zip(wanted, metadata, strict=True)]
    return pa.table({**columns, "images": pa.array(wanted, pa.list_(kind))})


def images(names: Sequence[str], contents: Sequence[bytes]) -> pa.Table:
    """Whole photographs, as far as ``stages.fingerprint`` reads ``images``; a name is id and content's hash."""
    return pa.table(
        {
            "image_id": pa.array(names, pa.string()),
            "content_hash": pa.array(names, pa.string()),
            "region": pa.nulls(len(names), REGION),
            "pixels": pa.array(contents, pa.binary()),
            "reason": pa.nulls(len(names), pa.string()),
        }
    )


def held(listing: Listing) -> tuple[pa.Table, FileSystem, Scope]:
    """A listing with its objects as one table."""
    return listing.objects.table(), listing.filesystem, listing.scope
