"""Switches, fragmentation and breakdowns on cases counted by hand."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.scoring import by_gap, by_length, by_size, contingency, continuity, num_dates


def follow(*rows):
    return continuity(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))


def test_two_tracks_in_turn_are_three_switches_and_two_fragments():
    found = follow((0, 1, 0), (0, 2, 1), (0, 1, 2), (0, 2, 3))
    assert found.switches == 3
    assert found.fragmentation == 2.0


def test_a_stray_image_is_a_fragment_and_no_switch():
    found = follow((0, 1, 0), (0, 1, 0), (0, 2, 0), (0, 1, 1))
    assert found.switches == 0
    assert found.num_groups.tolist() == [2]


def test_gaps_are_counted_in_dates_and_members_do_not_run_into_each_other():
    found = follow((0, 1, 0), (0, 1, 3), (7, 1, 4), (7, 2, 5))
    assert found.gap.tolist() == [3, 1]
    assert found.kept.tolist() == [True, False]


def test_level_groups_are_read_so_that_the_fewest_switches_result():
    # Level on 1 and 2, then 2, then level on 1 and 3: 2, 2, then one switch.
    assert follow((0, 1, 0), (0, 2, 0), (0, 2, 1), (0, 1, 2), (0, 3, 2)).kept.tolist() == [True, False]


def test_nobody_to_follow():
    nobody = continuity(*(np.zeros(0, np.int64),) * 3)
    assert nobody.switches == 0
    assert np.isnan(nobody.fragmentation)
    assert by_gap(nobody, nobody) == []


IMAGES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=24)


@settings(max_examples=50)
@given(IMAGES)
def test_switches_are_the_fewest_of_all_readings_of_level_groups(rows):
    fewest = 0
    for member in {row[0] for row in rows}:
        options = []
        for date in sorted({row[2] for row in rows if row[0] == member}):
            groups = [row[1] for row in rows if row[0] == member and row[2] == date]
            options.append([g for g in set(groups) if groups.count(g) == max(map(groups.count, groups))])
        fewest += min(sum(a != b for a, b in pairwise(path)) for path in product(*options))
    assert follow(*rows).switches == fewest


@settings(max_examples=20)
@given(IMAGES, st.permutations(range(4)), st.randoms(use_true_random=False))
def test_neither_names_nor_order_matter(rows, names, random):
    moved = [(row[0], names[row[1]], row[2]) for row in rows]
    random.shuffle(moved)
    assert follow(*moved).switches == follow(*rows).switches
    assert follow(*moved).fragmentation == follow(*rows).fragmentation


def test_links_by_gap():
    subjects = follow((0, 1, 0), (0, 1, 1), (0, 2, 2), (0, 2, 5))  # gaps 1 kept, 1 lost, 3 kept
    tracks = follow((1, 0, 0), (1, 0, 1), (2, 0, 2), (2, 0, 5))  # gaps 1 kept, 3 kept
    one, three = by_gap(subjects, tracks)
    assert (one.low, one.high, one.num_true, one.recall, one.num_found, one.precision) == (1, 1, 2, 0.5, 1, 1.0)
    assert (three.low, three.high, three.num_true, three.recall, three.num_found) == (3, 4, 1, 1.0, 1)


def test_scores_by_length_use_the_subjects_length_for_recall_and_the_tracks_for_precision():
    # A subject of 4 dates in a track of 3 and one of 1; precision is perfect, recall (9 + 1) / 16.
    table = contingency([0, 0, 0, 0], [0, 0, 0, 1])
    one, four = by_length(table, np.array([4]), np.array([3, 1]))
    assert (one.low, one.high, one.num_true, one.num_found, one.precision) == (1, 1, 0, 1, 1.0)
    assert np.isnan(one.recall)
    assert (four.low, four.high, four.num_true, four.recall, four.num_found) == (3, 4, 4, 10 / 16, 3)


def test_scores_by_size_add_up_to_bcubed():
    random = np.random.default_rng(1)
    truth, found = random.integers(0, 9, 200), random.integers(0, 30, 200)
    table = contingency(truth, found)
    rows = by_size(table)
    assert sum(row.num_true for row in rows) == sum(row.num_found for row in rows) == 200
    total = sum(row.precision * row.num_found for row in rows if row.num_found)
    assert total / 200 == pytest.approx(np.sum(table.count**2 / table.column_size[table.column]) / 200)
    assert [row.high for row in rows] == sorted(row.high for row in rows)


def test_bins_hold_what_they_say():
    table = contingency(np.repeat(np.arange(9), np.arange(1, 10)), np.zeros(45, int))
    bins = {(row.low, row.high): row.num_true for row in by_size(table)}
    assert bins == {(1, 1): 1, (2, 2): 2, (3, 4): 7, (5, 8): 26, (9, 16): 9, (33, 64): 0}


def test_dates_are_counted_once_and_undated_images_as_one():
    codes, date = np.array([5, 5, 5, 8, 9, 9]), np.array([0, 0, 2, -1, -1, 1])
    assert num_dates(codes, date).tolist() == [2, 1, 1]
