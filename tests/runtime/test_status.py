"""What ``status`` says: what is stale and why (an input, a parameter, a version), and what waits for it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.compute import extractors
from pipeline.reports.summary import PartitionStatus, render_status
from pipeline.reports.text import plain
from pipeline.runtime import fingerprints, fit, ingest, survey
from pipeline.stages.catalog import CLUSTER, UNNAMED_STAGES
from tests.collections import DATES, Collection, small
from tests.runtime.runs import open_read, run_local

pytestmark = pytest.mark.slow
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("status")
    run_local(small(root / "photos").root, root / "ws")
    return root / "ws"


def states(workspace: Path, *settings: str) -> dict[str, set[str | None]]:
    """Table -> what is said of its dates."""
    found: dict[str, set[str | None]] = {}
    for row in survey.survey(open_read(workspace, *settings)):
        found.setdefault(row.table, set()).add(row.stale)
    return found


NEWER = 1000  # than any version to come


def nothing(_: Patch) -> None:
    pass


def fit_version(patch: Patch) -> None:
    patch.setattr(fit, "VERSION", NEWER)


def ingest_version(patch: Patch) -> None:
    patch.setattr(ingest, "VERSION", NEWER)


def fingerprints_version(patch: Patch) -> None:
    patch.setattr(fingerprints, "VERSION", NEWER)


def cluster_version(patch: Patch) -> None:
    stages = tuple(replace(one, version=NEWER) if one is CLUSTER else one for one in UNNAMED_STAGES)
    patch.setattr(survey, "UNNAMED_STAGES", stages)


def new_weights(patch: Patch) -> None:
    family = extractors.FAMILIES["efficientnet_lite0"]
    patch.setitem(extractors.FAMILIES, "efficientnet_lite0", replace(family, weights_hash=lambda _: "new"))


def other_preprocessing(patch: Patch) -> None:
    resolve = extractors.resolve
    patch.setattr(extractors, "resolve", lambda name: replace(resolve(name), version=9))


CASES: dict[str, tuple[list[str], Callable[[Patch], None], dict[str, str]]] = {
    "neighbors.k": (
        ["neighbors.k=7"],
        nothing,
        {"neighbors": "neighbors.k 30 -> 7", "clusters": "waits for neighbors"},
    ),
    "projection": (["projection.dimensions=3"], nothing, {"projection": "projection.dimensions 128 -> 3"}),
    "period": (["ingest.period=week"], nothing, {"images": 'ingest.period "day" -> "week"'}),
    "image_px": (["ingest.image_px=300"], nothing, {"images": "ingest.image_px 384 -> 300"}),
    "precision": (
        ["fingerprint.precision=bfloat16"],
        nothing,
        {"fingerprints": "fingerprint.precision float32 -> bfloat16"},
    ),
    "weights": ([], new_weights, {"fingerprints": "weights changed", "projection": "fingerprints changed"}),
    "extractor": ([], other_preprocessing, {"fingerprints": "extractor changed"}),
    "version of ingest": (
        [],
        ingest_version,
        {"images": f"version {ingest.VERSION} -> {NEWER}", "fingerprints": "waits for images"},
    ),
    "version of fingerprints": (
        [],
        fingerprints_version,
        {"fingerprints": f"version {fingerprints.VERSION} -> {NEWER}"},
    ),
    "version of fit": (
        [],
        fit_version,
        {"projection": f"version {fit.VERSION} -> {NEWER}", "neighbors": "waits for projection"},
    ),
    "version of cluster": (
        [],
        cluster_version,
        {"clusters": f"version {CLUSTER.version} -> {NEWER}", "link_decisions": "waits for clusters"},
    ),
}


@pytest.mark.parametrize(("settings", "patched", "said"), CASES.values(), ids=CASES)
def test_what_is_stale_and_what_waits_for_it(
    settings: list[str], patched: Callable[[Patch], None], said: dict[str, str], workspace: Path, monkeypatch: Patch
) -> None:
    patched(monkeypatch)
    found = states(workspace, *settings)
    for table, state in said.items():
        assert found[table] == {state}
    assert found["images"] == {said.get("images")}  # what lies before it is up to date, what lies behind it is not
    assert all(None not in found[table] for table in ("assignments", "clusters", "links", "tracks", "track_summary"))


def test_nothing_is_stale_of_itself(workspace: Path) -> None:
    assert set().union(*states(workspace).values()) == {None}


def test_an_input_that_changed(tmp_path: Path) -> None:
    photos = small(tmp_path / "photos")
    run_local(photos.root, tmp_path / "ws")
    photos.add(1, DATES[1], 5)
    run_local(photos.root, tmp_path / "ws", dates=("2030-01-01", None))  # takes the images in and leaves the rest
    rows = {(row.table, row.partition): row for row in survey.survey(open_read(tmp_path / "ws"))}
    assert rows["images", DATES[1]].stale is None
    assert rows["fingerprints", DATES[1]].stale == "images changed"
    assert rows["neighbors", DATES[1]].stale == "waits for fingerprints"
    assert [rows["fingerprints", date].stale for date in (DATES[0], DATES[2])] == [None, None]
    assert [rows["link_decisions", date].stale for date in DATES] == [
        None,
        "waits for clusters",
        "waits for link_state",
    ]


def test_vanished_images_are_counted(tmp_path: Path) -> None:
    photos: Collection = small(tmp_path / "photos")
    run_local(photos.root, tmp_path / "ws")
    for key in [key for key in photos.identity if "s0_20240501" in key]:
        (photos.root / key).unlink()
    run_local(photos.root, tmp_path / "ws")
    context = open_read(tmp_path / "ws")
    rows = survey.survey(context)
    assert [row.vanished for row in rows if row.table == "images"] == [2, 0, 0]
    assert survey.summarize(context).vanished == 2
    assert "0; 2 vanished" in plain(render_status(rows))
    assert "Images dated by exif_original 24" in plain(render_status(rows))


def test_what_waits_is_told_from_what_is_stale() -> None:
    rows = [PartitionStatus("links", date, 1, why, {}, why != "x") for date, why in (("a", "x"), ("b", "waits"))]
    assert "1 stale, 1 waiting, of 2" in plain(render_status(rows))
