from datetime import date, timedelta

import pyarrow as pa
import pytest

from pipeline.errors import UserError
from pipeline.reports.picture_rows import Tie, plan, thinned

DATES = [date(2024, 1, 1) + timedelta(days=7 * week) for week in range(10)]


def cells(tracks: dict[str, str], images: int = 2) -> pa.Table:
    """Tracks drawn as strings: one character a date, a space where the track is not seen."""
    rows = [
        {"track_id": name, "date": DATES[index], "num_images": images, "pixels": mark.encode()}
        for name, marks in tracks.items()
        for index, mark in enumerate(marks)
        if mark != " "
    ]
    schema = pa.schema(
        [("track_id", pa.string()), ("date", pa.date32()), ("num_images", pa.int32()), ("pixels", pa.binary())]
    )
    return pa.Table.from_pylist(rows, schema)


def events(*rows: tuple[str, str, str | None, int]) -> pa.Table:
    """(track, kind, other, index of the date)."""
    schema = pa.schema(
        [("track_id", pa.string()), ("kind", pa.string()), ("other_track_id", pa.string()), ("date", pa.date32())]
    )
    return pa.Table.from_pylist(
        [{"track_id": t, "kind": k, "other_track_id": o, "date": DATES[d]} for t, k, o, d in rows], schema
    )


def names(table: pa.Table, happened: pa.Table, dates: list[date], most: int = 30, columns: int = 30) -> list[str]:
    return [row.track for row in plan(table, happened, dates, most, columns).rows]


def test_rows_come_by_first_date_then_size_then_id() -> None:
    table = cells({"late": "  xx", "b": "xxx", "a": "xxx", "big": "xxxx"})
    assert names(table, events(), DATES[:4]) == ["big", "a", "b", "late"]


@pytest.mark.parametrize("turned", [False, True])
def test_tracks_that_split_or_merged_follow_each_other(turned: bool) -> None:
    table = cells({"a": "xxxx", "b": "xxxx", "c": "xxxx", "piece": "  xx", "gone": "xx"})
    pairs = [("split", "piece", "a", 2), ("merge", "gone", "b", 2)]
    rows = [(two, kind, one, day) if turned else (one, kind, two, day) for kind, one, two, day in pairs]
    shown = plan(table, events(*rows), DATES[:4], 30, 30)
    assert [row.track for row in shown.rows] == ["a", "piece", "b", "gone", "c"]
    # Whichever of the two the event is filed under, the piece is the one that begins, the gone one the one that ends.
    assert set(shown.ties) == {Tie("split", "a", "piece", 2), Tie("merge", "b", "gone", 2)}


def test_of_too_many_tracks_those_seen_longest_are_kept_with_their_families() -> None:
    table = cells({"a": "xxxxxx", "b": "xxxxx", "c": "xxxx", "piece": "     x"})
    happened = events(("piece", "split", "a", 5))
    assert names(table, happened, DATES[:6], most=3) == ["a", "piece", "b"]
    shown = plan(table, happened, DATES[:6], 3, 30)
    assert (len(shown.rows), shown.num_tracks, shown.num_images) == (3, 4, 32)
    assert names(table, happened, DATES[:6], most=1) == ["a"]


def test_dates_are_thinned_evenly_with_the_first_and_the_last() -> None:
    assert thinned(DATES, 4) == (DATES[0], DATES[3], DATES[6], DATES[9])
    assert thinned(DATES, 10) == tuple(DATES)
    assert thinned(DATES, 1) == (DATES[9],)


def test_only_tracks_and_events_on_the_dates_shown() -> None:
    table = cells({"a": "xxxxxxxxxx", "between": " xx", "piece": "    xxxxxx"})
    shown = plan(table, events(("piece", "split", "a", 4)), DATES, 30, 4)
    assert [row.track for row in shown.rows] == ["a", "piece"]
    assert shown.ties == (Tie("split", "a", "piece", 2),)
    assert shown.num_tracks == 3
    assert sorted(shown.rows[1].cells) == [2, 3]
    assert shown.rows[1].num_images == 12


def test_how_a_row_begins_and_ends() -> None:
    table = cells({"old": "xxxx", "new": " xxx", "done": "xx  ", "silent": "xx  "})
    happened = events(("old", "birth", None, 0), ("new", "birth", None, 1), ("done", "end", None, 1))
    rows = {row.track: row for row in plan(table, happened, DATES[:4], 30, 30).rows}
    assert [rows[name].born for name in ("old", "new", "done")] == [False, True, False]
    assert [rows[name].ended for name in ("old", "new", "done", "silent")] == [False, False, True, False]
    assert [rows[name].later for name in ("old", "new", "done", "silent")] == [True, True, False, False]


def test_a_table_without_pixels_gives_the_same_plan() -> None:
    table = cells({"a": "xx", "b": "x"})
    full, bare = (plan(given, events(), DATES[:2], 9, 9) for given in (table, table.drop_columns(["pixels"])))
    assert [row.track for row in full.rows] == [row.track for row in bare.rows]
    assert full.rows[0].cells[1].pixels == b"x"
    assert bare.rows[0].cells[1].pixels is None


def test_pages_hold_every_track_once_the_longest_first() -> None:
    table = cells({"a": "xxxx", "b": "x", "c": "xx", "d": "xxx", "e": "xx"})
    pages = [plan(table, events(), DATES[:4], 2, 30, page) for page in (1, 2, 3)]
    assert [[row.track for row in one.rows] for one in pages] == [["a", "d"], ["c", "e"], ["b"]]
    assert {(one.page, one.num_pages, one.num_tracks) for one in pages} == {(1, 3, 5), (2, 3, 5), (3, 3, 5)}
    with pytest.raises(UserError, match="no page 4 of the picture: found 3"):
        plan(table, events(), DATES[:4], 2, 30, 4)


def test_a_row_says_how_much_there_is_of_its_track() -> None:
    (row,) = plan(cells({"a": "x xx"}), events(), DATES[:4], 30, 2).rows
    assert (row.num_images, row.num_dates, row.since, row.until) == (6, 3, DATES[0], DATES[3])
