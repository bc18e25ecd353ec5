import itertools

import numpy as np
from scipy.stats import expon, lognorm, norm

from pipeline.compute import isolation
from pipeline.compute.isolation import isolated_branches
from tests.compute.test_dendrogram import directions, tree_of


def antichains(lines: list[int], tree: np.ndarray) -> list[set[int]]:
    """All sets of lines of which none lies below another."""
    count = len(tree) + 1
    below: dict[int, set[int]] = {}
    for line, (left, right) in enumerate(tree[:, :2].astype(int)):
        below[line] = set()
        for part in (left, right):
            if part >= count:
                below[line] |= {part - count} | below[part - count]
    sets = [set(c) for size in range(len(lines) + 1) for c in itertools.combinations(lines, size)]
    return [s for s in sets if not any(a in below[b] for a in s for b in s)]


def test_the_evidence_is_the_sum_over_all_ways_to_cut() -> None:
    """Against an enumeration that shares no code: every antichain's probability, densities from SciPy."""
    tree = tree_of(directions(0, 4, 9, 60, 65, 120, 127))
    lines = isolation._read(tree, isolation.SHORTEST_GAP)
    cut = np.log(0.1)
    stop, go_on = isolation._cut_terms(lines, np.array([cut]))
    rates, gap, spread = np.array([[2.0, 1.5]]), np.array([[-0.1]]), np.array([[0.6]])
    eligible = lines.pair | lines.branch
    odds = np.where(eligible, isolation._isolated(lines, gap, spread) - isolation._ordinary(lines, rates), -np.inf)
    found = isolation._upward(lines, stop + odds, go_on)[0, len(tree) - 1]

    count, root = len(tree) + 1, len(tree) - 1
    parent = {int(p): line for line, parts in enumerate(tree[:, :2]) for p in parts}
    law = norm(cut, isolation._CUT_SPREAD)
    total = 0.0
    for chosen in antichains(list(range(root)), tree):
        probability = 1.0
        for line in range(len(tree)):
            node, above = line + count, []
            while node in parent:
                node = parent[node] + count
                above.append(node - count)
            if any(line_above in chosen for line_above in above):
                continue
            low = np.log(tree[line, 2])
            high = np.log(tree[parent[line + count], 2]) if line != root else np.inf
            if line not in chosen:
                probability *= law.cdf(low) / law.cdf(high) if line != root else 1.0
                continue
            x, size = high - low, tree[line, 3]
            rate = 2.0 if size == 2 else 1.5 * np.sqrt(size)
            isolated = lognorm(0.6, scale=np.exp(-0.1)).pdf(x)
            probability *= (law.cdf(high) - law.cdf(low)) / law.cdf(high) * isolated / expon(scale=1 / rate).pdf(x)
        total += probability
    np.testing.assert_allclose(found, np.log(total), rtol=1e-9)


def test_expected_choices_are_the_derivative_of_the_sum() -> None:
    tree = tree_of(directions(0, 4, 9, 60, 62, 120, 123, 200, 201, 300))
    lines = isolation._read(tree, isolation.SHORTEST_GAP)
    stop, go_on = isolation._cut_terms(lines, np.array([np.log(0.05), np.log(0.3)]))
    expected = isolation._expected(lines, stop, go_on)
    step = 1e-6
    for line in range(len(tree) - 1):
        more = stop.copy()
        more[:, line] += step
        slope = isolation._upward(lines, more, go_on) - isolation._upward(lines, stop, go_on)
        np.testing.assert_allclose(slope[:, len(tree) - 1] / step, expected[:, line], atol=1e-4)


def test_the_chosen_branches_do_not_overlap_and_never_hold_all() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        tree = tree_of(directions(*np.concatenate([rng.normal(c, 1.0, 4) for c in range(0, 340, 40)])))
        chosen = isolated_branches(tree)
        assert 1 < chosen.sum() <= 10
        assert not chosen[-1]
        assert set(np.flatnonzero(chosen)) in antichains(list(np.flatnonzero(chosen)), tree)


def test_two_points_have_nothing_to_compare_with() -> None:
    assert not isolated_branches(tree_of(directions(0, 1))).any()
