"""What the whole pipeline reaches at default settings, given paths and capture times only.

Labels are read by the scorer alone: the manifests are cut down to `path` and `captured_at` before the run.  The sample
is scored where it is written: `tests/sample/test_write.py`.
"""

import csv
from pathlib import Path

import pytest

from pipeline import schemas
from pipeline.reports.evaluate import Evaluation, evaluate
from pipeline.reports.truth import read_truth, read_truth_events
from pipeline.runtime.tables import read_dates
from tests.runtime.runs import open_read, run_local
from tests.shared_sets import DATA, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def scored(workspace: Path, truth: Path, events: Path | None = None) -> Evaluation:
    context = open_read(workspace)
    tracks = read_dates(context, schemas.TRACKS, ("image_id", "uri", "cluster_id", "track_id"))
    return evaluate(
        tracks,
        read_truth(str(truth), "identity", context.workspace.collection or "", tracks["image_id"]),
        events=read_dates(context, schemas.EVENTS, schemas.EVENTS.names),
        truth_events=read_truth_events(str(events)) if events else None,
    )


def without_labels(name: str, target: Path) -> Path:
    with target.open("w", newline="") as kept:
        writer = csv.writer(kept)
        writer.writerow(["path", "captured_at"])
        writer.writerows([row["path"], row["captured_at"]] for row in rows_of(name))
    return target


@pytest.mark.parametrize(("name", "least"), [("bananas", 0.95), ("emoji", 0.80)])
def test_shared_sets(name: str, least: float, tmp_path: Path) -> None:
    if not DATA.is_dir():
        pytest.skip(f"{name} does not come with the project; put it into {DATA} to score it")
    run_local(DATA / name, tmp_path / "ws", manifest=without_labels(name, tmp_path / "manifest.csv"))
    assert scored(tmp_path / "ws", DATA / name / "manifest.csv").tracks["idf1"] >= least
