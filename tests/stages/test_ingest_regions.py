"""Several images of one photograph: boxes of a manifest, and faces."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.compute import decoding
from pipeline.compute.decoding import open_pixels
from pipeline.schemas import IMAGES
from pipeline.stages.ingest import OBJECTS, WANTED, ingest
from pipeline.stages.ingest_params import IngestParams
from tests.compute.test_faces import astronaut
from tests.objects import objects
from tests.pictures import exif, photo, saved

Box = tuple[float, float, float, float]


def regions(data: bytes, *boxes: Box | None, **params: Any) -> list[dict[str, Any]]:
    """The rows of one photograph of which these regions are wanted."""
    sides = ("x", "y", "width", "height")
    wanted = [
        {"image_id": f"{at:032x}", "object_version": f"v{at}", "box": box and dict(zip(sides, box, strict=True))}
        for at, box in enumerate(boxes)
    ]
    row = {"key": "a.jpg", "uri": "memory:///a.jpg", "bytes": data}
    columns = {name: pa.array([row.get(name)], kind) for name, kind in OBJECTS.items() if name != "images"}
    lists = pa.array([[{name: one.get(name) for name in WANTED} for one in wanted]], OBJECTS["images"])
    rows = ingest(pa.table({**columns, "images": lists}), IngestParams(**params))
    IMAGES.check(rows.drop_columns(["date"]).sort_by("image_id"))
    return rows.to_pylist()


def test_every_box_is_an_image_of_its_own_and_a_bad_one_disturbs_no_other() -> None:
    data = saved(photo(200, 100), exif=exif(t36867="2024:01:05 10:15:30"))
    first, whole, bad = regions(data, (10, 20, 40, 30), None, (500, 0, 10, 10))
    assert first["region"] == {"x": 10, "y": 20, "width": 40, "height": 30}
    assert (first["width"], first["height"], first["uri"], first["date"]) == (200, 100, "memory:///a.jpg", "2024-01-05")
    assert open_pixels(first["pixels"]).shape == (30, 40, 3)
    assert (whole["region"], whole["pixels"], whole["reason"]) == (None, data, None)
    assert (bad["region"], bad["pixels"], bad["reason"], bad["date"]) == (None, None, "bad_region", "2024-01-05")
    assert bad["detail"] == "500,0,10,10 in pixels lies outside 200x100 pixels"
    assert [row["object_version"] for row in (first, whole, bad)] == ["v0", "v1", "v2"]


def test_what_is_wrong_with_the_photograph_is_wrong_with_each_region() -> None:
    rows = regions(saved(photo(200, 100))[:-900], (0, 0, 10, 10), (5, 5, 10, 10))
    assert [(row["reason"], row["width"]) for row in rows] == [("truncated", 200)] * 2


def test_a_photograph_is_decoded_once_however_many_regions_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    real = decoding.read_pixels
    monkeypatch.setattr(decoding, "read_pixels", lambda *given: decoded.append(1) or real(*given))
    rows = regions(saved(photo(200, 100)), *[(x, 0, 10, 10) for x in range(50)], None)
    assert (len(rows), len(decoded)) == (51, 1)


def test_fractions_are_of_the_upright_photograph() -> None:
    data = saved(photo(100, 200), exif=exif(6))  # 200 wide, 100 high
    (row,) = regions(data, (0.5, 0.25, 0.5, 0.5), box_unit="fractions")
    assert row["region"] == {"x": 100, "y": 25, "width": 100, "height": 50}


@pytest.mark.slow
@settings(max_examples=30)
@given(
    st.tuples(st.integers(0, 150), st.integers(0, 80), st.integers(1, 50), st.integers(1, 20)),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([16, 30, 384, "original"]),
)
def test_a_region_equals_cropping_first(box: Box, orientation: int, margin: float, image_px: int | str) -> None:
    """Whatever the turn, the margin and the size: byte for byte what the cropped picture gives."""
    turned = saved(photo(200, 100) if orientation < 5 else photo(100, 200), "PNG", exif=exif(orientation))
    (row,) = regions(turned, box, region_margin=margin, image_px=image_px)
    upright = Image.fromarray(open_pixels(turned))
    x, y, width, height = box
    across, down = int(margin * width + 0.5), int(margin * height + 0.5)
    sides = (max(0, x - across), max(0, y - down), min(200, x + width + across), min(100, y + height + down))
    cropped = saved(upright.crop(sides), "TIFF")
    (alone,) = regions(cropped, None, image_px=image_px)
    if image_px == "original":
        assert np.array_equal(open_pixels(row["pixels"]), open_pixels(cropped))
    else:
        assert row["pixels"] == alone["pixels"]


@pytest.mark.slow
def test_faces_are_found_and_a_photograph_without_one_is_a_row() -> None:
    two = saved(Image.fromarray(np.concatenate([astronaut(), astronaut()[:, ::-1]], axis=1)), "PNG")
    rows = regions(two, None, regions="faces", face_score=1.0)
    assert [row["reason"] for row in rows] == [None, None]
    assert [round(row["region"]["x"], -2) for row in rows] == [200, 800]
    assert len({row["image_id"] for row in rows} | {f"{0:032x}"}) == 3
    assert rows == regions(two, None, regions="faces", face_score=1.0)
    (none,) = regions(saved(photo(200, 100)), None, regions="faces")
    assert (none["reason"], none["image_id"], none["width"]) == ("no_face", f"{0:032x}", 200)
    (cut,) = regions(two[:1000], None, regions="faces")
    assert cut["reason"] in ("truncated", "corrupt")


@pytest.mark.slow
def test_metadata_goes_with_each_face() -> None:
    two = saved(Image.fromarray(np.concatenate([astronaut(), astronaut()[:, ::-1]], axis=1)), "PNG")
    given = [{"key": key, "uri": key, "image_id": key, "object_version": "", "bytes": two} for key in ("a", "b")]
    params = IngestParams(regions="faces", face_score=1.0)
    found = ingest(objects(*given, metadata=[{"plot": 7}, {"plot": 8}]), params)
    assert [row["plot"] for row in found["metadata"].to_pylist()] == [7, 7, 8, 8]
