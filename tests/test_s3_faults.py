"""S3 through a proxy that slows down, resets, cuts, refuses and changes things under way.

A run either comes to its end with the tables of an undisturbed one, or fails in a line or three and leaves a workspace
that the next run continues.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

import fsspec
import pyarrow as pa
import pytest

from pipeline import storage
from pipeline.errors import BusyError, ImagetracksError
from pipeline.lease import Lease
from pipeline.runtime.fetching import fetch
from pipeline.runtime.sources import list_collection
from pipeline.s3 import S3, GaveUpError
from pipeline.schemas import ASSIGNMENTS, UNDATED
from pipeline.stages.ingest_params import SourceParams
from pipeline.storage import open_filesystem
from pipeline.tablestore import TableStore
from tests.collections import DATES, Collection
from tests.commands import environment, imagetracks, leftovers, message_of, run_arguments
from tests.objects import held
from tests.proxy import Proxy, Seen, now_and_then, proxied
from tests.runtime.runs import run_local, tables
from tests.runtime.test_flaws import DAY, FLAWED, LIMIT, WHOLE, good
from tests.s3_server import S3Server, forget_connections, s3_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3"), keys_per_page=30) as server:
        server.filesystem.mkdir("bucket")
        yield server


@pytest.fixture(scope="module")
def collection(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    made = Collection(tmp_path_factory.mktemp("photos"))
    for subject, date in itertools.product(range(2), DATES[:2]):
        made.add(subject, date, 0)
    upload(s3, made)
    return made


def upload(s3: S3Server, made: Collection, prefix: str = "photos") -> None:
    s3.filesystem.pipe({f"bucket/{prefix}/{key}": (made.root / key).read_bytes() for key in made.identity})


@pytest.fixture(scope="module")
def undisturbed(s3: S3Server, collection: Collection) -> dict[str, dict[str, pa.Table]]:
    assert s3.endpoint
    assert collection.identity
    run_local("s3://bucket/photos", "s3://bucket/undisturbed")
    return tables("s3://bucket/undisturbed")


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy that everything passes through which is opened from now on; pauses between tries are short."""
    with proxied(s3.endpoint) as one:
        monkeypatch.setenv("AWS_ENDPOINT_URL", one.endpoint)
        monkeypatch.setattr(storage, "FIRST_PAUSE", 0.01)
        forget_connections()
        yield one
        forget_connections()


def run(workspace: str, *overrides: str, collection: str = "s3://bucket/photos") -> None:
    run_local(collection, workspace, *overrides)


def test_a_run_comes_through_all_that_passes(
    proxy: Proxy, undisturbed: dict[str, dict[str, pa.Table]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing, images, parts, manifests and heads; also where the store says nothing at all."""
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 0.5}})
    fates = ("SlowDown", "InternalError", "reset", "lost", "cut")
    sometimes, in_turn = now_and_then(0.25, 0, *fates, *fates, "hang"), iter(fates)
    proxy.judge = lambda seen: (next(in_turn, None) if seen.is_image() else None) or sometimes(seen)
    run("s3://bucket/rough", "resources.retries=12")
    assert {fate for fate, _ in proxy.done} == {*fates, "hang"}
    for what in ("list-type=2", ".jpg", ".parquet", "_manifest.json", "_head.json"):
        assert any(what in seen.path for _, seen in proxy.done), what
    assert any(seen.is_write() for _, seen in proxy.done)
    proxy.heal()
    assert tables("s3://bucket/rough") == undisturbed
    assert leftovers("s3://bucket/rough") == []


def test_a_burst_of_slow_down_is_waited_for(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses double and are drawn, and come to an end."""
    monkeypatch.setattr(storage, "FIRST_PAUSE", 0.1)
    proxy.judge = lambda _: "SlowDown" if len(proxy.seen) <= 3 else None
    filesystem, path = open_filesystem("s3://bucket/burst")
    filesystem.pipe_file(path, b"x")
    times = [seen.at for seen in proxy.seen]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(pauses) == 3
    for pause, longest in zip(pauses, (0.1, 0.2, 0.4), strict=True):
        assert pause >= longest / 2
    drawn = {round(storage.pause(1), 6) for _ in range(20)}
    assert len(drawn) > 1
    assert storage.pause(50) <= storage.LONGEST_PAUSE


@pytest.mark.parametrize("fate", ["SlowDown", "reset", "cut"])
@pytest.mark.parametrize("retries", [0, 2])
def test_tries_are_bounded(fate: str, retries: int, proxy: Proxy) -> None:
    proxy.judge = lambda _: fate
    filesystem, path = open_filesystem("s3://bucket/photos/card0/s0_20240501_0.jpg", retries)
    with pytest.raises(GaveUpError):
        filesystem.cat_file(path)
    # aiohttp asks once more by itself where a connection that it kept was reset: the server may have closed it before.
    assert retries + 1 <= len(proxy.seen) <= (retries + 1) * (2 if fate == "reset" else 1)


def test_a_refusal_is_not_tried_again(proxy: Proxy) -> None:
    proxy.judge = lambda _: "AccessDenied"
    filesystem, path = open_filesystem("s3://bucket/x")
    with pytest.raises(PermissionError):
        filesystem.cat_file(path)
    with pytest.raises(PermissionError):
        filesystem.pipe_file(path, b"x")
    assert len(proxy.seen) == 2


def test_a_store_that_says_nothing_is_not_waited_for(proxy: Proxy) -> None:
    proxy.judge = lambda _: "hang"
    filesystem = S3(tries=2, config_kwargs={"read_timeout": 0.3})
    objects = pa.table({"uri": ["s3://bucket/photos/a.jpg"], "size": pa.array([None], pa.int64())})
    assert fetch(objects, filesystem, 4)["reason"].to_pylist() == ["timed_out"]
    assert len(proxy.seen) == 2


def after(writes: int, fate: str) -> Callable[[Seen], str | None]:
    """From the n-th write on, all writes meet the fate."""
    count = 0

    def judge(seen: Seen) -> str | None:
        nonlocal count
        count += seen.is_write()
        return fate if seen.is_write() and count > writes else None

    return judge


@pytest.mark.parametrize(
    ("fate", "writes", "exit_code"),
    [("SlowDown", 0, 1), ("reset", 6, 1), ("lost", 50, 1), ("AccessDenied", 12, 2)],
)
def test_a_store_that_stays_away_ends_the_run_and_the_next_one_goes_on(
    fate: str, writes: int, exit_code: int, proxy: Proxy, undisturbed: dict[str, dict[str, pa.Table]]
) -> None:
    workspace = f"s3://bucket/away-{fate}"
    proxy.judge = after(writes, fate)
    with pytest.raises(ImagetracksError) as told:
        run(workspace, "resources.retries=1")
    assert told.value.exit_code == exit_code
    assert workspace in str(told.value)
    assert len(str(told.value).splitlines()) <= 3
    proxy.heal()
    run(workspace)
    assert tables(workspace) == undisturbed
    assert leftovers(workspace) == []


def test_the_command_says_so_in_three_lines(s3: S3Server, collection: Collection, tmp_path: Path) -> None:
    assert collection.identity
    with proxied(s3.endpoint) as proxy:
        proxy.judge = after(8, "SlowDown")
        done = imagetracks(
            *run_arguments("s3://bucket/photos", "s3://bucket/told", "--set", "resources.retries=1"),
            env=environment(AWS_ENDPOINT_URL=proxy.endpoint, HOME=str(tmp_path)),
        )
    told = message_of(done, 1)
    assert "SlowDown" in told
    assert "the next run goes on from there" in told


MAPPED = ("images", "fingerprints")
"""The tables that do not depend on the model, which was fitted on the images that there were."""

FATES = {"AccessDenied": "permission_denied", "cut": "io_error", "SlowDown": "io_error"}


def test_images_that_cannot_be_read_are_rows_that_the_next_run_mends(
    collection: Collection, proxy: Proxy, undisturbed: dict[str, dict[str, pa.Table]]
) -> None:
    fate_of = {f"photos/{key}": fate for key, fate in zip(sorted(collection.identity), FATES, strict=False)}

    def judge(seen: Seen) -> str | None:
        return fate_of.get(seen.path.removeprefix("/bucket/")) if seen.method == "GET" else None

    proxy.judge = judge
    run("s3://bucket/rows", "resources.retries=1")
    images = pa.concat_tables(tables("s3://bucket/rows")["images"].values())
    reasons = dict(zip(images["uri"].to_pylist(), images["reason"].to_pylist(), strict=True))
    for key, fate in fate_of.items():
        assert reasons.pop(f"s3://bucket/{key}") == FATES[fate]
    assert set(reasons.values()) == {None}
    proxy.heal()
    run("s3://bucket/rows")
    found = tables("s3://bucket/rows")
    assert {name: found[name] for name in MAPPED} == {name: undisturbed[name] for name in MAPPED}
    assert {name: list(dates) for name, dates in found.items() if name != "projection"} == {
        name: list(dates) for name, dates in undisturbed.items() if name != "projection"
    }


def test_objects_that_change_under_the_run_are_rows_and_the_next_run_sees_the_rest(
    s3: S3Server, collection: Collection, proxy: Proxy
) -> None:
    """While the first image is read one is deleted, one replaced and one added."""
    upload(s3, collection, "moving")
    first, *_, replaced, deleted = sorted(collection.identity)
    done = Lock()

    def judge(seen: Seen) -> None:
        if seen.is_image() and done.acquire(blocking=False):
            s3.filesystem.rm_file(f"bucket/moving/{deleted}")
            s3.filesystem.pipe_file(f"bucket/moving/{replaced}", (collection.root / first).read_bytes() + b"\0")
            s3.filesystem.pipe_file("bucket/moving/new.jpg", (collection.root / first).read_bytes())

    proxy.judge = judge
    run("s3://bucket/moved", "resources.fetch_concurrency=1", collection="s3://bucket/moving")
    images = pa.concat_tables(tables("s3://bucket/moved")["images"].values())
    reasons = dict(zip(images["uri"].to_pylist(), images["reason"].to_pylist(), strict=True))
    assert reasons.pop(f"s3://bucket/moving/{deleted}") == "not_found"
    assert reasons.pop(f"s3://bucket/moving/{replaced}") == "changed"
    assert set(reasons.values()) == {None}
    proxy.heal()
    run("s3://bucket/moved", "ingest.on_vanished=drop", collection="s3://bucket/moving")
    run("s3://bucket/moved-scratch", "ingest.on_vanished=drop", collection="s3://bucket/moving")
    found, expected = tables("s3://bucket/moved"), tables("s3://bucket/moved-scratch")
    assert {name: found[name] for name in MAPPED} == {name: expected[name] for name in MAPPED}


def test_every_flaw_of_a_collection_is_counted_by_the_command(s3: S3Server, tmp_path: Path) -> None:
    """One object vanishes, one changes between listing and reading, and one is not handed out."""
    contents = {**good(), **{name: data for name, (data, _) in FLAWED.items()}}
    s3.filesystem.pipe({f"bucket/flaws/{name}": data for name, data in contents.items()})
    begun = Lock()

    def judge(seen: Seen) -> str | None:
        if not seen.path.startswith("/bucket/flaws/") or seen.method != "GET":
            return None
        if begun.acquire(blocking=False):
            s3.filesystem.rm_file("bucket/flaws/vanished.jpg")
            s3.filesystem.pipe_file("bucket/flaws/changed.jpg", WHOLE)
        return "AccessDenied" if seen.path.endswith("denied.jpg") else None

    with proxied(s3.endpoint) as proxy:
        proxy.judge = judge
        env = environment(AWS_ENDPOINT_URL=proxy.endpoint, HOME=str(tmp_path))
        words = run_arguments("s3://bucket/flaws", "s3://bucket/flawed", "--set", LIMIT)
        done = imagetracks(*words, "--set", "resources.fetch_concurrency=1", env=env)
        assert done.returncode == 0, done.stderr
        shown = imagetracks("status", "-w", "s3://bucket/flawed", "--set", LIMIT, env=env).stdout
    counts = Counter(reason for _, reason in FLAWED.values())
    most = ", ".join(f"{reason} {n}" for reason, n in sorted(counts.items(), key=lambda one: (-one[1], one[0])))
    for said in (done.stdout, shown):
        assert f"{counts.total()}: {most}" in " ".join(said.split())
    dates = {name: rows for name, rows in tables("s3://bucket/flawed")["images"].items() if name != UNDATED}
    assert list(dates) == [DAY]  # year 0 and year 9999 are no days: those two have no other, and are undated


def test_a_listing_that_changes_between_its_pages(s3: S3Server, proxy: Proxy) -> None:
    keys = [f"{n:04}.jpg" for n in range(35)]
    s3.filesystem.pipe({f"bucket/pages/{key}": b"x" for key in keys})
    changed = Lock()

    def judge(seen: Seen) -> str | None:
        if "continuation-token" not in seen.path:
            return None
        if changed.acquire(blocking=False):  # after the first page, and that page's second half is lost once
            s3.filesystem.rm([f"bucket/pages/{keys[3]}", f"bucket/pages/{keys[32]}"])
            s3.filesystem.pipe_file("bucket/pages/0033b.jpg", b"x")
            return "cut"
        return None

    proxy.judge = judge
    objects, filesystem, _ = held(list_collection("s3://bucket/pages", None, SourceParams()))
    found = objects["key"].to_pylist()
    assert found == sorted({*keys, "0033b.jpg"} - {keys[32]})
    assert fetch(objects.slice(3, 1), filesystem, 1)["reason"].to_pylist() == ["not_found"]


@pytest.mark.parametrize(("fate", "fresh"), [("late", True), ("late", False), ("SlowDown", False)])
def test_a_commit_that_is_held_up_for_longer_than_its_lease_does_not_come(
    fate: str, fresh: bool, s3: S3Server, proxy: Proxy
) -> None:
    """Neither the put that is on its way, whenever it arrives, nor another try of it."""
    place, seconds, over = f"s3://bucket/held-{fate}-{fresh}", 1.5, Event()
    filesystem, root = open_filesystem(place, retries=1000)
    lease, others = (Lease(one, f"{root}/_lease", "ws", seconds) for one in (filesystem, S3(endpoint_url=s3.endpoint)))
    lease.take()
    store = TableStore(filesystem, f"{root}/assignments", ASSIGNMENTS, lease.check)
    if not fresh:
        commit(store, assigned("old"))

    def judge(seen: Seen) -> str | None:
        if over.is_set():
            return None
        if seen.method == "PUT" and seen.path.endswith("_manifest.json"):
            return fate
        return "reset" if proxy.done else None  # nor can the lease be renewed

    proxy.judge = judge
    with ThreadPoolExecutor(1) as pool:
        held_up = pool.submit(commit, store, assigned("late"))
        deadline = time.monotonic() + 20
        while not lease_is_free(others):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        others.take()
        other = TableStore(others.filesystem, store.root, ASSIGNMENTS, others.check)
        other.sweep()
        commit(other, assigned("theirs"))
        over.set()
        with pytest.raises(BusyError):
            held_up.result(60)
    while fate == "late" and not any(line.count("412") for line in s3.log.read_text().splitlines() if root in line):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert other.read(DATES[0]).equals(assigned("theirs"))
    others.release(clean=True)


def lease_is_free(lease: Lease) -> bool:
    try:
        lease.look()
    except BusyError:
        return False
    return True


def assigned(cluster: str) -> pa.Table:
    row = {"image_id": "a", "cluster_id": cluster, "similarity_to_center": 1.0, "silhouette": None}
    return pa.Table.from_pylist([row], schema=ASSIGNMENTS.empty().schema)


def commit(store: TableStore, rows: pa.Table) -> None:
    staged = store.stage(DATES[0], [rows], 1 << 20)
    store.commit(DATES[0], staged, {"version": rows["cluster_id"][0].as_py()})


def test_a_lease_whose_confirmation_was_lost_is_had(proxy: Proxy) -> None:
    filesystem, folder = open_filesystem("s3://bucket/lost-answer/_lease")
    lease = Lease(filesystem, folder, "ws", 60)
    lease.look()
    proxy.judge = lambda seen: "lost" if seen.method == "PUT" and not proxy.done else None
    lease.take()
    assert [fate for fate, _ in proxy.done] == ["lost"]
    lease.check()
    lease.release(clean=True)
