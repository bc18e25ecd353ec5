"""Which objects of a collection are listed: patterns, folders of some days, an inventory, a query over the manifest."""

import datetime as dt
import gzip
import io
import json
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFile

from pipeline.errors import UserError
from pipeline.runtime.choosing import prefixes_of
from pipeline.runtime.inventory import read_inventory
from pipeline.runtime.sources import list_collection
from pipeline.stages.ingest_params import SourceParams
from tests.pictures import photo, saved
from tests.runtime.runs import ingested
from tests.runtime.test_sources import IMAGE, keys, put, refused, written


def listed(root: Path | str, days: tuple[str | None, str | None] = (None, None), **params: object) -> list[str]:
    found = list_collection(str(root), None, SourceParams(**params), days=days)
    return list(found.objects.table()["key"].to_pylist())


def test_patterns_take_and_leave_keys(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "cam1/b.jpg", "cam1/raw/c.jpg", "cam2/d.png", "cam2/thumbs/e.jpg", "cam2/.x/f.jpg")
    assert listed(tmp_path, include=("cam1/*.jpg",)) == ["cam1/b.jpg"]
    assert listed(tmp_path, include=("cam1/**", "*.jpg")) == ["a.jpg", "cam1/b.jpg", "cam1/raw/c.jpg"]
    assert listed(tmp_path, exclude=("**/raw/**", "**/thumbs/*")) == ["a.jpg", "cam1/b.jpg", "cam2/d.png"]
    assert listed(tmp_path, include=("**/*.jpg",), exclude=("cam?/**",)) == ["a.jpg"]
    assert "ingest.include" in refused(tmp_path, params=SourceParams(include=("a**b",)))
    assert "leave nothing of the collection" in refused(tmp_path, params=SourceParams(include=("cam9/**",)))


def test_a_template_names_the_folders_of_some_days() -> None:
    assert prefixes_of("{year}/{month}/{day}/", ("2024-02-28", "2024-03-01")) == [
        "2024/02/28/",
        "2024/02/29/",
        "2024/03/01/",
    ]
    assert prefixes_of("x/{year}-{month}/", ("2024-02-28", "2024-03-01")) == ["x/2024-02/", "x/2024-03/"]
    assert prefixes_of("date={date}/", ("2024-02-28", "2024-02-28")) == ["date=2024-02-28/"]


@pytest.mark.parametrize("template", ["{year}/{moon}/", "photos/", "{year}/{month}", "{year", "../{year}/", "{0}/"])
def test_a_template_of_something_else_is_refused(template: str) -> None:
    with pytest.raises(UserError, match=r"ingest\.prefix"):
        prefixes_of(template, ("2024-01-01", "2024-01-02"))
    with pytest.raises(UserError, match="--dates"):
        prefixes_of("{year}/", (None, "2024-01-02"))


@pytest.mark.parametrize("store", ["local", "memory"])
def test_only_the_folders_of_the_days_are_looked_into(store: str, tmp_path: Path) -> None:
    put(tmp_path, "2024/05/01/a.jpg", "2024/05/02/b.jpg", "2024/05/03/c.jpg", "other/d.jpg")
    root = str(tmp_path)
    if store == "memory":
        root = f"memory://{tmp_path.name}"
        fsspec.filesystem("memory").pipe(
            {f"/{tmp_path.name}/{p.relative_to(tmp_path)}": IMAGE for p in tmp_path.rglob("*.jpg")}
        )
    params = SourceParams(prefix="{year}/{month}/{day}/")
    found = list_collection(root, None, params, days=("2024-05-02", "2024-05-04"))
    assert found.objects.table()["key"].to_pylist() == ["2024/05/02/b.jpg", "2024/05/03/c.jpg"]
    assert found.scope.folders is not None
    assert found.scope.folders[0].endswith(f"{tmp_path.name}/2024/05/02/")
    assert found.objects.table()["uri"][0].as_py().startswith(found.scope.folders[0])
    assert list_collection(root, None, params, days=("2020-05-02", "2020-05-04")).objects.num_rows == 0


@pytest.mark.slow
def test_what_lies_outside_the_folders_of_the_days_stays_and_what_went_within_is_told(tmp_path: Path) -> None:
    root, template = tmp_path / "photos", "ingest.prefix='{year}/{month}/{day}/'"
    put(root, *(f"2024/05/{day:02}/{name}.jpg" for day in (1, 2, 3) for name in "ab"))
    for at, path in enumerate(sorted(root.rglob("*.jpg"))):
        path.write_bytes(saved(photo(8, 8, seed=at)))
    assert ingested(root, tmp_path / "ws").num_rows == 6
    for path in ("2024/05/01/a.jpg", "2024/05/02/a.jpg"):
        (root / path).unlink()
    put(root, "2024/05/03/new.jpg")
    found = ingested(root, tmp_path / "ws", template, "ingest.on_vanished=drop", dates=("2024-05-02", "2024-05-03"))
    names = [row["uri"].split("/photos/2024/05/")[1] for row in found.to_pylist()]
    assert names == ["01/a.jpg", "01/b.jpg", "02/b.jpg", "03/a.jpg", "03/b.jpg", "03/new.jpg"]
    assert not any(found["vanished"].to_pylist())
    with pytest.raises(UserError, match=r"ingest\.prefix"):
        ingested(root, tmp_path / "ws", template, "ingest.image_px=100", dates=("2024-05-02", "2024-05-03"))
    assert ingested(root, tmp_path / "ws")["vanished"].to_pylist() == [True, False, False, False, False, False]


ROWS = [
    ("bucket", "photos/a.jpg", 10, '"e1"', "2024-05-01T10:00:00.000Z"),
    ("bucket", "photos/b c+ä.jpg", 20, "e2", "2024-05-02T10:00:00.000Z"),
    ("bucket", "photos/.hidden.jpg", 5, "e3", "2024-05-02T10:00:00.000Z"),
    ("bucket", "photos/sub/", 0, "e4", "2024-05-02T10:00:00.000Z"),
    ("bucket", "elsewhere/d.jpg", 30, "e5", "2024-05-02T10:00:00.000Z"),
    ("other", "photos/e.jpg", 30, "e6", "2024-05-02T10:00:00.000Z"),
]


@pytest.fixture
def memory() -> fsspec.AbstractFileSystem:
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    return filesystem


def inventory(memory: fsspec.AbstractFileSystem, form: str) -> str:
    """The rows in one of the forms of an inventory; where it lies."""
    names = ["Bucket", "Key", "Size", "ETag", "LastModifiedDate"]
    if form == "parquet":
        sink = pa.BufferOutputStream()
        columns = dict(
            zip(["bucket", "key", "size", "e_tag", "last_modified_date"], zip(*ROWS, strict=True), strict=True)
        )
        columns["last_modified_date"] = [dt.datetime.fromisoformat(text[:-1]) for text in columns["last_modified_date"]]
        pq.write_table(pa.table(columns), sink)
        memory.pipe_file("/i/x.parquet", sink.getvalue().to_pybytes())
        return "memory://i/x.parquet"
    if form == "csv":
        lines = [",".join(names), *(",".join('"' + str(value).strip('"') + '"' for value in row) for row in ROWS)]
        memory.pipe_file("/i/x.csv.gz", gzip.compress("\n".join(lines).encode()))
        return "memory://i/x.csv.gz"
    if form == "manifest of parquet":
        memory.mv(inventory(memory, "parquet").removeprefix("memory:/"), "/i/data/x.parquet")
        files = [{"key": "data/x.parquet", "size": 1, "MD5checksum": "0"}]
        schema = "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); }"
        manifest = {
            "destinationBucket": "arn:aws:s3:::i",
            "fileFormat": "Parquet",
            "fileSchema": schema,
            "files": files,
        }
        memory.pipe_file("/i/manifest.json", json.dumps(manifest).encode())
        return "memory://i/manifest.json"
    encoded = [
        (bucket, key.replace(" ", "+").replace("c+ä", "c%2B%C3%A4").replace("b+c%2B", "b+c%2B"), *rest)
        for bucket, key, *rest in ROWS
    ]
    lines = [",".join(f'"{str(value).strip(chr(34))}"' for value in row) for row in encoded]
    memory.pipe_file("/i/data/1.csv.gz", gzip.compress("\n".join(lines[:2]).encode()))
    memory.pipe_file("/i/data/2.csv.gz", gzip.compress("\n".join(lines[2:]).encode()))
    manifest = {
        "sourceBucket": "bucket",
        "destinationBucket": "arn:aws:s3:::i",
        "fileFormat": "CSV",
        "fileSchema": ", ".join(names),
        "files": [{"key": "data/1.csv.gz"}, {"key": "data/2.csv.gz"}],
    }
    memory.pipe_file("/i/manifest.json", json.dumps(manifest).encode())
    return "memory://i/manifest.json"


@pytest.mark.parametrize("form", ["parquet", "csv", "manifest", "manifest of parquet"])
def test_an_inventory_is_read_instead_of_listing(form: str, memory: fsspec.AbstractFileSystem) -> None:
    params = SourceParams(inventory=inventory(memory, form))
    objects = list_collection("memory://bucket/photos", None, params).objects.table()
    assert objects["key"].to_pylist() == ["a.jpg", "b c+ä.jpg"]
    assert objects["uri"].to_pylist() == ["memory:///bucket/photos/a.jpg", "memory:///bucket/photos/b c+ä.jpg"]
    assert objects["size"].to_pylist() == [10, 20]
    assert objects["object_version"].to_pylist() == ["10-e1", "20-e2"]
    assert objects["modified_at"][0].as_py() == dt.datetime(2024, 5, 1, 10)


def test_no_inventory_is_held_as_a_whole(memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, read = 2**17, list[int]()
    etags = np.random.default_rng(0).bytes(8 * rows).hex()
    columns = {
        "key": [f"{row}.jpg" for row in range(rows)],
        "size": [1] * rows,
        "etag": [etags[16 * row : 16 * row + 16] for row in range(rows)],
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, use_dictionary=False)  # one row group
    memory.pipe_file("/i/x.parquet", sink.getvalue().to_pybytes())

    def spied(file: MemoryFile, size: int = -1) -> bytes:
        found = io.BytesIO.read(file, size)
        read.append(len(found))
        return found

    monkeypatch.setattr(MemoryFile, "read", spied, raising=False)
    first = next(read_inventory("memory://i/x.parquet", "bucket"))
    assert first.path == "bucket/0.jpg"
    assert max(read) <= 2**20 < sink.getvalue().size / 2
    assert sum(read) < sink.getvalue().size


def test_a_list_of_ones_own_names_keys_within_the_collection(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    file = written(tmp_path / "list.csv", "key,size,etag\na.jpg,7,x\nsub/c.jpg,8,y\n")
    found = list_collection(str(tmp_path), None, SourceParams(inventory=str(file))).objects.table()
    assert found["key"].to_pylist() == ["a.jpg", "sub/c.jpg"]
    assert found["uri"][0].as_py() == f"file://{tmp_path}/a.jpg"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.csv", "Key,Bytes\na,1\n", "no column 'size'"),
        ("x.csv", "key,size\na,1\n", "no column 'etag'"),
        ("x.csv", "key,size,etag\na.jpg,big,x\n", "cannot read ingest.inventory"),
        ("x.csv.gz", "key,size,etag\na.jpg,1,x\n", "cannot read ingest.inventory"),
        ("x.txt", "key", "found the suffix"),
        ("x.parquet", "PAR1", "cannot read"),
        ("x.json", '{"fileFormat": "ORC"}', "in ORC"),
        ("x.json", "{}", "cannot read"),
    ],
)
def test_mistakes_in_an_inventory(tmp_path: Path, name: str, text: str, said: str) -> None:
    put(tmp_path, "a.jpg")
    assert said in refused(tmp_path, params=SourceParams(inventory=str(written(tmp_path / name, text))))
    assert "there is nothing" in refused(tmp_path, params=SourceParams(inventory=str(tmp_path / "no.csv")))


README_SQL = "FROM manifest QUALIFY count(*) OVER (PARTITION BY subject) > 15"


def test_a_query_chooses_and_reshapes_the_manifest(tmp_path: Path) -> None:
    names = [f"{subject}{n:02}.jpg" for subject, count in (("x", 16), ("y", 15)) for n in range(count)]
    put(tmp_path, *names)
    manifest = written(tmp_path / "m.csv", "path,subject\n" + "".join(f"{name},{name[0]}\n" for name in names))
    found = list_collection(str(tmp_path), str(manifest), SourceParams(manifest_sql=README_SQL)).objects.table()
    assert found["key"].to_pylist() == names[:16]
    reshaped = (
        "SELECT 'x' || lpad(n::TEXT, 2, '0') || '.jpg' AS path, DATE '2024-05-01' AS captured_at FROM range(2) t(n)"
    )
    found = list_collection(str(tmp_path), str(manifest), SourceParams(manifest_sql=reshaped)).objects.table()
    assert (found["key"].to_pylist(), found["date_value"].to_pylist()) == (names[:2], ["2024-05-01"] * 2)


def test_the_readmes_query_is_the_one_that_is_tested() -> None:
    assert README_SQL in (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT nope FROM manifest", "nope"),
        ("FROM 'other.csv'", "ingest.manifest_sql"),
        ("FROM read_csv('/etc/passwd')", "ingest.manifest_sql"),
        ("COPY manifest TO 'stolen.csv'", "ingest.manifest_sql"),
        ("SELECT path AS p FROM manifest", "no column 'path'"),
        ("FROM manifest WHERE false", "no rows"),
        ("", "ingest.manifest_sql"),
    ],
)
def test_mistakes_in_a_query(tmp_path: Path, sql: str, said: str) -> None:
    put(tmp_path, "a.jpg")
    manifest = written(tmp_path / "m.csv", "path\na.jpg\n")
    before = sorted(tmp_path.iterdir())
    assert said in refused(tmp_path, manifest, SourceParams(manifest_sql=sql))
    assert sorted(tmp_path.iterdir()) == before


def test_many_manifests_are_one(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    folder = tmp_path / "manifests"
    folder.mkdir()
    written(folder / "1.csv", "path,plot\na.jpg,7\n")
    written(folder / "2.jsonl", '{"path": "b.jpg", "plot": "north", "seen": true}')
    pq.write_table(pa.table({"path": ["c.jpg"], "plot": [1.5]}), folder / "3.parquet")
    written(folder / "notes.md", "no manifest")
    found = list_collection(str(tmp_path), str(folder), SourceParams()).objects.table()
    assert found["metadata"].to_pylist() == [
        {"plot": "7", "seen": None},
        {"plot": "north", "seen": True},
        {"plot": "1.5", "seen": None},
    ]
    assert keys(tmp_path, folder / "1*") == ["a.jpg"]
    assert "there is nothing" in refused(tmp_path, tmp_path / "manifests" / "z*.csv")
