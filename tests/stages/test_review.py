"""Which doubtful pairs are asked about, and what an answer is worth: planted decisions, gains by hand."""

import pyarrow as pa
import pytest

from pipeline.stages.review import QUESTIONS, questions

Decision = tuple[str, str, str, str | None, float, str | None]
"""Date's day, cluster, track, previous cluster, probability, runner-up track."""


def asked(
    *decisions: Decision, sizes: dict[str, int] | None = None, known: dict[str, list[dict[str, object]]] | None = None
) -> pa.Table:
    names = ("date", "cluster_id", "track_id", "previous_cluster_id", "probability", "runner_up_track_id")
    rows = [dict(zip(names, row, strict=True)) | {"reason": "planted"} for row in decisions]
    clusters = [
        {"cluster_id": row[1], "num_images": (sizes or {}).get(row[1], 1), "medoid_image_id": f"image of {row[1]}"}
        for row in decisions
    ]
    return questions(pa.Table.from_pylist(rows), pa.Table.from_pylist(clusters), known or {})


FIRST = [("1", "a1", "A", None, 1.0, None), ("1", "b1", "B", None, 1.0, None)]
SIZES = {"a1": 4, "b1": 6, "a2": 3, "x2": 5, "a3": 2, "x3": 1}


def test_a_link_would_be_cut_and_a_birth_joined() -> None:
    found = asked(
        *FIRST,
        ("2", "a2", "A", "a1", 0.7, "B"),  # cut: 4 images before, 3 + 2 from here on
        ("2", "x2", "X", None, 0.6, "B"),  # join: 6 images before, 5 + 1 from here on
        ("3", "a3", "A", "a2", 0.9, None),  # cut: 7 before, 2 from here on
        ("3", "x3", "X", "x2", 1.0, "B"),  # certain: nothing to gain
        sizes=SIZES,
    )
    assert found.schema == QUESTIONS
    columns = ("question", "image_id", "other_image_id", "now", "probability_same", "images", "expected_gain")
    assert [tuple(row[name] for name in columns) for row in found.to_pylist()] == [
        (1, "image of b1", "image of x2", "different", pytest.approx(0.4), 6, pytest.approx(0.4 * 6)),
        (2, "image of a1", "image of a2", "same", pytest.approx(0.7), 4, pytest.approx(0.3 * 4)),
        (3, "image of a2", "image of a3", "same", pytest.approx(0.9), 2, pytest.approx(0.1 * 2)),
    ]
    assert (found["date"].to_pylist(), found["other_date"].to_pylist()) == (["1", "1", "2"], ["2", "2", "3"])
    assert set(found["verdict"].to_pylist()) == {None}


def test_a_cluster_that_continues_beside_another_carries_its_own_images() -> None:
    rows = [*FIRST, ("2", "a2", "A", "a1", 0.7, None), ("2", "x2", "A", "a1", 0.5, None)]
    found = asked(*rows, sizes=SIZES).to_pylist()
    assert [(row["other_image_id"], row["images"]) for row in found] == [("image of x2", 4), ("image of a2", 4)]
    names = ("date", "cluster_id", "track_id", "previous_cluster_id", "probability", "runner_up_track_id", "reason")
    beside = [(*row, "continues beside another cluster" if row[1] == "a2" else "planted") for row in rows]
    links = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in beside])
    clusters = pa.table(
        {
            "cluster_id": [row[1] for row in rows],
            "num_images": [SIZES[row[1]] for row in rows],
            "medoid_image_id": [row[1] for row in rows],
        }
    )
    found = questions(links, clusters, {}).to_pylist()
    assert {row["other_image_id"]: row["images"] for row in found} == {"x2": 4, "a2": 3}


@pytest.mark.parametrize("said", ["same", "different"])
def test_what_a_verdict_has_decided_is_not_asked_again(said: str) -> None:
    rows = [*FIRST, ("2", "a2", "A", "a1", 0.7, None), ("3", "a3", "A", "a2", 0.6, None)]
    about = {"photograph": None, "subject": "s", "other_subjects": []}
    here = about if said == "same" else {"photograph": None, "subject": "t", "other_subjects": ["s"]}
    found = asked(*rows, sizes=SIZES, known={"a1": [about], "a2": [here]}).to_pylist()
    assert [row["other_image_id"] for row in found] == ["image of a3"]
    assert asked(*FIRST).num_rows == 0
