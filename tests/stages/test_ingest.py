import datetime as dt
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from pipeline.compute.decoding import open_pixels
from pipeline.compute.identity import content_hash, image_id
from pipeline.compute.reasons import Reason
from pipeline.schemas import IMAGES, UNDATED
from pipeline.stages.ingest import flag_duplicates, ingest
from pipeline.stages.ingest_params import IngestParams
from tests.objects import objects
from tests.pictures import exif, photo, quadrants, saved

DEFAULT = IngestParams()


def an_object(key: str, data: bytes | None, **more: Any) -> dict[str, Any]:
    return {
        "image_id": image_id(key),
        "key": key,
        "uri": f"memory:///{key}",
        "object_version": "1-a",
        "bytes": data,
        **more,
    }


def one(data: bytes | None, params: IngestParams = DEFAULT, key: str = "a.jpg", **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = ingest(objects(an_object(key, data, **more)), params).to_pylist()[0]
    return row


def test_a_photograph_becomes_a_row() -> None:
    data = saved(
        photo(800, 600), exif=exif(6, t36867="2024:01:05 10:15:30", t36881="+01:00", t306="2031:01:01 00:00:00")
    )
    row = one(data)
    assert {name: row[name] for name in row if name != "pixels"} == {
        "image_id": image_id("a.jpg"),
        "uri": "memory:///a.jpg",
        "region": None,
        "captured_at": dt.datetime(2024, 1, 5, 10, 15, 30),
        "utc_offset_minutes": 60,
        "captured_at_source": "exif_original",
        "width": 600,
        "height": 800,
        "format": "jpeg",
        "num_bytes": len(data),
        "content_hash": content_hash(data),
        "duplicate_of": None,
        "object_version": "1-a",
        "vanished": False,
        "reason": None,
        "detail": None,
        "date": "2024-01-05",
    }
    kept = Image.open(io.BytesIO(row["pixels"]))
    assert (kept.format, kept.size) == ("JPEG", (384, 512))


def test_the_result_is_the_images_table_and_the_date() -> None:
    plain = ingest(objects(an_object("a.jpg", saved(photo()))), DEFAULT)
    assert plain.column_names == [name for name in IMAGES.names if name != "metadata"] + ["date"]
    IMAGES.check(plain.drop_columns(["date"]))
    described = ingest(objects(an_object("a.jpg", saved(photo())), metadata=[{"plot": 7}]), DEFAULT)
    assert described.column_names == [*IMAGES.names, "date"]
    IMAGES.check(described.drop_columns(["date"]))
    assert described["metadata"].to_pylist() == [{"plot": 7}]


def test_no_rows_in_no_rows_out() -> None:
    empty = ingest(objects(), DEFAULT)
    assert empty.num_rows == 0
    IMAGES.check(empty.drop_columns(["date"]))


def test_what_is_kept_is_upright_and_looks_like_the_photograph() -> None:
    picture = quadrants(1000, 600)
    stored = picture.transpose(Image.Transpose.ROTATE_90)
    kept = open_pixels(one(saved(stored, quality=95, exif=exif(6)))["pixels"])
    assert kept.shape == (384, 640, 3)
    expected = np.asarray(picture.resize((640, 384), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(kept.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_a_small_plain_image_keeps_its_bytes(name: str) -> None:
    data = saved(photo(500, 384), name)
    assert one(data)["pixels"] == data
    grey = saved(photo(100, 90).convert("L"), name)
    assert one(grey)["pixels"] == grey


@pytest.mark.parametrize(
    "data",
    [
        saved(quadrants(), exif=exif(6)),
        saved(quadrants().convert("CMYK")),
        saved(quadrants().convert("RGBA"), "PNG"),
        saved(quadrants().quantize(8), "PNG"),
        saved(quadrants(), "GIF"),
        saved(quadrants(), "WEBP"),
        saved(quadrants(), "TIFF"),
        saved(quadrants(), "BMP"),
    ],
)
def test_a_small_image_that_others_may_read_differently_is_encoded_without_loss(data: bytes) -> None:
    row = one(data)
    kept = Image.open(io.BytesIO(row["pixels"]))
    assert (kept.format, kept.mode, kept.size) == ("PNG", "RGB", (row["width"], row["height"]))
    assert kept.getexif().get(274) is None


def test_a_film_behind_a_small_photograph_is_not_kept() -> None:
    photograph = saved(photo(300, 200))
    assert len(one(photograph + b"\0" * 2**20)["pixels"]) < 2**17


@pytest.mark.slow
def test_original_keeps_the_bytes_whatever_they_are_but_checks_them() -> None:
    params = IngestParams(image_px="original")
    data = saved(quadrants(2000, 900), "WEBP", exif=exif(6))
    row = one(data, params)
    assert row["pixels"] == data
    assert open_pixels(data).shape[:2] == (row["height"], row["width"]) == (2000, 900)
    assert one(data[:-500], params)["reason"] == "corrupt"


@pytest.mark.slow
def test_a_very_long_image_is_kept_small() -> None:
    row = one(saved(Image.new("RGB", (60_000, 100)), "PNG"))
    assert (row["width"], row["height"]) == (60_000, 100)
    assert open_pixels(row["pixels"]).shape == (10, 6144, 3)


def test_failed_rows_keep_what_is_known_of_them() -> None:
    whole = saved(photo(800, 600), exif=exif(t36867="2024:01:05 10:15:30"))
    row = one(whole[:-3000])
    assert (row["reason"], row["pixels"]) == ("truncated", None)
    assert (row["width"], row["height"], row["format"], row["date"]) == (800, 600, "jpeg", "2024-01-05")
    assert row["num_bytes"] == len(whole) - 3000
    assert row["content_hash"] is not None
    html = one(b"<html>", key="2024-01-06.png")
    assert (html["reason"], html["date"], html["width"]) == ("not_an_image", "2024-01-06", None)
    assert "HTML" in html["detail"]


def test_of_bytes_that_come_with_a_reason_the_header_alone_is_read() -> None:
    data = saved(photo(100, 90), exif=exif(t36867="2024:01:05 10:15:30"))
    row = one(data[:-500], reason="decoder_crashed", detail="SIGSEGV")  # decoding would say that it is cut
    assert (row["reason"], row["detail"], row["pixels"]) == ("decoder_crashed", "SIGSEGV", None)
    assert (row["width"], row["height"], row["date"]) == (100, 90, "2024-01-05")


def test_a_size_that_no_column_holds_is_left_out() -> None:
    bitmap = bytearray(saved(photo(), "BMP"))
    bitmap[18:22] = b"\xf0\xff\xff\xff"
    row = one(bytes(bitmap))
    assert (row["reason"] is not None, row["width"], row["num_bytes"]) == (True, None, len(bitmap))


def test_what_could_not_be_fetched_keeps_its_reason() -> None:
    row = one(None, reason="not_found", detail="404", date_value="2024-01-05")
    assert (row["reason"], row["detail"], row["date"], row["num_bytes"]) == ("not_found", "404", "2024-01-05", None)
    assert one(None)["reason"] == "io_error"


def test_limits() -> None:
    data = saved(photo(100, 100), exif=exif(t36867="2024:01:05 10:15:30"))
    refused = one(data, IngestParams(max_pixels=9999))
    assert (refused["reason"], refused["width"], refused["date"]) == ("too_many_pixels", 100, "2024-01-05")
    assert one(data, IngestParams(max_bytes=len(data) - 1))["reason"] == "too_large"


def test_an_undated_image_lies_in_the_partition_of_undated_images() -> None:
    row = one(saved(photo()), modified_at=dt.datetime(2024, 1, 5, 9, 0))
    assert (row["captured_at"], row["captured_at_source"], row["date"]) == (None, None, UNDATED)


def test_how_dates_are_read_can_be_set() -> None:
    data = saved(photo(), exif=exif(t36867="2024:05:05 03:15:30"))
    early = IngestParams(day_starts_at="04:00", period="month")
    assert one(data, early)["date"] == "2024-05-01"
    assert one(data, IngestParams(day_starts_at="04:00"))["date"] == "2024-05-04"
    modified = one(saved(photo()), IngestParams(date_from_modified=True), modified_at=dt.datetime(2024, 1, 5, 9, 0))
    assert (modified["captured_at_source"], modified["date"]) == ("modified", "2024-01-05")
    zoned = one(data, IngestParams(timezone="Asia/Tokyo"), date_value="2024-05-05T20:00:00Z")
    assert (zoned["captured_at"], zoned["utc_offset_minutes"]) == (dt.datetime(2024, 5, 6, 5, 0), 540)
    late = IngestParams(plausible_dates=(dt.date(2024, 6, 1), dt.date(2024, 7, 1)))
    aside = one(data, late)
    assert (aside["date"], aside["captured_at_source"], aside["reason"]) == (UNDATED, "implausible", None)
    assert aside["detail"] == "exif_original 2024-05-05 03:15:30 is not within ingest.plausible_dates"
    assert one(data, IngestParams(period=7))["date"] == one(data, IngestParams(period="week"))["date"] == "2024-04-29"


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_px": 0},
        {"image_px": "big"},
        {"day_starts_at": "24:00"},
        {"day_starts_at": "4"},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"period": "decade"},
        {"period": 0},
        {"period": 366},
        {"plausible_dates": ("1900-01-01", "2000-01-01")},
        {"plausible_dates": ("2001-01-01", "2000-01-01")},
        {"unknown": 1},
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IngestParams(**wrong)


GOOD = saved(photo(40, 30), exif=exif(t36867="2024:01:05 10:15:30"))
CONTENTS = {
    "good": GOOD,
    "png": saved(photo(40, 30, seed=1), "PNG"),
    "cut": GOOD[:-300],
    "html": b"<html>",
    "empty": b"",
    "bomb": saved(Image.new("1", (4000, 4000)), "PNG"),
    "absent": None,
}


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(st.sampled_from(sorted(CONTENTS)), max_size=8), st.integers(0, 8))
def test_no_row_is_lost_or_disturbed_by_its_neighbours(kinds: list[str], cut: int) -> None:
    params = IngestParams(max_pixels=10**6)
    rows = [an_object(f"{kind}/{i}.jpg", CONTENTS[kind]) for i, kind in enumerate(kinds)]
    together = ingest(objects(*rows), params)
    assert together["image_id"].to_pylist() == [row["image_id"] for row in rows]
    parts = [ingest(objects(*part), params) for part in (rows[:cut], rows[cut:])]
    assert pa.concat_tables(parts).equals(together)
    for kind, row in zip(kinds, together.to_pylist(), strict=True):
        assert (row["reason"] is None) == (kind in ("good", "png")) == (row["pixels"] is not None)
        assert row["reason"] is None or Reason(row["reason"])


def test_duplicates_point_to_the_smallest_id_and_failures_to_nothing() -> None:
    same, other = saved(photo(20, 20)), saved(photo(20, 20, seed=1))
    keys = ["a", "b", "c", "d", "e", "f"]
    contents = [same, other, same, same, b"broken", b"broken"]
    rows = ingest(objects(*(an_object(key, data) for key, data in zip(keys, contents, strict=True))), DEFAULT)
    rows = rows.drop_columns(["date"]).sort_by("image_id")
    flagged = IMAGES.check(flag_duplicates(rows))
    found = dict(zip(flagged["image_id"].to_pylist(), flagged["duplicate_of"].to_pylist(), strict=True))
    first, *copies = sorted(image_id(key) for key in "acd")
    assert [found[copy] for copy in copies] == [first, first]
    assert {found[image_id(key)] for key in "bef"} | {found[first]} == {None}
    assert flag_duplicates(flagged).equals(flagged)
    assert flag_duplicates(rows.slice(0, 0)).num_rows == 0


def test_two_regions_of_one_photograph_are_no_duplicates() -> None:
    rows = ingest(objects(an_object("a", GOOD), an_object("b", GOOD)), DEFAULT).drop_columns(["date"])
    boxes = [{"x": x, "y": 0, "width": 5, "height": 5} for x in (0, 5)]
    at = rows.schema.get_field_index("region")
    rows = rows.set_column(at, rows.schema.field(at), pa.array(boxes, rows.schema.field(at).type))
    assert flag_duplicates(rows)["duplicate_of"].to_pylist() == [None, None]
