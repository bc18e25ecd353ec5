"""How tracks' looks change, on planted tables; figures by hand."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from pipeline import schemas
from pipeline.schemas import vector_type
from pipeline.stages.looks import LooksParams, looks, summaries

A, B, C = np.eye(4, dtype=np.float32)[:3]
DAY = dt.date(2024, 1, 1)
Clusters = list[tuple[str, int, np.ndarray]]
"""Track, images, center."""


def day(t: int) -> dt.date:
    return DAY + dt.timedelta(days=t)


def fold(dates: dict[int, Clusters], params: LooksParams | None = None) -> dict[int, list[dict]]:
    """Day -> rows of ``looks``, and of the last ``look_state`` under -1."""
    states: list[tuple[str, pa.Table]] = []
    found = {}
    for t, given in dates.items():
        rows = [
            {
                "cluster_id": f"{track}{t}{k}",
                "track_id": track,
                "num_images": n,
                "medoid_image_id": f"{track}{t}{k}",
                "center": v / np.linalg.norm(v),
            }
            for k, (track, n, v) in enumerate(given)
        ]
        kinds = {"cluster_id": pa.string(), "track_id": pa.string(), "num_images": pa.int32()}
        kinds |= {"medoid_image_id": pa.string(), "center": vector_type(4)}
        table = pa.Table.from_pylist(rows, schema=pa.schema(list(kinds.items())))
        seen, state = looks(
            day(t).isoformat(),
            table.select(["cluster_id", "track_id"]),
            table.drop_columns(["track_id"]),
            states,
            params or LooksParams(),
        )
        schemas.LOOKS.check(seen)
        states.append((day(t).isoformat(), schemas.LOOK_STATE.check(state)))
        found[t] = seen.to_pylist()
    found[-1] = states[-1][1].to_pylist()
    return found


def test_a_constant_track_has_zero_drift() -> None:
    found = fold({t: [("T", 3, A + B)] for t in (0, 1, 5)})
    for t, gap in ((1, 1), (5, 4)):
        (row,) = found[t]
        assert [row[name] for name in ("from_first", "from_previous", "from_mean", "per_day")] == [0, 0, 0, 0]
        assert (row["gap_days"], row["num_images"], row["last_change"]) == (gap, 3, None)
    assert found[0][0]["from_previous"] is None
    assert found[0][0]["gap_days"] is None
    assert found[-1][0]["change_dates"] == []


@pytest.mark.slow  # imports ruptures
def test_a_jump_is_one_change_point_at_its_date() -> None:
    found = fold({t: [("T", 1, A if t < 6 else B)] for t in range(0, 20, 2)})
    assert [found[t][0]["last_change"] for t in (4, 6, 18)] == [None, day(6), day(6)]
    assert found[-1][0]["change_dates"] == [day(6)]
    jump = found[6][0]
    assert (jump["from_first"], jump["from_previous"], jump["per_day"]) == (1, 1, 0.5)
    # The mean of A, A, A, B is 3 A + B in direction: 1 - 1 / sqrt(10) from B.
    assert jump["from_mean"] == pytest.approx(1 - 1 / np.sqrt(10))
    assert found[18][0]["from_previous"] == 0


@pytest.mark.slow  # imports ruptures
def test_a_change_stays_known_when_the_looks_before_it_are_thinned() -> None:
    params = LooksParams(kept=4)
    found = fold({t: [("T", 1, A if t < 5 else B)] for t in range(30)}, params)
    assert found[-1][0]["change_dates"] == [day(5)]
    assert found[-1][0]["places"] == [0, 16, 28, 29]


def test_several_clusters_of_a_track_are_one_look_by_their_images() -> None:
    found = fold({0: [("T", 1, A)], 1: [("T", 1, A), ("T", 3, B), ("U", 1, C)]})
    row, other = found[1]
    assert (row["track_id"], row["num_images"], row["image_id"]) == ("T", 4, "T11")
    assert row["from_first"] == pytest.approx(1 - 1 / np.sqrt(10))
    assert (other["track_id"], other["from_previous"]) == ("U", None)


@pytest.mark.slow  # imports ruptures
def test_what_stands_for_a_track() -> None:
    vectors = {0: A, 1: A + B, 2: C, 3: A, 4: A}
    state = fold({t: [("T", 1, v)] for t, v in vectors.items()})[-1]
    (row,) = pa.Table.from_pylist(state, schema=schemas.LOOK_STATE.empty().schema).select(["mean"]).to_pylist()
    assert row["mean"] == pytest.approx([(3 + np.sqrt(0.5)) / 5, np.sqrt(0.5) / 5, 0.2, 0])
    table = pa.Table.from_pylist(state, schema=schemas.LOOK_STATE.empty().schema)
    (found,) = summaries(table)
    # A is nearest to the mean (.741; A + B in direction: .624), the first of the three; C farthest.
    named = {"first": "T00", "middle": "T20", "last": "T40", "typical": "T00", "unusual": "T20"}
    assert {name: found[f"{name}_image_id"] for name in named} == named
    assert (found["first_date"], found["num_dates"], found["num_images"], found["drift"]) == (day(0), 5, 5, 0)


def test_a_date_without_clusters() -> None:
    assert fold({0: []})[0] == []
    assert list(summaries(schemas.LOOK_STATE.empty())) == []
