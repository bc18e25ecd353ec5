"""One collection in every form it may come in, and what archives have of their own."""

import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.compute.identity import image_id
from pipeline.errors import UserError
from pipeline.runtime import fetching
from pipeline.runtime.members import Range, together
from pipeline.stages.fingerprint import Fingerprinter, FingerprintParams
from tests.pictures import exif, photo, saved
from tests.runtime.runs import ingested

pytestmark = pytest.mark.slow

FILES = {
    "a/one.jpg": saved(photo(), exif=exif(t36867="2024:01:05 10:15:30")),
    "a/two.png": saved(photo(seed=1), "PNG"),
    "b/2024-01-06 three.webp": saved(photo(seed=2), "WEBP", lossless=True),
    "b/broken.jpg": saved(photo(seed=3))[:-300],
}
SAID: dict[str, dict[str, Any]] = {
    "a/one.jpg": {"image_id": "7", "plot": 1},
    "a/two.png": {"image_id": "8", "plot": 2, "captured_at": "2024-01-07T08:00:00"},
    "b/2024-01-06 three.webp": {"image_id": "9", "plot": 3},
    "b/broken.jpg": {"image_id": "10", "plot": 4},
}


def folder(root: Path, files: dict[str, bytes] = FILES) -> Path:
    for key, data in files.items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data)
    return root


def with_sidecars(suffix: Callable[[str], str]) -> dict[str, bytes]:
    return {**FILES, **{suffix(key): json.dumps(said).encode() for key, said in SAID.items()}}


def tar(path: Path, files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def parquet(path: Path, hugging_face: bool) -> Path:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())]) if hugging_face else pa.binary()
    images = [{"bytes": data, "path": key} if hugging_face else data for key, data in FILES.items()]
    rows = pa.table({"image": pa.array(images, kind)})
    for name in ("image_id", "plot", "captured_at"):
        rows = rows.append_column(name, pa.array([SAID[key].get(name) for key in FILES]))
    if not hugging_face:
        rows = rows.append_column("path", pa.array(list(FILES)))
    pq.write_table(rows, path, row_group_size=3)
    return path


def manifest_lines(path: Path) -> Path:
    path.write_text("\n".join(json.dumps({"path": key, **said}) for key, said in SAID.items()))
    return path


FORMS: dict[str, Callable[[Path], tuple[Path, Path | None]]] = {
    "folder and manifest": lambda at: (folder(at / "f"), manifest_lines(at / "m.jsonl")),
    "folder and sidecars": lambda at: (folder(at / "f", with_sidecars(lambda key: f"{key}.json")), None),
    "folder and short sidecars": lambda at: (
        folder(at / "f", with_sidecars(lambda key: key.rsplit(".", 1)[0] + ".json")),
        None,
    ),
    "tar": lambda at: (tar(at / "x.tar", with_sidecars(lambda key: f"{key}.json")), None),
    "old tar": lambda at: (tar(at / "x.tar", with_sidecars(lambda key: f"{key}.json"), tarfile.GNU_FORMAT), None),
    "zip": lambda at: (zipped(at / "x.zip", with_sidecars(lambda key: f"{key}.json")), None),
    "stored zip": lambda at: (zipped(at / "x.zip", with_sidecars(lambda key: f"{key}.json"), zipfile.ZIP_STORED), None),
    "Parquet": lambda at: (parquet(at / "x.parquet", hugging_face=False), None),
    "Hugging Face": lambda at: (parquet(at / "x.parquet", hugging_face=True), None),
}


def known(found: pa.Table) -> list[dict[str, Any]]:
    """What the form must not change: all but where it lies and how its version is told."""
    rows = found.drop_columns(["uri", "object_version", "metadata"]).sort_by("image_id").to_pylist()
    metadata = {row["image_id"]: row["metadata"] for row in found.to_pylist()}
    return [{**row, "plot": metadata[row["image_id"]]["plot"]} for row in rows]


def vectors(found: pa.Table) -> list[Any]:
    rows = found.sort_by("image_id")
    return Fingerprinter(FingerprintParams(extractor="raw_pixels"))(rows)["vector"].to_pylist()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    at = tmp_path_factory.mktemp("expected")
    return ingested(folder(at / "f"), at / "ws", manifest=manifest_lines(at / "m.jsonl"))


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_a_collection_carries_no_information(form: str, tmp_path: Path, expected: pa.Table) -> None:
    collection, manifest = FORMS[form](tmp_path)
    found = ingested(collection, tmp_path / "ws", manifest=manifest)
    assert sorted(found["image_id"].to_pylist()) == sorted(image_id(said["image_id"]) for said in SAID.values())
    assert known(found) == known(expected)
    assert vectors(found) == vectors(expected)
    by_id = {row["image_id"]: row for row in found.to_pylist()}
    assert [by_id[image_id(name)]["reason"] for name in ("7", "8", "9", "10")] == [None, None, None, "truncated"]
    assert str(by_id[image_id("8")]["captured_at"]) == "2024-01-07 08:00:00"


BOXED = {"x": 8, "y": 4, "width": 16, "height": 12}


@pytest.mark.parametrize("form", ["tar", "zip", "Parquet"])
def test_boxes_in_an_archive_are_those_of_a_manifest(form: str, tmp_path: Path) -> None:
    said = {"a/one.jpg": BOXED, "a/two.png": {}}
    files = {key: FILES[key] for key in said}
    sidecars = {f"{key}.json": json.dumps(row).encode() for key, row in said.items()}
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps({"path": key, **row}) for key, row in said.items()))
    expected = ingested(folder(tmp_path / "f", files), tmp_path / "ws1", manifest=tmp_path / "m.jsonl")
    if form == "Parquet":
        rows = pa.Table.from_pylist([{"path": key, "image": files[key], **BOXED, **row} for key, row in said.items()])
        whole = pa.array([key == "a/two.png" for key in said])
        for side in BOXED:
            values = pc.if_else(whole, None, rows[side])
            rows = rows.set_column(rows.schema.get_field_index(side), side, values)
        pq.write_table(rows, tmp_path / "x.parquet")
        found = ingested(tmp_path / "x.parquet", tmp_path / "ws2")
    else:
        make = tar if form == "tar" else zipped
        found = ingested(make(tmp_path / f"x.{form}", {**files, **sidecars}), tmp_path / "ws2")
    columns = ["region", "width", "height", "pixels", "captured_at"]
    assert found["region"].to_pylist() == [BOXED, None]
    assert found.select(columns).equals(expected.select(columns))


@pytest.mark.parametrize("make", [tar, zipped])
@pytest.mark.parametrize("column", ["path", "uri"])
def test_a_manifest_may_name_members_of_archives_with_boxes(make: Any, column: str, tmp_path: Path) -> None:
    kind, rest = "tar" if make is tar else "zip", {"x": "", "y": "", "width": "", "height": ""}
    shard = f"00.{kind}"
    folder(tmp_path / "f" / shard)
    (tmp_path / "s").mkdir()
    make(tmp_path / "s" / shard, {**FILES, "a/0007": FILES["a/one.jpg"]})
    uris = {key: f"{kind}://{key}::file://{tmp_path}/s/{shard}" for key in FILES}
    other = {**BOXED, "x": 0}
    wanted = [("a/one.jpg", BOXED), ("a/one.jpg", other), ("a/two.png", rest)]
    for name, place in (("files", "path"), ("members", column)):
        places = [uris[key] if place == "uri" else f"{shard}/{key}" for key, _ in wanted]
        rows = [
            f"{at},{','.join(map(str, box.values()))},{n}"
            for n, (at, (_, box)) in enumerate(zip(places, wanted, strict=True))
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join([f"{place},x,y,width,height,plot", *rows]))
    expected = ingested(tmp_path / "f", tmp_path / "ws1", manifest=tmp_path / "files.csv")
    found = ingested(tmp_path / "s", tmp_path / "ws2", f"ingest.source={kind}", manifest=tmp_path / "members.csv")
    columns = ["image_id", "region", "content_hash", "captured_at", "pixels", "metadata", "reason"]
    assert found.num_rows == 3
    assert found.select(columns).equals(expected.select(columns))
    assert {row["uri"] for row in found.to_pylist()} == {uris["a/one.jpg"], uris["a/two.png"]}


def test_members_that_a_manifest_names_and_that_are_not_there(tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar", {"a/0007": FILES["a/one.jpg"]})
    (tmp_path / "m.csv").write_text("path\na/0007\na/gone.jpg\n")
    with pytest.raises(UserError, match=r"1 of the 2 images that the manifest names are not there: a/gone\.jpg"):
        ingested(path, tmp_path / "ws", manifest=tmp_path / "m.csv")
    keep = ("ingest.on_absent=keep", "resources.max_failed_fraction=1")
    found = ingested(path, tmp_path / "ws", *keep, manifest=tmp_path / "m.csv")
    assert dict(zip(found["image_id"].to_pylist(), found["reason"].to_pylist(), strict=True)) == {
        image_id("a/0007"): None,
        image_id("a/gone.jpg"): "not_found",
    }
    (tmp_path / "m.csv").write_text("path\nnone.jpg\n")
    with pytest.raises(UserError, match=r"none of the 1 images .* e\.g\. none\.jpg\n.*such as a/0007"):
        ingested(path, tmp_path / "ws", manifest=tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("path\nx.tar/a/0007\n")
    with pytest.raises(UserError, match=r"members of archives.*x\.tar/a/0007.*\nset ingest\.source=tar"):
        ingested(tmp_path, tmp_path / "ws2", manifest=tmp_path / "m.csv")


def test_without_ids_members_are_called_by_their_names_and_shards_go_before_them(tmp_path: Path) -> None:
    folder(tmp_path / "f")
    tar(tmp_path / "shards/00.tar", {"./a/one.jpg": FILES["a/one.jpg"], "b/notes.md": b"x"})
    tar(tmp_path / "shards/deep/01.tar", {"a/one.jpg": FILES["a/two.png"]})
    plain = ingested(tmp_path / "f", tmp_path / "ws1")
    alone = ingested(tmp_path / "shards/00.tar", tmp_path / "ws2")
    assert alone["image_id"].to_pylist() == [image_id("a/one.jpg")]
    assert image_id("a/one.jpg") in plain["image_id"].to_pylist()
    assert alone["uri"].to_pylist() == [f"tar://./a/one.jpg::file://{tmp_path}/shards/00.tar"]
    shards = ingested(tmp_path / "shards", tmp_path / "ws3", "ingest.source=tar")
    names = [image_id("00.tar/a/one.jpg"), image_id("deep/01.tar/a/one.jpg")]
    assert sorted(shards["image_id"].to_pylist()) == sorted(names)


def test_text_and_class_beside_a_member_are_metadata(tmp_path: Path) -> None:
    image = FILES["a/one.jpg"]
    files = {"00.jpg": image, "00.txt": b"a cat", "00.cls": b"3\n", "01.jpg": image + b"0", "01.json": b'{"cls": 4}'}
    found = ingested(tar(tmp_path / "x.tar", files), tmp_path / "ws")
    assert found["metadata"].to_pylist() == [{"cls": 3, "txt": "a cat"}, {"cls": 4, "txt": None}]
    plain = ingested(tmp_path / "x.tar", tmp_path / "ws2", "ingest.sidecars=false")
    assert "metadata" not in plain.column_names


@pytest.fixture
def read_ranges(monkeypatch: pytest.MonkeyPatch) -> list[Range]:
    """What is read of files from now on."""
    asked: list[Range] = []
    real = fetching._read_local
    monkeypatch.setattr(fetching, "_read_local", lambda one: asked.append(one) or real(one))
    return asked


def test_of_a_changed_zip_only_what_changed_is_read_again(tmp_path: Path, read_ranges: list[Range]) -> None:
    many = {f"{n:03}.png": saved(photo(64, 64, seed=n), "PNG") for n in range(40)}
    path = zipped(tmp_path / "x.zip", many)
    first = ingested(path, tmp_path / "ws")
    assert first.num_rows == 40
    assert len(read_ranges) < 5  # neighbours together, and never the archive for each
    read_ranges.clear()
    assert ingested(path, tmp_path / "ws").equals(first)
    assert read_ranges == []
    zipped(path, {**many, "007.png": saved(photo(64, 64, seed=99), "PNG"), "new.png": many["001.png"]})
    second = ingested(path, tmp_path / "ws")
    assert second.num_rows == 41
    assert sum(one.end - one.start for one in read_ranges) < path.stat().st_size // 4
    hashes = [dict(zip(t["image_id"].to_pylist(), t["content_hash"].to_pylist(), strict=True)) for t in (first, second)]
    assert [key for key in many if hashes[0][image_id(key)] != hashes[1][image_id(key)]] == ["007.png"]


def test_a_tar_that_changed_is_read_again_and_what_went_is_marked(tmp_path: Path, read_ranges: list[Range]) -> None:
    many = {f"{n}.png": saved(photo(8, 8, seed=n), "PNG") for n in range(3)}
    path = tar(tmp_path / "x.tar", many)
    ingested(path, tmp_path / "ws")
    assert sum(one.end - one.start for one in read_ranges) <= path.stat().st_size
    del many["1.png"]
    tar(path, {**many, "3.png": saved(photo(8, 8, seed=3), "PNG")})
    found = ingested(path, tmp_path / "ws")
    assert {Path(row["uri"].split("::")[0]).name: row["vanished"] for row in found.to_pylist()} == {
        "0.png": False,
        "1.png": True,
        "2.png": False,
        "3.png": False,
    }


@pytest.mark.parametrize("make", [tar, zipped])
def test_a_name_that_leads_out_of_the_archive_is_a_name_like_any_other(tmp_path: Path, make: Any) -> None:
    names = ["up.jpg", "../up.jpg", "/from/root.jpg", "a/../../b.jpg", "..b.jpg", ".hidden/../c.jpg"]
    archive = make(tmp_path / ("x.tar" if make is tar else "x.zip"), {name: saved(photo()) for name in names})
    found = ingested(archive, tmp_path / "ws")
    assert sorted(found["image_id"].to_pylist()) == sorted(map(image_id, names[:4]))
    assert found["reason"].null_count == 4


def test_members_that_lie_side_by_side_are_read_together() -> None:
    near, far = [(0, 10), (20, 30), (5000, 6000)], [(10**6, 10**6 + 5)]
    assert together([*far, *near]) == [(0, 6000, [1, 2, 3]), (10**6, 10**6 + 5, [0])]
    assert [len(rows) for _, _, rows in together([(n * 2**20, (n + 1) * 2**20) for n in range(20)])] == [8, 8, 4]


def damaged(tmp_path: Path) -> dict[str, Path]:
    image = {"a.jpg": FILES["a/one.jpg"]}
    whole = tar(tmp_path / "whole.tar", image).read_bytes()
    ends = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    found = {
        "cut.tar": whole[:900],
        "header.tar": whole[:ends] + b"?" * 99,
        "text.tar": b"hello" * 300,
        "packed.tar": gzip.compress(whole),
        "text.zip": b"hello" * 300,
        "empty.zip": zipped(tmp_path / "none.zip", {}).read_bytes(),
        "cut.zip": zipped(tmp_path / "whole.zip", image).read_bytes()[:-30],
        "text.parquet": b"hello" * 300,
        "nothing.tar": tar(tmp_path / "none.tar", {"a.txt": b""}).read_bytes(),
        "sidecar.tar": tar(tmp_path / "s.tar", {**image, "a.json": b"{"}).read_bytes(),
    }
    for name, data in found.items():
        (tmp_path / name).write_bytes(data)
    pq.write_table(pa.table({"image": [b"x", b"y"]}), tmp_path / "nameless.parquet")
    pq.write_table(pa.table({"a": [b"x"], "b": [b"y"], "path": ["z"]}), tmp_path / "two.parquet")
    pq.write_table(pa.table({"path": ["z"]}), tmp_path / "none.parquet")
    return {name: tmp_path / name for name in [*found, "nameless.parquet", "two.parquet", "none.parquet"]}


def test_what_is_wrong_with_an_archive_is_the_users_to_mend(tmp_path: Path) -> None:
    for path in damaged(tmp_path).values():
        with pytest.raises(UserError) as caught:
            ingested(path, tmp_path / "ws")
        assert str(caught.value).count("\n") <= 2
        assert "Traceback" not in str(caught.value)
    named = ingested(tmp_path / "two.parquet", tmp_path / "ws", "ingest.image_column=b", "ingest.source=parquet")
    assert named["reason"].to_pylist() == ["not_an_image"]


def test_members_that_cannot_be_unpacked_are_rows(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.png": FILES["a/two.png"], "b.png": FILES["a/two.png"]}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF  # within the first member's pixels: its checksum tells
    path.write_bytes(data)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("c.png", FILES["a/two.png"])
    assert ingested(path, tmp_path / "ws")["reason"].to_pylist() == ["corrupt", None, "unsupported_format"]


def test_a_manifest_beside_parquet_and_a_folder_of_archives_say_what_to_do(tmp_path: Path) -> None:
    path = tar(tmp_path / "in/x.tar", {"a.jpg": FILES["a/one.jpg"]})
    with pytest.raises(UserError, match=r"ingest\.source=tar"):
        ingested(path.parent, tmp_path / "ws")
    (tmp_path / "m.csv").write_text("path\na/one.jpg\n")
    with pytest.raises(UserError, match="a manifest names files"):
        ingested(parquet(tmp_path / "x.parquet", True), tmp_path / "ws", manifest=tmp_path / "m.csv")


KINDS: dict[str, tuple[bytes, str | None]] = {
    "good": (FILES["a/one.jpg"], None),
    "drawn": (FILES["a/two.png"], None),
    "cut": (FILES["a/one.jpg"][:-300], "truncated"),
    "empty": (b"", "empty"),
    "text": (b"<html>", "not_an_image"),
    "bomb": (saved(Image.new("1", (4000, 4000)), "PNG"), "too_many_pixels"),
}


@settings(max_examples=6)
@given(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=9), st.sampled_from(["folder", "tar", "zip"]))
def test_any_mix_of_broken_and_good_files_loses_no_row(kinds: list[str], form: str) -> None:
    files = {f"{kind}/{n}.jpg": KINDS[kind][0] for n, kind in enumerate(kinds)}
    with tempfile.TemporaryDirectory() as at:
        forms = {"folder": folder, "tar": tar, "zip": zipped}
        collection = forms[form](Path(at) / f"x.{form}", files)
        limits = ("ingest.max_pixels=1000000", "resources.max_failed_fraction=1", "resources.rows_per_fragment=4")
        found = ingested(collection, f"{at}/ws", *limits)
    reasons = dict(zip(found["image_id"].to_pylist(), found["reason"].to_pylist(), strict=True))
    assert reasons == {image_id(key): KINDS[key.split("/")[0]][1] for key in files}
