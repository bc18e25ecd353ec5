"""Verdicts in runs: obeyed, stale where they speak, refused where they contradict."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.runtime.verdicts import read_verdicts
from tests.collections import DATES, small
from tests.runtime.runs import no_engine, run_local, tables

pytestmark = pytest.mark.slow
SETTINGS = ("cluster.method=agglomerative", "cluster.num_clusters=4")


def write(file: Path, *rows: tuple[str, str, str]) -> str:
    file.write_text("\n".join(["image_id,other_image_id,verdict", *(",".join(row) for row in rows)]) + "\n")
    return f"verdicts.file={file}"


def where(workspace: Path, column: str) -> dict[str, str]:
    rows = pa.concat_tables(tables(workspace)["tracks"].values())
    return dict(zip(rows["image_id"].to_pylist(), rows[column].to_pylist(), strict=True))


def clusters_of(workspace: Path, date: str) -> list[list[str]]:
    """Images of each cluster, the largest first."""
    found: dict[str, list[str]] = {}
    for row in tables(workspace)["assignments"][date].to_pylist():
        found.setdefault(row["cluster_id"], []).append(row["image_id"])
    return sorted(found.values(), key=lambda images: (-len(images), images))


def test_verdicts_are_obeyed_and_cost_the_dates_that_they_concern(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collection, workspace = small(tmp_path / "photos"), tmp_path / "ws"
    run_local(collection.root, workspace, *SETTINGS)
    shots, (one, *_), (other, *_), (before, *_) = clusters_of(workspace, DATES[1])[:4]
    track = where(workspace, "track_id")
    mine = next(images[0] for images in clusters_of(workspace, DATES[2]) if track[images[0]] != track[before])
    said = write(
        tmp_path / "verdicts.csv",
        (shots[0], shots[1], "different"),
        (one, other, "same"),
        (before, mine, "same"),
        ("of no", "collection", "same"),
    )
    done = run_local(collection.root, workspace, *SETTINGS, said).done
    assert (done["verdicts"], done["cluster"], done["link"]) == (4, 2, 2)
    assert "verdicts speak of 2 images that are not in the collection (collection, of no)" in caplog.text
    cluster, track = where(workspace, "cluster_id"), where(workspace, "track_id")
    assert cluster[shots[0]] != cluster[shots[1]]
    assert cluster[one] == cluster[other]
    assert track[before] == track[mine]
    assert track[shots[0]] != track[shots[1]]
    assert not run_local(collection.root, workspace, *SETTINGS, said, make_engine=no_engine).done
    assert not run_local(
        collection.root, workspace, *SETTINGS, make_engine=no_engine
    ).done  # they hold without the file
    taken_back = write(tmp_path / "verdicts.csv")
    run_local(collection.root, workspace, *SETTINGS, taken_back)
    assert len({where(workspace, "cluster_id")[shot] for shot in shots[:2]}) == 1


def test_a_contradiction_stops_the_run_and_names_the_verdicts(tmp_path: Path) -> None:
    collection = small(tmp_path / "photos", subjects=2, shots=1)
    said = write(tmp_path / "v.csv", ("a", "b", "same"), ("b", "c", "same"), ("c", "a", "different"))
    with pytest.raises(UserError, match="a and c are said to be different\nand the same by a and b; b and c"):
        run_local(collection.root, tmp_path / "ws", said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,verdict\na,same\n", "expected other_image_id too"),
        ("image_id,other_image_id,verdict\na,b,maybe\n", "expected same or different"),
        ("image_id,other_image_id,verdict\na,b,same\nb,a,different\n", "said to be the same and different"),
    ],
)
def test_what_is_no_table_of_verdicts_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_verdicts(str(tmp_path / "v.csv"))


def test_rows_without_an_answer_are_left_out_and_a_parquet_file_will_do(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows = pa.table({"image_id": ["b", "c"], "other_image_id": ["a", "d"], "verdict": ["same", ""], "gain": [1.0, 2.0]})
    pq.write_table(rows, tmp_path / "v.parquet")
    found = schemas.VERDICTS.check(read_verdicts(str(tmp_path / "v.parquet")))
    assert found.select(["image_id", "other_image_id", "verdict"]).to_pylist() == [
        {"image_id": "a", "other_image_id": "b", "verdict": "same"}
    ]
