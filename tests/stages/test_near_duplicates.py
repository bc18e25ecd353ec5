"""Pairs of a planted graph."""

import datetime as dt

import pyarrow as pa

from pipeline.schemas import MICROSECONDS
from pipeline.stages.near_duplicates import SCHEMA, near_duplicates

NOON = dt.datetime(2024, 5, 1, 12)
TIMES = {"a": NOON, "b": NOON + dt.timedelta(seconds=2), "c": NOON + dt.timedelta(minutes=1), "d": None}
HASHES = {"a": "1", "b": "1", "c": "2", "d": "3"}
EDGES = [("a", "b", 0.999), ("b", "a", 0.999), ("c", "a", 0.97), ("d", "a", 0.96), ("b", "c", 0.9)]


def found(threshold: float = 0.95, seconds: float = 3.0) -> list[dict]:
    names = ("image_id", "neighbor_id", "similarity")
    kinds = (pa.string(), pa.string(), pa.float32())
    columns = zip(*EDGES, strict=True)
    graph = pa.table({name: pa.array(column, kind) for name, column, kind in zip(names, columns, kinds, strict=True)})
    images = pa.table(
        {
            "image_id": list(TIMES),
            "uri": [f"file:///{name}" for name in TIMES],
            "captured_at": pa.array(TIMES.values(), MICROSECONDS),
            "content_hash": list(HASHES.values()),
        }
    )
    rows = near_duplicates("2024-05-01", graph, images, threshold, seconds)
    assert rows.schema == SCHEMA
    return rows.to_pylist()


def test_each_pair_once_the_most_similar_first_with_the_seconds_between() -> None:
    rows = [(r["image_id"], r["other_image_id"], r["seconds_apart"], r["burst"], r["same_bytes"]) for r in found()]
    assert rows == [("a", "b", 2.0, True, True), ("a", "c", 60.0, False, False), ("a", "d", None, None, False)]
    assert found()[1]["other_uri"] == "file:///c"
    assert found()[1]["date"] == dt.date(2024, 5, 1)


def test_both_limits_are_within() -> None:
    assert [row["burst"] for row in found(seconds=60)] == [True, True, None]
    assert len(found(threshold=0.96)) == 3
    assert len(found(threshold=0.961)) == 2
    assert found(threshold=1) == []
