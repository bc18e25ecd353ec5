"""The keys of ``ingest``: how a collection is listed, and how its images are dated, checked and shrunk."""

import datetime as dt
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from pipeline.params import Params

IMAGE_SUFFIXES = tuple(
    ".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .bmp .gif .avif .heic .heif .hif".split()  # noqa: SIM905  # legible
)


class SourceParams(Params):
    """How a collection is listed: part of the keys of ``ingest``."""

    suffixes: tuple[str, ...] = Field(
        IMAGE_SUFFIXES, description="File names that are images, by their end, in any case; a manifest overrides it."
    )
    source: Literal["auto", "files", "tar", "zip", "parquet"] = Field(
        "auto",
        description="What holds the images: files; or the members of WebDataset tars or zips, the rows of Parquet "
        "files with image bytes, which the collection is or has in it. auto: what its name says, else files.",
    )
    image_column: str | None = Field(
        None, description="The column of a Parquet file that holds the images; null: the only one of bytes."
    )
    include: tuple[str, ...] = Field(
        (),
        description="Keys that are taken, as patterns (* within a folder, ** across folders): of files and members of "
        "archives; none: all. A manifest overrides it.",
    )
    exclude: tuple[str, ...] = Field((), description="Keys that are passed over, as patterns.")
    sidecars: bool = Field(
        True,
        description="Whether what lies beside an image describes it: a.jpg.json, a.json; in archives a.txt, a.cls too.",
    )
    prefix: str | None = Field(
        None,
        description="Folders to list instead of all, for each day of --dates: such as {year}/{month}/{day}/ or "
        "date={date}/. What lies elsewhere stays as it is.",
    )
    inventory: str | None = Field(
        None,
        description="Path or URI of a list of the objects, instead of listing them: CSV or Parquet with columns key, "
        "size, etag (and bucket, last_modified), or the manifest.json of an S3 inventory.",
    )
    manifest_sql: str | None = Field(
        None, description="A query in DuckDB's SQL over the table manifest, whose result is the manifest."
    )
    date_column: str = Field("captured_at", description="The manifest's column that holds the capture time.")
    id_column: str = Field("image_id", description="The manifest's column, if it has it, that names an image for good.")
    box_unit: Literal["pixels", "fractions"] = Field(
        "pixels", description="What boxes are given in: pixels of the upright photograph, or fractions of its sides."
    )
    box_columns: tuple[str, str, str, str] = Field(
        ("x", "y", "width", "height"),
        description="The manifest's columns, where it has all four, that make a row a region of its photograph: left "
        "and top edge, width and height.",
    )
    on_absent: Literal["refuse", "keep"] = Field(
        "refuse",
        description="What a manifest names and never was there: refuse the run, or keep it as a row that failed.",
    )
    regions: Literal["boxes", "faces"] = Field(
        "boxes",
        description="What of a photograph is an image of its own: boxes (the manifest's; without one the whole), or "
        "faces (every face that is found; the whole photographs are then left out).",
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
    region_margin: float = Field(
        0.0,
        ge=0,
        le=5,
        description="How much of its surroundings a region is cut out with: a share of the box's width on the left "
        "and right, of its height above and below.",
    )
    face_size: int = Field(80, ge=20, description="The least side of a face, in pixels of the photograph.")
    face_score: float = Field(
        0.0, description="The least score of a face: below 0 more are found, and more that are none."
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
