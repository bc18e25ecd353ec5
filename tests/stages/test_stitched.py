"""Which keys are one track, on planted stitches."""

import datetime as dt

import pyarrow as pa

from pipeline import schemas
from pipeline.stages import naming
from pipeline.stages.naming import NamingParams
from pipeline.stages.stitched import NONE, Chains, told_later


def day(t: int) -> dt.date:
    return dt.date(2024, 1, 1) + dt.timedelta(days=t)


def stitches(*pairs: tuple[str, str, int, int]) -> pa.Table:
    """(later, earlier, last date of the earlier, first date of the later)."""
    rows = [
        {"track_key": later, "earlier_track_key": earlier, "kind": "revival", "previous_cluster_id": f"{earlier}{last}"}
        | {"last_date": day(last), "first_date": day(first), "gap_dates": first - last, "probability": 0.95}
        for later, earlier, last, first in pairs
    ]
    return pa.Table.from_pylist(rows, schemas.STITCHES.empty().schema)


def test_a_part_of_a_part_is_of_the_first() -> None:
    chains = Chains.of(stitches(("c", "b", 7, 10), ("b", "a", 1, 5), ("z", "y", 2, 10)))
    assert chains.root == {"b": "a", "c": "a", "z": "y"}
    assert chains.later == {"a": ["b", "c"], "y": ["z"]}
    assert chains.taken_up == {"2024-01-06": ["2024-01-02"], "2024-01-11": ["2024-01-03", "2024-01-08"]}
    assert chains.rooted(pa.chunked_array([["c", "q", "a"]])).to_pylist() == ["a", "q", "a"]
    assert NONE.rooted(pa.chunked_array([["c"]])).to_pylist() == ["c"]


def test_parts_that_go_round_in_a_circle_end_somewhere() -> None:
    assert set(Chains.of(stitches(("a", "b", 1, 2), ("b", "a", 3, 4))).root) == {"a", "b"}


def test_what_is_stitched_newly_or_no_longer() -> None:
    first = Chains.of(stitches(("b", "a", 1, 5)))
    registry = naming.name(schemas.REGISTRY.empty(), {(None, "a"): 3}, NamingParams(), first).registry
    assert registry["later_keys"].to_pylist() == [["b"]]
    assert first.moved(registry) == (set(), False)
    assert Chains.of(stitches(("b", "a", 1, 5), ("c", "b", 7, 9))).moved(registry) == ({"c"}, False)
    assert Chains.of(stitches(("b", "x", 1, 5))).moved(registry) == ({"b"}, False)
    assert NONE.moved(registry) == (set(), True)


def test_the_earlier_id_is_kept_however_few_its_images_are() -> None:
    before = naming.name(schemas.REGISTRY.empty(), {(None, "a"): 1, (None, "b"): 9}, NamingParams())
    found = naming.name(
        before.registry, {(before.ids["b"], "a"): 9}, NamingParams(), Chains.of(stitches(("b", "a", 1, 5)))
    )
    assert found.ids == {"a": before.ids["a"]}
    assert found.aliases == {before.ids["b"]: naming.Alias("merged into", before.ids["a"], 9)}
    assert (found.churn["stitched"], found.churn["kept"], found.churn["merged"]) == (1, 1, 1)


def test_only_what_began_on_the_date_is_told_later() -> None:
    decided = [
        {"cluster_id": f"{key}5", "track_key": key, "probability": 0.6, "reason": "nothing continues"} for key in "bq"
    ]
    decisions = pa.Table.from_pylist(decided, schemas.LINK_DECISIONS.empty().schema)
    born = [{"track_key": key, "kind": "birth", "cluster_id": f"{key}5", "probability": 0.6} for key in "bq"]
    happened = pa.Table.from_pylist(born, schemas.LINK_EVENTS.empty().schema)
    told = stitches(("b", "a", 1, 5), ("q", "p", 1, 4))
    links, events = told_later("2024-01-06", decisions, happened, [told])
    assert [(row["previous_cluster_id"], row["gap_days"]) for row in links.to_pylist()] == [("a1", 4), (None, None)]
    assert [row["kind"] for row in events.to_pylist()] == ["revival", "birth"]
    assert told_later("2024-01-07", decisions, happened, [told]) == (decisions, happened)
