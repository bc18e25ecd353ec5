"""Ingest: objects as they lie in the collection become rows of ``images``: dated, hashed, checked and shrunk."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, cast
from zoneinfo import ZoneInfo

import pyarrow as pa
from pydantic import Field, field_validator

from pipeline.params import Params
from pipeline.schemas import IMAGES, MICROSECONDS, UNDATED

if TYPE_CHECKING:
    from pipeline.compute.dating import Dated, Rules
    from pipeline.compute.formats import Header
    from pipeline.compute.pixels import Scratch

_LARGEST_SIDE = 2**31 - 1
"""What the columns ``width`` and ``height`` hold."""

DATE = "date"
"""The extra column of :func:`ingest`'s result: the partition a row belongs to."""

OBJECTS = {
    "image_id": pa.string(),
    "key": pa.string(),
    "uri": pa.string(),
    "object_version": pa.string(),
    "modified_at": MICROSECONDS,
    "date_value": pa.string(),
    "bytes": pa.binary(),
    "reason": pa.string(),
    "detail": pa.string(),
}
"""What :func:`ingest` reads of an object, beside ``metadata`` where a manifest gave further columns."""

_SMALL_BYTES = 2**16
"""What is no larger than this costs next to nothing to keep as it is."""

_SMALL_PIXELS = 2**19
"""Bytes of pixels up to which it is worth trying a lossless encoding (some 418 x 418 pixels)."""

IMAGE_SUFFIXES = tuple(
    ".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .bmp .gif .avif .heic .heif .hif".split()  # noqa: SIM905  # legible
)


class SourceParams(Params):
    """How a collection is listed: part of the keys of ``ingest``."""

    suffixes: tuple[str, ...] = Field(
        IMAGE_SUFFIXES, description="File names that are images, by their end, in any case; a manifest overrides it."
    )
    date_column: str = Field("captured_at", description="The manifest's column that holds the capture time.")
    id_column: str = Field("image_id", description="The manifest's column, if it has it, that names an image for good.")
    on_absent: Literal["refuse", "keep"] = Field(
        "refuse",
        description="What a manifest names and never was there: refuse the run, or keep it as a row that failed.",
    )
    outside: Literal["refuse", "read"] = Field(
        "refuse",
        description="What a manifest names outside the collection, a file of this machine (also by a link) or in a "
        "store of an unusual kind: refuse the run, or read it. Object stores and web servers may be named in any case.",
    )


class IngestParams(SourceParams):
    """The keys of ``ingest``."""

    image_px: Annotated[int, Field(ge=16, le=4000)] | Literal["original"] = Field(
        384, description="Shorter side, in pixels, of the image kept for later stages; original: keep the bytes."
    )
    jpeg_quality: int = Field(90, ge=50, le=100, description="Quality of the kept image, 50 to 100.")
    max_pixels: int = Field(
        # A camera of 108 megapixels passes; decoded it takes 3 bytes a pixel, some 400 MB.
        2**27,
        ge=1,
        description="An image with more pixels is refused before it is decoded.",
    )
    max_bytes: int = Field(2**28, ge=1, description="An object with more bytes is not read.")
    plausible_dates: tuple[dt.date, dt.date] = Field(
        (dt.date(1901, 1, 1), dt.date(2100, 12, 31)),
        description="First and last day that a capture time may lie on; otherwise it is set aside, which the row's "
        "detail says, and the next source of a date is tried.",
    )
    date_from_modified: bool = Field(
        False, description="Whether an image without any other date gets the object's modification time."
    )
    timezone: str | None = Field(
        None, description="Zone (e.g. Europe/Berlin) whose wall clock is taken for UTC, Unix and zoned times."
    )
    day_starts_at: str = Field(
        "00:00",
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
        description="When a day begins (HH:MM): what happened earlier belongs to the day before.",
    )
    on_vanished: Literal["mark", "drop"] = Field(
        "mark", description="An image that is listed no longer: mark it and keep its row, or drop the row."
    )
    period: Literal["day", "week", "month", "quarter", "year"] | Annotated[int, Field(ge=1, le=365)] = Field(
        "day",
        description="What one date covers: day, week, month, quarter, year, or a number of days (counted from Monday, "
        "1970-01-05).",
    )

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                ZoneInfo(value)
        except (ValueError, OSError, LookupError) as error:
            raise ValueError(f"found {value!r}, expected a name like Europe/Berlin or UTC") from error
        return value

    @field_validator("plausible_dates")
    @classmethod
    def _is_a_range(cls, value: tuple[dt.date, dt.date]) -> tuple[dt.date, dt.date]:
        # A year's first day may be the date of a partition, and 1900-01-01 stands for undated images.
        if not dt.date(1901, 1, 1) <= value[0] <= value[1]:
            raise ValueError(f"found {value[0]} to {value[1]}, expected two days in order, from 1901-01-01 on")
        return value


class _Image(TypedDict, total=False):
    """The columns of one row that its bytes decide."""

    width: int
    height: int
    format: str
    num_bytes: int
    content_hash: str
    pixels: bytes
    reason: str
    detail: str


def ingest(objects: pa.Table, params: IngestParams) -> pa.Table:
    """Turn fetched objects into rows of ``images``.

    Args:
        objects: columns of ``OBJECTS`` and perhaps ``metadata``; ``bytes`` is null where ``reason`` says why.  Of bytes
            that come with a reason the header alone is read: they are known to kill whoever decodes them.
        params: limits, size and quality of the kept image, and how it is dated.

    Returns:
        The columns of ``IMAGES`` in order (``metadata`` where given) and last ``date``, the partition; one row an
        object, in the order given.  A row that fails keeps what is known of it: its date too, and its size if the
        header could be read.
    """
    from pipeline.compute.pixels import Scratch

    scratch = Scratch()
    rules = _rules(params)
    images: list[_Image] = []
    dates: list[Dated] = []
    for row in objects.select([name for name in OBJECTS if name in objects.column_names]).to_pylist():
        image, header = _read(row, params, scratch)
        images.append(image)
        dates.append(_date(row, header, rules))
        if dates[-1].set_aside is not None:
            image.setdefault("detail", f"{dates[-1].set_aside} is not within ingest.plausible_dates")
    return _table(objects, images, dates, params)


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


def _rules(params: IngestParams) -> Rules:
    from pipeline.compute.dating import Rules

    earliest, latest = params.plausible_dates
    zone = ZoneInfo(params.timezone) if params.timezone is not None else None
    return Rules(earliest, latest, zone, dt.time.fromisoformat(params.day_starts_at), params.date_from_modified)


def _read(row: dict[str, Any], params: IngestParams, scratch: Scratch) -> tuple[_Image, Header | None]:
    """What the bytes of one object give; never raises for their content."""
    from pipeline.compute.decoding import read_header
    from pipeline.compute.identity import content_hash
    from pipeline.compute.reasons import Flaw, Reason

    data = row["bytes"]
    if data is None:
        return _unread(row), None
    image: _Image = {"num_bytes": len(data), "content_hash": content_hash(data)}
    header = None
    try:
        header = read_header(data, params.max_bytes)
        image["format"] = header.format
        if max(header.width, header.height) <= _LARGEST_SIDE:  # a damaged header may claim any number
            image |= {"width": header.width, "height": header.height}
        if row["reason"] is not None:
            raise Flaw(Reason(row["reason"]), row["detail"] or "")
        image["pixels"] = _kept(data, header, params, scratch)
    except Flaw as flaw:
        image |= {"reason": str(flaw.reason), "detail": flaw.detail}
    return image, header


def _unread(row: dict[str, Any]) -> _Image:
    from pipeline.compute.reasons import Reason

    if row["reason"] is None:  # whoever fetched it owed a reason
        return {"reason": str(Reason.IO_ERROR), "detail": "no bytes and no reason"}
    return {"reason": row["reason"], "detail": row["detail"]}


def _kept(data: bytes, header: Header, params: IngestParams, scratch: Scratch) -> bytes:
    """The bytes of the ``pixels`` column.  Everything is decoded, so that what is kept is known to decode.

    Raises:
        Flaw: it does not decode.
    """
    from pipeline.compute.decoding import guarded, read_pixels
    from pipeline.compute.pixels import encode, encode_png, shrink, shrunken_size, upright

    stored = read_pixels(data, header, params.max_pixels, scratch)
    if params.image_px == "original":
        return data
    small = shrunken_size(header.height, header.width, params.image_px) == (header.height, header.width)
    portable = header.format in ("jpeg", "png") and header.plain and header.orientation == 1
    # Bytes beside the pixels (a film behind the photograph, thumbnails) must not swell the table.
    if small and portable and len(data) <= max(_SMALL_BYTES, stored.nbytes):
        return data
    # Turning is dear for a large image, so it is shrunk first.
    kept = guarded(lambda: upright(shrink(stored, cast(int, params.image_px)), header.orientation))
    if small and kept.nbytes <= _SMALL_PIXELS:
        # On a small drawing JPEG's blocks and halved colours weigh more than the drawing does: 64 x 64 emoji at
        # quality 90 came back with fingerprints at a cosine of 0.95 to their own.
        lossless = guarded(lambda: encode_png(kept))
        if len(lossless) <= _SMALL_BYTES:
            return lossless
    return guarded(lambda: encode(kept, params.jpeg_quality))


def _date(row: dict[str, Any], header: Header | None, rules: Rules) -> Dated:
    from pipeline.compute.dating import Clues, date_image
    from pipeline.compute.exif import NO_EXIF

    exif = header.exif if header is not None else NO_EXIF
    return date_image(Clues(row["key"], row["date_value"], exif, row["modified_at"]), rules)


def _table(objects: pa.Table, images: list[_Image], dates: list[Dated], params: IngestParams) -> pa.Table:
    from pipeline.compute.dating import partition_date

    start = dt.time.fromisoformat(params.day_starts_at)
    rows = objects.num_rows
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        name: objects[name]
        for name in ("image_id", "uri", "object_version", "metadata")
        if name in objects.column_names
    }
    columns["vanished"] = pa.array([False] * rows, pa.bool_())
    columns["captured_at"] = pa.array([d.captured_at for d in dates], MICROSECONDS)
    columns["utc_offset_minutes"] = pa.array([d.utc_offset_minutes for d in dates], pa.int32())
    columns["captured_at_source"] = pa.array([d.source for d in dates], pa.string())
    fields = []
    for column in IMAGES.columns:
        if column.name not in columns and column.type is not None:
            columns[column.name] = pa.array([image.get(column.name) for image in images], column.type)
        if column.name in columns:
            fields.append(pa.field(column.name, columns[column.name].type))
    partitions = [
        UNDATED if d.captured_at is None else partition_date(d.captured_at, start, params.period) for d in dates
    ]
    fields.append(pa.field(DATE, pa.string()))
    return pa.table({**columns, DATE: pa.array(partitions, pa.string())}, schema=pa.schema(fields))
