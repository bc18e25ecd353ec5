"""How many subjects there were, against a history counted by hand."""

import pyarrow as pa
import pytest

from pipeline import schemas
from pipeline.stages.subjects import SUBJECTS, subjects

LINKS = [
    # cluster (track, date), cluster before, probability, runner-up
    ("a1", None, 1.0, None),
    ("b1", None, 1.0, None),
    ("c1", None, 1.0, None),
    ("a2", "a1", 0.99, "b"),  # b and c are away
    ("a3", "a2", 0.99, "b"),
    ("b3", "b1", 0.8, "c"),  # b was there on date 2 with 0.8
    ("d3", None, 0.7, "c"),  # d is c with 0.3: then c was there on date 2
    ("e3", None, 0.9, "a"),  # e is a piece of a with 0.1, and a is seen on date 3
]


def links(rows: list[tuple[str, str | None, float, str | None]]) -> pa.Table:
    values = [
        {
            **dict.fromkeys(schemas.LINKS.names),
            **{"cluster_id": cluster, "track_id": cluster[0], "previous_cluster_id": before},
            **{"probability": probability, "runner_up_track_id": rival, "reason": "continues"},
        }
        for cluster, before, probability, rival in rows
    ]
    dates = pa.array([f"2024-05-0{row['cluster_id'][1]}" for row in values], pa.string())
    return pa.Table.from_pylist(values, schema=schemas.LINKS.empty().schema).append_column("date", dates)


def test_by_hand() -> None:
    """Date 2: a, b with 0.8, c with 0.3: none of the two 0.14, one 0.62, both 0.24.  Date 3: one less with 0.1."""
    found = subjects(links(LINKS))
    assert found.schema == SUBJECTS
    assert found["clusters"].to_pylist() == [3, 1, 4]
    assert found["tracks"].to_pylist() == [3, 1, 4]
    assert found["subjects"].to_pylist() == pytest.approx([3.0, 1 + 0.8 + 0.3, 4 - 0.1])
    assert found["low"].to_pylist() == [3, 1, 3]
    assert found["high"].to_pylist() == [3, 3, 4]


def test_the_order_of_rows_changes_nothing() -> None:
    assert subjects(links(LINKS[::-1])) == subjects(links(LINKS))


def test_clusters_of_one_track_are_one_subject_and_bridge_a_gap_once() -> None:
    rows = [("a1", None, 1.0, None), ("b2", None, 1.0, None), ("a3", "a1", 0.9, None)]
    beside = links([*rows, ("A3", "a1", 0.6, None)])
    place = beside.schema.get_field_index("track_id")
    one_track = beside.set_column(place, "track_id", pa.array(["a", "b", "a", "a"]))
    assert subjects(one_track)["tracks"].to_pylist() == [1, 1, 1]
    assert subjects(one_track)["subjects"].to_pylist() == pytest.approx([1.0, 1.9, 1.0])


def test_a_hundred_doubtful_births_by_the_normal_distribution() -> None:
    """Each is a piece of a with 0.5: 101 tracks less a binomial number with mean 50 and standard deviation 5."""
    births = [(f"{chr(0x100 + i)}2", None, 0.5, "a") for i in range(100)]
    found = subjects(links([("a1", None, 1.0, None), ("a2", "a1", 1.0, None), *births]))
    assert found["subjects"].to_pylist()[1] == pytest.approx(51)
    assert (found["low"][1].as_py(), found["high"][1].as_py()) == (51 - 10, 51 + 10)


def test_no_links_are_no_dates() -> None:
    assert subjects(links([])).num_rows == 0


@pytest.mark.slow
def test_the_interval_covers_what_was_there_in_a_simulated_world() -> None:
    """Wanted are 95 %; dates depend on each other, so a world has fewer independent ones than its 40."""
    from tests.bench.bench_subjects import covered

    assert covered("0 plain", seed=0).mean() >= 0.85
