"""Tables of any length: what a file holds is what memory would, sorted and compared alike."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.runtime import blocks
from pipeline.runtime.blocks import Blocks, matches, sorted_by_key


@pytest.fixture(params=[1 << 20, 6], ids=["memory", "file"], autouse=True)
def _few_are_held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "HELD_ROWS", request.param)
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 4)


def filled(rows: pa.Table, *cuts: int) -> Blocks:
    found = Blocks(rows.schema)
    for start, end in zip([0, *cuts], [*cuts, rows.num_rows], strict=True):
        found.add(rows.slice(start, end - start))
    return found


NUMBERS = pa.table({"key": [f"{n:03}" for n in range(23)], "nested": [{"a": n or None} for n in range(23)]})


def test_rows_are_read_as_they_were_added_as_often_as_is_wanted() -> None:
    rows = filled(NUMBERS, 1, 9, 9)
    assert rows.num_rows == 23
    assert rows.table().equals(NUMBERS)
    assert rows.mapped(lambda block: block.select(["key"])).table().equals(NUMBERS.select(["key"]))
    assert rows.table().equals(NUMBERS)
    assert max(block.num_rows for block in rows) <= 4


def test_rows_are_taken_in_any_order_and_chosen_in_theirs() -> None:
    rows = filled(NUMBERS)
    places = np.array([22, 0, 5, 5, 4])
    assert rows.take(places, ["nested"]).equals(NUMBERS.select(["nested"]).take(pa.array(places)))
    assert rows.take(places[:0], ["key"]).num_rows == 0
    mask = np.arange(23) % 3 != 0
    pieces = list(rows.chosen(mask, 4))
    assert [piece.num_rows for piece in pieces] == [4, 4, 4, 3]
    assert pa.concat_tables(pieces).equals(NUMBERS.filter(pa.array(mask)))
    assert Blocks(NUMBERS.schema).table().equals(NUMBERS.slice(0, 0))


@settings(max_examples=40)
@given(keys=st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyzäé€😀") | st.text(max_size=2), max_size=40))
def test_sorting_keeps_the_last_of_each_key(keys: list[str]) -> None:
    rows = pa.table({"key": pa.array(keys, pa.string()), "place": pa.array(range(len(keys)), pa.int64())})
    found = sorted_by_key(filled(rows, *(n for n in (3, 17) if n < len(keys)))).table().to_pylist()
    last = {key: place for place, key in enumerate(keys)}
    assert found == [{"key": key, "place": last[key]} for key in sorted(last, key=str.encode)]


def test_each_row_is_looked_up_among_the_others() -> None:
    random.seed(3)
    names = random.sample([f"n{n}" for n in range(40)], 25)
    there = {name: f"{random.choice('ab')} {random.choice('xy')}" for name in names}
    mine = {f"n{n}": f"{random.choice('ab')} {random.choice('xy')}" for n in range(30)}

    def rows(versions: dict[str, str]) -> Blocks:
        return filled(pa.table({"name": list(versions), "object_version": list(versions.values())}))

    found = matches(rows(mine), rows(there), "name", 1)
    assert found.place.tolist() == [names.index(name) if name in there else -1 for name in mine]
    assert found.same.tolist() == [there.get(name) == version for name, version in mine.items()]
    assert found.reads.tolist() == [there.get(name, "  ")[:1] == version[:1] for name, version in mine.items()]
    counted = np.array([name != "n3" for name in there])
    assert matches(rows(mine), rows(there), "name", 1, counted).reads.tolist() == [
        reads and name != "n3" for name, reads in zip(mine, found.reads.tolist(), strict=True)
    ]
