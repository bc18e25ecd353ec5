"""A listing against what the workspace holds: which objects are to be read, and what became of the known images.

Neither side has to fit into memory (see :mod:`pipeline.runtime.blocks`): what is held of an image are some twenty
bytes, its place on the other side and what the two say of one another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.reasons import TRANSIENT
from pipeline.runtime.blocks import Blocks, Bools, Matches, matches
from pipeline.runtime.folder import Scope
from pipeline.stages.ingest_params import IngestParams
from pipeline.storage import without_secrets

NAME = "name"
"""The column by which rows of a listing and of ``images`` know one another."""

KNOWN = ("image_id", "object_version", "reason", "vanished")
"""Columns of ``images`` that are compared."""

WORD_DIGITS = 16
"""Length of each hash in ``object_version``."""


@dataclass(frozen=True)
class Plan:
    """What a listing means for a workspace.

    Attributes:
        listing: with ``name`` and whole versions.
        known: what the workspace holds, the columns ``KNOWN``, ``name`` and ``date``.
        work: of each listed row, whether it is read: new, changed, seen again, or failed for a passing reason.
        listed: of each known row, where it is listed.
        told: of each known row, whether it would have been listed if it were there.
        vanished: of each known row, whether it was marked so before.
    """

    listing: Blocks
    known: Blocks
    work: Bools
    listed: Matches
    told: Bools
    vanished: Bools


def compare(known: Blocks, listing: Blocks, scope: Scope) -> Plan:
    """Compare what is known with what is listed."""
    transient = pa.array(sorted(TRANSIENT), pa.string())
    failed = _flags(known, lambda rows: pc.is_in(rows["reason"], value_set=transient))
    vanished = _flags(known, lambda rows: rows["vanished"])
    told = np.ones(known.num_rows, np.bool_)
    if not scope.is_all:
        told = _flags(known, lambda rows: pa.array([scope.holds(uri) for uri in rows["uri"].to_pylist()], pa.bool_()))
    listed = matches(known, listing, NAME, WORD_DIGITS)
    told |= listed.place >= 0
    holds = matches(listing, known, NAME, WORD_DIGITS, counted=told & ~failed & ~vanished).reads
    return Plan(listing, known, ~holds, listed, told, vanished)


def _flags(rows: Blocks, read: Callable[[pa.Table], pa.Array]) -> Bools:
    found = [np.asarray(read(block).to_numpy(zero_copy_only=False), np.bool_) for block in rows]
    return np.concatenate([np.zeros(0, np.bool_), *found])


def named(rows: pa.Table, params: IngestParams) -> pa.Table:
    """Rows of a listing or of ``images`` with the column ``name``: what the two know one another by.

    That is the image; where faces are looked for the photograph, whose images are not known before it is read.
    """
    if params.regions != "faces":
        return rows.append_column(NAME, rows["image_id"])
    return rows.append_column(NAME, kept_uris(rows))


def kept_uris(rows: pa.Table) -> pa.Array:
    """``uri`` of a listing as ``images`` has it: without what signs a request."""
    return pa.array([without_secrets(uri) for uri in rows["uri"].to_pylist()], pa.string())


def with_versions(listing: pa.Table) -> pa.Table:
    """Complete ``object_version`` to its three words."""
    columns = {name: listing[name].to_pylist() for name in ("object_version", "uri", "date_value")}
    nothing = [None] * listing.num_rows
    boxes = listing["box"].to_pylist() if "box" in listing.schema.names else nothing
    if "metadata" in listing.schema.names:
        # The type counts: a retyped column is retyped in every row, the empty ones too.
        kind = listing.schema.field("metadata").type
        described = [_word(f"{kind}\0{value!r}") for value in listing["metadata"].to_pylist()]
    else:
        described = [_word("")] * listing.num_rows
    words = []
    for version, uri, value, box, last in zip(*columns.values(), boxes, described, strict=True):
        what = f"{without_secrets(uri)}\0{value}" + (f"\0{box}" if box else "")
        words.append(f"{version} {_word(what)} {last}")
    at = listing.schema.get_field_index("object_version")
    return listing.set_column(at, "object_version", pa.array(words, pa.string()))


def _word(text: str) -> str:
    return blake2b(text.encode(), digest_size=WORD_DIGITS // 2).hexdigest()
