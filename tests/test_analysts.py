"""What analysts ask of a workspace, by the command, in this process."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from pipeline import schemas
from pipeline.cli import app
from pipeline.errors import UserError
from pipeline.runtime.find import find
from pipeline.runtime.tables import read_dates
from tests.collections import DATES, Collection, small
from tests.runtime.runs import open_read, run_local

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return small(tmp_path_factory.mktemp("analysts") / "photos", subjects=6)


@pytest.fixture(scope="module")
def workspace(collection: Collection) -> Path:
    run_local(collection.root, collection.root.parent / "ws")
    return collection.root.parent / "ws"


def command(*words: object) -> Result:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_an_image_of_the_collection_finds_its_own_track(collection: Collection, workspace: Path) -> None:
    rows = read_dates(open_read(workspace), schemas.TRACKS, ("image_id", "uri", "track_id")).to_pylist()
    images = [collection.root / key for key in collection.identity]
    done = json.loads(command("find", *images, "-w", workspace, "--json").stdout)
    by_uri = {row["uri"].removeprefix("file://"): row for row in rows}
    assert [one["same"][0]["image_id"] for one in done] == [by_uri[one["image"]]["image_id"] for one in done]
    own = [by_uri[one["image"]]["track_id"] for one in done]
    assert [one["same"][0]["track_id"] for one in done] == own
    assert [one["tracks"][0]["track_id"] for one in done] == own
    assert all(one["tracks"][0]["probability"] > 0.5 for one in done)
    assert all(0 <= one["none"] <= 1 and len(one["tracks"]) <= 5 for one in done)


def test_a_photograph_that_is_not_in_the_collection(collection: Collection, workspace: Path, tmp_path: Path) -> None:
    other = Collection(tmp_path)
    asked = [other.root / other.add(2, "2024-05-02", 7, name="new.jpg"), other.root / other.add(99, "2024-05-02", 0)]
    known, stranger = find(open_read(workspace), [str(one) for one in asked])
    assert (known.same, stranger.same) == ((), ())
    of_two = [key for key, who in collection.identity.items() if who == "subject 2"]
    own = {one.same[0].track_id for one in find(open_read(workspace), [str(collection.root / k) for k in of_two])}
    assert known.tracks[0].track_id in own
    assert known.none < stranger.none


def test_mistakes_of_find(collection: Collection, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    image = str(collection.root / next(iter(collection.identity)))
    for images, settings, said in (
        ([str(tmp_path / "text.jpg")], (), r"text.jpg cannot be read as an image \(not_an_image\)"),
        ([str(tmp_path / "none.jpg")], (), "there is no image at .*none.jpg"),
        ([str(tmp_path)], (), "there is no image at"),
        ([image], ("clustering=other",), "has no tracks by efficientnet_lite0 and clustering other yet"),
    ):
        with pytest.raises(UserError, match=said):
            find(open_read(workspace, *settings), images)


def test_near_duplicates_are_written_as_they_are_shown(workspace: Path, tmp_path: Path) -> None:
    for ending, read in (("csv", pl.read_csv), ("parquet", pl.read_parquet), ("json", pl.read_ndjson)):
        file = tmp_path / f"pairs.{ending}"
        done = command("near-duplicates", "-w", workspace, "--threshold", 0.5, "--burst", 60, "--out", file)
        rows = read(file)
        assert done.stdout.startswith(f"{rows.height} pairs of one date")
        assert rows.height > 5
        assert rows["similarity"].min() >= 0.5
        assert rows.filter(pl.col("seconds_apart") <= 60).height == rows["burst"].sum() > 0
    with pytest.raises(UserError, match="expected a file that ends with"):
        command("near-duplicates", "-w", workspace, "--out", tmp_path / "pairs.xls")


def test_subjects_are_counted_by_date(workspace: Path, tmp_path: Path) -> None:
    command("subjects", "-w", workspace, "--out", tmp_path / "subjects.parquet")
    rows = pl.read_parquet(tmp_path / "subjects.parquet")
    assert rows["date"].to_list() == list(DATES)
    assert (rows["low"] <= rows["subjects"]).all()
    assert (rows["subjects"] <= rows["high"]).all()
    assert DATES[1] in command("subjects", "-w", workspace, "--dates", DATES[1]).stdout
    with pytest.raises(UserError, match="no links on these dates"):
        command("subjects", "-w", workspace, "--dates", "2030-01-01")


def test_pairs_are_asked_about_and_answers_hold(collection: Collection, tmp_path: Path) -> None:
    workspace, file = tmp_path / "ws", tmp_path / "review.csv"
    settings = ("cluster.method=agglomerative", "cluster.num_clusters=6")
    run_local(collection.root, workspace, *settings)
    with pytest.raises(UserError, match=r"expected .csv or .parquet"):
        command("review", "-w", workspace, "--out", tmp_path / "review.json")
    command("review", "-w", workspace, "--out", file, "--pairs", 5)
    rows = pl.read_csv(file, infer_schema=False)
    assert 1 <= rows.height <= 5
    gains = [float(gain) for gain in rows["expected_gain"]]
    assert gains == sorted(gains, reverse=True)
    assert (tmp_path / "review.png").stat().st_size > 0
    with pytest.raises(UserError, match="there is such a file already"):
        command("review", "-w", workspace, "--out", file)
    flipped = {"same": "different", "different": "same"}[rows["now"][0]]
    answered = rows.with_columns(verdict=pl.Series([flipped, *[None] * (rows.height - 1)], dtype=pl.String))
    answered.write_csv(file)
    assert command("review", "-w", workspace, "--answers", file).stdout.startswith("1 pairs are answered")
    run_local(collection.root, workspace, *settings)
    tracks = read_dates(open_read(workspace), schemas.TRACKS, ("image_id", "track_id"))
    track = dict(zip(tracks["image_id"].to_pylist(), tracks["track_id"].to_pylist(), strict=True))
    one, other = rows["image_id"][0], rows["other_image_id"][0]
    assert (track[one] == track[other]) == (flipped == "same")
    command("review", "-w", workspace, "--out", tmp_path / "again.parquet")
    again = pl.read_parquet(tmp_path / "again.parquet")
    assert (one, other) not in again.select("image_id", "other_image_id").rows()
    with pytest.raises(UserError, match="and the next run would take that file"):
        command("review", "-w", workspace, "--answers", file, "--set", "verdicts.file=v.csv")


def test_two_clusterings_are_compared(collection: Collection, workspace: Path) -> None:
    for name, clusters in (("six", 6), ("one", 1)):
        settings = (f"clustering={name}", "cluster.method=agglomerative", f"cluster.num_clusters={clusters}")
        run_local(collection.root, workspace, *settings)
    own = command("diff", "-w", workspace, "six", "six").stdout
    assert "IDF1               1.0000" in own
    assert own.splitlines()[-1] == "Clusters beside those of six, within their dates: BCubed F 1.0000"
    rows = read_dates(open_read(workspace, "clustering=six"), schemas.CLUSTERS, ("num_images",))
    precision = sum(size**2 for size in rows["num_images"].to_pylist()) / (12 * 36)  # of 12 in one; their recall is 1
    shown = f"within their dates: BCubed F {2 * precision / (1 + precision):.4f}"
    assert shown in command("diff", "-w", workspace, "six", "one").stdout
    with pytest.raises(UserError, match="found no run and no clustering other"):
        command("diff", "-w", workspace, "six", "other")
