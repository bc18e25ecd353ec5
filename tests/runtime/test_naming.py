"""Published ids over runs: they stay through late, new and lost images, a lost registry, and a death at any write."""

import json
import random
import shutil
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.runtime.context import Context
from pipeline.runtime.history import changed_tracks, state
from pipeline.runtime.tables import read_dates
from pipeline.schemas import Table
from tests.collections import DATES, Collection, small
from tests.crashing import CrashError, SharedDisk
from tests.runtime.runs import open_read, run_local, tables, up_to_naming

pytestmark = pytest.mark.slow
BY_SUBJECT = ("cluster.method=agglomerative", "cluster.num_clusters=4")
"""A cluster a subject: what is tested is what follows from a change, not whether it is small."""


def ids(workspace: Path | str) -> dict[str, str]:
    """Image -> published id."""
    rows = read_dates(open_read(workspace), schemas.TRACKS, ("image_id", "track_id"))
    return dict(zip(rows["image_id"].to_pylist(), rows["track_id"].to_pylist(), strict=True))


def history(workspace: Path | str, table: Table) -> list[dict[str, object]]:
    store = open_read(workspace).store(table)
    return [row for name in store.partitions for row in store.read(name).to_pylist()]


def test_a_late_image_of_the_first_date_changes_no_id_and_a_lost_registry_gives_those_of_the_content(
    tmp_path: Path,
) -> None:
    collection, workspace = small(tmp_path / "photos"), tmp_path / "ws"
    run_local(collection.root, workspace, *BY_SUBJECT)
    first = ids(workspace)
    collection.add(0, DATES[0], 5)  # the first cluster of subject 0 is another one, and so is its track's key
    context = run_local(collection.root, workspace, *BY_SUBJECT)
    then = ids(workspace)
    assert {image: then[image] for image in first} == first
    assert context.churn["images_kept"] == len(first)
    assert context.churn["images_added"] == 1
    [row] = history(workspace, schemas.CHANGES)
    assert (row["old_track_id"], row["why"], str(row["date"])) == (None, "added", DATES[0])
    assert [report["computed"]["naming"] for report in reports(workspace)] == [1, 1]
    shutil.rmtree(workspace / "clusterings/default/registry")
    run_local(collection.root, workspace, *BY_SUBJECT)
    run_local(collection.root, tmp_path / "scratch", *BY_SUBJECT)
    assert ids(workspace) == ids(tmp_path / "scratch") != then


def reports(workspace: Path) -> list[dict[str, dict[str, int]]]:
    return [json.loads(path.read_text()) for path in sorted((workspace / "runs").glob("*.json"))]


def run_on_disk(collection: Collection) -> Context:
    return run_local(collection.root, "crashing:///ws")


def outcome() -> dict[str, object]:
    """All tables, and the history without the names of the runs."""
    kept = {
        table.name: history("crashing:///ws", table) for table in (schemas.REGISTRY, schemas.ALIASES, schemas.CHANGES)
    }
    return {**tables("crashing:///ws"), **kept}


def test_a_second_run_that_dies_at_a_write_leaves_no_trace_in_ids_and_history(tmp_path: Path) -> None:
    collection = small(tmp_path / "photos", subjects=2, shots=1)
    SharedDisk.fresh()
    run_on_disk(collection)
    before = SharedDisk.reboot()
    collection.add(0, DATES[0], 5)
    disk = SharedDisk.reboot()
    disk.arm(0, False)
    run_on_disk(collection)
    expected, total = outcome(), disk.changes
    naming_at = range(int(total * 0.6), total + 1)  # the writes from naming on are the last
    for change in random.Random(1).sample(list(naming_at), 3):
        SharedDisk.disk = before
        SharedDisk.reboot().arm(change, after=bool(change % 2))
        with suppress(CrashError):
            run_on_disk(collection)
        SharedDisk.reboot()
        run_on_disk(collection)
        assert outcome() == expected, change


def test_what_a_killed_run_named_is_published_before_anything_else(tmp_path: Path) -> None:
    """Killed between naming and publishing, and the collection is another one when the next run comes."""
    collection, workspace = small(tmp_path / "photos"), tmp_path / "ws"
    run_local(collection.root, workspace, *BY_SUBJECT)
    collection.add(1, DATES[1], 6)
    run_local(collection.root, workspace, *BY_SUBJECT)
    tracks = workspace / "clusterings/default/tracks"
    expected, told = ids(workspace), history(workspace, schemas.CHANGES)
    shutil.rmtree(tracks)  # as if nothing had been published yet
    collection.add(2, DATES[2], 7)
    run_local(collection.root, workspace, *BY_SUBJECT)
    found = ids(workspace)
    assert {image: found[image] for image in expected} == expected
    assert [row["why"] for row in told].count("added") == 1
    changed = history(workspace, schemas.CHANGES)
    assert changed[: len(told)] == told
    assert [row["why"] for row in changed[len(told) :]] == ["added"]


def test_two_clusterings_have_a_history_each(tmp_path: Path) -> None:
    collection, workspace = small(tmp_path / "photos"), tmp_path / "ws"
    run_local(collection.root, workspace)
    first = ids(workspace)
    run_local(collection.root, workspace, "clustering=other", "cluster.method=agglomerative", "cluster.num_clusters=4")
    assert ids(workspace) == first
    other = open_read(workspace, "clustering=other").store(schemas.REGISTRY)
    mine = open_read(workspace).store(schemas.REGISTRY)
    assert other.manifest("current").inputs["history"] != mine.manifest("current").inputs["history"]
    assert isinstance(other.read("current"), pa.Table)


def test_photographs_in_random_portions_give_what_the_run_from_scratch_gives_up_to_naming(tmp_path: Path) -> None:
    """Also of dates in between; both start from one fitted projection.  For any order of dates see test_backfill."""
    source = small(tmp_path / "source", subjects=3, shots=1)
    scratch = tmp_path / "scratch"
    photos = tmp_path / "photos"
    shutil.copytree(source.root, photos)
    run_local(photos, scratch)
    expected = up_to_naming(tables(scratch))
    shutil.rmtree(photos)
    workspace, model = tmp_path / "ws", Path("clusterings/default/projection")
    shutil.copytree(scratch / model, workspace / model)
    shutil.copy(scratch / "imagetracks.json", workspace)
    keys = sorted(source.identity)
    random.Random(1).shuffle(keys)
    for portion in (keys[:4], keys[4:]):
        for key in portion:
            (photos / key).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source.root / key, photos / key)
        run_local(photos, workspace)
    assert up_to_naming(tables(workspace)) == expected


def test_what_changed_since_and_between_two_runs(tmp_path: Path) -> None:
    collection, workspace = small(tmp_path / "photos"), tmp_path / "ws"
    first = run_local(collection.root, workspace, *BY_SUBJECT)
    before = ids(workspace)
    collection.add(7, "2024-05-07", 0)
    gone = next(key for key in collection.identity if DATES[0].replace("-", "") in key)
    (collection.root / gone).unlink()
    second = run_local(collection.root, workspace, *BY_SUBJECT, "ingest.on_vanished=drop")
    context = open_read(workspace)
    found = changed_tracks(context, first.run).to_pylist()
    assert [(row["what"], row["images"]) for row in found if row["what"] == "new"] == [("new", 1)]
    assert changed_tracks(context, second.run).num_rows == 0
    assert changed_tracks(context, "2000-01-01").to_pylist() == found
    then = state(context, first.run)
    told = dict(zip(then["image_id"].to_pylist(), then["track_id"].to_pylist(), strict=True))
    assert {image: track for image, track in told.items() if track} == {
        image: track for image, track in before.items() if image in told
    }
    with pytest.raises(UserError, match="found no run and no clustering yesterday"):
        changed_tracks(context, "yesterday")
