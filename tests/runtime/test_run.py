"""A run from photographs to tracks, and the runs after it: what is computed again, and what is left alone."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import schemas
from tests.collections import DATES, Collection, small
from tests.runtime.runs import files, no_engine, run_local, tables

pytestmark = pytest.mark.slow


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    return small(tmp_path / "photos")


@pytest.fixture
def workspace(tmp_path: Path, collection: Collection) -> Path:
    run_local(collection.root, tmp_path / "ws")
    return tmp_path / "ws"


def column(table: dict[str, pa.Table], name: str) -> list[object]:
    return [value for rows in table.values() for value in rows[name].to_pylist()]


def test_every_table_is_written_and_every_image_has_its_row(collection: Collection, workspace: Path) -> None:
    found = tables(workspace)
    for name in ("images", "fingerprints", "neighbors", "assignments", "clusters", "links", "link_state", "tracks"):
        assert list(found[name]) == list(DATES), name
    for name in ("images", "fingerprints", "assignments", "tracks"):
        assert len(column(found[name], "image_id")) == len(collection.identity)
    assert len(found["projection"]) == 1
    assert column(found["track_summary"], "num_images") != []
    assert sum(column(found["track_summary"], "num_images")) == len(collection.identity)
    assert column(found["links"], "cluster_id") == column(found["clusters"], "cluster_id")
    assert set(column(found["events"], "kind")) >= {"birth", "continuation"}


def test_a_track_follows_one_subject_over_all_dates(collection: Collection, workspace: Path) -> None:
    """Eight images a date are too few to tell two shots of a subject from look-alikes, so it may have two tracks."""
    seen: dict[str, set[tuple[str, str]]] = {}
    for date, rows in tables(workspace)["tracks"].items():
        for uri, track_id in zip(rows["uri"].to_pylist(), rows["track_id"].to_pylist(), strict=True):
            seen.setdefault(track_id, set()).add((collection.identity[uri.split("/photos/")[1]], date))
    assert len(seen) in (4, 8)
    for track in seen.values():
        assert len({subject for subject, _ in track}) == 1
        assert [date for _, date in sorted(track)] == list(DATES)


def test_a_second_run_computes_nothing_writes_nothing_and_asks_for_no_engine(
    collection: Collection, workspace: Path
) -> None:
    before = files(workspace)
    context = run_local(collection.root, workspace, make_engine=no_engine)
    assert not context.done
    assert files(workspace) == before


def test_one_image_on_a_new_date_costs_one_vector_and_what_follows_from_it(
    collection: Collection, workspace: Path, tmp_path: Path
) -> None:
    collection.add(0, "2024-05-07", 0)
    done = run_local(collection.root, workspace).done
    expected = {"images": 1, "fingerprints": 1, "neighbors": 1, "cluster": 1, "link": 1, "tracks": 1}
    assert {name: done[name] for name in expected} == expected
    assert "projection" not in done
    run_local(collection.root, tmp_path / "scratch")
    assert_equal_but_for_the_model(tables(workspace), tables(tmp_path / "scratch"))


def assert_equal_but_for_the_model(one: dict[str, dict[str, pa.Table]], other: dict[str, dict[str, pa.Table]]) -> None:
    """The model is fitted once; below ten images a dimension another sample gives another mean, not other tracks."""
    for name in ("images", "fingerprints", "assignments"):
        assert list(one[name]) == list(other[name])
        for date, rows in one[name].items():
            shown = [c for c in rows.column_names if c not in ("similarity_to_center", "silhouette")]
            assert rows.select(shown).equals(other[name][date].select(shown)), (name, date)


def test_an_image_of_an_old_date_costs_its_date_and_links_from_there(collection: Collection, workspace: Path) -> None:
    collection.add(1, DATES[1], 5)
    done = run_local(collection.root, workspace).done
    assert (done["images"], done["fingerprints"], done["neighbors"], done["cluster"]) == (1, 1, 1, 1)
    assert done["link"] == 2  # that date and the one after it


def test_a_replaced_image_is_read_again_alone(collection: Collection, workspace: Path) -> None:
    key = next(iter(collection.identity))
    (collection.root / key).write_bytes((collection.root / "card1/s3_20240501_1.jpg").read_bytes())
    done = run_local(collection.root, workspace).done
    assert (done["images"], done["fingerprints"], done["cluster"]) == (1, 1, 1)
    images = tables(workspace)["images"][DATES[0]]
    assert sum(value is not None for value in images["duplicate_of"].to_pylist()) == 1


@pytest.mark.parametrize("on_vanished", ["mark", "drop"])
def test_a_vanished_image_is_marked_or_leaves(collection: Collection, workspace: Path, on_vanished: str) -> None:
    (collection.root / "card0/s0_20240501_0.jpg").unlink()
    context = run_local(collection.root, workspace, f"ingest.on_vanished={on_vanished}")
    images = pa.concat_tables(tables(workspace)["images"].values())
    total = len(collection.identity)
    assert images.num_rows == (total if on_vanished == "mark" else total - 1)
    assert sum(images["vanished"].to_pylist()) == (1 if on_vanished == "mark" else 0)
    assert (context.done["images"], context.done["fingerprints"]) == (0, 0)
    assert context.done["cluster"] == (0 if on_vanished == "mark" else 1)
    again = run_local(collection.root, workspace, f"ingest.on_vanished={on_vanished}", make_engine=no_engine)
    assert not again.done


def test_a_date_whose_last_image_leaves_is_taken_out_of_every_table(collection: Collection, workspace: Path) -> None:
    for key in [key for key in collection.identity if DATES[2].replace("-", "") in key]:
        (collection.root / key).unlink()
    run_local(collection.root, workspace, "ingest.on_vanished=drop")
    for name, partitions in tables(workspace).items():
        assert DATES[2] not in partitions, name
    assert not list(workspace.rglob(f"date={DATES[2]}/*.parquet"))


def test_a_changed_clustering_parameter_leaves_images_and_fingerprints_alone(
    collection: Collection, workspace: Path
) -> None:
    context = run_local(collection.root, workspace, "cluster.method=agglomerative", "cluster.similarity=0.99")
    assert {"images", "fingerprints", "projection", "neighbors"}.isdisjoint(context.done)
    assert context.done["cluster"] == len(DATES)


def test_a_window_of_dates_leaves_the_rest(collection: Collection, tmp_path: Path) -> None:
    context = run_local(collection.root, tmp_path / "ws", dates=(DATES[0], DATES[1]))
    assert context.done["cluster"] == 2
    found = tables(tmp_path / "ws")
    assert list(found["images"]) == list(DATES)
    assert list(found["tracks"]) == list(DATES[:2])
    assert run_local(collection.root, tmp_path / "ws").done["cluster"] == 1


def write_manifest(path: Path, collection: Collection, **captions: str) -> Path:
    lines = ["path,caption"] + [f"{key},{captions.get(key[6:8], 'none')}" for key in collection.identity]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_edited_caption_costs_no_vector_and_no_clustering(collection: Collection, tmp_path: Path) -> None:
    workspace, manifest = tmp_path / "ws", tmp_path / "manifest.csv"
    run_local(collection.root, workspace, manifest=write_manifest(manifest, collection))
    context = run_local(collection.root, workspace, manifest=write_manifest(manifest, collection, s0="rotten"))
    assert context.done == {"images by date": len(DATES)}  # rewritten without reading a photograph
    images = pa.concat_tables(tables(workspace)["images"].values())
    captions = [one["caption"] for one in images["metadata"].to_pylist()]
    assert captions.count("rotten") == 6
    assert run_local(collection.root, workspace, manifest=manifest, make_engine=no_engine).done.total() == 0


def test_broken_and_undated_images_keep_their_rows(collection: Collection, tmp_path: Path) -> None:
    (collection.root / "broken.jpg").write_bytes(b"<html>not here</html>")
    good = collection.root / "card0/s0_20240501_0.jpg"
    (collection.root / "cut.jpg").write_bytes(good.read_bytes()[:2000])
    from tests.collections import look

    look(0, 0, 7).save(collection.root / "undated.png")
    run_local(collection.root, tmp_path / "ws")
    found = tables(tmp_path / "ws")
    undated = found["images"][schemas.UNDATED]
    assert sorted(filter(None, undated["reason"].to_pylist())) != []
    assert len(column(found["tracks"], "image_id")) == len(collection.identity) + 3
    assert found["tracks"][schemas.UNDATED]["track_id"].to_pylist() == [None] * undated.num_rows
    assert schemas.UNDATED not in found["links"]
    assert schemas.UNDATED in found["clusters"]
    assert run_local(collection.root, tmp_path / "ws", make_engine=no_engine).done.total() == 0
