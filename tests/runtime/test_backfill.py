"""Dates that come late, go or are corrected, in any order: what comes out is the run from scratch, up to naming."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import schemas
from tests.runtime.fed import DIMENSIONS, Fed, Photos
from tests.runtime.runs import tables, up_to_naming

pytestmark = pytest.mark.slow  # some twenty stages a date
DATES = [(dt.date(2024, 1, 1) + dt.timedelta(days=t)).isoformat() for t in range(5)]
SETTINGS = ("link.max_gap=1", "link.lag=1", "link.stitch_probability=0.51", "link.false_link_rate=0.2")
"""Tracks end and are taken up again within five dates."""

SUBJECTS = 8
THERE = ("11111", "11111", "11111", "10011", "11001", "10111", "01111", "11100")
"""On which of the dates a subject may be there; away on two it comes back as a part of its track."""

Seen = list[list[bool]]
"""Date -> whether each subject is there."""


def shots(seen: list[bool], t: int, corrected: int = 0) -> dict[str, np.ndarray]:
    """One or two shots of each subject; ``corrected`` photographs are others with the same ids."""
    found = {}
    for who in [k for k, there in enumerate(seen) if there]:
        own = np.random.default_rng(who).normal(size=DIMENSIONS)
        for shot in range(1 + (who + t) % 2):
            rng = np.random.default_rng([who, t, shot, corrected])
            vector = own + rng.normal(0, 0.25, DIMENSIONS)
            found[f"{who}-{t}-{shot}"] = vector / np.linalg.norm(vector)
    return found


def photos(seen: Seen) -> dict[str, dict[str, np.ndarray]]:
    return {date: shots(there, t) for t, (date, there) in enumerate(zip(DATES, seen, strict=True)) if any(there)}


def arrivals(all_of: Photos, order: list[str], at_once: int, wrong: int) -> list[Photos]:
    """What is there at each run: dates come in this order, one of the first is corrected or gone before the last."""
    came = [date for date in order if date in all_of]
    runs = []
    for last in range(at_once, len(came) + at_once, at_once):
        here = {date: all_of[date] for date in came[:last]}
        if last < len(came):
            t = DATES.index(came[0])
            here[came[0]] = shots([True] * SUBJECTS, t, corrected=1) if wrong == 1 else here[came[0]]
            here |= {"2024-02-01": shots([True] * SUBJECTS, 9)} if wrong == 2 else {}
        runs.append(here)
    return runs


@settings(max_examples=4)
@given(
    st.lists(st.sampled_from(THERE), min_size=SUBJECTS, max_size=SUBJECTS),
    st.permutations(DATES),
    st.integers(2, 3),
    st.integers(0, 2),
)
def test_any_order_of_arrival_gives_what_the_run_from_scratch_gives_up_to_naming(
    there: list[str], order: list[str], at_once: int, wrong: int
) -> None:
    seen = [[subject[t] == "1" for subject in there] for t in range(len(DATES))]
    fed, scratch = Fed(SETTINGS), Fed(SETTINGS)
    before: dict[str, str] = {}
    for here in arrivals(photos(seen), order, at_once, wrong):
        context = fed.run(here)
        now = fed.tracks()
        if before:
            told = {
                row["image_id"]: (row["old_track_id"], row["new_track_id"])
                for row in fed.rows(schemas.CHANGES)
                if row["at"] == context.run
            }
            moved = {one: (before.get(one), now.get(one)) for one in before.keys() | now.keys()}
            assert told == {one: pair for one, pair in moved.items() if pair[0] != pair[1]}
        before = now
    scratch.run(photos(seen))
    assert up_to_naming(tables(fed.uri)) == up_to_naming(tables(scratch.uri))
    fed.forget()
    scratch.forget()
