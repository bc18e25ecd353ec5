"""The one-to-one matching against an exhaustive solver, in each of its ways."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from pipeline.compute.scoring import contingency, matching, max_weight_matching
from pipeline.compute.scoring.contingency import Contingency


def table_of(dense):
    dense = np.asarray(dense)
    row, column = np.nonzero(dense)
    return Contingency(row, column, dense[row, column], dense.sum(1), dense.sum(0))


def best(dense):
    dense = np.asarray(dense)
    return int(dense[linear_sum_assignment(dense, maximize=True)].sum())


def check(table, cells, wanted):
    assert len(set(table.row[cells].tolist())) == len(set(table.column[cells].tolist())) == len(cells)
    assert int(table.count[cells].sum()) == wanted


TABLES = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(0, 4), min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    )
)


@pytest.mark.parametrize("dense_cells", [0, matching.DENSE_CELLS], ids=["sparse", "dense"])
@settings(max_examples=60)
@given(TABLES)
def test_as_heavy_as_the_exhaustive_solution(dense_cells, dense):
    table = table_of(dense)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "DENSE_CELLS", dense_cells)
        check(table, max_weight_matching(table), best(dense))


def test_the_heaviest_cell_is_not_always_in_the_best_matching():
    check(table_of([[5, 4], [4, 0]]), max_weight_matching(table_of([[5, 4], [4, 0]])), 8)


def test_a_cell_that_outweighs_its_rivals_together_is_taken_without_solving():
    taken, left = matching._take_dominant(table_of([[9, 4], [4, 0]]))
    assert taken.tolist() == [0]
    assert left.tolist() == []


def test_one_component_of_many_subjects_and_tracks():
    random = np.random.default_rng(3)
    truth, found = random.integers(0, 600, 4000), random.integers(0, 700, 4000)
    table = contingency(truth, found)
    dense = np.zeros((len(table.row_size), len(table.column_size)))
    dense[table.row, table.column] = table.count
    assert dense.size > matching.DENSE_CELLS  # so that it is solved as a sparse table
    check(table, max_weight_matching(table), best(dense))


@pytest.mark.slow
def test_a_hundred_thousand_subjects_and_tracks():
    random = np.random.default_rng(0)
    truth = random.integers(0, 100_000, 300_000)
    found = np.where(random.random(300_000) < 0.2, random.integers(0, 100_000, 300_000), truth)
    table = contingency(truth, found)
    cells = max_weight_matching(table)
    assert len(np.unique(table.row[cells])) == len(np.unique(table.column[cells])) == len(cells)
    on_the_diagonal = int((truth == found).sum())
    assert on_the_diagonal <= int(table.count[cells].sum()) <= int(table.row_max().sum())
