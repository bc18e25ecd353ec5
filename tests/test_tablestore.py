"""Commit, crash, sweep: a reader sees the old content or the new, never anything between."""

import itertools
from collections.abc import Iterator
from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.digests import content_digests
from pipeline.errors import CommitError, SchemaError
from pipeline.schemas import ASSIGNMENTS
from pipeline.tablestore import TableStore
from tests.crashing import CrashError, CrashingFileSystem

DAY = "2024-05-01"


def rows(*ids: str, cluster: str = "c") -> pa.Table:
    fields = ASSIGNMENTS.empty().schema
    return pa.Table.from_pylist(
        [{"image_id": i, "cluster_id": cluster, "similarity_to_center": 1.0, "silhouette": None} for i in ids],
        schema=fields,
    )


def store_on(filesystem: CrashingFileSystem) -> TableStore:
    return TableStore(filesystem, "/ws/assignments", ASSIGNMENTS)


def commit(store: TableStore, table: pa.Table, version: str = "d", day: str = DAY, part_bytes: int = 1 << 20) -> None:
    batches = [table.slice(start, 1) for start in range(table.num_rows)] or [table]
    store.commit(day, store.stage(day, batches, part_bytes), {"version": version}, table.num_rows)


def glob_parts(store: TableStore) -> list[str]:
    """What ``date=*/*.parquet`` finds."""
    return sorted(store.filesystem.glob(f"{store.root}/date=*/*.parquet"))


@given(ids=st.sets(st.text("0123456789abcdef", min_size=1, max_size=4), max_size=30), cuts=st.sets(st.integers(0, 30)))
@settings(max_examples=50)
def test_a_table_reads_back_the_same_however_it_was_split(ids: set[str], cuts: set[int]) -> None:
    whole = rows(*sorted(ids))
    ends = [0, *sorted(cut for cut in cuts if cut < len(ids)), len(ids)]
    pieces = [whole.slice(start, stop - start) for start, stop in itertools.pairwise(ends)]
    store = store_on(CrashingFileSystem())
    staged = store.stage(DAY, pieces, part_bytes=1)
    manifest = store.commit(DAY, staged, {"version": "d"}, len(ids))
    assert store.read(DAY).equals(whole)
    assert dict(manifest.content) == dict(content_digests(whole))
    assert manifest.rows == len(ids)


def test_an_empty_partition_is_committed_not_missing() -> None:
    store = store_on(CrashingFileSystem())
    commit(store, rows())
    assert list(store.partitions) == [DAY]
    assert store.read(DAY).num_rows == 0
    assert store.read(DAY).schema.equals(ASSIGNMENTS.empty().schema)


def test_what_is_staged_is_not_read() -> None:
    store = store_on(CrashingFileSystem())
    store.stage(DAY, [rows("a")], 1 << 20)
    with pytest.raises(KeyError, match="not committed"):
        store.read(DAY)
    assert glob_parts(store) == []


def test_rows_lost_on_the_way_stop_the_commit_and_leave_the_old_content() -> None:
    store = store_on(CrashingFileSystem())
    commit(store, rows("a", "b"))
    staged = store.stage(DAY, [rows("a")], 1 << 20)
    with pytest.raises(CommitError, match="1 rows came out where 2 went in"):
        store.commit(DAY, staged, {"version": "e"}, expected_rows=2)
    assert store.read(DAY)["image_id"].to_pylist() == ["a", "b"]


@pytest.mark.parametrize("wrong", [("b", "a"), ("a", "a")])
def test_rows_out_of_order_or_with_a_key_twice_are_refused(wrong: tuple[str, str]) -> None:
    store = store_on(CrashingFileSystem())
    with pytest.raises(SchemaError, match="out of order"):
        store.stage(DAY, [rows(*wrong)], 1 << 20)
    with pytest.raises(SchemaError, match="behind one that ends"):
        store.stage(DAY, [rows(wrong[0]), rows(wrong[1])], part_bytes=1)


def test_equal_content_from_other_inputs_writes_a_manifest_and_no_part() -> None:
    store = store_on(CrashingFileSystem())
    commit(store, rows("a", "b"), "d")
    before = glob_parts(store)
    store.commit(DAY, store.stage(DAY, [rows("a"), rows("b")], part_bytes=1), {"version": "e"}, 2)
    assert store.partitions[DAY].inputs == {"version": "e"}
    assert glob_parts(store) == before
    assert store.read(DAY)["image_id"].to_pylist() == ["a", "b"]


def history(store: TableStore) -> Iterator[dict[str, list[str]]]:
    """Changes one by one; yields what the table holds after each."""
    commit(store, rows("a", "b"), "1", part_bytes=1)
    yield {DAY: ["a", "b"]}
    commit(store, rows("a", "c"), "2", part_bytes=1)
    yield {DAY: ["a", "c"]}
    commit(store, rows("x"), "1", day="2024-05-02")
    yield {DAY: ["a", "c"], "2024-05-02": ["x"]}
    store.flush()
    yield {DAY: ["a", "c"], "2024-05-02": ["x"]}
    store.remove(DAY)
    yield {"2024-05-02": ["x"]}
    store.flush()
    yield {"2024-05-02": ["x"]}


def content(store: TableStore) -> dict[str, list[str]]:
    """As a reader that follows manifests sees it, without the head."""
    days = {path.split("date=")[1].split("/")[0] for path in store.filesystem.find(store.root) if "_manifest" in path}
    return {day: store.read(day)["image_id"].to_pylist() for day in sorted(days)}


def count_changes() -> int:
    filesystem = CrashingFileSystem()
    for _ in history(store_on(filesystem)):
        pass
    return filesystem.changes


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_every_single_write_leaves_old_or_new_and_the_sweep_repairs(after: bool) -> None:
    states = [{}, *history(store_on(CrashingFileSystem()))]
    total = count_changes()
    assert total > 20
    for change in range(1, total + 1):
        filesystem = CrashingFileSystem()
        filesystem.arm(change, after)
        reached = 0
        with suppress(CrashError):
            for _ in history(store_on(filesystem)):
                reached += 1
        store = store_on(filesystem.revive())
        found = content(store)
        assert found in states[reached : reached + 2], (change, after)
        store.sweep()
        named = [f"{store.folder(day)}/{part.name}" for day, one in store.partitions.items() for part in one.parts]
        assert glob_parts(store) == sorted(named)
        assert content(store) == found
        assert {day: store.read(day)["image_id"].to_pylist() for day in store.partitions} == found
        store.flush()
        assert dict(store_on(store.filesystem).partitions) == dict(store.partitions)
        for _ in history(store):  # and the next run goes through
            pass
        assert content(store) == states[-1]
        assert store.sweep() == []


def test_fragments_outlive_a_sweep_and_are_found_by_their_digest_alone() -> None:
    store = store_on(CrashingFileSystem())
    one = store.put_fragment("stage1", rows("a"))
    store.sweep()
    assert store.fragments("stage1") == [(store.fragment_path("stage1", one.name), one.bytes)]
    assert store.fragments("stage2") == []
    store.drop_fragments()
    assert store.fragments("stage1") == []
