"""Several subjects in one photograph, through ingest: one download, rows that come and go by themselves."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipeline.compute.identity import image_id
from pipeline.errors import UserError
from pipeline.runtime import fetching
from pipeline.runtime.reading import units_of
from tests.compute.test_faces import astronaut
from tests.pictures import photo, saved
from tests.runtime.runs import ingested

pytestmark = pytest.mark.slow
BOXES = [(0, 0, 20, 20), (30, 0, 20, 20), (0, 25, 40, 20), (30, 25, 30, 20)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    for seed, name in enumerate(("a.jpg", "b.jpg", "c.jpg")):
        (root / name).write_bytes(saved(photo(seed=seed)))
    return root


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read from now on."""
    asked: list[str] = []
    real = fetching._read_local
    monkeypatch.setattr(fetching, "_read_local", lambda one: asked.append(Path(one.path).name) or real(one))
    return asked


def manifest(root: Path, *rows: str, header: str = "path,x,y,width,height,plot") -> Path:
    path = root.parent / "boxes.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def lines(name: str, boxes: list[tuple[int, ...]]) -> list[str]:
    return [f"{name},{','.join(map(str, box))},{at}" for at, box in enumerate(boxes)]


def rows_of(found: pa.Table) -> list[dict[str, Any]]:
    return found.to_pylist()


def test_regions_of_a_manifest_are_images_of_their_own_read_once(
    photos: Path, tmp_path: Path, reads: list[str]
) -> None:
    given = manifest(photos, *lines("a.jpg", BOXES), "b.jpg,,,,,9", *lines("c.jpg", BOXES[:1]))
    # A unit would hold two images: those of one photograph stay together all the same.
    found = ingested(photos, tmp_path / "ws", "resources.rows_per_fragment=2", manifest=given)
    assert sorted(reads) == ["a.jpg", "b.jpg", "c.jpg"]
    assert found.num_rows == 6
    assert found["reason"].null_count == 6
    boxes = [tuple(row["region"].values()) for row in rows_of(found) if row["uri"].endswith("a.jpg")]
    assert sorted(boxes) == sorted(BOXES)
    whole = next(row for row in rows_of(found) if row["uri"].endswith("b.jpg"))
    assert (whole["region"], whole["image_id"], whole["metadata"]) == (None, image_id("b.jpg"), {"plot": 9})
    assert image_id("a.jpg#30,0,20,20") in found["image_id"].to_pylist()


def test_a_region_comes_changes_and_goes_by_itself(photos: Path, tmp_path: Path, reads: list[str]) -> None:
    ingested(photos, tmp_path / "ws", manifest=manifest(photos, *lines("a.jpg", BOXES[:2]), "b.jpg,,,,,9"))
    reads.clear()
    more = manifest(photos, *lines("a.jpg", BOXES[:3]), "b.jpg,,,,,10")
    found = ingested(photos, tmp_path / "ws", manifest=more)
    assert reads == ["a.jpg"]
    assert found.num_rows == 4
    assert {"plot": 10} in found["metadata"].to_pylist()
    reads.clear()
    fewer = manifest(photos, *lines("a.jpg", BOXES[1:3]), "b.jpg,,,,,10")
    found = ingested(photos, tmp_path / "ws", "ingest.on_vanished=drop", manifest=fewer)
    assert (found.num_rows, reads) == (3, [])
    assert found.drop_columns(["metadata"]).equals(
        ingested(photos, tmp_path / "scratch", manifest=fewer).drop_columns(["metadata"])
    )


def test_a_box_that_does_not_fit_is_a_row(photos: Path, tmp_path: Path) -> None:
    found = rows_of(
        ingested(photos, tmp_path / "ws", manifest=manifest(photos, *lines("a.jpg", [*BOXES, (90, 0, 9, 9)])))
    )
    assert sorted(row["reason"] or "" for row in found) == ["", "", "", "", "bad_region"]


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        (["a.jpg,1,1,5,,1"], [], "row 1 has some of a box's numbers"),
        (["b.jpg,,,,,1", "a.jpg,1,1,0,5,1"], [], "row 2 has a box without an area"),
        (["a.jpg,1,1,-3,5,1"], [], "a box without an area"),
        (["a.jpg,one,1,5,5,1"], [], "the column 'x' holds something that is no number"),
        (["a.jpg,0.1,0.1,0.5,0.5,1", "b.jpg,0,0,1,1,1"], [], "ingest.box_unit=fractions"),
        (["a.jpg,1,1,5,5,1"], ["ingest.box_unit=fractions"], "a box beyond 1"),
        (["a.jpg,1,1,5,5,1", "a.jpg,0.1,0.1,0.5,0.5,2"], [], "row 2 has a box smaller than a pixel"),
        (["a.jpg,1,1,5,5,1", "a.jpg,1,1,5.0,5,2"], [], "'#1,1,5,5' twice, in rows 1 and 2"),
        (["a.jpg,1,1,5,5,1"], ["ingest.regions=faces"], "faces are looked for"),
        (["a.jpg,1,1,5,5,1"], ["ingest.box_columns=[left,y,width,height]"], "no column 'left'"),
    ],
)
def test_mistakes_in_boxes_are_told(
    photos: Path, tmp_path: Path, rows: list[str], settings: list[str], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        ingested(photos, tmp_path / "ws", *settings, manifest=manifest(photos, *rows))
    assert said in str(caught.value).replace(str(photos) + "/a.jpg", "")
    assert str(caught.value).count("\n") <= 2


def test_three_of_the_four_columns_are_metadata(photos: Path, tmp_path: Path) -> None:
    (row,) = rows_of(
        ingested(photos, tmp_path / "ws", manifest=manifest(photos, "a.jpg,1,2,3", header="path,x,y,width"))
    )
    assert (row["region"], row["metadata"]) == (None, {"width": 3, "x": 1, "y": 2})


def test_faces_of_a_folder_are_found_once_and_go_with_their_photograph(tmp_path: Path, reads: list[str]) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    two = np.concatenate([astronaut(), astronaut()[:, ::-1]], axis=1)
    Image.fromarray(two).save(root / "two.png")
    (root / "none.jpg").write_bytes(saved(photo(200, 100)))
    (root / "cut.jpg").write_bytes(saved(photo(200, 100, seed=1))[:-900])
    settings = ("ingest.regions=faces", "ingest.face_score=1", "ingest.region_margin=0.5", "ingest.image_px=64")
    found = ingested(root, tmp_path / "ws", *settings)
    assert [(Path(row["uri"]).name, row["reason"]) for row in rows_of(found)] == [
        ("cut.jpg", "truncated"),
        ("none.jpg", "no_face"),
        ("two.png", None),
        ("two.png", None),
    ]
    reads.clear()
    assert ingested(root, tmp_path / "ws", *settings).equals(found)
    assert reads == []
    (root / "two.png").unlink()
    assert ingested(root, tmp_path / "ws", *settings)["vanished"].to_pylist() == [False, False, True, True]
    (root / "cut.jpg").write_bytes(saved(photo(200, 100, seed=1)))
    found = ingested(root, tmp_path / "ws", *settings, "ingest.on_vanished=drop")
    assert [(Path(row["uri"]).name, row["reason"]) for row in rows_of(found)] == [
        ("cut.jpg", "no_face"),
        ("none.jpg", "no_face"),
    ]
    assert reads == ["cut.jpg"]


def test_units_hold_whole_photographs() -> None:
    uris = ["a"] * 3 + ["b"] + ["c"] * 5 + ["d", "e"]
    names = [str(at) for at in range(len(uris))]
    work = pa.table({"key": uris, "uri": uris, "image_id": names, "object_version": names, "date_value": names})
    units = list(units_of(work, 4))
    assert [unit["uri"].to_pylist() for unit in units] == [["a", "b"], ["c"], ["d", "e"]]
    found = [image["image_id"] for unit in units for images in unit["images"].to_pylist() for image in images]
    assert found == names
    assert list(units_of(work.slice(0, 0), 4)) == []
