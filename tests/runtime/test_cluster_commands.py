"""tune, why, map and the pictures of clusters on a workspace that a run made."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pipeline import schemas
from pipeline.cli import app
from tests.runtime.runs import files, open_read, run_local, tables

pytestmark = pytest.mark.slow

QUICK = (
    "fingerprint.extractor=classical/colour_histogram",
    "cluster.choose={by: {silhouette: 1}, grid: [{method: [auto]}, {method: [agglomerative], similarity: [0.5, 0.9]}]}",
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three colours on two dates, three shots each."""
    root = tmp_path_factory.mktemp("clusters")
    rng = np.random.default_rng(0)
    for day in (1, 2):
        for number, colour in enumerate([(200, 30, 30), (30, 200, 30), (30, 30, 200)]):
            for shot in range(3):
                pixels = np.clip(rng.normal(colour, 12, size=(64, 64, 3)), 0, 255).astype(np.uint8)
                path = root / "photos" / f"2024-05-0{day}" / f"{number}-{shot}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    run_local(root / "photos", root / "ws", "fingerprint.extractor=classical/colour_histogram")
    return root / "ws"


def told(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=True)
    text = done.output + (str(done.exception) if done.exception else "")
    assert (done.exit_code == 0) == (code == 0), text
    return text


def options(workspace: Path, *overrides: str) -> list[str]:
    return ["--workspace", str(workspace), *(part for one in overrides for part in ("--set", one))]


def test_tune_writes_a_config_that_a_run_takes_and_leaves_the_clustering_alone(workspace: Path, tmp_path: Path) -> None:
    before = files(workspace / "clusterings" / "default")
    out = tmp_path / "tuned.yaml"
    text = told("tune", *options(workspace, *QUICK), "--out", str(out))
    assert "agglomerative" in text
    assert files(workspace / "clusterings" / "default") == before
    trials = tables(workspace, *QUICK, "clustering=default.tune")["trials"]
    assert {date: rows.num_rows for date, rows in trials.items()} == {"2024-05-01": 3, "2024-05-02": 3}
    assert "already" in told("tune", *options(workspace, *QUICK), "--out", str(out), code=2)
    again = told("tune", *options(workspace, *QUICK), "--out", str(tmp_path / "again.yaml"))
    assert "cluster:" not in again  # nothing was computed a second time
    assert (tmp_path / "again.yaml").read_text() == out.read_text()
    photos = ["--collection", str(workspace.parent / "photos"), "--workspace", str(workspace), "--engine", "local"]
    told("run", *photos, "--config", str(out), "--set", "clustering=tuned")
    made = tables(workspace, QUICK[0], "clustering=tuned")["assignments"]
    assert {date: len(set(rows["cluster_id"].to_pylist())) for date, rows in made.items()} == dict.fromkeys(trials, 3)


def test_why_two_images_are_together_or_apart(workspace: Path) -> None:
    extractor = options(workspace, "fingerprint.extractor=classical/colour_histogram")
    assert "in one cluster" in told("why", *extractor, "2024-05-01/0-0.png", "2024-05-01/0-1.png")
    apart = told("why", *extractor, "2024-05-01/0-0.png", "2024-05-01/1-0.png")
    assert "in two clusters" in apart
    assert "across the two clusters" in apart
    assert "track" in told("why", *extractor, "2024-05-02/0-0.png", "2024-05-01/0-1.png")
    rows = tables(workspace, "fingerprint.extractor=classical/colour_histogram")["tracks"]["2024-05-01"]
    image_id = rows["image_id"][0].as_py()
    assert "the same image" in told("why", *extractor, image_id, image_id, code=2)
    assert "no such image" in told("why", *extractor, image_id, "nothing.png", code=2)
    assert "2 images end so" in told("why", *extractor, image_id, "0-0.png", code=2)


def test_why_reads_the_tree_that_a_linkage_wrote(workspace: Path) -> None:
    given = ["fingerprint.extractor=classical/colour_histogram", "clustering=ward", "cluster.method=agglomerative"]
    given += ["cluster.linkage=ward", "cluster.num_clusters=3"]
    run_local(workspace.parent / "photos", workspace, *given)
    text = told("why", *options(workspace, *given), "2024-05-01/0-0.png", "2024-05-01/1-0.png")
    assert "at a ward-linkage distance of" in text
    assert "complete at" in text


@pytest.mark.parametrize(
    ("method", "settings", "evidence"),
    [
        ("kmeans", "num_clusters=3", "similarity to the center of its cluster"),
        ("dbscan", "similarity=0.8", "From core to core they are connected"),
        ("hdbscan", "min_samples=2", "mutual reachability distance of"),
        ("leiden", "resolution=1", "by chance"),
        ("components", "similarity=0.8", "each other's neighbours"),
        ("chinese_whispers", "similarity=0.8", "edges weigh most"),
    ],
)
def test_why_says_what_each_method_went_by(workspace: Path, method: str, settings: str, evidence: str) -> None:
    given = ["fingerprint.extractor=classical/colour_histogram", f"clustering={method}", f"cluster.method={method}"]
    given += [f"cluster.{settings}"]
    run_local(workspace.parent / "photos", workspace, *given)
    text = told("why", *options(workspace, *given), "2024-05-01/0-0.png", "2024-05-01/1-0.png")
    assert evidence in text
    assert f"the method {method}" in text
    assert settings.replace("=", " ") in text


def test_the_collections_map_is_made_once_and_drawn(workspace: Path, tmp_path: Path) -> None:
    extractor = options(workspace, "fingerprint.extractor=classical/colour_histogram", "map.iterations=50")
    picture = str(tmp_path / "map.png")
    assert "there is no map" in told("picture", "--kind", "map", *extractor, picture, code=2)
    assert "Map made" in told("map", *extractor)
    assert "Nothing to do" in told("map", *extractor)
    places = tables(workspace, "fingerprint.extractor=classical/colour_histogram")["collection_map"]
    assert sum(rows.num_rows for rows in places.values()) == 18
    told("picture", "--kind", "map", *extractor, picture)
    assert Image.open(picture).size[0] > 500


@pytest.mark.parametrize("kind", ["clusters", "dendrogram", "silhouette"])
def test_pictures_of_a_date(workspace: Path, tmp_path: Path, kind: str) -> None:
    extractor = options(workspace, "fingerprint.extractor=classical/colour_histogram")
    told("picture", "--kind", kind, *extractor, str(tmp_path / "one.png"))
    assert Image.open(tmp_path / "one.png").size[0] > 500


def test_mistakes_are_told(workspace: Path, tmp_path: Path) -> None:
    extractor = [*options(workspace, "fingerprint.extractor=classical/colour_histogram"), str(tmp_path / "one.png")]
    assert "expected one of tracks" in told("picture", "--kind", "heap", *extractor, code=2)
    assert "nothing was tried" in told("picture", "--kind", "elbow", *extractor, code=2)
    assert "expected 1 to 1" in told("picture", "--kind", "clusters", "--page", "9", *extractor, code=2)
    assert "no cluster to draw" in told("picture", "--kind", "clusters", "--dates", "1999-01-01", *extractor, code=2)
    assert open_read(workspace, "fingerprint.extractor=classical/colour_histogram").store(schemas.CLUSTERS).partitions


def test_another_extractor_than_the_runs_is_told(workspace: Path, tmp_path: Path) -> None:
    expected = r"efficientnet_lite0.* has nothing of 2024-05-02.*fingerprint\.extractor above all"
    text = told("picture", "--kind", "dendrogram", *options(workspace), str(tmp_path / "one.png"), code=2)
    assert re.search(expected, " ".join(text.split()))
    text = told("why", *options(workspace), "2024-05-02/0-0.png", "2024-05-02/0-1.png", code=2)
    assert re.search(expected, " ".join(text.split()))
