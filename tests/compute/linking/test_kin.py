"""Pieces of subjects that are cut now and then, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.compute.linking.kin import SURE, Lives, chance_of_cuts, claims
from pipeline.compute.linking.matching import Edges
from pipeline.compute.linking.memory import Memory

LIVES = Lives(
    np.array(
        [
            [1, 1, 1, 1],  # 0: there before these dates, seen on all
            [0, 0, 0, 1],  # 1: began on the last
            [0, 0, 1, 1],  # 2: beside 0 on two of them
            [1, 0, 0, 0],  # 3: there before, seen on the first
            [0, 1, 1, 0],  # 4: began when 3 was seen no more
        ],
        dtype=bool,
    ),
    np.array([False, True, True, False, True]),
)


def edges(*pairs: tuple[int, int]) -> Edges:
    row, column = np.array(pairs).T
    return Edges(row, column, int(row.max()) + 1, 5)


def claimed(*pairs: tuple[int, int, float], cut: float = 0.0) -> dict[tuple[int, int], float]:
    found = edges(*(pair[:2] for pair in pairs))
    got = claims(found, np.array([pair[2] for pair in pairs]), LIVES, cut)
    out: dict[tuple[int, int], float] = {}
    for at, value in zip(got.edge.tolist(), got.probability.tolist(), strict=True):
        pair = (int(found.row[at]), int(found.column[at]))
        out[pair] = max(out.get(pair, 0.0), value)
    return out


@pytest.mark.parametrize(
    ("tracks", "kin"),
    [([0, 1], [0, 1]), ([1, 0], [1, 0]), ([0, 2], [0]), ([0, 1, 2], [0, 1]), ([3, 4], [3, 4]), ([0, 3], [0])],
)
def test_kin_were_seen_together_once_at_most_and_their_lives_are_known(tracks: list[int], kin: list[int]) -> None:
    assert LIVES.kin(np.array(tracks)).tolist() == kin


def test_of_several_the_one_that_was_seen_most_goes_on_then_the_most_alike() -> None:
    assert LIVES.likeliest(np.array([1, 0]), np.array([0.9, 0.1])) == 1
    assert LIVES.likeliest(np.array([2, 4]), np.array([0.1, 0.9])) == 1
    assert LIVES.likeliest(np.array([4, 2]), np.array([0.5, 0.5])) == 1  # seen last


def test_families_are_parted_into_kin() -> None:
    assert LIVES.families(np.array([0, 0, 0, 1, 1])).tolist() == [0, 0, 1, 2, 2]


def test_of_gaps_alone_nobody_is_kin() -> None:
    lives = Lives.of(np.array([1, 3, 1]))
    assert lives.seen.astype(int).tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    assert len(lives.kin(np.array([0, 1, 2]))) == 1


def test_a_cluster_that_fits_kin_goes_on_with_one_of_them() -> None:
    found = claimed((0, 0, 0.4), (0, 1, 0.5))
    assert found == {(0, 0): pytest.approx(0.4 + SURE * 0.5)}


def test_tracks_that_were_seen_together_are_two() -> None:
    assert claimed((0, 0, 0.4), (0, 2, 0.5)) == {(0, 0): pytest.approx(0.4)}


def test_what_another_cluster_claims_does_not_count() -> None:
    found = claimed((0, 0, 0.4), (0, 1, 0.5), (1, 1, 0.3))
    assert found[0, 0] == pytest.approx(0.4 + SURE * 0.5 * 0.7)


@pytest.mark.parametrize(("cut", "value"), [(0.0, 0.5), (0.5, 0.7), (1.0, 0.9)])
def test_of_two_clusters_that_fit_one_track_one_goes_on_as_far_as_subjects_are_cut(cut: float, value: float) -> None:
    assert claimed((0, 0, 0.5), (1, 0, 0.4), cut=cut) == {(0, 0): pytest.approx(value)}


def test_kin_are_counted_by_probability() -> None:
    both = np.array([0.4, 0.5])
    assert claims(edges((0, 0), (0, 1)), both, LIVES, 0.0).kin == pytest.approx(0.9)
    assert claims(edges((0, 0), (0, 2)), both, LIVES, 0.0).kin == 0.0


@pytest.mark.parametrize(("met", "low", "high"), [(0.0, 0.0, 0.001), (5.0, 0.0, 0.001), (50.0, 0.999, 1.0)])
def test_how_often_kin_are_met_says_whether_subjects_are_cut(met: float, low: float, high: float) -> None:
    assert low <= chance_of_cuts(replace(Memory(), kin=met, kin_among=500.0)) <= high


def test_nothing_is_believed_at_first() -> None:
    assert chance_of_cuts(Memory()) == pytest.approx(0.01)
