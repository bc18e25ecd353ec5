"""Collection and workspace on S3: the same tables as on folders, and how many requests they cost."""

import pickle
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import parts
from pipeline.errors import BusyError
from pipeline.lease import Lease
from pipeline.runtime.sources import fetch, list_collection
from pipeline.s3 import S3
from pipeline.schemas import TABLES
from pipeline.stages.ingest_params import SourceParams
from pipeline.storage import create, open_filesystem
from tests.collections import AS_THEY_ARE, PLAIN, TINY, Collection
from tests.commands import environment, imagetracks, leftovers, message_of, run_arguments
from tests.objects import held
from tests.proxy import now_and_then, proxied
from tests.runtime.runs import run_local, tables
from tests.s3_server import S3Server, many_keys, s3_server

pytestmark = pytest.mark.slow

MANY = 6400
NAMES = ("a b/x+y.jpg", "50%20.jpg", "#1.jpg", "k=v/é ü.jpg", "日本.jpg", "plain.jpg")
DATES = ("2024-05-01", "2024-05-02", "2024-05-04", "2024-05-05", "2024-05-08")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3"), many=MANY) as server:
        server.filesystem.mkdir("bucket")
        yield server


@pytest.fixture(scope="module")
def collection(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Photographs whose keys hold every sign that URLs have trouble with, in a folder and below s3://bucket/photos."""
    made = Collection(tmp_path_factory.mktemp("photos"), size=TINY)
    for day, date in enumerate(DATES):
        for subject, name in enumerate(NAMES):
            made.add(subject % 3, date, subject // 3, f"{day}/{name}")
    s3.filesystem.pipe({f"bucket/photos/{key}": (made.root / key).read_bytes() for key in made.identity})
    return made


def comparable(workspace: Path | str) -> dict[str, dict[str, pa.Table]]:
    """All tables without what says where an image lies."""
    places = {"uri", "object_version"}
    return {
        table: {date: rows.drop_columns([c for c in rows.column_names if c in places]) for date, rows in dates.items()}
        for table, dates in tables(workspace, AS_THEY_ARE).items()
    }


@pytest.fixture(scope="module")
def on_folders(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("local") / "ws"
    done = imagetracks(*run_arguments(collection.root, workspace, *PLAIN))
    assert done.returncode == 0, done.stderr
    return workspace


@dataclass(frozen=True)
class FirstRun:
    """A run on S3 and the requests it made: all, and those of the collection."""

    done: "subprocess.CompletedProcess[str]"
    all: Counter[str]
    collection: Counter[str]


@pytest.fixture(scope="module")
def on_s3(s3: S3Server, collection: Collection) -> FirstRun:
    assert collection.identity
    with s3.counted() as everything, s3.counted("bucket/photos/") as of_collection:
        done = imagetracks(*run_arguments("s3://bucket/photos", "s3://bucket/ws", *PLAIN))
    return FirstRun(done, everything, of_collection)


def test_a_run_on_s3_equals_one_on_folders(on_s3: FirstRun, on_folders: Path) -> None:
    assert on_s3.done.returncode == 0, on_s3.done.stderr
    assert comparable("s3://bucket/ws") == comparable(on_folders)
    assert leftovers("s3://bucket/ws") == []


def parts_of(s3: S3Server, workspace: str) -> set[str]:
    return {path for path in s3.filesystem.find(workspace) if path.endswith(".parquet")}


def writes(requests: Counter[str]) -> int:
    return sum(requests[kind] for kind in ("PUT", "POST", "DELETE", "HEAD"))


def test_a_run_asks_little(s3: S3Server, on_s3: FirstRun, collection: Collection) -> None:
    images, parts_written = len(collection.identity), len(parts_of(s3, "bucket/ws"))
    print(f"{images} images, {parts_written} parts; of images: {dict(on_s3.collection)}; all: {dict(on_s3.all)}")
    assert set(on_s3.collection) == {"GET"}
    assert on_s3.collection["GET"] <= 1.1 * images
    assert writes(on_s3.all) <= 4 * parts_written


def test_a_night_with_one_late_image_asks_little(s3: S3Server, collection: Collection) -> None:
    """Of an old date; for the newest one fewer parts come, and the heads, the lease and the fragments weigh more."""
    keys = sorted(collection.identity)
    s3.filesystem.pipe({f"bucket/night/photos/{key}": (collection.root / key).read_bytes() for key in keys})
    run_local("s3://bucket/night/photos", "s3://bucket/night/ws", AS_THEY_ARE)
    before, late = parts_of(s3, "bucket/night/ws"), keys[0]
    s3.filesystem.pipe_file("bucket/night/photos/late.jpg", (collection.root / late).read_bytes() + b"\0")
    with s3.counted() as requests, s3.counted("bucket/night/photos/") as of_collection:
        done = run_local("s3://bucket/night/photos", "s3://bucket/night/ws", AS_THEY_ARE).done
    written = len(parts_of(s3, "bucket/night/ws") - before)
    print(f"{written} parts; of images: {dict(of_collection)}; all: {dict(requests)}")
    assert (done["images"], done["fingerprints"], of_collection) == (1, 1, {"GET": 1})
    assert writes(requests) <= 4 * written
    assert leftovers("s3://bucket/night/ws") == []


def test_a_second_run_reads_the_heads_and_writes_nothing(s3: S3Server, on_s3: FirstRun) -> None:
    assert on_s3.done.returncode == 0
    with s3.counted() as again:
        done = imagetracks(*run_arguments("s3://bucket/photos", "s3://bucket/ws", *PLAIN))
    assert "Nothing to do" in done.stdout
    assert set(again) == {"GET", "LIST"}
    assert again.total() <= len(TABLES) + 13  # a head a table; the listing, the lease, tables that were never made


@pytest.mark.ray
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("collection")
def test_ray_workers_read_and_write_s3_through_what_networks_do(s3: S3Server, on_folders: Path) -> None:
    run = ["run", "-c", "s3://bucket/photos", "-w", "s3://bucket/ray", *PLAIN, "--set", "resources.num_cpus=1"]
    fates = ("SlowDown", "InternalError", "reset", "lost", "cut")
    with proxied(s3.endpoint) as proxy:
        proxy.judge = now_and_then(0.05, 0, *fates)
        env = environment(AWS_ENDPOINT_URL=proxy.endpoint)
        done = imagetracks(*run, "--set", "resources.retries=12", env=env, seconds=400)
    assert {fate for fate, _ in proxy.done} == set(fates)
    assert any(seen.is_image() for _, seen in proxy.done)
    assert any(seen.is_write() for _, seen in proxy.done)
    assert done.returncode == 0, done.stderr
    assert comparable("s3://bucket/ray") == comparable(on_folders)
    assert leftovers("s3://bucket/ray") == []


def test_readers_do_not_wait_for_the_lease_and_a_second_run_says_who_has_it(on_s3: FirstRun) -> None:
    assert on_s3.done.returncode == 0
    filesystem, folder = open_filesystem("s3://bucket/ws/_lease")
    lease = Lease(filesystem, folder, "s3://bucket/ws", 60)
    lease.take()
    try:
        assert imagetracks("status", "-w", "s3://bucket/ws").returncode == 0
        told = message_of(imagetracks(*run_arguments("s3://bucket/photos", "s3://bucket/ws")), 75)
        assert lease.run in told
    finally:
        lease.release(clean=True)


@pytest.mark.usefixtures("s3")
def test_one_of_many_gets_the_lease() -> None:
    filesystem, folder = open_filesystem("s3://bucket/raced/_lease")
    leases, start, won = [Lease(filesystem, folder, "ws", 60) for _ in range(6)], threading.Barrier(6), list[Lease]()

    def race(one: Lease) -> None:
        one.look()
        start.wait()
        try:
            one.take()
        except BusyError:
            return
        won.append(one)

    threads = [threading.Thread(target=race, args=(one,)) for one in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    won[0].release(clean=True)


def test_a_listing_of_several_thousand_keys(s3: S3Server) -> None:
    with s3.counted() as requests:
        objects, filesystem, _ = held(list_collection("s3://many", None, SourceParams()))
    assert objects["uri"].to_pylist() == [f"s3://many/{key}" for key in sorted(many_keys(MANY))]
    assert requests == {"LIST": MANY // 1000 + 1}
    assert fetch(objects.slice(MANY - 3), filesystem, 3)["bytes"].to_pylist() == [b"x"] * 3


@pytest.mark.parametrize(
    ("collection_uri", "workspace_uri", "said"),
    [
        ("s3://bucket/nothing", "s3://bucket/w1", "found no image at the collection s3://bucket/nothing"),
        ("s3://no-such-bucket/x", "s3://bucket/w2", "collection s3://no-such-bucket/x"),
        ("s3://bucket/photos", "s3://no-such-bucket/w", "there is no such bucket"),
        ("s3://bucket/photos", "s3://bucket/photos", "is no workspace"),
    ],
)
@pytest.mark.usefixtures("collection")
def test_places_that_are_not_there(s3: S3Server, collection_uri: str, workspace_uri: str, said: str) -> None:
    assert said in message_of(imagetracks(*run_arguments(collection_uri, workspace_uri)), 2)
    assert not s3.filesystem.find("bucket/w1") + s3.filesystem.find("bucket/w2")


@pytest.mark.parametrize("there", ["collection", "workspace"])
def test_missing_credentials(s3: S3Server, collection: Collection, tmp_path: Path, there: str) -> None:
    places = ("s3://bucket/photos", tmp_path / "ws") if there == "collection" else (collection.root, "s3://bucket/none")
    bare = {name: value for name, value in environment().items() if not name.startswith("AWS_")}
    env = {**bare, "AWS_ENDPOINT_URL": s3.endpoint, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    told = message_of(imagetracks(*run_arguments(*places), env=env), 2)
    assert "credentials" in told
    assert there in told


def test_a_bucket_in_which_writing_is_refused(s3: S3Server, on_s3: FirstRun) -> None:
    assert on_s3.done.returncode == 0
    with s3.reader() as credentials:
        done = imagetracks(*run_arguments("s3://bucket/photos", "s3://bucket/refused"), env=environment(**credentials))
        shown = imagetracks("status", "-w", "s3://bucket/ws", env=environment(**credentials))
    told = message_of(done, 2)
    assert "permission denied" in told
    assert "s3://bucket/refused" in told
    assert credentials["AWS_SECRET_ACCESS_KEY"] not in told
    assert s3.filesystem.find("bucket/refused") == []
    assert shown.returncode == 0, shown.stderr  # who may only read reads


def test_of_two_creations_one_succeeds(s3: S3Server) -> None:
    filesystem, path = open_filesystem("s3://bucket/created/x")
    with s3.counted() as requests:
        create(filesystem, path, b"one")
    assert requests == {"PUT": 1}
    with pytest.raises(FileExistsError):
        create(filesystem, path, b"two")
    assert filesystem.cat_file(path) == b"one"


def test_copies_folders_and_deletions_cost_one_request_each(s3: S3Server) -> None:
    filesystem, root = open_filesystem("s3://bucket/costs")
    filesystem.pipe_file(f"{root}/a #%+é=", b"x")
    with s3.counted() as requests:
        filesystem.makedirs(f"{root}/folder", exist_ok=True)
        filesystem.cp_file(f"{root}/a #%+é=", f"{root}/b #%+é=")
    assert requests == {"PUT": 1}
    with s3.counted() as requests:
        filesystem.rm([f"{root}/a #%+é=", f"{root}/b #%+é=", f"{root}/never there"])
    assert requests == {"POST": 1}
    assert filesystem.find(root) == []
    with pytest.raises(FileNotFoundError):
        filesystem.rm(root, recursive=True)


def test_what_a_store_keeps_though_it_was_to_delete_it_is_told(s3: S3Server) -> None:
    filesystem, root = open_filesystem("s3://bucket/kept")
    filesystem.pipe_file(f"{root}/a", b"x")
    with s3.reader() as keys:
        reader = S3(key=keys["AWS_ACCESS_KEY_ID"], secret=keys["AWS_SECRET_ACCESS_KEY"], endpoint_url=s3.endpoint)
        with pytest.raises(PermissionError):
            reader.rm([f"{root}/a"])
    assert filesystem.cat_file(f"{root}/a") == b"x"


@pytest.mark.usefixtures("s3")
def test_retries_travel_to_workers() -> None:
    filesystem, _ = open_filesystem("s3://bucket/x", retries=7)
    assert pickle.loads(pickle.dumps(filesystem)).tries == 8  # noqa: S301  (our own)


def test_columns_of_a_large_part_are_read_by_ranges(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem, path = open_filesystem("s3://bucket/large.parquet")
    rows = pa.table(
        {"image_id": [f"{n:032x}" for n in range(20_000)], "blob": [bytes([n % 256]) * 50 for n in range(20_000)]}
    )
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="none", use_dictionary=False, row_group_size=5000)
    data = sink.getvalue().to_pybytes()
    filesystem.pipe_file(path, data)
    monkeypatch.setattr(parts, "_WHOLE_FILE_BYTES", 1000)
    with s3.counted() as requests:
        assert parts.read_part(filesystem, path, len(data), ["image_id"]).equals(rows.select(["image_id"]))
        assert parts.read_rows(filesystem, path, len(data), (6000, 9000), ["blob"]).equals(
            rows.select(["blob"]).slice(6000, 3000)
        )
    assert requests["HEAD"] == 0
    assert requests["GET"] <= 10
