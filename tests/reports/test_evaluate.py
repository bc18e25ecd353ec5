"""The evaluation of a small collection, counted by hand, and its three renderings."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import metrics

from pipeline.compute.scoring import SCORES
from pipeline.errors import UserError
from pipeline.reports.evaluate import evaluate
from pipeline.reports.evaluation_views import render, to_dict, to_json, to_table
from pipeline.reports.text import plain
from pipeline.schemas import UNDATED

# (image, date, cluster, track, truth).  Subject a is lost on the third date and b's image strays into its track; one
# image of b cannot be read; c is undated; one image has no label.
IMAGES = [
    ("1", "2024-01-01", "A1", "T1", "a"),
    ("2", "2024-01-01", "A1", "T1", "a"),
    ("3", "2024-01-01", "B1", "T2", "b"),
    ("4", "2024-01-02", "A2", "T1", "a"),
    ("5", "2024-01-02", "A2", "T1", "b"),
    ("6", "2024-01-02", "B2", "T2", "b"),
    ("7", "2024-01-02", "B2", "T2", "b"),
    ("8", "2024-01-04", "A3", "T3", "a"),
    ("9", "2024-01-04", None, None, "b"),
    ("10", "2024-01-04", "X3", "T4", None),
    ("11", UNDATED, "C0", None, "c"),
    ("12", UNDATED, "C0", None, "c"),
]
COLUMNS = ("image_id", "date", "cluster_id", "track_id", "identity")


def tables(rows=IMAGES):
    columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
    truth = pa.table(
        {name: pa.array([r[i] for r in rows if r[4]], pa.string()) for name, i in (("image_id", 0), ("identity", 4))}
    )
    tracks = pa.table({name: pa.array(columns[name], pa.string()) for name in COLUMNS[:4]})
    return tracks.append_column("uri", tracks["image_id"]), truth


EVENTS = pa.table(
    {
        "track_id": ["T1", "T2", "T1", "T3", "T4"],
        "kind": ["birth", "birth", "end", "birth", "birth"],
        "cluster_id": ["A1", "B1", "A2", "A3", "X3"],
    }
)
LINKS = pa.table(
    {
        "cluster_id": ["A1", "B1", "A2", "B2", "A3", "X3"],
        "previous_cluster_id": pa.array([None, None, "A1", "B1", None, None], pa.string()),
        "probability": [1.0, 1.0, 0.9, 0.8, 0.7, 0.5],
    }
)


def truth_events(*rows):
    return pa.table(dict(zip(("kind", "date", "identity", "other"), map(list, zip(*rows, strict=True)), strict=True)))


def test_counts():
    assert evaluate(*tables()).counts == {
        "images": 12,
        "labelled_images": 11,
        "labelled_without_track": 3,
        "labelled_without_date": 2,
        "labels_without_image": 0,
        "dates": 3,
        "subjects": 3,
        "tracks": 3,
        "clusters": 6,
        "all_tracks": 4,
        "all_clusters": 7,
    }


def test_tracks_count_images_without_a_track_as_tracks_of_their_own():
    found = evaluate(*tables()).tracks
    truth, track = list("aababbbabcc"), list("112112234 56".replace(" ", ""))
    assert found["ari"] == pytest.approx(metrics.adjusted_rand_score(truth, track))
    assert found["idf1"] == pytest.approx((3 + 3 + 1) / 11)
    assert found["purity"] == pytest.approx((3 + 3 + 1 + 1 + 1 + 1) / 11)


def test_switches_and_fragmentation():
    found = evaluate(*tables()).tracks
    # a: T1, T1, T3 is a switch; b: T2, T2, and the unreadable image says nothing.
    assert found["identity_switches"] == 1
    assert found["identity_switch_share"] == pytest.approx(1 / 3)
    assert found["fragmentation"] == 2.0  # a in T1 and T3, b in T1 and T2
    assert found["subjects_per_track"] == pytest.approx((2 + 1 + 1) / 3)


def test_clusters_are_scored_within_their_dates():
    found = evaluate(*tables())
    assert set(found.clusters_by_date) == {"2024-01-01", "2024-01-02", "2024-01-04", UNDATED}
    assert found.clusters_by_date["2024-01-01"]["idf1"] == 1.0
    second = found.clusters_by_date["2024-01-02"]
    assert second["purity"] == pytest.approx(3 / 4)
    assert second["ari"] == pytest.approx(metrics.adjusted_rand_score(list("abbb"), list("AABB")))
    assert found.clusters["purity"] == pytest.approx(10 / 11)
    # Right pairs: 1-2, 6-7, 11-12; claimed besides: 4-5; missed besides: 5-6, 5-7.  No pair across dates.
    assert found.clusters["pairwise_precision"] == pytest.approx(3 / 4)
    assert found.clusters["pairwise_recall"] == pytest.approx(3 / 5)
    assert found.clusters_mean["purity"] == pytest.approx(10 / 11)
    weighted = (3 * 1.0 + 4 * second["ari"] + 2 * 1.0 + 2 * 1.0) / 11
    assert found.clusters_mean["ari"] == pytest.approx(weighted)


def test_breakdowns():
    rows = {(one.by, one.low): one for one in evaluate(*tables()).breakdowns}
    gap = rows["gap", 1]
    assert (gap.num_true, gap.recall) == (3, pytest.approx(2 / 3))  # gaps are in the collection's dates: 01-04 is next
    assert gap.num_found == 2  # T1: a, then level between a and b; T2: b, b
    assert gap.precision == 1.0
    assert rows["cluster_size", 1].num_found == 3  # B1, A3 and the unreadable image
    assert sum(one.num_true for one in rows.values() if one.by == "track_length") == 11


def test_events_are_matched_through_what_their_clusters_show():
    truth = truth_events(
        ("birth", "2024-01-01", "a", None),  # the collection starts: no event
        ("birth", "2024-01-04", "a", None),
        ("end", "2024-01-02", "b", None),
        ("end", "2024-01-02", "nobody's label", None),
    )
    birth, end = evaluate(*tables(), events=EVENTS, truth_events=truth).events
    # Found births: A1 and B1 on the first date are none, A3 shows a, X3 has no labelled image.
    assert (birth.num_true, birth.num_found, birth.num_matched) == (1, 1, 1)
    # A2 is level between a and b and goes to the first by name: a's end is not b's.
    assert (end.num_true, end.num_found, end.num_matched) == (1, 1, 0)
    assert evaluate(*tables(), events=EVENTS).events == ()


REVIVED = pa.table(
    {
        "track_id": ["T2", "T2", "T2"],
        "kind": ["end", "revival", "end"],
        "cluster_id": ["B1", "B2", "B2"],
    }
)


def test_a_revival_is_a_gap_and_takes_back_the_end_before_it():
    """b is seen on the first and the second date; its track ended in between, was revived, and ended."""
    gap = ("gap", "2024-01-02", "b", None)
    end, found = evaluate(
        *tables(), events=REVIVED, truth_events=truth_events(gap, ("end", "2024-01-02", "b", None))
    ).events
    assert (end.kind, end.num_true, end.num_found, end.num_matched) == ("end", 1, 1, 1)
    assert (found.kind, found.num_true, found.num_found, found.num_matched) == ("gap", 1, 1, 1)
    known = truth_events(("revival", "2024-01-02", "b", None), ("end", "2024-01-01", "b", None))
    end, revival = evaluate(*tables(), events=REVIVED, truth_events=known).events
    assert (end.num_found, end.num_matched) == (2, 1)
    assert (revival.kind, revival.num_found, revival.num_matched) == ("revival", 1, 1)


def test_a_true_event_between_two_dates_of_the_collection_counts_as_on_the_later():
    truth = truth_events(("birth", "2024-01-03", "a", None))
    assert evaluate(*tables(), events=EVENTS, truth_events=truth).events[0].num_matched == 1


def test_probabilities_against_the_truth():
    found = evaluate(*tables(), links=LINKS).reliability
    assert found["continuations"].num == 2
    assert found["continuations"].brier == pytest.approx((0.1**2 + 0.2**2) / 2)  # both right
    assert found["births"].num == 3  # X3 has no label
    assert found["births"].brier == pytest.approx((0 + 0 + 0.7**2) / 3)  # a was there before: A3 is no birth
    assert found["all"].num == 5


def test_order_of_rows_does_not_matter():
    tracks, truth = tables()
    random = np.random.default_rng(0)
    moved = evaluate(
        tracks.take(random.permutation(tracks.num_rows)), truth.take(random.permutation(truth.num_rows)), links=LINKS
    )
    assert to_json(moved) == to_json(evaluate(tracks, truth, links=LINKS))


def test_labels_of_a_part_of_the_images_score_that_part():
    half = [(*row[:4], row[4] if int(row[0]) < 4 else None) for row in IMAGES]
    found = evaluate(*tables(half))
    assert found.counts["labelled_images"] == 3
    assert found.tracks["idf1"] == 1.0


def test_dates_may_be_of_any_type():
    tracks, truth = tables()
    typed = tracks.set_column(1, "date", tracks["date"].cast(pa.date32()))
    coded = tracks.set_column(1, "date", tracks["date"].dictionary_encode())
    assert to_json(evaluate(typed, truth)) == to_json(evaluate(coded, truth)) == to_json(evaluate(tracks, truth))


def test_no_label_for_any_image_shows_both_sides():
    tracks, _ = tables()
    truth = pa.table({"image_id": ["zz"], "identity": ["a"], "key": ["photos/1.jpg"]})
    with pytest.raises(UserError, match=r"'photos/1\.jpg', the workspace's first image 1 \(1\)"):
        evaluate(tracks, truth)
    with pytest.raises(UserError, match="it has no rows"):
        evaluate(tracks, truth.slice(0, 0))


def full():
    truth = truth_events(("birth", "2024-01-04", "a", None), ("gap", "2024-01-04", "b", None))
    return evaluate(*tables(), events=EVENTS, truth_events=truth, links=LINKS)


def test_a_table_for_people():
    text = plain(render(full(), full=True))
    assert "11 of 12 images have a label (3 of them no track): 3 subjects, 3 tracks (of 4 in all), " in text
    assert all(name in text for name in SCORES)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any(line.startswith("idf1 0.6364 ") for line in lines)
    assert "gap 1 0 0 0 - 0.0000" in lines
    assert "\x1b" not in text


def test_the_short_form_says_the_best_known_figure_first_and_accounts_for_what_is_not_scored():
    lines = [" ".join(line.split()) for line in plain(render(full())).splitlines()]
    first = next(line for line in lines if line.startswith(("IDF1", "precision")))
    assert first.startswith("IDF1 0.6364 images")
    births = next(line for line in lines if line.startswith("births"))
    scored = next(one for one in full().events if one.kind == "birth")
    assert births.startswith(f"births {scored.num_matched} of {scored.num_true} found; ")
    assert f"{4 - scored.num_found} not scored*" in births
    assert len(lines) < 20


def test_it_fits_where_there_is_no_terminal_to_ask_for_its_width():
    text = plain(render(full(), full=True), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert {line.split()[0] for line in text.splitlines() if line.strip()} >= set(SCORES)


def test_json_has_no_nan_and_every_score():
    found = json.loads(to_json(full()))
    assert set(SCORES) < set(found["tracks"])
    assert found["events"][1] == {
        "kind": "gap",
        "num_true": 1,
        "num_found": 0,
        "num_matched": 0,
        "precision": None,
        "recall": 0.0,
    }
    assert found["reliability"]["all"]["right"][0] is None
    assert found == to_dict(full())


def test_parquet_has_the_same_numbers():
    stream = io.BytesIO()
    pq.write_table(to_table(full()), stream)
    rows = pq.read_table(stream).to_pylist()
    keys = [tuple(row[name] for name in ("about", "date", "by", "low", "high", "score")) for row in rows]
    assert len(set(keys)) == len(keys)
    found = {key: row["value"] for key, row in zip(keys, rows, strict=True)}
    assert found["tracks", None, None, None, None, "idf1"] == full().tracks["idf1"]
    assert found["clusters", "2024-01-02", None, None, None, "purity"] == 0.75
    assert found["events", None, "gap", None, None, "precision"] is None
    assert found["tracks", None, "gap", 1.0, 1.0, "recall"] == pytest.approx(2 / 3)
    assert found["links", None, "births", None, None, "brier"] == full().reliability["births"].brier
