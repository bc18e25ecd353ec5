import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.runtime.sources import fetch, list_collection
from pipeline.stages.ingest_params import SourceParams
from pipeline.storage import open_filesystem, put_atomic
from tests.objects import held
from tests.runtime.test_archives import tar, zipped
from tests.s3_server import S3Server, forget_connections, s3_server

pytestmark = pytest.mark.slow
DEFAULT = SourceParams()
ODD = [
    "a b.jpg",
    "plus+.jpg",
    "per%20cent.jpg",
    "ha#sh.jpg",
    "date=2024-01-05/x.jpg",
    "é/ü ñ.jpg",
    "q?.jpg",
    "c,d;e.jpg",
]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        store = server.filesystem
        store.mkdir("photos")
        store.pipe({f"photos/many/{n % 7}/{n:04}.jpg": b"%d" % n for n in range(420)})
        store.pipe({f"photos/odd/{key}": key.encode() for key in ODD})
        store.pipe({"photos/odd/.hidden.jpg": b"", "photos/odd/notes.txt": b""})
        yield server


def test_a_prefix_is_listed_and_read_with_one_request_an_object(s3: S3Server) -> None:
    with s3.counted() as listing_requests:
        objects, filesystem, _ = held(list_collection("s3://photos/many", None, DEFAULT))
    assert objects.num_rows == 420
    assert listing_requests.total() <= 4
    with s3.counted() as requests:
        fetched = fetch(objects, filesystem, 32)
    assert fetched["bytes"].to_pylist() == [str(int(key[-8:-4])).encode() for key in objects["key"].to_pylist()]
    assert requests == {"GET": 420}


def test_odd_keys(s3: S3Server) -> None:
    objects, filesystem, _ = held(list_collection("s3://photos/odd/", None, DEFAULT))
    assert objects["key"].to_pylist() == sorted(ODD)
    assert objects["uri"].to_pylist() == [f"s3://photos/odd/{key}" for key in sorted(ODD)]
    assert fetch(objects, filesystem, 4)["bytes"].to_pylist() == [key.encode() for key in sorted(ODD)]
    assert s3.endpoint


def test_a_version_is_size_and_etag_and_stays(s3: S3Server) -> None:
    store = s3.filesystem
    store.pipe_file("photos/versions/a.jpg", b"one")
    first = list_collection("s3://photos/versions", None, DEFAULT).objects.table()
    assert list_collection("s3://photos/versions", None, DEFAULT).objects.table().equals(first)
    assert first["object_version"][0].as_py() == "3-f97c5d29941bfb1b2fdab0874906ab82"  # its MD5
    store.pipe_file("photos/versions/a.jpg", b"two")
    second = list_collection("s3://photos/versions", None, DEFAULT).objects.table()
    assert second["object_version"][0] != first["object_version"][0]
    assert second["modified_at"].null_count == 0


def test_a_manifest_looks_only_into_the_folders_it_names(s3: S3Server, tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    named = [f"{n % 7}/{n:04}.jpg" for n in range(420) if n % 7 in (2, 3)] + ["2/absent.jpg"]
    manifest.write_text("path\n" + "\n".join(named) + "\n")
    with s3.counted() as requests:
        objects, filesystem, _ = held(list_collection("s3://photos/many", str(manifest), DEFAULT))
    assert requests.total() <= 4
    assert requests["HEAD"] == 0
    assert objects.num_rows == len(named)
    absent = objects["object_version"].to_pylist().index("absent")
    assert objects["key"][absent].as_py() == "2/absent.jpg"
    fetched = fetch(objects, filesystem, 16)
    assert fetched["reason"].to_pylist() == ["not_found" if row == absent else None for row in range(len(named))]


def test_few_images_of_a_manifest_are_asked_for_by_name(s3: S3Server, tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("uri\ns3://photos/many/0/0000.jpg\ns3://photos/odd/a b.jpg\ns3://photos/odd/gone.jpg\n")
    objects, filesystem, _ = held(list_collection("s3://photos/many", str(manifest), DEFAULT))
    assert objects["key"].to_pylist() == ["0/0000.jpg", "s3://photos/odd/a b.jpg", "s3://photos/odd/gone.jpg"]
    assert fetch(objects, filesystem, 4)["bytes"].to_pylist() == [b"0", b"a b.jpg", None]
    assert s3.endpoint


@pytest.mark.parametrize("uri", ["s3://photos/nothing", "s3://no-such-bucket/x"])
def test_an_empty_prefix_and_a_missing_bucket_are_the_users_mistake(s3: S3Server, uri: str) -> None:
    with pytest.raises(UserError):
        list_collection(uri, None, DEFAULT)
    assert s3.endpoint


def test_missing_credentials_are_the_users_mistake(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_connections()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(UserError, match="check credentials"):
        list_collection("s3://photos/many", None, DEFAULT)
    forget_connections()
    assert s3.endpoint


def test_an_atomic_put_is_one_request(s3: S3Server) -> None:
    filesystem, path = open_filesystem("s3://photos/put/x.json")
    put_atomic(filesystem, path, b"warm")  # the first call of a process also looks up the region
    with s3.counted() as requests:
        put_atomic(filesystem, path, b"{}")
    assert requests == {"PUT": 1}
    assert s3.filesystem.cat_file("photos/put/x.json") == b"{}"


@pytest.mark.parametrize("kind", ["tar", "zip", "parquet"])
def test_an_archive_is_listed_and_read_by_a_few_ranges(s3: S3Server, kind: str, tmp_path: Path) -> None:
    """A hundred members, 2 MB together: far fewer requests than members, and hardly more bytes than there are."""
    noise = random.Random(0)
    contents = {f"{n:03}.jpg": noise.randbytes(20_000) for n in range(100)}
    path = tmp_path / f"x.{kind}"
    if kind == "parquet":
        rows = {"path": list(contents), "image": list(contents.values())}
        pq.write_table(pa.table(rows), path, row_group_size=50)
    else:
        {"tar": tar, "zip": zipped}[kind](path, contents)
    s3.filesystem.put_file(str(path), f"photos/archives/x.{kind}")
    with s3.counted() as listing_requests:
        objects, filesystem, _ = held(list_collection(f"s3://photos/archives/x.{kind}", None, DEFAULT))
    assert objects["key"].to_pylist() == list(contents)
    assert listing_requests.total() <= 10
    with s3.counted() as requests:
        fetched = fetch(objects, filesystem, 8)
    assert fetched["bytes"].to_pylist() == list(contents.values())
    assert requests.total() <= 10
    s3.filesystem.pipe_file(f"photos/archives/x.{kind}", b"another")
    assert set(fetch(objects.slice(60, 3), filesystem, 8)["reason"].to_pylist()) <= {"changed", "io_error"}


def test_only_the_prefixes_of_the_days_are_listed(s3: S3Server) -> None:
    store = s3.filesystem
    store.pipe({f"photos/days/2024/05/{day:02}/{n}.jpg": b"x" for day in range(1, 31) for n in range(3)})
    params = SourceParams(prefix="{year}/{month}/{day}/")
    with s3.counted() as requests:
        found = list_collection("s3://photos/days", None, params, days=("2024-05-30", "2024-06-01"))
    assert found.objects.table()["key"].to_pylist() == [f"2024/05/30/{n}.jpg" for n in range(3)]
    assert requests == {"LIST": 3}
    assert found.scope.folders == tuple(f"s3://photos/days/2024/{day}/" for day in ("05/30", "05/31", "06/01"))
