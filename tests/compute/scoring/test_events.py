"""Events matched by kind, subject and nearly one date."""

import numpy as np
import pytest

from pipeline.compute.scoring import Happening, score_events


def happening(*rows):
    kind, date, subject, other = zip(*(row + (-1,) * (4 - len(row)) for row in rows), strict=True) if rows else [()] * 4
    return Happening(np.array(kind, str), *(np.array(column, np.int64) for column in (date, subject, other)))


def only(found, truth, **options):
    (score,) = score_events(happening(*found), happening(*truth), **options)
    return score.num_true, score.num_found, score.num_matched


def test_one_date_away_is_a_match_and_two_are_not():
    assert only([("gap", 4, 0)], [("gap", 5, 0)]) == (1, 1, 1)
    assert only([("gap", 3, 0)], [("gap", 5, 0)]) == (1, 1, 0)
    assert only([("gap", 3, 0)], [("gap", 5, 0)], tolerance=2) == (1, 1, 1)


def test_kind_and_subject_must_be_the_same():
    assert only([("end", 5, 0), ("gap", 5, 1)], [("gap", 5, 0)]) == (1, 1, 0)


def test_one_to_one_and_as_many_as_can_be():
    # Taking the nearest first (4 with 4) would leave 3 without a partner.
    assert only([("gap", 4, 0), ("gap", 5, 0)], [("gap", 3, 0), ("gap", 4, 0)]) == (2, 2, 2)
    assert only([("gap", 4, 0), ("gap", 4, 0)], [("gap", 4, 0)]) == (1, 2, 1)


def test_a_split_may_show_in_either_party_but_counts_once():
    truth = [("split", 5, 1, 2)]
    assert only([("split", 5, 1)], truth) == only([("split", 5, 2)], truth) == (1, 1, 1)
    assert only([("split", 5, 1), ("split", 5, 2)], truth) == (1, 2, 1)


def test_a_birth_that_a_split_implies_is_neither_right_nor_wrong():
    birth, split = score_events(
        happening(("birth", 5, 1), ("birth", 9, 3), ("split", 5, 1)), happening(("split", 5, 1, 2), ("birth", 9, 3))
    )
    assert (birth.kind, birth.num_true, birth.num_found, birth.num_matched) == ("birth", 1, 1, 1)
    assert (split.precision, split.recall) == (1.0, 1.0)


def test_what_a_split_implies_does_not_excuse_a_birth_of_the_subject_that_stayed():
    truth = [("split", 5, 1, 2), ("birth", 1, 9)]
    birth = score_events(happening(("birth", 5, 2)), happening(*truth))[0]
    assert (birth.num_found, birth.num_matched) == (1, 0)


def test_kinds_that_the_truth_does_not_have_are_not_scored():
    assert [s.kind for s in score_events(happening(("birth", 1, 0)), happening(("end", 1, 0)))] == ["end"]
    assert score_events(happening(("birth", 1, 0)), happening()) == []


def test_nothing_found_has_no_precision():
    (score,) = score_events(happening(), happening(("end", 3, 0)))
    assert score.recall == 0.0
    assert np.isnan(score.precision)


@pytest.mark.parametrize("seed", range(5))
def test_order_does_not_matter(seed):
    random = np.random.default_rng(seed)
    found = [("gap", *map(int, random.integers(0, 6, 2))) for _ in range(30)]
    truth = [("gap", *map(int, random.integers(0, 6, 2))) for _ in range(30)]
    moved = [found[i] for i in random.permutation(30)]
    assert only(found, truth) == only(moved, truth)
    assert 0 < only(found, truth)[2] < 30
