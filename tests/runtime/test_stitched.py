"""Tracks that are found to be one, from linking to every published table."""

import datetime as dt
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from pipeline import schemas
from pipeline.runtime.history import changed_tracks
from tests.runtime.fed import DIMENSIONS, Fed, Photos
from tests.runtime.runs import tables, up_to_naming

pytestmark = pytest.mark.slow  # some twenty stages a date
CROWD = "abdefghijklmno"


def day(t: int) -> str:
    return (dt.date(2024, 1, 1) + dt.timedelta(days=t)).isoformat()


def photos(seen: list[str]) -> Photos:
    """A letter a subject, two shots of each on a date."""
    found = {}
    for t, names in enumerate(seen):
        here = {}
        for name in names:
            own = np.random.default_rng(ord(name)).normal(size=DIMENSIONS)
            for shot in range(2):
                noise = np.random.default_rng([ord(name), t, shot]).normal(0, 0.1, DIMENSIONS)
                here[f"{name}{t:02d}{shot}"] = (own + noise) / np.linalg.norm(own + noise)
        found[day(t)] = here
    return found


AWAY = [CROWD + ("" if 4 <= t < 10 else "c") + ("pqr" if t < 4 else "") for t in range(14)]
"""c is away on dates 4 to 9, longer than max_gap, and p, q and r for good; two dates later it is told."""


def rebuilt(fed: Fed) -> dict[str, str]:
    """Cluster -> track, from the events alone."""
    began = ("birth", "continuation", "gap", "revival")
    return {row["cluster_id"]: row["track_id"] for row in fed.rows(schemas.EVENTS) if row["kind"] in began}


def what_changed(fed: Fed, since: str) -> set[tuple[str, str]]:
    return {(row["what"], row["track_id"]) for row in changed_tracks(fed.context(), since).to_pylist()}


def test_a_track_that_comes_back_is_told_later_and_keeps_its_id() -> None:
    given = photos(AWAY)
    fed = Fed(("link.max_gap=2", "link.lag=2"))
    fed.run(dict(list(given.items())[:12]))
    before, first = fed.tracks(), up_to_naming(tables(fed.uri))
    assert before["c030"] != before["c100"]
    parted = {day: fed.context().store(schemas.TRACKS).partitions[day] for day in given if day < "2024-01-13"}
    context = fed.run(dict(list(given.items())[:13]))
    after = fed.tracks()
    assert {after[image] for image in after if image[0] == "c"} == {before["c030"]}
    assert {image: after[image] for image in before if image[0] != "c"} == {
        i: t for i, t in before.items() if i[0] != "c"
    }
    # the alias, the changes and the count of the run
    (alias,) = fed.rows(schemas.ALIASES)
    assert (alias["track_id"], alias["kind"], alias["other_track_id"]) == (
        before["c100"],
        "merged into",
        before["c030"],
    )
    assert {(row["image_id"], row["why"]) for row in fed.rows(schemas.CHANGES) if row["why"] != "added"} == {
        (image, "merged") for image in before if image[:3] in ("c10", "c11")
    }
    assert context.churn["stitched"] == 1
    # only the partitions of the renamed track are others
    now = fed.context().store(schemas.TRACKS).partitions
    assert [date for date, one in parted.items() if now[date].content != one.content] == [day(10), day(11)]
    # events and links
    events = [row for row in fed.rows(schemas.EVENTS) if row["track_id"] == before["c030"]]
    assert Counter(row["kind"] for row in events) == {
        **dict.fromkeys(("birth", "end", "revival", "ambiguous-resolved"), 1),
        "continuation": 5,
    }
    (revival,) = (row for row in events if row["kind"] == "revival")
    assert (revival["at"], revival["evidence"][:24]) == (day(10), "not seen on 6 dates; sim")
    assert 0.9 <= revival["probability"] <= 1
    (link,) = (row for row in fed.rows(schemas.LINKS) if row["cluster_id"] == revival["cluster_id"])
    assert (link["gap_dates"], link["gap_days"], link["reason"]) == (7, 7, "taken up again")
    assert link["previous_cluster_id"] in {row["cluster_id"] for row in events if row["at"] == day(3)}
    assert rebuilt(fed) == {row["cluster_id"]: row["track_id"] for row in fed.rows(schemas.LINKS)}
    # the summary has it once, with all of it
    (summary,) = (row for row in fed.rows(schemas.TRACK_SUMMARY) if row["track_id"] == before["c030"])
    told = (summary["at"], summary["first_date"].isoformat(), summary["num_dates"], summary["num_images"])
    assert told == (day(12), day(0), 7, 14)
    look = next(row for row in fed.rows(schemas.LOOKS) if row["track_id"] == before["c030"] and row["at"] == day(10))
    assert look["gap_days"] == 7
    assert what_changed(fed, "2000-01-01") == {("merged", before["c100"]), ("revived", before["c030"])}
    # and it is what a run from scratch gives
    scratch = Fed(fed.overrides)
    scratch.run(dict(list(given.items())[:13]))
    assert up_to_naming(tables(fed.uri)) == up_to_naming(tables(scratch.uri))
    assert not fed.run(dict(list(given.items())[:13])).done
    # without the date that told, the part has its id again
    fed.run(dict(list(given.items())[:12]))
    assert fed.tracks() == before
    assert up_to_naming(tables(fed.uri)) == first
    assert what_changed(fed, context.run) == {("revived", before["c100"]), ("ended", before["c030"])}


def verdict(one: str, other: str, said: str = "same") -> dict[str, str | None]:
    told = {"image_id": min(one, other), "other_image_id": max(one, other), "verdict": said}
    return {**told, "who": None, "when": None, "note": None}


def test_a_verdict_holds_over_any_number_of_dates() -> None:
    """z is seen once, seven dates before y is: nobody would take them for one but who says so."""
    given = photos(["abcdefghz", *["ab"] * 6, "abcdefghy", "abcdefghy"])
    said = pa.Table.from_pylist([verdict("z000", "y070")], schemas.VERDICTS.empty().schema)
    fed = Fed(("link.max_gap=1", "link.lag=1", "link.stitch_gap=2"))
    fed.run(given, said)
    tracks = fed.tracks()
    assert tracks["z000"] == tracks["z001"] == tracks["y070"] == tracks["y081"]
    assert len({tracks[f"{name}070"] for name in "abcdefghy"}) == 9
    (event,) = (row for row in fed.rows(schemas.EVENTS) if row["kind"] == "revival")
    assert (event["at"], event["track_id"], event["probability"]) == (day(7), tracks["y070"], 1.0)
    assert event["evidence"] == "not seen on 6 dates; a verdict"
    (summary,) = (row for row in fed.rows(schemas.TRACK_SUMMARY) if row["track_id"] == tracks["y070"])
    assert (summary["first_date"].isoformat(), summary["num_images"], summary["num_dates"]) == (day(0), 6, 3)
    assert rebuilt(fed) == {row["cluster_id"]: row["track_id"] for row in fed.rows(schemas.LINKS)}
