"""What verdicts and regions say of a date's images."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.stages.constraints import bonds, constraints, demands, known_subjects, of_clusters

BOX = {"x": 0, "y": 0, "width": 9, "height": 9}


def verdicts(*rows: tuple[str, str, str]) -> pa.Table:
    named = [
        {"image_id": a, "other_image_id": b, "verdict": kind, "who": f"who {k}"} for k, (a, b, kind) in enumerate(rows)
    ]
    return pa.Table.from_pylist(named, schema=schemas.VERDICTS.empty().schema)


def images(**of: tuple[str, bool]) -> pa.Table:
    return pa.table(
        {
            "image_id": [*of],
            "uri": [uri for uri, _ in of.values()],
            "region": pa.array([BOX if region else None for _, region in of.values()], schemas.REGION),
        }
    )


SAID = verdicts(("a", "b", "same"), ("b", "c", "same"), ("c", "d", "different"))


def test_images_have_the_subject_that_they_share_with_images_of_other_dates() -> None:
    found = schemas.CONSTRAINTS.check(constraints(images(c=("u", False), d=("v", False), z=("w", False)), SAID))
    assert found.to_pylist() == [
        {"image_id": "c", "photograph": None, "subject": "a", "other_subjects": ["d"]},
        {"image_id": "d", "photograph": None, "subject": "d", "other_subjects": ["a"]},
    ]


def test_a_date_of_which_nothing_is_said_has_no_rows() -> None:
    assert constraints(images(x=("u", False), y=("u", False)), SAID).num_rows == 0
    assert constraints(images(x=("u", True)), None).num_rows == 0


def test_two_regions_of_a_photograph_are_two_subjects() -> None:
    found = constraints(images(x=("u", True), y=("u", True), z=("v", True), w=("u", False)), None)
    assert found["image_id"].to_pylist() == ["x", "y"]
    assert bonds(found, ["w", "x", "y", "z"]).apart == [(1, 2)]


def test_a_contradiction_names_its_verdicts() -> None:
    with pytest.raises(UserError, match=r"a and c \(who 2\).*\n.*a and b \(who 0\); b and c \(who 1\)\n"):
        known_subjects(verdicts(("a", "b", "same"), ("b", "c", "same"), ("a", "c", "different")))


def test_clusters_are_asked_to_go_on_with_their_subjects_track_and_with_no_other() -> None:
    found = constraints(images(c=("u", False), d=("v", False)), SAID)
    known = of_clusters(found, pa.table({"image_id": ["c", "d", "e"], "cluster_id": ["1", "2", "3"]}))
    asked = demands(known, ["1", "2", "3"], [{"a"}, set()])
    assert np.argwhere(asked.must).tolist() == [[0, 0]]
    assert np.argwhere(asked.cannot).tolist() == [[1, 0]]
    assert asked.apart == [(0, 1)]
