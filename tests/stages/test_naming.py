"""Names that stay: small histories whose answer is known by hand."""

from collections import Counter
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import schemas
from pipeline.compute.published_ids import published_id
from pipeline.stages import naming
from pipeline.stages.naming import Naming, NamingParams
from pipeline.stages.publish import Names, publish

State = dict[str, str]
"""Image -> key of its track."""


class History:
    """Runs one after the other over one date, each with its tracks; ``keeps`` the images that are not weighed again."""

    def __init__(self) -> None:
        self.registry = schemas.REGISTRY.empty()
        self.published: dict[str, str] = {}

    def run(self, now: State, least_share: float = 0.3) -> Naming:
        old, new = set(self.published), set(now)
        moved = Counter((self.published.get(image), now.get(image)) for image in old | new)
        found = naming.name(self.registry, moved, NamingParams(least_share=least_share))
        schemas.REGISTRY.check(found.registry)
        schemas.ALIASES.check(found.alias_rows())
        live = found.registry.filter(pa.compute.invert(found.registry["retired"]))
        assert Counter(now.values()) == dict(
            zip(live["track_key"].to_pylist(), live["num_images"].to_pylist(), strict=True)
        )
        self.registry = found.registry
        self.published = {image: found.ids[key] for image, key in now.items()}
        return found


def state(**tracks: str) -> State:
    """Key -> its images, a letter each."""
    return {image: key for key, images in tracks.items() for image in images}


def test_at_first_ids_come_from_the_keys_alone() -> None:
    found = History().run(state(k="abc", m="de"))
    assert found.ids == {"k": published_id("k"), "m": published_id("m")}
    assert not found.aliases
    assert (found.churn["new"], found.churn["kept"]) == (2, 0)


def test_a_track_with_another_key_keeps_its_id() -> None:
    history = History()
    history.run(state(k="abc", m="de"))
    found = history.run(state(late="xabc", m="de"))
    assert found.ids == {"late": published_id("k"), "m": published_id("m")}
    assert not found.aliases
    assert (found.churn["kept"], found.churn["images_kept"]) == (2, 5)


def test_of_two_that_merge_the_larger_goes_on() -> None:
    history = History()
    history.run(state(k="abc", m="de"))
    found = history.run(state(m="abcde"))
    assert found.ids == {"m": published_id("k")}
    assert found.alias_rows().to_pylist() == [
        {"track_id": published_id("m"), "kind": "merged into", "other_track_id": published_id("k"), "images": 2}
    ]


def test_of_two_that_split_the_larger_keeps_the_id() -> None:
    history = History()
    history.run(state(k="abcde"))
    found = history.run(state(k="ab", m="cde"))
    assert found.ids == {"m": published_id("k"), "k": published_id("k", 1)}
    assert found.aliases[published_id("k", 1)] == naming.Alias("split from", published_id("k"), 2)


def test_of_two_equal_halves_the_one_with_the_key_keeps_the_id() -> None:
    for other in ("a0", "z0"):
        history = History()
        history.run(state(k="abcd"))
        assert history.run({**state(k="ab"), "c": other, "d": other}).ids["k"] == published_id("k")


def test_the_matching_keeps_the_most_images() -> None:
    """k's 4 images go 2 to x, 2 to y; m's 3 all to x: x is m (3) and y is k (2), not x k (2) and y nothing."""
    history = History()
    history.run(state(k="abcd", m="efg"))
    found = history.run(state(x="abefg", y="cd"))
    assert found.ids == {"x": published_id("m"), "y": published_id("k")}


def test_a_track_that_is_not_recognised_gets_a_new_id_and_says_what_the_old_became() -> None:
    history = History()
    history.run(state(k="abcdefgh"))
    found = history.run(state(r="ab", s="cd", t="efg", u="h"), least_share=0.5)
    assert published_id("k") not in found.ids.values()
    assert found.aliases == {published_id("k"): naming.Alias("retired", published_id("t"), 3)}


def test_a_track_whose_images_are_gone_is_retired_and_revived_when_they_are_back() -> None:
    history = History()
    history.run(state(k="abc", m="de"))
    assert history.run(state(m="de")).aliases == {published_id("k"): naming.Alias("retired", None, 0)}
    back = history.run(state(k="abc", m="de"))
    assert back.ids["k"] == published_id("k")
    assert back.aliases == {published_id("k"): naming.Alias("revived", None, 0)}


def test_an_id_that_another_track_had_is_never_given_again() -> None:
    history = History()
    history.run(state(k="abc"))
    history.run(state(late="abc"))  # late is called by k's id now
    history.run(state())
    assert history.run(state(k="xyz")).ids == {"k": published_id("k", 1)}


def test_new_and_lost_images_say_nothing() -> None:
    history = History()
    history.run(state(k="abcdefgh"))
    assert history.run(state(late="axyzuvw")).ids == {"late": published_id("k")}


def test_images_of_dates_that_did_not_change_count_with_their_key() -> None:
    history = History()
    history.run(state(k="abcdef", m="gh"))
    # one of six images of k is weighed again, with both of m's: they are one track now, called by k's key
    moved = Counter({(published_id("k"), "k"): 1, (published_id("m"), "k"): 2})
    found = naming.name(history.registry, moved, NamingParams())
    assert found.ids == {"k": published_id("k")}
    assert found.registry.filter(pa.compute.invert(found.registry["retired"]))["num_images"].to_pylist() == [8]
    assert found.renamed == {}


def test_dates_that_did_not_change_are_told_of_another_name() -> None:
    history = History()
    history.run(state(k="ab", m="cdefg"))
    moved = Counter({(published_id("m"), "k"): 5})
    found = naming.name(history.registry, moved, NamingParams())
    assert found.ids == {"k": published_id("m")}
    assert found.renamed == {published_id("k"): published_id("m")}
    before = pa.table({"image_id": ["a", "z"], "track_id": [published_id("k"), "OTHER"]})
    rows = schemas.CHANGES.check(naming.renamed("2024-05-01", before, found)).to_pylist()
    assert [(row["image_id"], row["new_track_id"], row["why"]) for row in rows] == [("a", published_id("m"), "merged")]


def test_changes_say_why() -> None:
    history = History()
    first = state(k="abcd", m="efg", r="xy", s="pq")
    history.run(first)
    ids = dict(history.published)
    found = history.run(state(k="ab", t="cd", m="efgxy", s="pn"))
    both = naming.beside(
        pa.table({"image_id": [*first], "track_id": [ids[image] for image in first]}),
        pa.table({"image_id": [*"abcdefgxypn"], "track_key": [*"kkttmmmmmss"]}),
    )
    rows = schemas.CHANGES.check(naming.changes("2024-05-01", both, found)).to_pylist()
    told = {row["image_id"]: row["why"] for row in rows}
    assert told == {"c": "split", "d": "split", "x": "merged", "y": "merged", "q": "removed", "n": "added"}


IMAGES = st.dictionaries(st.sampled_from("abcdefghij"), st.sampled_from("klmn"), max_size=10)


@settings(max_examples=30)
@given(st.lists(IMAGES, min_size=1, max_size=5))
def test_whatever_happens_no_two_tracks_share_an_id_and_no_id_is_lost(runs: list[State]) -> None:
    history, ever = History(), set[str]()
    for now in runs:
        found = history.run(now)
        assert len(set(found.ids.values())) == len(found.ids)
        assert set(found.registry["track_id"].to_pylist()) >= ever
        ever |= set(found.registry["track_id"].to_pylist())


@settings(max_examples=20)
@given(IMAGES, IMAGES, st.randoms())
def test_the_order_of_what_is_counted_carries_no_information(first: State, second: State, rng: Random) -> None:
    found = []
    for shuffle in (False, True):
        history = History()
        history.run(first)
        now = list(second.items())
        if shuffle:
            rng.shuffle(now)
        found.append(history.run(dict(now)).registry)
    assert found[0].equals(found[1])


def test_tables_are_published_with_ids_in_place_of_keys() -> None:
    columns = ("track_id", "track_key", "later_keys", "num_images", "retired")
    given = (("A", "k", ["r"], 1, False), ("B", "m", [], 0, True), ("C", "m", [], 1, False), ("D", "r", [], 0, True))
    rows = [dict(zip(columns, row, strict=True)) for row in given]
    registry = pa.Table.from_pylist(rows, schemas.REGISTRY.empty().schema)
    rows = pa.table(
        {
            "track_key": ["m", "k", "r"],
            "kind": ["birth", "split", "ambiguous-resolved"],
            "cluster_id": ["c", "d", "e"],
            "other_track_key": [None, "unheard of", "k"],
            "probability": [1.0, 0.5, 0.9],
            "evidence": ["", "", ""],
        }
    )
    names = Names(registry)
    found = schemas.EVENTS.check(publish(schemas.EVENTS, rows, names))
    assert list(zip(found["track_id"].to_pylist(), found["other_track_id"].to_pylist(), strict=True)) == [
        ("A", None),  # r is the later part of k: they are one
        ("A", published_id("unheard of")),
        ("C", None),
    ]
    assert names.taken_up(pa.chunked_array([["k", "m", "r"]])).to_pylist() == [True, False, False]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_least_share_is_what_it_says(share: float) -> None:
    history = History()
    history.run(state(k="abcd"))
    found = history.run(state(x="a", y="bcd"), least_share=share)
    assert (published_id("k") in found.ids.values()) == (share == 0.0)
