"""The images stage: list, read what is new or changed, compose the dates that it touches.

The date of an image is known only after its bytes are read.  So the listing is compared with what the workspace
holds, the difference is read once (map), and every date that gained, lost or changed rows is composed again without
decoding.  What the listing and the manifest say of an image is kept with it as ``object_version``, three words: the
object's size and etag or time; a hash of its URI and date value; a hash of its metadata.  A change of the first two
means reading it again, of the third only new metadata.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.reasons import TRANSIENT
from pipeline.digests import ContentDigest, digest
from pipeline.errors import CommitError, UserError
from pipeline.parts import Staged
from pipeline.runtime.blocks import Blocks, Bools, Int64s
from pipeline.runtime.comparing import KNOWN, NAME, Plan, compare, named, with_versions
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Call, Fragment
from pipeline.runtime.fragments import Pieces, compose
from pipeline.runtime.reading import FailureGuard, read_work
from pipeline.runtime.sources import Scope, list_collection, refuse_absent
from pipeline.runtime.staleness import parameters
from pipeline.schemas import IMAGES
from pipeline.stages.ingest import flag_duplicates
from pipeline.stages.ingest_params import IngestParams, SourceParams
from pipeline.storage import redact
from pipeline.tablestore import TableStore

VERSION = 3


@dataclass(frozen=True)
class Change:
    """What happens to the rows that one date holds already.

    Attributes:
        drop: ids to drop.
        vanished: ids to mark.
        described: new ``object_version`` and, where the manifest has further columns, ``metadata`` by id.
        kind: the type that ``metadata`` has in the listing; None where the manifest has no further columns.
    """

    drop: pa.Array
    vanished: pa.Array
    described: pa.Table
    kind: pa.DataType | None


def run_ingest(context: Context, collection: str, manifest: str | None) -> None:
    """Bring ``images`` up to date with the collection.

    Raises:
        UserError: the collection or the manifest cannot be used.
        TooManyFailuresError: too many images failed for good; they are kept as fragments, the dates as they were.
    """
    store, params = context.store(IMAGES), context.config.ingest
    inputs = image_inputs(params)
    stage = digest(inputs)
    retries = context.config.resources.retries
    listing, filesystem, scope = list_collection(collection, manifest, params, retries, context.dates)
    if params.on_absent == "refuse":
        refuse_absent(listing, lambda rows: _is_known(store, params, rows))
    listing = listing.mapped(lambda rows: with_versions(named(rows, params)))
    state = {
        "stage": stage,
        "listing": _digest_of(listing),
        "on_vanished": params.on_vanished,
        "scope": scope.digest,
    }
    if dict(store.extra) == state and not _has_transient_failures(store):
        return
    redo = store.extra.get("stage") != stage
    if redo and not scope.is_all and store.partitions:
        raise _not_all_can_be_read_again(scope)
    context.workspace.begin()
    plan = compare(_known(store, params, redo, uris=not scope.is_all), listing, scope)
    fragments = read_work(context, listing, plan.work, stage, filesystem)
    FailureGuard(0, context.config.resources.max_failed_fraction).count(fragments)
    changes = _changes(plan, params.on_vanished)
    nothing = _change(_NOTHING, listing)
    _compose_dates(context, fragments, defaultdict(lambda: nothing, changes), inputs)
    _check_total(store, plan, params)
    store.set_extra(**state)
    store.flush()
    store.drop_fragments()


def image_inputs(params: IngestParams) -> dict[str, str]:
    """What an image's row depends on besides the object; how the collection is listed is no part of it."""
    decide = {"regions", "box_unit"}  # of the keys of listing, what is made of a photograph too
    listing_only = frozenset({*SourceParams.model_fields, "on_vanished"} - decide)
    return {"version": str(VERSION), **parameters("ingest", params, listing_only)}


def compose_images(pieces: Pieces, change: Change, part_bytes: int, *, threads: int, gpu: bool) -> Staged:
    """On a worker: stage one date's rows, duplicates flagged."""
    del threads, gpu  # no use of either here

    def merge(new: pa.Table | None, old: pa.Table | None) -> pa.Table:
        return _concat([new, None if old is None else _changed(old, change)])

    narrow = ["image_id", "region", "content_hash", "duplicate_of", "object_version", "vanished", "reason"]
    small = pa.concat_tables(compose(pieces, 1 << 62, merge, narrow))
    flagged = flag_duplicates(small)

    def batches() -> Iterator[pa.Table]:
        for rows in compose(pieces, part_bytes, merge):
            place = pc.index_in(rows["image_id"], value_set=flagged["image_id"].combine_chunks())
            at = rows.schema.get_field_index("duplicate_of")
            yield rows.set_column(at, "duplicate_of", flagged["duplicate_of"].take(place))

    return pieces.store.stage(pieces.date, batches(), part_bytes, pieces.old)


def _changed(old: pa.Table, change: Change) -> pa.Table:
    """The old rows that stay, with their marks and metadata as they are now."""
    rows = old.filter(pc.invert(pc.is_in(old["image_id"], value_set=change.drop)))
    marked = pc.or_(rows["vanished"], pc.is_in(rows["image_id"], value_set=change.vanished))
    rows = _set(rows, "vanished", marked)
    place = pc.index_in(rows["image_id"], value_set=change.described["image_id"].combine_chunks())
    fresh = change.described["object_version"].take(place)
    rows = _set(rows, "object_version", pc.if_else(place.is_valid(), fresh, rows["object_version"]))
    return _with_metadata(rows, change, place) if "pixels" in rows.column_names else rows  # else a narrow view


def _with_metadata(rows: pa.Table, change: Change, place: pa.ChunkedArray) -> pa.Table:
    """The metadata of now for the rows that have a ``place`` in the listing; the vanished keep what still fits."""
    has = "metadata" in rows.column_names
    kind = change.kind or (rows["metadata"].type if has else None)
    if kind is None:
        return rows
    kept = _retyped(rows["metadata"].combine_chunks(), kind) if has else pa.nulls(rows.num_rows, kind)
    none = pa.nulls(change.described.num_rows, kind)
    fresh = change.described["metadata"].combine_chunks() if change.kind else none
    metadata = pc.if_else(place.is_valid(), fresh.take(place.combine_chunks()), kept)
    if not change.kind and metadata.null_count == rows.num_rows:
        return rows.drop_columns(["metadata"])  # as in a table that never had any
    if not has:
        return rows.add_column(IMAGES.names.index("metadata"), "metadata", metadata)
    return _set(rows, "metadata", metadata)


def _retyped(metadata: pa.StructArray, kind: pa.StructType) -> pa.StructArray:
    """The fields that are as they were, null for the others."""
    old = {field.name: values for field, values in zip(metadata.type, metadata.flatten(), strict=True)}
    fields = [
        old[one.name] if one.name in old and old[one.name].type == one.type else pa.nulls(len(metadata), one.type)
        for one in kind
    ]
    return pa.StructArray.from_arrays(fields, fields=list(kind), mask=metadata.is_null())


def _set(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, values)


def _concat(tables: list[pa.Table | None]) -> pa.Table:
    given = [rows for rows in tables if rows is not None and rows.num_rows] or [
        rows for rows in tables if rows is not None
    ][:1]
    joined = pa.concat_tables(given, promote_options="default")
    return joined.select([name for name in IMAGES.names if name in joined.column_names])


def _has_transient_failures(store: TableStore) -> bool:
    return any(reason in TRANSIENT for one in store.partitions.values() for reason in one.failed)


def _digest_of(listing: Blocks) -> str:
    content, told = ContentDigest(), ["image_id", "object_version"]
    content.update(listing.schema.empty_table().select(told))
    for block in listing:
        content.update(block.select(told))
    return digest(content.hexdigests())


def _known(store: TableStore, params: IngestParams, redo: bool, uris: bool = False) -> Blocks:
    """What the workspace holds of each image, with its date; nothing counts if all is to be read again."""
    columns = [*KNOWN, *(["uri"] if uris or params.regions == "faces" else [])]
    known = Blocks(named(_dated(IMAGES.empty().select(columns), ""), params).schema)
    for date, manifest in () if redo else store.partitions.items():
        known.add(named(_dated(store.read(date, columns, manifest), date), params))
    return known


def _is_known(store: TableStore, params: IngestParams, rows: pa.Table) -> pa.ChunkedArray:
    have = _known(store, params, redo=False).table()[NAME]
    return pc.is_in(named(rows, params)[NAME], value_set=have)


def _dated(rows: pa.Table, date: str) -> pa.Table:
    return rows.append_column("date", pa.array([date] * rows.num_rows, pa.string()))


def _not_all_can_be_read_again(scope: Scope) -> UserError:
    if scope.folders is not None:
        return UserError(
            "every image has to be read again, for the settings of ingest have changed, and ingest.prefix lists some "
            "folders alone\nrun once without it, or with the settings of before; nothing was changed"
        )
    return UserError(
        f"every image has to be read again, and {len(scope.unlisted)} folders cannot be listed, e.g. "
        f"{redact(scope.unlisted[0])}\nmend their permissions, or move them away; nothing was changed"
    )


class _Touched(NamedTuple):
    """Known images to which something happens: whether each goes, is marked, is described anew, and by what row."""

    ids: pa.Array
    dropped: Bools
    marked: Bools
    described: Bools
    place: Int64s


_NONE = np.zeros(0, np.bool_)
_NOTHING = _Touched(pa.array([], pa.string()), _NONE, _NONE, _NONE, np.zeros(0, np.int64))


def _changes(plan: Plan, on_vanished: str) -> dict[str, Change]:
    """By date, what happens to rows that are there already; only dates where something does."""
    place, found = plan.listed.place, plan.listed.place >= 0
    gone = plan.told & ~found
    read_again = np.zeros_like(found)
    read_again[found] = plan.work[place[found]]
    superseded = found & (read_again | ~plan.listed.reads)
    described = found & ~superseded & ~plan.listed.same
    if on_vanished == "drop":
        dropped, marked = superseded | gone, np.zeros_like(gone)
    else:
        dropped, marked = superseded, gone & ~plan.vanished
    touched = np.flatnonzero(dropped | marked | described)
    rows = plan.known.take(touched, ["image_id", "date"])
    ids, dates = rows["image_id"].combine_chunks(), rows["date"].combine_chunks()
    changes = {}
    for date in sorted(dates.unique().to_pylist()):
        here = np.asarray(pc.equal(dates, date))
        at = touched[here]
        one = _Touched(ids.filter(pa.array(here)), dropped[at], marked[at], described[at], place[at])
        changes[date] = _change(one, plan.listing)
    return changes


def _change(touched: _Touched, listing: Blocks) -> Change:
    """A change of one date; what is described anew is as the listing says."""
    ids = touched.ids
    columns = [name for name in ("object_version", "metadata") if name in listing.schema.names]
    fresh = listing.take(touched.place[touched.described], columns)
    rows = fresh.add_column(0, "image_id", ids.filter(pa.array(touched.described)))
    kind = rows["metadata"].type if "metadata" in columns else None
    dropped, marked = (ids.filter(pa.array(mask)) for mask in (touched.dropped, touched.marked))
    return Change(dropped, marked, rows, kind)


def _compose_dates(
    context: Context, fragments: list[Fragment], changes: defaultdict[str, Change], inputs: Mapping[str, str]
) -> None:
    store, part_bytes = context.store(IMAGES), context.config.resources.part_bytes
    redo = store.extra.get("stage") != digest(dict(inputs))
    dates = sorted({date for fragment in fragments for date in fragment.dates} | set(changes))
    for date in [date for date in store.partitions if redo and date not in dates]:
        store.remove(date)
        context.done["images by date"] += 1
    if not dates:
        return
    calls = []
    for date in dates:
        old = None if redo else store.partitions.get(date)
        pieces = Pieces(store, date, old, tuple((f.path, f.bytes) for f in fragments if date in f.dates))
        calls.append(Call("images", date, compose_images, (pieces, changes[date], part_bytes)))
    context.reporter.start("images by date", len(dates), "dates")
    for date, staged in context.engine().call(calls):
        if staged.rows:
            store.commit(date, staged, inputs)
        else:
            store.remove(date)
            store.discard(staged)
        context.done["images by date"] += 1
        context.reporter.advance(1)
    context.reporter.finish()


def _check_total(store: TableStore, plan: Plan, params: IngestParams) -> None:
    """Rows in = rows out: every listed image has exactly one row, and every one that is known and stays too.

    Where faces are looked for, every photograph has at least one.
    """
    stays = plan.listed.place < 0
    if params.on_vanished == "drop":
        stays &= ~plan.told
    found = sum(one.rows for one in store.partitions.values())
    others = int(stays.sum())
    if params.regions == "faces":
        names = plan.known.take(np.flatnonzero(stays), [NAME])[NAME]
        others, found = len(names.unique()), len(_known(store, params, redo=False).table()[NAME].unique())
    expected = plan.listing.num_rows + others
    if found != expected:
        raise CommitError(
            f"images: {found} rows where {expected} images are known; run `imagetracks sweep` and run again, "
            "and report it if it persists"
        )
