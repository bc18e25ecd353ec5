"""Composing a date: whatever the fragments' split, order and repeats, and wherever the ranges cut."""

from hashlib import blake2b

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.runtime.fragments import FragmentWriter, Pieces, compose, newest
from pipeline.schemas import FINGERPRINTS, vector_type
from pipeline.tablestore import TableStore
from tests.crashing import CrashingFileSystem

DAYS = ("2024-05-01", "2024-05-02")


def an_id(number: int) -> str:
    return blake2b(str(number).encode(), digest_size=16).hexdigest()


def rows(numbers: list[int], generation: int, day: str | None = None) -> pa.Table:
    columns = {
        "image_id": pa.array([an_id(n) for n in numbers], pa.string()),
        "pixels_key": pa.array([f"{generation}" for _ in numbers], pa.string()),
        "vector": pa.array([[float(n), float(generation)] for n in numbers], vector_type(2)),
        "reason": pa.nulls(len(numbers), pa.string()),
    }
    if day is not None:
        columns["date"] = pa.array([day] * len(numbers), pa.string())
    return pa.table(columns)


def both(new: pa.Table | None, old: pa.Table | None) -> pa.Table:
    return pa.concat_tables([one for one in (new, old) if one is not None])


@given(
    old=st.sets(st.integers(0, 60)),
    new=st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=8, unique=True), min_size=1, max_size=6),
    elsewhere=st.lists(st.integers(0, 60), max_size=5, unique=True),
    part_bytes=st.sampled_from([3000, 8000, 1 << 27]),
)
@pytest.mark.slow
@settings(max_examples=25)
def test_a_date_is_the_union_sorted_and_the_new_wins(
    old: set[int], new: list[list[int]], elsewhere: list[int], part_bytes: int
) -> None:
    store = TableStore(CrashingFileSystem(), "/ws/fingerprints", FINGERPRINTS)
    manifest = None
    if old:
        committed = rows(sorted(old, key=an_id), generation=0)
        manifest = store.commit(DAYS[0], store.stage(DAYS[0], [committed], part_bytes), {"version": "1"})
    write = FragmentWriter(store, "stage")
    made = [write(both(rows(numbers, 1, DAYS[0]), rows(elsewhere, 1, DAYS[1]))) for numbers in new]
    assert all(one.dates[DAYS[0]] == len(numbers) for one, numbers in zip(made, new, strict=True))

    pieces = Pieces(store, DAYS[0], manifest, tuple((one.path, one.bytes) for one in made))
    staged = store.stage(DAYS[0], compose(pieces, part_bytes, both), part_bytes)
    store.commit(DAYS[0], staged, {"version": "2"})

    fresh = {number for numbers in new for number in numbers}
    found = store.read(DAYS[0])
    assert found["image_id"].to_pylist() == sorted(an_id(n) for n in old | fresh)
    generations = dict(zip(found["image_id"].to_pylist(), found["pixels_key"].to_pylist(), strict=True))
    assert generations == {an_id(n): ("1" if n in fresh else "0") for n in old | fresh}


def test_of_rows_with_one_id_the_first_is_kept() -> None:
    kept = newest(both(rows([3, 1], 1), rows([1, 2], 0)))
    assert kept["image_id"].to_pylist() == sorted(an_id(n) for n in (1, 2, 3))
    assert dict(zip(kept["image_id"].to_pylist(), kept["pixels_key"].to_pylist(), strict=True))[an_id(1)] == "1"
