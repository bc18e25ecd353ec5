"""The fold over the dates, on planted tables."""

import datetime
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import schemas
from pipeline.compute.published_ids import published_id
from pipeline.schemas import vector_type
from pipeline.stages.find import last_states, matches
from pipeline.stages.link import Before, LinkParams, LinkResult, link_date
from pipeline.stages.link_tables import track_key_of
from pipeline.stages.looks import LooksParams, looks
from pipeline.stages.publish import Names, publish
from pipeline.stages.tracks import track_summary, tracks

DIMENSIONS = 16
NAMES = Names(schemas.REGISTRY.empty())
"""Every track is called as it would be named."""
Date = dict[str, np.ndarray]
"""Cluster's name -> its images' vectors."""


def day(t: int) -> str:
    return (datetime.date(2024, 1, 1) + datetime.timedelta(days=t)).isoformat()


def seen(names: str, t: int, *, shots: int = 2, noise: float = 0.1, scale: float = 1.0) -> Date:
    """The subjects called by single letters, photographed on date ``t``."""
    out = {}
    for name in names:
        own = np.random.default_rng(ord(name)).normal(size=DIMENSIONS)
        shot = own + np.random.default_rng([ord(name), t]).normal(0, noise, (shots, DIMENSIONS))
        out[name] = scale * shot
    return out


def tables(date: Date, t: int) -> tuple[pa.Table, pa.Table]:
    rows, images, vectors = [], [], []
    for name, shots in date.items():
        units = (shots / np.linalg.norm(shots, axis=1, keepdims=True)).astype(np.float32)
        ids = [f"{name}{t:03d}{k}" for k in range(len(units))]
        center = units.mean(axis=0)
        images += ids
        vectors += list(units)
        rows.append(
            {
                "cluster_id": f"{name}{t:03d}",
                "num_images": len(units),
                "medoid_image_id": ids[0],
                "center": center / np.linalg.norm(center),
                "exemplar_image_ids": ids,
                "cohesion": 1.0,
            }
        )
    kind = vector_type(DIMENSIONS)
    schema = schemas.CLUSTERS.empty([("center", kind)]).schema
    clusters = pa.Table.from_pylist(rows, schema=schema).sort_by("cluster_id")
    return clusters, pa.table({"image_id": pa.array(images, pa.string()), "vector": pa.array(vectors, kind)})


def fold(
    dates: list[Date], params: LinkParams | None = None, shuffled_by: np.random.Generator | None = None
) -> list[LinkResult]:
    """Every date by itself, from the tables that the earlier ones wrote; their rows may be shuffled."""
    given_params = params or LinkParams()
    results: list[LinkResult] = []
    for t, date in enumerate(dates):
        clusters, exemplars = tables(date, t)
        earlier = before(results, given_params)
        given = (shuffled(table, shuffled_by) for table in (clusters, exemplars))
        states = [(when, shuffled(state, shuffled_by)) for when, state in earlier.states]
        result = link_date(day(t), *given, replace(earlier, states=states), given_params)
        for table, rows in (
            (schemas.LINK_DECISIONS, result.links),
            (schemas.LINK_EVENTS, result.events),
            (schemas.LINK_STATE, result.link_state),
            (schemas.CALIBRATION, result.calibration),
            (schemas.LINK_ENDED, result.ended),
            (schemas.STITCHES, result.stitches),
            (schemas.KNOWN_SUBJECTS, result.known_subjects),
        ):
            table.check(rows)
        assert result.links["cluster_id"].to_pylist() == clusters["cluster_id"].to_pylist()
        assert len(result.link_state) == len(set(result.links["track_key"].to_pylist()))
        results.append(result)
    return results


def shuffled(table: pa.Table, rng: np.random.Generator | None) -> pa.Table:
    return table if rng is None else table.take(rng.permutation(len(table)))


def before(results: list[LinkResult], params: LinkParams) -> Before:
    """What the dates from the first on left."""
    days = [(day(t), one) for t, one in enumerate(results)]
    states = [(date, one.link_state) for date, one in days][-(params.max_gap + 1) :]
    far = days[-params.stitch_gap :]
    ended, stitches = [(date, one.ended) for date, one in far], [(date, one.stitches) for date, one in far]
    newest = (results[-1].calibration, results[-1].known_subjects) if results else (None, None)
    return Before(states, newest[0], ended, stitches, newest[1])


def names_of_tracks(results: list[LinkResult]) -> dict[str, str]:
    """track_key -> the letters of its clusters, date by date."""
    out: dict[str, str] = {}
    for result in results:
        for row in result.links.to_pylist():
            out[row["track_key"]] = out.get(row["track_key"], "") + row["cluster_id"][0]
    return out


def events(result: LinkResult, kind: str) -> list[str]:
    return [row["cluster_id"] for row in result.events.to_pylist() if row["kind"] == kind]


def test_the_first_date() -> None:
    (result,) = fold([seen("abc", 0)])
    rows = result.links.to_pylist()
    assert {row["reason"] for row in rows} == {"first date"}
    assert [row["track_key"] for row in rows] == [track_key_of(row["cluster_id"]) for row in rows]
    assert result.links["previous_cluster_id"].null_count == 3
    assert [row["evidence"] for row in result.events.to_pylist()] == ["first date"] * 3


def test_everybody_is_followed_and_a_newcomer_is_born() -> None:
    results = fold([seen("abcdefgh", 0), seen("abcdefgh", 1), seen("abcdefghi", 2)])
    assert sorted(names_of_tracks(results).values()) == ["aaa", "bbb", "ccc", "ddd", "eee", "fff", "ggg", "hhh", "i"]
    last = {row["cluster_id"][0]: row for row in results[2].links.to_pylist()}
    assert (last["a"]["previous_cluster_id"], last["a"]["gap_dates"], last["a"]["gap_days"]) == ("a001", 1, 1)
    assert last["i"]["previous_cluster_id"] is None
    assert events(results[2], "birth") == ["i002"]
    assert len(events(results[2], "continuation")) == 8


@pytest.mark.slow
def test_a_gap_and_an_end() -> None:
    """c is away on dates 2 and 3 and comes back; d is not seen after date 1 and ends when date 4 passes."""
    crowd = "abefghijkl"
    dates = [seen(crowd + more, t) for t, more in enumerate(("cd", "cd", "", "", "c", ""))]
    results = fold(dates, LinkParams(max_gap=2))
    back = next(row for row in results[4].links.to_pylist() if row["cluster_id"] == "c004")
    assert (back["previous_cluster_id"], back["gap_dates"], back["gap_days"]) == ("c001", 3, 3)
    assert events(results[4], "gap") == ["c004"]
    assert [events(result, "end") for result in results] == [[], [], [], [], ["d001"], []]
    (end,) = (row for row in results[4].events.to_pylist() if row["kind"] == "end")
    assert 0.95 < end["probability"] <= 1


def test_no_open_track_beyond_max_gap() -> None:
    crowd = "abefghijkl"
    results = fold([seen(crowd + more, t) for t, more in enumerate(("c", "", "", "c"))], LinkParams(max_gap=1))
    back = next(row for row in results[3].links.to_pylist() if row["cluster_id"] == "c003")
    assert back["previous_cluster_id"] is None


def test_a_subject_that_was_cut_once_keeps_its_track() -> None:
    """c's photographs of date 3 are two clusters; the next date's look is as near to the one as to the other."""
    dates = [seen("abcdefghijkl", t, shots=4) for t in range(6)]
    dates[3]["C"] = dates[3]["c"][2:]
    dates[3]["c"] = dates[3]["c"][:2]
    dates[4]["c"] = (dates[3]["c"][:1] + dates[3]["C"][:1]) / 2
    results = fold(dates)
    tracks_of_c = [
        row["track_key"] for result in results for row in result.links.to_pylist() if row["cluster_id"][0] == "c"
    ]
    assert {*tracks_of_c[:3], *tracks_of_c[4:]} == {track_key_of("c000")}
    assert sum(len(track) == 6 for track in names_of_tracks(results).values()) >= 11


def test_a_track_that_ended_is_stitched_to_the_one_that_comes_back() -> None:
    """c is away on dates 4 to 9, for longer than max_gap, and p, q and r for good; two dates later it is told."""
    crowd = "abdefghijklmno"
    params = LinkParams(max_gap=2, lag=2)
    dates = [seen(crowd + ("" if 4 <= t < 10 else "c") + ("pqr" if t < 4 else ""), t) for t in range(14)]
    results = fold(dates, params)
    assert [result.stitches.num_rows for result in results] == [0] * 12 + [1, 0]
    (row,) = results[12].stitches.to_pylist()
    assert (row["track_key"], row["earlier_track_key"]) == (track_key_of("c010"), track_key_of("c000"))
    assert (row["kind"], row["gap_dates"], row["previous_cluster_id"]) == ("revival", 7, "c003")
    assert (row["last_date"].isoformat(), row["first_date"].isoformat()) == (day(3), day(10))
    assert events(results[12], "ambiguous-resolved") == ["c012"]
    assert (
        results[12].stitches
        == link_date(day(12), *tables(dates[12], 12), before(results[:12], params), params).stitches
    )
    states = last_states((day(t), one.link_state) for t, one in reversed(list(enumerate(results))))
    look = seen("c", 20, shots=1)["c"]
    unit = (look / np.linalg.norm(look)).astype(np.float32)
    ((best, *_),) = matches(unit, states, results[-1].calibration, 5)
    assert best.track_key in (track_key_of("c000"), track_key_of("c010"))
    never = LinkParams(max_gap=2, lag=2, stitch_candidates=0)
    assert not link_date(day(12), *tables(dates[12], 12), before(results[:12], params), never).stitches.num_rows


def test_a_track_that_was_taken_up_is_closed() -> None:
    """Nothing continues it, it does not end again, and no other track is stitched to it."""
    dates = [seen("abdefghijklmno" + ("" if 4 <= t < 6 or t > 8 else "c"), t) for t in range(10)]
    params = LinkParams(max_gap=4, lag=1)
    results = fold(dates[:7], params)
    key = track_key_of("c000")
    taken = schemas.STITCHES.empty().schema
    row = {"track_key": "x", "earlier_track_key": key, "kind": "gap", "gap_dates": 3, "previous_cluster_id": "c003"}
    closed = pa.Table.from_pylist([{**row, "similarity": 0.9, "probability": 0.9}], schema=taken)
    given = before(results, params)
    given = Before(given.states, given.calibration, given.ended, [(day(6), closed)])
    found = link_date(day(7), *tables(dates[7], 7), given, params)
    assert key not in found.links["track_key"].to_pylist()
    assert key not in found.ended["track_key"].to_pylist()


def test_a_doubtful_link_is_marked_and_above_a_setting_cut() -> None:
    """On the last date c can hardly be recognised: exclusivity alone says that it is c, with probability 0.93."""
    dates = [seen("abcdefghijkl", t) for t in range(3)]
    dates[2] |= seen("c", 2, noise=1.5, shots=1)
    marked = fold(dates, LinkParams(false_link_rate=0.3, doubtful=0.95))
    assert [events(result, "doubtful") for result in marked] == [[], [], ["c002"]]
    assert events(marked[2], "birth") == []
    cut = fold(dates, LinkParams(false_link_rate=0.3, doubtful=0.95, least_probability=0.95))
    assert [events(result, "doubtful") for result in cut] == [[], [], []]
    (row,) = [row for row in cut[2].links.to_pylist() if row["cluster_id"] == "c002"]
    assert (row["previous_cluster_id"], row["reason"]) == (None, "ambiguous")


def test_a_lag_beyond_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="at most max_gap"):
        LinkParams(max_gap=1, lag=3)


def test_a_date_without_clusters_counts_as_a_date() -> None:
    results = fold([seen("abcdefgh", 0), {}, seen("abcdefgh", 2)])
    assert len(results[1].links) == len(results[1].link_state) == 0
    assert set(results[2].links["gap_dates"].to_pylist()) == {2}


def test_a_single_subject() -> None:
    results = fold([seen("a", t) for t in range(5)])
    assert list(names_of_tracks(results).values()) == ["aaaaa"]


def test_the_state_tells_the_whole_track() -> None:
    results = fold([seen("abcdefgh", t) for t in range(4)], LinkParams(bank_size=3))
    row = next(row for row in results[3].link_state.to_pylist() if row["last_cluster_id"] == "a003")
    assert row["first_date"] == datetime.date(2024, 1, 1)
    assert len(row["bank_image_ids"]) == len(row["bank_dates"]) == 3
    assert len(row["bank_vectors"]) == 3 * DIMENSIONS


@pytest.mark.slow
def test_a_days_cost_is_in_its_open_tracks() -> None:
    """What link_date is given of history is bounded: a row a track of the last dates, a bounded bank each."""
    params = LinkParams(max_gap=2, bank_size=4)
    results = fold([seen("abcdefgh", t) for t in range(8)], params)
    sizes = [len(row["bank_image_ids"]) for row in results[-1].link_state.to_pylist()]
    assert sizes == [4] * 8
    assert len(results[-1].calibration) < 400


@st.composite
def worlds(draw: st.DrawFn) -> list[Date]:
    """Three or four dates of some of ten subjects; on one of them two may share a cluster."""
    letters = st.lists(st.sampled_from("abcdefghij"), min_size=5, unique=True)
    dates = [seen("".join(names), t) for t, names in enumerate(draw(st.lists(letters, min_size=3, max_size=4)))]
    mixed = dates[draw(st.integers(1, len(dates) - 1))]
    if draw(st.booleans()):
        one, other = sorted(mixed)[:2]
        mixed[one] = np.concatenate([mixed[one], mixed.pop(other)[:1]])
    return dates


def of_clusters(results: list[LinkResult]) -> set[tuple[str, ...]]:
    """The tracks, as the names of their clusters."""
    out: dict[str, list[str]] = {}
    for result in results:
        for row in result.links.to_pylist():
            out.setdefault(row["track_key"], []).append(row["cluster_id"])
    return {tuple(sorted(track)) for track in out.values()}


@pytest.mark.slow
@settings(max_examples=6)
@given(worlds(), st.integers(0, 1000), st.floats(0.01, 100.0), st.permutations("abcdefghij"))
def test_order_names_and_the_length_of_vectors_change_nothing(
    dates: list[Date], seed: int, scale: float, others: list[str]
) -> None:
    plain = fold(dates)
    assert fold(dates, shuffled_by=np.random.default_rng(seed)) == plain
    scaled = fold([{name: scale * shots for name, shots in date.items()} for date in dates])
    assert of_clusters(scaled) == of_clusters(plain)
    called = dict(zip("abcdefghij", others, strict=True))
    renamed = fold([{called[name]: shots for name, shots in date.items()} for date in dates])
    expected = {tuple(sorted(called[name[0]] + name[1:] for name in track)) for track in of_clusters(plain)}
    assert of_clusters(renamed) == expected


@pytest.mark.slow
@settings(max_examples=6)
@given(worlds())
def test_removing_the_last_date_restores_the_state(dates: list[Date]) -> None:
    """A date reads what is before it and writes its own tables: the fold of n - 1 dates is the first n - 1 results."""
    assert fold(dates)[:-1] == fold(dates[:-1])


def test_tracks_can_be_rebuilt_from_the_events_alone() -> None:
    dates = [seen("abcdefgh" + more, t) for t, more in enumerate(("ijk", "ij", "j", "ijk", "jkl"))]
    for result in fold(dates, LinkParams(max_gap=3)):
        events = publish(schemas.EVENTS, result.events, NAMES).to_pylist()
        rebuilt = {e["cluster_id"]: e["track_id"] for e in events if e["kind"] in ("birth", "continuation", "gap")}
        links = publish(schemas.LINKS, result.links, NAMES)
        expected = dict(zip(links["cluster_id"].to_pylist(), links["track_id"].to_pylist(), strict=True))
        assert rebuilt == expected


def test_a_missing_exemplar_is_refused() -> None:
    clusters, exemplars = tables(seen("ab", 0), 0)
    with pytest.raises(KeyError):
        link_date(day(0), clusters, exemplars.slice(1), Before(), LinkParams())


def test_every_image_is_in_tracks() -> None:
    (result,) = fold([seen("ab", 0)])
    images = pa.table(
        {
            "image_id": ["y", "x", "z"],
            "uri": ["file:///y", "file:///x", "file:///z"],
            "captured_at": pa.array([None, datetime.datetime(2024, 1, 1), None], schemas.MICROSECONDS),
        }
    )
    assignments = pa.table({"image_id": ["x", "y"], "cluster_id": ["a000", None]})
    found = schemas.TRACKS.check(tracks(day(0), images, assignments, result.links, NAMES))
    assert found["image_id"].to_pylist() == ["x", "y", "z"]
    assert found["cluster_id"].to_pylist() == ["a000", None, None]
    assert found["track_id"].to_pylist() == [published_id(track_key_of("a000")), None, None]
    assert found["probability"].to_pylist() == [1.0, None, None]


def test_undated_images_have_clusters_and_no_track() -> None:
    images = pa.table({"image_id": ["x"], "uri": ["file:///x"], "captured_at": pa.array([None], schemas.MICROSECONDS)})
    assignments = pa.table({"image_id": ["x"], "cluster_id": ["c"]})
    found = schemas.TRACKS.check(tracks(schemas.UNDATED, images, assignments, None, None))
    assert found.to_pylist() == [
        {
            "image_id": "x",
            "uri": "file:///x",
            "captured_at": None,
            "cluster_id": "c",
            "track_id": None,
            "probability": None,
        }
    ]


def summaries(dates: list[Date], params: LinkParams) -> list[list[pa.Table]]:
    """For each number of dates, the summary's partitions."""
    results, states = fold(dates, params), []
    for t, result in enumerate(results):
        clusters, _ = tables(dates[t], t)
        links = publish(schemas.LINKS, result.links, NAMES)
        states.append((day(t), looks(day(t), links, clusters, states, LooksParams())[1]))

    def summary(t: int, n: int) -> pa.Table:
        later = [one.links for one in results[t + 1 : n]]
        return track_summary(day(t), results[t].link_state, states[t][1], later, params.max_gap, NAMES)

    return [[summary(t, n) for t in range(n)] for n in range(1, len(results) + 1)]


def test_the_summary_has_every_track_once_on_its_last_date() -> None:
    dates = [seen("abcdefgh", 0), seen("abcdefgh", 1), seen("abcdefg", 2), seen("abcdef", 3), seen("abcdefi", 4)]
    rows = []
    for part in summaries(dates, LinkParams(max_gap=2))[-1]:
        rows += schemas.TRACK_SUMMARY.check(part).to_pylist()
    assert len({row["track_id"] for row in rows}) == len(rows) == 9
    by_name = {row["last_image_id"][0]: row for row in rows}
    assert (by_name["h"]["last_date"], by_name["h"]["state"]) == (datetime.date(2024, 1, 2), "ended")
    assert (by_name["g"]["last_date"], by_name["g"]["state"]) == (datetime.date(2024, 1, 3), "open")
    assert (by_name["a"]["num_dates"], by_name["a"]["num_images"], by_name["a"]["state"]) == (5, 10, "open")
    assert (by_name["a"]["first_image_id"], by_name["a"]["middle_image_id"]) == ("a0000", "a0020")
    assert by_name["i"]["typical_image_id"] == by_name["i"]["unusual_image_id"] == "i0040"
    assert by_name["a"]["change_dates"] == []


def test_a_new_date_changes_no_older_summary_than_the_gap_reaches() -> None:
    dates = [seen("abcdefgh"[: 8 - t], t) for t in range(7)]
    *_, before, after = summaries(dates, LinkParams(max_gap=1))
    after = after[:6]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True] * 4 + [False] * 2


def cut(t: int) -> Date:
    """Fifteen subjects, the four shots of each in one to four clusters, as chance will have it."""
    rng = np.random.default_rng([7, t])
    out = {}
    for name, shots in seen("abcdefghijklmno", t, shots=4, noise=0.35).items():
        label = rng.integers(rng.integers(1, 5), size=4)
        out |= {f"{name}{k}": shots[label == k] for k in set(label.tolist())}
    return out


@pytest.mark.slow
def test_pieces_of_a_subject_become_one_track_with_one_state() -> None:
    results = fold([cut(t) for t in range(6)])
    last = results[-1].links.to_pylist()
    tracks_of: dict[str, set[str]] = {}
    for link in last:
        tracks_of.setdefault(link["cluster_id"][0], set()).add(link["track_key"])
    assert sum(len(found) == 1 for found in tracks_of.values()) >= 13  # of fifteen
    assert len(set().union(*tracks_of.values())) >= 15  # and no two subjects in one
    beside = [link for link in last if link["reason"] == "continues beside another cluster"]
    assert beside
    assert sorted(results[-1].link_state["track_key"].to_pylist()) == sorted({link["track_key"] for link in last})


def test_a_cluster_of_two_subjects_continues_one_and_hides_neither() -> None:
    names = "abcdefghij"
    dates = [seen(names, t) for t in range(4)]
    b = dates[2].pop("b")
    dates[2]["a"] = np.concatenate([dates[2]["a"], b[:1]])
    results = fold(dates)
    assert sorted(names_of_tracks(results).values()) == sorted(["aaaa", "bbb", *(4 * name for name in names[2:])])
    (mixed,) = (row for row in results[2].links.to_pylist() if row["cluster_id"] == "a002")
    assert mixed["reason"] == "continues in a mixed cluster"
    banks = {row["last_cluster_id"]: row["bank_image_ids"] for row in results[2].link_state.to_pylist()}
    assert [image for image in banks["a002"] if image.startswith("a002")] == ["a0020", "a0021"]


@pytest.mark.slow
def test_one_to_one_is_obeyed() -> None:
    for result in fold([cut(t) for t in range(6)], LinkParams(allow="one_to_one")):
        assert len(set(result.links["track_key"].to_pylist())) == len(result.links)
