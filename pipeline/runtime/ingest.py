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
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.reasons import TRANSIENT
from pipeline.digests import content_digests, digest
from pipeline.errors import CommitError, UserError
from pipeline.parts import Staged
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Call, Fragment
from pipeline.runtime.fragments import Pieces, compose
from pipeline.runtime.reading import WORD_DIGITS, FailureGuard, as_listed, kept_uris, read_work
from pipeline.runtime.sources import Scope, list_collection, refuse_absent
from pipeline.runtime.staleness import parameters
from pipeline.schemas import IMAGES
from pipeline.stages.ingest import flag_duplicates
from pipeline.stages.ingest_params import IngestParams, SourceParams
from pipeline.storage import redact, without_secrets
from pipeline.tablestore import TableStore

VERSION = 3

NAME = "name"
"""The column by which rows of a listing and of ``images`` know one another."""

_KNOWN = ("image_id", "object_version", "reason", "vanished")


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
    listing = named(listing, params)
    if params.on_absent == "refuse":
        refuse_absent(listing, lambda: _known(store, params, redo=False)[NAME])
    listing = _with_versions(listing)
    listed = digest(content_digests(listing.select(["image_id", "object_version"])))
    state = {"stage": stage, "listing": listed, "on_vanished": params.on_vanished, "scope": scope.digest}
    if dict(store.extra) == state and not _has_transient_failures(store):
        return
    redo = store.extra.get("stage") != stage
    if redo and not scope.is_all and store.partitions:
        raise _not_all_can_be_read_again(scope)
    context.workspace.begin()
    known = _known(store, params, redo, uris=not scope.is_all)
    known, untold = _told_apart(known, listing, scope)
    work = _work(listing, known)
    fragments = read_work(context, listing, work, stage, filesystem)
    FailureGuard(0, context.config.resources.max_failed_fraction).count(fragments)
    changes = _changes(known, listing, work, params.on_vanished)
    nothing = _change(listing, known.slice(0, 0), *[pa.array([], pa.bool_())] * 3)
    _compose_dates(context, fragments, defaultdict(lambda: nothing, changes), inputs)
    _check_total(store, listing, pa.concat_tables([known, untold]) if params.on_vanished == "mark" else untold, params)
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


def _with_versions(listing: pa.Table) -> pa.Table:
    """Complete ``object_version`` to its three words."""
    kind = listing.schema.field("metadata").type if "metadata" in listing.column_names else None
    # A block at a time: the values of a million objects as Python's would fill the driver's memory.
    versions = [_versions(block, kind) for block in listing.to_batches()]
    at = listing.schema.get_field_index("object_version")
    return listing.set_column(at, "object_version", pa.chunked_array(versions, pa.string()))


def _versions(listing: pa.RecordBatch, kind: pa.DataType | None) -> pa.Array:
    nothing = [None] * listing.num_rows
    columns = {name: listing[name].to_pylist() for name in ("object_version", "uri", "date_value")}
    boxes = listing["box"].to_pylist() if "box" in listing.schema.names else nothing
    if kind is None:
        described = [_word("")] * listing.num_rows
    else:  # the type counts: a retyped column is retyped in every row, the empty ones too
        described = [_word(f"{kind}\0{value!r}") for value in listing["metadata"].to_pylist()]
    words = []
    for version, uri, value, box, last in zip(*columns.values(), boxes, described, strict=True):
        what = f"{without_secrets(uri)}\0{value}" + (f"\0{box}" if box else "")
        words.append(f"{version} {_word(what)} {last}")
    return pa.array(words, pa.string())


def _word(text: str) -> str:
    return blake2b(text.encode(), digest_size=WORD_DIGITS // 2).hexdigest()


def _has_transient_failures(store: TableStore) -> bool:
    return any(reason in TRANSIENT for one in store.partitions.values() for reason in one.failed)


def named(rows: pa.Table, params: IngestParams) -> pa.Table:
    """Rows of a listing or of ``images`` with the column ``name``: what the two know one another by.

    That is the image; where faces are looked for the photograph, whose images are not known before it is read.
    """
    if params.regions != "faces":
        return rows.append_column(NAME, rows["image_id"])
    return rows.append_column(NAME, kept_uris(rows))


def _known(store: TableStore, params: IngestParams, redo: bool, uris: bool = False) -> pa.Table:
    """What the workspace holds of each image, with its date; nothing counts if all is to be read again."""
    columns = [*_KNOWN, *(["uri"] if uris or params.regions == "faces" else [])]
    tables = [] if redo else [_dated(store.read(date, columns, one), date) for date, one in store.partitions.items()]
    return named(pa.concat_tables(tables) if tables else _dated(IMAGES.empty().select(columns), ""), params)


def _dated(rows: pa.Table, date: str) -> pa.Table:
    return rows.append_column("date", pa.array([date] * rows.num_rows, pa.string()))


def _told_apart(known: pa.Table, listing: pa.Table, scope: Scope) -> tuple[pa.Table, pa.Table]:
    """The known rows of which the listing tells, be it that they are gone, and those that lie where it did not look."""
    if scope.is_all:
        return known, known.slice(0, 0)
    within = pa.array([scope.holds(uri) for uri in known["uri"].to_pylist()], pa.bool_())
    untold = pc.and_(pc.invert(within), pc.invert(pc.is_in(known[NAME], value_set=listing[NAME].combine_chunks())))
    return known.filter(pc.invert(untold)), known.filter(untold)


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


def _work(listing: pa.Table, known: pa.Table) -> pa.Table:
    """The listed images whose bytes are to be read: new, changed, seen again, or failed for a passing reason."""
    failed = pc.is_in(known["reason"], value_set=pa.array(sorted(TRANSIENT), pa.string()))
    good = known.filter(pc.invert(pc.or_(failed, known["vanished"])))
    return listing.filter(pc.invert(as_listed(listing, good, NAME)))


def _changes(known: pa.Table, listing: pa.Table, work: pa.Table, on_vanished: str) -> dict[str, Change]:
    """By date, what happens to rows that are there already; only dates where something does."""
    place = pc.index_in(known[NAME], value_set=listing[NAME].combine_chunks())
    gone = place.is_null()
    read_again = pc.is_in(known[NAME], value_set=work[NAME].combine_chunks())
    superseded = pc.and_(place.is_valid(), pc.or_(read_again, pc.invert(as_listed(known, listing, NAME))))
    fresh = listing["object_version"].take(place)
    described = pc.and_(pc.invert(superseded), pc.fill_null(pc.not_equal(fresh, known["object_version"]), False))
    if on_vanished == "drop":
        dropped, marked = pc.or_(superseded, gone), pa.array([False] * known.num_rows, pa.bool_())
    else:
        dropped, marked = superseded, pc.and_(gone, pc.invert(known["vanished"]))
    changes = {}
    touched = known["date"].filter(pc.or_(pc.or_(dropped, marked), described))
    for date in sorted(touched.unique().to_pylist()):
        here = pc.equal(known["date"], date)
        changes[date] = _change(
            listing, known.filter(here), *(mask.filter(here) for mask in (dropped, marked, described))
        )
    return changes


def _change(listing: pa.Table, known: pa.Table, drop: pa.Array, vanished: pa.Array, described: pa.Array) -> Change:
    """A change of one date's ``known`` rows by masks; what the ``described`` get is in the listing."""
    names = known.filter(described)
    place = pc.index_in(names[NAME], value_set=listing[NAME].combine_chunks())
    rows = pa.table({"image_id": names["image_id"], "object_version": listing["object_version"].take(place)})
    if "metadata" in listing.column_names:
        rows = rows.append_column("metadata", listing["metadata"].take(place))
    kind = rows["metadata"].type if "metadata" in rows.column_names else None
    dropped, marked = (known["image_id"].filter(mask).combine_chunks() for mask in (drop, vanished))
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


def _check_total(store: TableStore, listing: pa.Table, kept: pa.Table, params: IngestParams) -> None:
    """Rows in = rows out: every listed image has exactly one row, and every one of ``kept`` too.

    Where faces are looked for, every photograph has at least one.
    """
    gone = kept[NAME].filter(pc.index_in(kept[NAME], value_set=listing[NAME].combine_chunks()).is_null())
    expected = listing.num_rows + len(gone.unique() if params.regions == "faces" else gone)
    found = sum(one.rows for one in store.partitions.values())
    if params.regions == "faces":
        found = len(_known(store, params, redo=False)[NAME].unique())
    if found != expected:
        raise CommitError(
            f"images: {found} rows where {expected} images are known; run `imagetracks sweep` and run again, "
            "and report it if it persists"
        )
