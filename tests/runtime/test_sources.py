import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from pipeline.compute.identity import image_id
from pipeline.config import load_config
from pipeline.errors import ImagetracksError, UserError
from pipeline.runtime.manifest import read_manifest
from pipeline.runtime.sources import fetch, list_collection
from pipeline.stages.ingest_params import IngestParams, SourceParams
from tests.objects import held
from tests.pictures import photo, saved

DEFAULT = SourceParams()
ANYWHERE = SourceParams(outside="read")
IMAGE = saved(photo(8, 8))
COLUMNS = ["image_id", "key", "uri", "size", "object_version", "modified_at", "date_value"]


def put(root: Path, *keys: str) -> None:
    for key in keys:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(IMAGE)


def listed(root: Path, manifest: Path | None = None, params: SourceParams = DEFAULT) -> pa.Table:
    return list_collection(str(root), str(manifest) if manifest else None, params).objects.table()


def keys(root: Path, manifest: Path | None = None) -> list[str]:
    return list(listed(root, manifest)["key"].to_pylist())


def refused(root: Path, manifest: Path | None = None, params: SourceParams = DEFAULT) -> str:
    with pytest.raises(UserError) as caught:
        listed(root, manifest, params)
    message = str(caught.value)
    assert 1 <= message.count("\n") + 1 <= 3
    return message


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_folder_is_listed_by_key(tmp_path: Path) -> None:
    put(tmp_path, "b.jpg", "a/z.PNG", "a/é #%+=.Jpeg", "a b/c.tif", "Z.webp")
    objects = listed(tmp_path)
    assert objects.column_names == COLUMNS
    assert objects["key"].to_pylist() == ["Z.webp", "a b/c.tif", "a/z.PNG", "a/é #%+=.Jpeg", "b.jpg"]
    assert objects["image_id"].to_pylist() == [image_id(key) for key in objects["key"].to_pylist()]
    assert objects["uri"][4].as_py() == f"file://{tmp_path}/b.jpg"
    assert objects["size"].to_pylist() == [len(IMAGE)] * 5
    assert objects["date_value"].null_count == 5
    assert objects.schema.field("date_value").type == pa.string()
    assert objects.schema.field("modified_at").type == pa.timestamp("us")


def test_what_is_hidden_or_no_image_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "._a.jpg", ".hidden/b.jpg", "notes.txt", "jpg", "c.jpg.part", "d/.e.png")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    assert keys(tmp_path) == ["a.jpg"]


def test_suffixes_can_be_set(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.RAWX")
    assert listed(tmp_path, params=SourceParams(suffixes=(".rawx",)))["key"].to_pylist() == ["b.RAWX"]


def test_the_root_may_be_written_in_any_way_and_may_have_a_dot(tmp_path: Path) -> None:
    put(tmp_path / ".cache", "x/a.jpg")
    for root in (f"{tmp_path}/.cache", f"{tmp_path}/.cache/", f"file://{tmp_path}/.cache", f"{tmp_path}/./.cache/x/.."):
        assert list_collection(root, None, DEFAULT).objects.table()["key"].to_pylist() == ["x/a.jpg"]


def test_links_to_files_and_out_of_the_collection_are_followed_loops_are_not(tmp_path: Path) -> None:
    root, outside = tmp_path / "in", tmp_path / "out"
    put(root, "a.jpg", "sub/b.jpg")
    put(outside, "c.jpg")
    (root / "link.jpg").symlink_to(root / "a.jpg")
    (root / "loop").symlink_to(root)
    (root / "sub/up").symlink_to(tmp_path)
    (root / "twice").symlink_to(root / "sub")
    (root / "dead.jpg").symlink_to(root / "nowhere")
    (root / "elsewhere").symlink_to(outside)
    (root / "zzz").symlink_to(outside)
    (outside / "back").symlink_to(root)
    (outside / "self").symlink_to(outside)
    found = keys(root)
    assert found == ["a.jpg", "elsewhere/c.jpg", "link.jpg", "sub/b.jpg"]


def test_a_version_changes_with_the_content_and_only_then(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    first = listed(tmp_path)
    assert listed(tmp_path).equals(first)
    os.utime(tmp_path / "a.jpg", ns=(0, 1_700_000_000_123_456_789))
    second = listed(tmp_path)
    assert second["object_version"][0].as_py() == f"{len(IMAGE)}-1700000000123456789"
    assert second["object_version"][1] == first["object_version"][1]
    assert second["modified_at"][0].as_py() == dt.datetime(2023, 11, 14, 22, 13, 20, 123456)


def test_a_name_in_a_legacy_encoding_is_listed_with_escapes_and_read(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).write_bytes(IMAGE)
    objects, filesystem, _ = held(list_collection(str(tmp_path), None, DEFAULT))
    assert objects["key"].to_pylist() == ["a.jpg", "caf\\xe9.jpg"]
    assert fetch(objects, filesystem, 2)["reason"].to_pylist() == [None, None]


def test_a_missing_folder_a_file_and_an_empty_folder_are_the_users_mistake(tmp_path: Path) -> None:
    assert "found nothing" in refused(tmp_path / "no")
    put(tmp_path, "a.jpg")
    assert "found a file" in refused(tmp_path / "a.jpg")
    (tmp_path / "empty").mkdir()
    assert "nothing at all" in refused(tmp_path / "empty")
    for name in ("a.txt", "b.txt", "c.psd", "d"):
        (tmp_path / "empty" / name).touch()
    assert "2 .txt, 1 .psd, 1 without a suffix" in refused(tmp_path / "empty")


def test_a_manifest_says_what_is_an_image_when_and_what_else(tmp_path: Path) -> None:
    put(tmp_path, "x/b.jpg", "x/a.bin", "x/unnamed.jpg")
    manifest = written(
        tmp_path / "m.csv",
        'captured_at,weight,path,plot,label\n2024-01-05T10:15:30,1.5,./x/b.jpg,7,"new\nline"\n,2,x/a.bin,8,NA\n',
    )
    objects = listed(tmp_path, manifest)
    assert objects.column_names == [*COLUMNS, "metadata"]
    assert objects["key"].to_pylist() == ["x/a.bin", "x/b.jpg"]
    assert objects["date_value"].to_pylist() == [None, "2024-01-05T10:15:30"]
    assert objects["metadata"].to_pylist() == [
        {"label": "NA", "plot": 8, "weight": 2.0},
        {"label": "new\nline", "plot": 7, "weight": 1.5},
    ]
    assert (
        objects["object_version"].to_pylist()
        == listed(tmp_path, None, SourceParams(suffixes=("a.bin", "b.jpg")))["object_version"].to_pylist()
    )


def test_the_form_of_a_manifest_and_its_order_carry_no_information(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    rows: list[dict[str, Any]] = [
        {"path": f"{key}.jpg", "captured_at": f"2024-01-0{i + 1}T10:15:30", "plot": i, "name": f"n{i}", "ok": i > 1}
        for i, key in enumerate("abc")
    ]
    names = list(rows[0])
    lines = [",".join(str(row[name]).lower() if name == "ok" else str(row[name]) for name in names) for row in rows]
    forms = [
        written(tmp_path / "m.csv", "\ufeff" + "\n".join([",".join(names), *reversed(lines)])),
        written(tmp_path / "m.tsv", "\n".join([",".join(names), *lines]).replace(",", "\t")),
        written(tmp_path / "m.jsonl", "\n\n".join(json.dumps(dict(reversed(row.items()))) for row in rows)),
        tmp_path / "m.parquet",
        tmp_path / "typed.parquet",
    ]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table.select(sorted(names)), forms[3])
    times = pa.array([dt.datetime.fromisoformat(row["captured_at"]) for row in rows], pa.timestamp("ns"))
    table = table.set_column(1, "captured_at", times)
    table = table.set_column(2, "plot", table["plot"].cast(pa.uint8()))
    pq.write_table(table.set_column(3, "name", table["name"].dictionary_encode()), forms[4])
    first, *others = [listed(tmp_path, form) for form in forms]
    for other in others[:-1]:
        assert other.equals(first)
    assert others[-1].drop_columns(["date_value"]).equals(first.drop_columns(["date_value"]))
    assert [value.replace(" ", "T") for value in others[-1]["date_value"].to_pylist()] == first[
        "date_value"
    ].to_pylist()


def test_ids_of_a_manifest_name_its_images_for_good(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    manifest = written(tmp_path / "m.csv", "path,image_id\na.jpg,007\nb.jpg,8\n")
    objects = listed(tmp_path, manifest)
    assert objects["image_id"].to_pylist() == [image_id("007"), image_id("8")]
    assert objects["metadata"].to_pylist() == [{"image_id": "007"}, {"image_id": "8"}]


def test_uris_may_lie_anywhere_and_within_the_root_have_its_keys(tmp_path: Path) -> None:
    put(tmp_path / "root", "a.jpg", "b.jpg")
    put(tmp_path / "other", "c.jpg")
    places = ["a.jpg", f"file://{tmp_path}/root/b.jpg", str(tmp_path / "other/c.jpg")]
    manifest = written(tmp_path / "m.jsonl", "\n".join(json.dumps({"uri": place}) for place in places))
    objects, filesystem, _ = held(list_collection(str(tmp_path / "root"), str(manifest), ANYWHERE))
    assert objects["key"].to_pylist() == ["a.jpg", "b.jpg", f"file://{tmp_path}/other/c.jpg"]
    assert fetch(objects, filesystem, 2)["bytes"].to_pylist() == [IMAGE] * 3


def test_an_absent_object_is_a_row_unless_all_are(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    objects, filesystem, _ = held(
        list_collection(str(tmp_path), str(written(tmp_path / "m.csv", "path\na.jpg\nb.jpg\n")), DEFAULT)
    )
    assert objects["object_version"][1].as_py() == "absent"
    assert objects["size"].to_pylist() == [len(IMAGE), None]
    assert fetch(objects, filesystem, 2)["reason"].to_pylist() == [None, "not_found"]
    assert "none of the 2 images" in refused(tmp_path, written(tmp_path / "n.csv", "path\nx/a.jpg\nx/b.jpg\n"))


@pytest.mark.parametrize(
    "place", ["../out.jpg", "a/../../out.jpg", "/etc/hostname", "file:///etc/hostname", "s3://b/k", ".."]
)
def test_no_path_leaves_the_collection(tmp_path: Path, place: str) -> None:
    put(tmp_path, "in/a.jpg", "out.jpg")
    message = refused(tmp_path / "in", written(tmp_path / "m.csv", f"path\na.jpg\n{place}\n"))
    assert "row 2 of the manifest leaves the collection" in message


@pytest.mark.parametrize(
    "place",
    [
        "../out.jpg",
        "a/../../out.jpg",
        "{tmp}/out.jpg",
        "{tmp}/in/../out.jpg",
        "file://{tmp}/out.jpg",
        "local://{tmp}/out.jpg",
        "file://{tmp}/in/%2e%2e/../../out.jpg",
        "link.jpg",
        "linked/out.jpg",
        "file://{tmp}/in/link.jpg",
        "FILE://{tmp}/out.jpg",
        "{tmp}/inside out.jpg",
        "zip://out.jpg::file://{tmp}/out.zip",
        "simplecache::file://{tmp}/out.jpg",
        "memory://x::file://{tmp}/out.jpg",
        "github://org:repo@main/a.jpg",
        "reference://a.jpg",
        "ftp://127.0.0.1:9/x.jpg",
        "a\0.jpg",
    ],
)
def test_no_uri_leaves_the_collection_unless_asked(tmp_path: Path, place: str) -> None:
    put(tmp_path, "in/a.jpg", "out.jpg", "inside out.jpg")
    (tmp_path / "in/link.jpg").symlink_to(tmp_path / "out.jpg")
    (tmp_path / "in/linked").symlink_to(tmp_path)
    place = place.format(tmp=tmp_path)
    manifest = written(tmp_path / "m.jsonl", "\n".join(json.dumps({"uri": one}) for one in ("a.jpg", place)))
    message = refused(tmp_path / "in", manifest)
    assert "row 2 of the manifest names" in message
    assert "ingest.outside=read" in message


@pytest.mark.parametrize("place", ["link.jpg", "linked/out.jpg", "linked/in/../out.jpg", "linked/in/link.jpg"])
def test_no_path_leaves_the_collection_by_a_link_unless_asked(tmp_path: Path, place: str) -> None:
    put(tmp_path, "in/a.jpg", "out.jpg")
    (tmp_path / "in/link.jpg").symlink_to(tmp_path / "out.jpg")
    (tmp_path / "in/linked").symlink_to(tmp_path)
    message = refused(tmp_path / "in", written(tmp_path / "m.csv", f"path\na.jpg\n{place}\n"))
    assert "row 2 of the manifest" in message
    if ".." not in place:
        assert listed(tmp_path / "in", written(tmp_path / "m.csv", f"path\n{place}\n"), ANYWHERE).num_rows == 1


def test_links_within_the_collection_are_no_way_out(tmp_path: Path) -> None:
    put(tmp_path, "real/x/a.jpg", "real/x/b.jpg")
    (tmp_path / "real/y").symlink_to("x")
    (tmp_path / "real/x/c.jpg").symlink_to("a.jpg")
    (tmp_path / "alias").symlink_to("real")  # the collection itself may be named by a link
    manifest = written(tmp_path / "m.csv", "path\nx/a.jpg\ny/b.jpg\nx/c.jpg\nx/absent.jpg\n")
    assert keys(tmp_path / "alias", manifest) == ["x/a.jpg", "x/absent.jpg", "x/c.jpg", "y/b.jpg"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("zip://a::file:///none.zip", "row 2 of the manifest cannot be opened"),
        ("nosuch://x", "row 2 of the manifest: cannot open nosuch://"),
        ("s3://k:Pl4nted@b/x", "row 2 of the manifest: found a user"),
        ("s3://b/x.jpg", "cannot look up row 2 of the manifest, s3://b/x.jpg: NoCredentialsError"),
    ],
)
def test_a_row_that_cannot_be_opened_is_told_as_that_row(
    tmp_path: Path, place: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_credentials(monkeypatch)
    put(tmp_path, "a.jpg")
    message = refused(tmp_path, written(tmp_path / "m.csv", f"uri\na.jpg\n{place}\n"), ANYWHERE)
    assert said in message
    assert "Pl4nted" not in message


def forget_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nowhere = {"AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_CONFIG_FILE": "/dev/null"}
    for name, value in {**nowhere, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("what", ["config", "manifest"])
def test_a_store_without_credentials_is_told_by_what_lies_there(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_credentials(monkeypatch)
    with pytest.raises(UserError, match=f"the {what} s3://b/x.csv: found no credentials"):
        load_config("s3://b/x.csv") if what == "config" else read_manifest("s3://b/x.csv", DEFAULT)


def test_a_store_that_does_not_answer_is_the_rows(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    manifest = written(tmp_path / "m.csv", "uri\na.jpg\nftp://127.0.0.1:9/x.jpg\n")
    with pytest.raises(ImagetracksError, match="row 2 of the manifest: the store does not answer"):
        listed(tmp_path, manifest, ANYWHERE)


def test_a_workspace_in_the_collection_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "ws/x.jpg", "ws/images/y.jpg", "ws2/z.jpg", "deep/er/ws/v.jpg", "deep/er/w.jpg")
    for folder in ("ws", "deep/er/ws"):
        (tmp_path / folder / "imagetracks.json").write_text("{}")
    assert keys(tmp_path) == ["a.jpg", "deep/er/w.jpg", "ws2/z.jpg"]
    assert keys(tmp_path / "ws") == ["images/y.jpg", "x.jpg"]  # asked for by name
    memory = fsspec.filesystem("memory")
    memory.pipe({f"/nested/{path.relative_to(tmp_path)}": b"x" for path in tmp_path.rglob("*.j*")})
    found = list_collection("memory://nested", None, DEFAULT).objects.table()["key"].to_pylist()
    assert found == ["a.jpg", "deep/er/w.jpg", "ws2/z.jpg"]


def test_a_folder_that_cannot_be_read_is_told_and_one_that_went_away_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "a.jpg", "denied/b.jpg", "gone/c.jpg", "z/d.jpg")
    real = os.scandir

    def scandir(folder: str) -> Any:
        if folder.endswith("/denied"):
            raise PermissionError(13, "Permission denied", folder)
        if folder.endswith("/gone"):
            raise FileNotFoundError(2, "No such file or directory", folder)
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert keys(tmp_path) == ["a.jpg", "z/d.jpg"]
    assert [f"{tmp_path}/denied" in record.getMessage() for record in caplog.records] == [True]
    with pytest.raises(UserError, match="cannot list the collection"):
        listed(tmp_path / "denied")


def test_an_absolute_path_within_the_root_stays_in_it(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    assert keys(tmp_path, written(tmp_path / "m.csv", f"path\n{tmp_path}/a.jpg\n")) == ["a.jpg"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("m.csv", "Path,x\na.jpg,1\n", "the nearest is 'Path'"),
        ("m.csv", "file_path,x\na.jpg,1\n", "the nearest is 'file_path'"),
        ("m.csv", "path;x\na.jpg;1\n", "expected commas"),
        ("m.csv", "path,x\n", "no rows"),
        ("m.csv", "", "cannot read the manifest"),
        ("m.csv", "path,x\na.jpg\n", "as many fields in every row"),
        ("m.csv", "path,x,x\na.jpg,1,2\n", "more than once"),
        ("m.csv", 'path\na.jpg\n""\n', "row 2 has no path"),
        ("m.csv", "path\na.jpg\n./a.jpg\n", "twice, in rows 1 and 2"),
        ("m.csv", "path,image_id\na.jpg,7\nb.jpg,7\n", "the id '7' twice, in rows 1 and 2"),
        ("m.csv", "path,image_id\na.jpg,\nb.jpg,7\n", "row 1 has no image_id"),
        ("m.jsonl", '{"path": "a.jpg"}\n[1]\n', "line 2: found list"),
        ("m.jsonl", '{"path": "a.jpg"}\n{"path\n', "line 2"),
        ("m.jsonl", '{"path": null}\n', "row 1 has no path"),
        ("m.parquet", "PAR1 no", "expected one Parquet file"),
        ("m.xlsx", "x", "suffix .xlsx"),
    ],
)
def test_mistakes_in_a_manifest(tmp_path: Path, name: str, text: str, expected: str) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    assert expected in refused(tmp_path, written(tmp_path / name, text))


def test_a_missing_manifest_and_one_in_another_encoding(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    assert "there is nothing at the manifest" in refused(tmp_path, tmp_path / "no.csv")
    (tmp_path / "latin.csv").write_bytes("path\ncafé.jpg\n".encode("latin-1"))
    assert "UTF-8" in refused(tmp_path, tmp_path / "latin.csv")


def test_a_column_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    manifest = written(tmp_path / "m.csv", "path,taken\na.jpg,2024-01-05\n")
    assert listed(tmp_path, manifest)["date_value"].null_count == 1
    assert "ingest.date_column" in refused(tmp_path, manifest, IngestParams(date_column="takn"))
    found = listed(tmp_path, manifest, IngestParams(date_column="taken"))
    assert found["date_value"].to_pylist() == ["2024-01-05"]
    assert "metadata" not in found.column_names


def test_metadata_is_typed_so_that_it_comes_back_from_parquet_the_same(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    rows = [
        '{"path": "a.jpg", "day": "2024-01-05", "n": 1, "f": 1, "deep": {"b": [1], "a": null}, "mixed": 1, '
        '"none": null}',
        '{"path": "b.jpg", "n": null, "f": 0.5, "mixed": "x"}',
    ]
    objects = listed(tmp_path, written(tmp_path / "m.jsonl", "\n".join(rows)))
    assert objects["metadata"][0].as_py() == {
        "day": "2024-01-05",
        "deep": '{"a": null, "b": [1]}',
        "f": 1.0,
        "mixed": "1",
        "n": 1,
        "none": None,
    }
    pq.write_table(objects, tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet").equals(objects)
    times = "path,taken,seen\na.jpg,2024-01-05 10:15:30,2024-01-05\nb.jpg,,\n"
    typed = listed(tmp_path, written(tmp_path / "t.csv", times))
    pq.write_table(typed, tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").equals(typed)
    assert typed["metadata"][0].as_py()["taken"] == dt.datetime(2024, 1, 5, 10, 15, 30)


def test_integers_beyond_64_bits_are_carried_as_text(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    rows = ['{"path": "a.jpg", "serial": 1180591620717411303424}', '{"path": "b.jpg", "serial": 7}']
    objects = listed(tmp_path, written(tmp_path / "m.jsonl", "\n".join(rows)))
    assert objects["metadata"].to_pylist() == [{"serial": "1180591620717411303424"}, {"serial": "7"}]


def test_bytes_are_no_metadata(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    pq.write_table(pa.table({"path": ["a.jpg"], "raw": [b"x"]}), tmp_path / "m.parquet")
    assert "'raw' holds bytes" in refused(tmp_path, tmp_path / "m.parquet")
