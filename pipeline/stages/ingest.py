"""Ingest: objects as they lie in the collection become rows of ``images``: dated, hashed, checked and shrunk."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.schemas import IMAGES, MICROSECONDS, UNDATED
from pipeline.stages.ingest_params import IngestParams

if TYPE_CHECKING:
    from pipeline.compute.dating import Dated, Rules
    from pipeline.compute.formats import Header
    from pipeline.compute.keeping import Keeping
    from pipeline.compute.pixels import Pixels, Scratch
    from pipeline.compute.regions import Box

_LARGEST_SIDE = 2**31 - 1
"""What the columns ``width`` and ``height`` hold."""

UNREADABLE = "no time in the manifest"
"""Begins ``detail`` where the manifest's date column has text that is no time."""

_SHOWN = 100  # characters of it

DATE = "date"
"""The extra column of :func:`ingest`'s result: the partition a row belongs to."""

BOX = pa.struct([(side, pa.float64()) for side in ("x", "y", "width", "height")])
"""A region as the manifest gives it, in ``ingest.box_unit``."""

WANTED = {"image_id": pa.string(), "object_version": pa.string(), "date_value": pa.string(), "box": BOX}
"""What is wanted of an object: an image, the whole (``box`` null) or a region; beside ``metadata`` where given."""

OBJECTS = {
    "key": pa.string(),
    "uri": pa.string(),
    "modified_at": MICROSECONDS,
    "bytes": pa.binary(),
    "reason": pa.string(),
    "detail": pa.string(),
    "images": pa.list_(pa.struct(WANTED)),
}
"""What :func:`ingest` reads of an object; ``images`` are what is wanted of it, at least one."""


class _Image(TypedDict, total=False):
    """The columns of one row that its bytes decide."""

    image_id: str
    region: dict[str, int]
    width: int
    height: int
    format: str
    num_bytes: int
    content_hash: str
    pixels: bytes
    reason: str
    detail: str


class _Tools(NamedTuple):
    """What is made once for all objects."""

    params: IngestParams
    keeping: Keeping
    rules: Rules
    scratch: Scratch


def ingest(objects: pa.Table, params: IngestParams) -> pa.Table:
    """Turn fetched objects into rows of ``images``; each is decoded once, however many regions it has.

    Args:
        objects: columns of ``OBJECTS``; ``bytes`` is null where ``reason`` says why.  Of bytes that come with a reason
            the header alone is read: they are known to kill whoever decodes them.
        params: limits, size and quality of the kept image, what is a region, and how images are dated.

    Returns:
        The columns of ``IMAGES`` in order (``metadata`` where given) and last ``date``, the partition; one row a wanted
        image, in the order given (one a face, from left to right, where faces are asked for).  A row that fails keeps
        what is known of it: its date too, and its size if the header could be read.
    """
    tools = _tools(params)
    lists = objects["images"]
    wanted = pa.chunked_array([chunk.flatten() for chunk in lists.chunks], lists.type.value_type)
    narrow = pa.Table.from_struct_array(wanted).select(list(WANTED)).to_pylist()
    counts = pc.list_value_length(lists).to_pylist()
    rows: list[_Row] = []
    first = 0
    for row, count in zip(objects.drop_columns(["images"]).to_pylist(), counts, strict=True):
        rows += _photograph(row, narrow[first : first + count], first, tools)
        first += count
    return _table(wanted, rows, params)


class _Row(NamedTuple):
    """A row to be: which wanted image it answers, where the object lies among its columns, what was found."""

    wanted: int
    uri: str
    object_version: str
    image: _Image
    date: Dated


def flag_duplicates(images: pa.Table) -> pa.Table:
    """Set ``duplicate_of`` within the rows given (those of one date).

    Of the rows with the same bytes (and the same region) the one with the smallest image_id is the original, and
    the others point to it.  A failed row neither is an original nor points to one.
    """
    names = ("image_id", "content_hash", "region", "reason")
    ids, hashes, regions, reasons = (images[name].to_pylist() for name in names)
    contents = [
        None if reason is not None or content is None else (content, str(region))
        for content, region, reason in zip(hashes, regions, reasons, strict=True)
    ]
    originals: dict[tuple[str, str], str] = {}
    for image_id, content in zip(ids, contents, strict=True):
        if content is not None:
            originals[content] = min(image_id, originals.get(content, image_id))
    duplicates = [
        None if content is None or originals[content] == image_id else originals[content]
        for image_id, content in zip(ids, contents, strict=True)
    ]
    index = images.schema.get_field_index("duplicate_of")
    return images.set_column(index, images.schema.field(index), pa.array(duplicates, pa.string()))


def _tools(params: IngestParams) -> _Tools:
    from pipeline.compute.dating import Rules
    from pipeline.compute.keeping import Keeping
    from pipeline.compute.pixels import Scratch

    earliest, latest = params.plausible_dates
    zone = ZoneInfo(params.timezone) if params.timezone is not None else None
    rules = Rules(earliest, latest, zone, dt.time.fromisoformat(params.day_starts_at), params.date_from_modified)
    image_px = None if params.image_px == "original" else params.image_px
    return _Tools(params, Keeping(image_px, params.jpeg_quality), rules, Scratch())


def _photograph(row: dict[str, Any], wanted: list[dict[str, Any]], first: int, tools: _Tools) -> list[_Row]:
    """The rows of one object, whose first wanted image is the ``first`` of all."""
    found, header = _read(row, wanted, tools)
    rows = []
    for place, image in found:
        one = wanted[place]
        date = _date(row, one["date_value"], header, tools.rules)
        if date.unreadable:
            image.setdefault("detail", f"{UNREADABLE}: {one['date_value'][:_SHOWN]!r}")
        elif date.set_aside is not None:
            image.setdefault("detail", f"{date.set_aside} is not within ingest.plausible_dates")
        image.setdefault("image_id", one["image_id"])
        rows.append(_Row(first + place, row["uri"], one["object_version"], image, date))
    return rows


_Found = list[tuple[int, _Image]]
"""Images with the places, among those wanted of an object, of what they answer."""


def _read(row: dict[str, Any], wanted: list[dict[str, Any]], tools: _Tools) -> tuple[_Found, Header | None]:
    """What the bytes of one object give; never raises for their content."""
    from pipeline.compute.decoding import read_header
    from pipeline.compute.identity import content_hash
    from pipeline.compute.reasons import Flaw, Reason

    data = row["bytes"]
    if data is None:
        return [(place, _unread(row)) for place in range(len(wanted))], None
    known: _Image = {"num_bytes": len(data), "content_hash": content_hash(data)}
    header = None
    try:
        header = read_header(data, tools.params.max_bytes)
        known["format"] = header.format
        if max(header.width, header.height) <= _LARGEST_SIDE:  # a damaged header may claim any number
            known |= {"width": header.width, "height": header.height}
        if row["reason"] is not None:
            raise Flaw(Reason(row["reason"]), row["detail"] or "")
        found = _decoded(data, header, wanted, tools)
    except Flaw as flaw:
        failed: _Image = {"reason": str(flaw.reason), "detail": flaw.detail}
        found = [(place, failed) for place in range(len(wanted))]
    return [(place, {**known, **image}) for place, image in found], header


def _unread(row: dict[str, Any]) -> _Image:
    from pipeline.compute.reasons import Reason

    if row["reason"] is None:  # whoever fetched it owed a reason
        return {"reason": str(Reason.IO_ERROR), "detail": "no bytes and no reason"}
    return {"reason": row["reason"], "detail": row["detail"]}


def _decoded(data: bytes, header: Header, wanted: list[dict[str, Any]], tools: _Tools) -> _Found:
    """The wanted images of an object.

    Raises:
        Flaw: it does not decode, or has no face.
    """
    from pipeline.compute.decoding import guarded, read_pixels
    from pipeline.compute.keeping import keep_whole
    from pipeline.compute.pixels import upright

    stored = read_pixels(data, header, tools.params.max_pixels, tools.scratch)
    boxes, faces = [one["box"] for one in wanted], tools.params.regions == "faces"
    if not faces and boxes == [None]:
        return [(0, {"pixels": keep_whole(data, header, stored, tools.keeping)})]
    rgb = guarded(lambda: upright(stored, header.orientation))
    if faces:
        return _faces(rgb, wanted, tools)
    # A whole photograph is kept alike whether or not its regions are asked for in the same run.
    return [
        (
            place,
            {"pixels": keep_whole(data, header, stored, tools.keeping)} if box is None else _region(rgb, box, tools),
        )
        for place, box in enumerate(boxes)
    ]


def _region(rgb: Pixels, given: dict[str, float], tools: _Tools) -> _Image:
    """One region; a box that does not fit gives a reason."""
    from pipeline.compute.reasons import Flaw
    from pipeline.compute.regions import Box, to_pixels

    try:
        return _cut_out(rgb, to_pixels(Box(**given), tools.params.box_unit, rgb.shape[1], rgb.shape[0]), tools)
    except Flaw as flaw:
        return {"reason": str(flaw.reason), "detail": flaw.detail}


def _faces(rgb: Pixels, wanted: list[dict[str, Any]], tools: _Tools) -> _Found:
    """Every face as a region, its id derived from the photograph's and its box.

    Raises:
        Flaw: there is none.
    """
    from pipeline.compute.decoding import guarded
    from pipeline.compute.faces import find_faces
    from pipeline.compute.identity import image_id
    from pipeline.compute.reasons import Flaw, Reason
    from pipeline.compute.regions import Box, box_text

    params = tools.params
    faces = guarded(lambda: find_faces(rgb, params.face_size, params.face_score))
    if not faces:
        raise Flaw(Reason.NO_FACE, f"none of {params.face_size} pixels and score {params.face_score:g}")
    found: _Found = []
    for place, one in enumerate(wanted):
        for face in faces:
            box = Box(face.x, face.y, face.width, face.height)
            found.append((place, {"image_id": image_id(f"{one['image_id']}#{box_text(box)}")}))
            found[-1][1].update(_cut_out(rgb, box, tools))
    return found


def _cut_out(rgb: Pixels, box: Box, tools: _Tools) -> _Image:
    from pipeline.compute.keeping import keep_region
    from pipeline.compute.regions import crop

    region = {"x": int(box.x), "y": int(box.y), "width": int(box.width), "height": int(box.height)}
    return {"region": region, "pixels": keep_region(crop(rgb, box, tools.params.region_margin), tools.keeping)}


def _date(row: dict[str, Any], date_value: str | None, header: Header | None, rules: Rules) -> Dated:
    from pipeline.compute.dating import Clues, date_image
    from pipeline.compute.exif import NO_EXIF

    exif = header.exif if header is not None else NO_EXIF
    return date_image(Clues(row["key"], date_value, exif, row["modified_at"]), rules)


def _table(wanted: pa.ChunkedArray, rows: list[_Row], params: IngestParams) -> pa.Table:
    from pipeline.compute.dating import partition_date

    start = dt.time.fromisoformat(params.day_starts_at)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "uri": pa.array([row.uri for row in rows], pa.string()),
        "captured_at": pa.array([row.date.captured_at for row in rows], MICROSECONDS),
        "utc_offset_minutes": pa.array([row.date.utc_offset_minutes for row in rows], pa.int32()),
        "captured_at_source": pa.array([row.date.source for row in rows], pa.string()),
        "object_version": pa.array([row.object_version for row in rows], pa.string()),
        "vanished": pa.array([False] * len(rows), pa.bool_()),
    }
    if wanted.type.get_field_index("metadata") >= 0:
        taken = pa.array([row.wanted for row in rows], pa.int64())
        columns["metadata"] = pa.Table.from_struct_array(wanted)["metadata"].take(taken)
    fields = []
    for column in IMAGES.columns:
        if column.name not in columns and column.type is not None:
            columns[column.name] = pa.array([row.image.get(column.name) for row in rows], column.type)
        if column.name in columns:
            fields.append(pa.field(column.name, columns[column.name].type))
    dates = [row.date.captured_at for row in rows]
    partitions = [UNDATED if at is None else partition_date(at, start, params.period) for at in dates]
    fields.append(pa.field(DATE, pa.string()))
    return pa.table({**columns, DATE: pa.array(partitions, pa.string())}, schema=pa.schema(fields))
