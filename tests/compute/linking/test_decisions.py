"""Decisions on planted dates."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.linking.decisions import Decisions, Rules, decide
from pipeline.compute.linking.lists import CENTERS, Lists
from pipeline.compute.linking.memory import FADING, LOWEST, NUM_BINS, WIDTH, Memory
from pipeline.compute.linking.model import genuine_density
from pipeline.compute.linking.tail import Tail, fine_histogram, fit_tail


def planted(num: int, seed: int, *, linked: int | None = None, change: float = 0.35) -> np.ndarray:
    """Similarities of ``num`` clusters and tracks of which the first ``linked`` belong together, in order."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(num, 24))
    again = rng.normal(size=(num, 24))
    again[:linked] = vectors[:linked] + change * again[:linked]
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (again, vectors)]
    return (units[0] @ units[1].T).astype(np.float32)


def ones(num: int) -> np.ndarray:
    return np.ones(num, dtype=np.int64)


def test_a_clear_date_is_linked_whole() -> None:
    found = decide(planted(30, 0), ones(30))
    assert found.track.tolist() == list(range(30))
    assert found.probability.min() > 0.95


def test_strangers_are_births() -> None:
    found = decide(planted(30, 1, linked=0), ones(30))
    assert (found.track == -1).all()
    assert found.probability.mean() > 0.8


def test_half_continues() -> None:
    found = decide(planted(40, 2, linked=20), ones(40))
    assert found.track[:20].tolist() == list(range(20))
    assert (found.track[20:] == -1).all()
    assert found.unseen[:20].max() < 0.05
    # Whom the unlinked might be is the same from both sides: no cluster has two tracks, no track two clusters.
    assert found.unseen[20:].sum() == pytest.approx(found.probability[20:].sum(), abs=0.1)


def test_a_single_subject_is_followed() -> None:
    """One cluster, one track and no history: nothing else it could be."""
    found = decide(np.array([[0.4]], dtype=np.float32), ones(1))
    assert found.track.tolist() == [0]
    assert found.probability[0] > 0.5


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nobody_there(shape: tuple[int, int]) -> None:
    found = decide(np.zeros(shape, dtype=np.float32), ones(shape[1]))
    assert (found.track == -1).all()
    assert (found.probability == 1).all()
    assert len(found.track) == shape[0]
    assert found.unseen.tolist() == [1.0] * shape[1]


@pytest.mark.slow
def test_exact_twins_are_not_told_apart() -> None:
    similarity = planted(20, 3)
    similarity[1], similarity[:, 1] = similarity[0], similarity[:, 0]
    similarity[:2, :2] = similarity[0, 0]
    found = decide(similarity, ones(20))
    assert (found.track[:2] == -1).all()
    assert found.track[2:].tolist() == list(range(2, 20))


def after_dates_alike(num: int) -> Memory:
    """What dates on which nothing moved leave: all links score at the top of the scale."""
    rng = np.random.default_rng(9)
    vectors, memory = rng.normal(size=(num, 24)), Memory()
    for _ in range(3):
        units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (vectors, vectors + 0.01 * rng.normal(size=24))]
        memory = decide((units[0] @ units[1].T).astype(np.float32), ones(num), memory).memory
    return memory


def test_a_date_on_which_everybody_looks_different_is_linked() -> None:
    """No link scores as one ever did; but far too many pairs score as no stranger did."""
    memory = after_dates_alike(40)
    usual = np.flatnonzero(memory.genuine[0] > 0.5)
    found = decide(planted(40, 2, change=0.9), ones(40), memory)
    assert found.score.max() < LOWEST + WIDTH * usual.min()
    assert found.track.tolist() == list(range(40))


def test_a_date_of_strangers_is_no_date_on_which_everybody_looks_different() -> None:
    found = decide(planted(40, 3, linked=0), ones(40), after_dates_alike(40))
    assert (found.track == -1).all()
    assert found.probability.min() > 0.5


def test_where_subjects_come_as_many_are_believed_to_go() -> None:
    """One track and one cluster are left over; on the dates before a fifth of the clusters began tracks."""
    before = replace(Memory(), births=12.0, clusters=60.0)
    unseen = [
        decide(planted(20, 7, linked=19), ones(20), before, Rules(steady=steady)).unseen[19] for steady in (True, False)
    ]
    steady, unsteady = (chance / (1 - chance) for chance in unseen)
    assert steady > 3 * unsteady


def test_scores_are_remembered_of_what_surely_goes_on() -> None:
    """Two tracks and two clusters are left over on the first date: more likely than not they are two subjects."""
    found = decide(planted(20, 1000, linked=18, change=0.3), ones(20))
    assert (found.track[18:] == -1).all()
    assert found.unseen[18:].max() < 0.5
    assert found.memory.genuine.sum() == pytest.approx(18, abs=0.1)


def test_a_score_below_the_level_of_strangers_is_no_better_than_one_at_it() -> None:
    """However few strangers are met so low: the ratio of two small densities would say the contrary."""
    group, score, gap = np.arange(3), np.array([LOWEST + 0.1, -1.0, 0.25]), np.zeros(3, dtype=np.int64)
    genuine = np.full((1, NUM_BINS), 1.0 / NUM_BINS)
    rates = np.where(CENTERS < -2.0, 1e-3, 3.0 * np.exp(-np.maximum(CENTERS, 0.0)))
    lowest, low, level = Lists(group, score).log_ratio(gap, genuine, np.array([rates, rates]))
    assert lowest == low == level == pytest.approx(np.log(1.0 / NUM_BINS / rates[np.searchsorted(CENTERS, 0.25)]))


def pieces(num: int, each: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Similarities of ``each`` clusters and tracks a subject, all of one look, and the subject of each."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(num), each)
    own = rng.normal(size=(num, 24))[subject]
    units = [own + 0.35 * rng.normal(size=own.shape) for _ in range(2)]
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in units]
    return (units[0] @ units[1].T).astype(np.float32), subject


def test_pieces_of_one_subject_go_to_one_track() -> None:
    similarity, subject = pieces(20, 3, 0)
    found = decide(similarity, ones(60))
    linked = found.track >= 0
    assert linked.mean() > 0.9
    assert (subject[found.track[linked]] == subject[linked]).all()
    assert max(len(set(found.track[linked & (subject == s)])) for s in range(20)) == 1


def test_what_was_joined_is_not_held_together_by_the_tracks_that_it_left() -> None:
    """They are older, so that all prefer the newer: look-alikes, joined by mistake, would never part again."""
    joined, gaps = Memory(collisions=90.0, by_chance=90.0), ones(40)
    similarity, _ = pieces(20, 2, 0)
    assert decide(similarity, gaps, joined).memory.by_chance > 90.0 * FADING
    gaps[1::2] = 2
    assert decide(similarity, gaps, joined).memory.by_chance == 90.0 * FADING
    assert decide(similarity, gaps).memory.by_chance > 0.0  # nothing is joined: the older tracks count


def test_one_to_one_means_one_cluster_a_track() -> None:
    similarity, _ = pieces(20, 3, 0)
    track = decide(similarity, ones(60), None, Rules(many_to_one=False)).track
    assert len(set(track[track >= 0])) == (track >= 0).sum()


def test_look_alikes_that_have_a_track_each_are_no_pieces() -> None:
    """Pairs of subjects, the two much nearer to each other than to anybody else, but each nearest to its own track."""
    rng = np.random.default_rng(1)
    own = np.repeat(rng.normal(size=(15, 24)), 2, axis=0) + 0.45 * rng.normal(size=(30, 24))
    units = [own + 0.15 * rng.normal(size=own.shape) for _ in range(2)]
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in units]
    found = decide((units[0] @ units[1].T).astype(np.float32), ones(30))
    assert found.track.tolist() == list(range(30))


@pytest.mark.slow
@settings(max_examples=20)
@given(st.integers(0, 50))
def test_order_carries_no_information(seed: int) -> None:
    similarity = planted(15, seed, linked=10)
    gaps = np.random.default_rng(seed).integers(1, 4, 15)
    rows = np.random.default_rng(seed + 1).permutation(15)
    columns = np.random.default_rng(seed + 2).permutation(15)
    plain = decide(similarity, gaps)
    moved = decide(similarity[rows][:, columns], gaps[columns])
    back = [int(columns[j]) if j >= 0 else -1 for j in moved.track]
    assert back == plain.track[rows].tolist()
    assert moved.probability == pytest.approx(plain.probability[rows], abs=1e-3)


def test_a_monotone_rescaling_changes_few_decisions() -> None:
    """Half of 30 continue; squaring distances, or taking their root, leaves all links and adds no false one."""
    similarity = planted(30, 5, linked=15)
    for power in (0.5, 2.0):
        rescaled = (1 - (1 - similarity) ** power).astype(np.float32)
        track = decide(rescaled, ones(30)).track
        assert track[:15].tolist() == list(range(15))
        assert (track[15:] == -1).all()


@pytest.mark.slow
def test_the_wanted_rate_bounds_the_expected_false_links() -> None:
    similarity = np.minimum(planted(60, 6) + np.random.default_rng(0).normal(0, 0.25, (60, 60)), 0.999)
    for rate in (0.01, 0.05, 0.2):
        found = decide(similarity.astype(np.float32), ones(60), Memory(), Rules(rate))
        links = found.track >= 0
        assert (1 - found.probability[links]).sum() <= rate * links.sum() + 1e-9


@pytest.mark.slow
def test_stricter_never_links_more() -> None:
    similarity = np.minimum(planted(60, 6) + np.random.default_rng(0).normal(0, 0.25, (60, 60)), 0.999)
    counts = [
        (decide(similarity.astype(np.float32), ones(60), None, Rules(rate)).track >= 0).sum()
        for rate in (0.001, 0.01, 0.1)
    ]
    assert counts == sorted(counts)
    assert counts[-1] > 0


def test_a_date_does_not_touch_the_memory_it_was_given() -> None:
    memory = Memory()
    found = decide(planted(10, 0), ones(10), memory)
    assert memory.rows() == []
    assert found.memory.links == 10


def test_runner_up_and_margin() -> None:
    found: Decisions = decide(planted(12, 0), ones(12))
    similarity = planted(12, 0)
    assert (found.runner_up != found.track).all()
    assert (found.margin > 0).all()
    assert found.similarity == pytest.approx(similarity[np.arange(12), found.track])


def test_an_exponential_tail_is_found() -> None:
    """Strangers with rate 2: the extrapolation above the window is near the truth."""
    rng = np.random.default_rng(0)
    scores = (rng.exponential(0.5, (100, 100)) - 2.0).astype(np.float32)
    tail: Tail = fit_tail(fine_histogram(scores), 100.0, Memory())
    # the truth: 10 000 pairs, a share exp(-2 * (u + 2)) above u; at u = 1 that is 24.8 pairs in 100 lists
    assert tail.expected[10:].sum() == pytest.approx(0.248, rel=0.35)
    assert not tail.body[10:].any()


def test_genuine_density_follows_the_counts() -> None:
    counts = np.zeros((4, 64))
    counts[0, 20] = 1000.0
    density = genuine_density(counts)
    assert density.sum(axis=1) == pytest.approx(np.ones(4))
    assert density[0].argmax() == 20
    assert density[3].argmax() == 20  # a gap bin without links starts from the one before it
