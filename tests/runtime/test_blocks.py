"""Tables of any length: what a file holds is what memory would, sorted and compared alike."""

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.runtime import blocks, reading
from pipeline.runtime.blocks import Blocks, matches, sorted_by_key
from tests.runtime.runs import ingested
from tests.runtime.test_sources import IMAGE


@pytest.fixture(params=[1 << 20, 6], ids=["memory", "file"])
def _few_are_held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "HELD_ROWS", request.param)
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 4)


def filled(rows: pa.Table, *cuts: int) -> Blocks:
    found = Blocks(rows.schema)
    for start, end in zip([0, *cuts], [*cuts, rows.num_rows], strict=True):
        found.add(rows.slice(start, end - start))
    return found


NUMBERS = pa.table({"key": [f"{n:03}" for n in range(23)], "nested": [{"a": n or None} for n in range(23)]})


@pytest.mark.usefixtures("_few_are_held")
def test_rows_are_read_as_they_were_added_as_often_as_is_wanted() -> None:
    rows = filled(NUMBERS, 1, 9, 9)
    assert rows.num_rows == 23
    assert rows.table().equals(NUMBERS)
    assert rows.mapped(lambda block: block.select(["key"])).table().equals(NUMBERS.select(["key"]))
    assert rows.table().equals(NUMBERS)
    assert max(block.num_rows for block in rows) <= 4


@pytest.mark.usefixtures("_few_are_held")
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


@pytest.mark.usefixtures("_few_are_held")
@settings(max_examples=40)
@given(keys=st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyzäé€😀") | st.text(max_size=2), max_size=40))
def test_sorting_keeps_the_last_of_each_key(keys: list[str]) -> None:
    rows = pa.table({"key": pa.array(keys, pa.string()), "place": pa.array(range(len(keys)), pa.int64())})
    found = sorted_by_key(filled(rows, *(n for n in (3, 17) if n < len(keys)))).table().to_pylist()
    last = {key: place for place, key in enumerate(keys)}
    assert found == [{"key": key, "place": last[key]} for key in sorted(last, key=str.encode)]


@pytest.mark.usefixtures("_few_are_held")
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


@pytest.mark.parametrize(("on_vanished", "described"), [("mark", False), ("drop", True)])
def test_runs_write_the_same_when_next_to_nothing_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_vanished: str, described: bool
) -> None:
    written = []
    for number, shown in enumerate((range(11), range(2, 14), range(2, 14), range(1, 14))):
        change(tmp_path / "photos", shown, number, described)
        for held in (2, 1 << 17):
            monkeypatch.setattr(blocks, "HELD_ROWS", held)
            monkeypatch.setattr(reading, "ROWS_PER_MAP", held)
            monkeypatch.setattr(reading, "_ROWS_PER_CPU", 0)
            workspace = tmp_path / str(held)
            ingested(tmp_path / "photos", workspace, f"ingest.on_vanished={on_vanished}")
        ours, theirs = (tmp_path / name / "images" for name in ("2", str(1 << 17)))
        written.append(contents(ours))
        assert written[-1] == contents(theirs)
    assert written[0] != written[1] == written[2] != written[3]


def change(root: Path, shown: Iterable[int], number: int, described: bool) -> None:
    """Make a folder hold the images that are ``shown``; from the second time on some have other bytes."""
    for one in range(14):
        path = root / f"2024-01-{1 + one % 3:02}" / f"{one}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = IMAGE + (b" " if number and one % 4 == 0 else b"")
        if one not in shown:
            path.unlink(missing_ok=True)
        elif not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
        if described and one in shown:
            path.with_suffix(".json").write_text(f'{{"score": {one * (number > 0)}}}')


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
