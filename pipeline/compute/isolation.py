"""Which branches of a date's average-linkage tree are several shots of one subject: a model without parameters to set.

What is known of one date is relative.  In a tree of merge heights (1 - average similarity) the shots of one subject
form a branch that is *isolated*: the next merge above it is a multiple of its own height.  Inside such a branch, and
between subjects, heights rise in small steps.  So for every line of the tree

    gap = log(height of the next merge above / own height) >= 0

is drawn from one of two densities: *exponential* for an ordinary line (ratios of neighbour distances in a locally
homogeneous cloud have a Pareto law, hence their logarithms an exponential one: Facco et al., 2017), with a rate that
grows with the square root of the branch's size, as averages do; *log-normal*, away from zero, for an isolated one.
Subjects of one date were photographed alike, so their cuts are alike: a subject's cut is log-normal around the date's,
and the branch that is cut out is the one whose height lies below the subject's cut and whose next merge lies above.
Images that are cut out alone are subjects with one shot.

The rates and the log-normal are fitted for each of a grid of cuts by expectation-maximisation, with priors worth
``_PRIOR_LINES`` lines; sums over all ways to cut are exact (one pass up the tree, one down).  The mean over the grid,
against the same tree without any isolated branch, is a Bayes factor.  Heights enter through ratios only, so a power of
the distance, or another extractor's scale, changes little and needs no setting.

Two things a tree cannot tell are settled by rule, on the side of splitting, which linking can mend: evidence short of
"strong" leaves every image alone; and where most images stand alone, the few that find company are taken for
look-alikes unless their branch is significant by itself.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, logsumexp

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

# Priors, not settings: over shots of faces, fruit, drawings, prints and re-photographed scenes the values of most sets
# lie within a factor of two of these, whatever the extractor (figures: tests/bench/bench_clusterers.py).
_PAIR_RATE = 2.5
"""Rate of the gap of an ordinary pair: the next merge is typically e**(1/2.5) = 1.5 times as high."""
_BRANCH_RATE = 1.8
"""Rate of the gap of an ordinary branch of m > 2, divided by sqrt(m)."""
_GAP = 0.8
"""Median gap of an isolated branch: the next merge is e**0.8 = 2.2 times as high."""
_LEAST_GAP = 0.7
"""The fitted median gap stays above: below, the isolated density would stand in for the ordinary one."""
_GAP_SPREAD = 0.55
"""Standard deviation of the logarithm of that gap."""
_CUT_SPREAD = 0.4
"""Standard deviation of the logarithm of subjects' cuts within a date: within 1.5 times for two of three subjects."""
_PRIOR_LINES = 25.0
"""What each prior weighs, in lines of the tree.  Beside 10 it cuts real dates less finely, and finds fewer groups among
much noise (tests/bench/bench_clusterers.py): the price of staying near what most sets have."""

_STRONG = float(np.log(10.0))
"""Logarithm of the Bayes factor from which evidence is strong: 10 to 1 (Jeffreys, 1961)."""
MAJORITY = 0.5
"""Below this share of images in company, a branch has to be significant by itself."""

_GRID_STEP = 0.15
"""Of the logarithm of the cut: well below ``_CUT_SPREAD``, so that the sum over the grid is an integral."""
_ITERATIONS = 8
_BLOCK_NUMBERS = 1 << 22
"""Cuts times lines that are fitted at a time, 32 MB an array: bounds memory, has no influence on the result."""
_FLOOR = 1e-3
"""Cosine distances below (angles under 2.6 degrees) are not told apart: file formats move vectors by as much."""
_LONGEST_GAP = 6.0
"""Gaps are counted up to this (400 times): near-identical images are no stronger evidence than alike ones."""
ISOLATED_GAP = float(np.exp(np.log(_GAP) - 2.33 * _GAP_SPREAD))
"""A branch with a shorter gap is not isolated, whatever the fit: the hundredth of isolated ones that is least so.  The
two halves of a large cloud are apart by nearly as much (0.18), and less ordinary the larger the cloud is."""
SHORTEST_GAP = 0.02
"""The same for trees whose heights rise slowly even between subjects (single linkage); keeps logarithms finite.  The
gaps along a path add up to 8 at most, so no path has more than 400 lines that may be chosen, however deep the tree is.
"""


@dataclass(frozen=True)
class _Lines:
    """The tree's n - 1 lines, from the bottom; the last is the root, which has no gap and is never chosen.

    ``open`` are the lines that may be chosen.  ``folded`` are the others but the root, each with the nearest open line
    above it (or the root); ``waves`` the open lines and the root, with the same, those below in earlier waves.
    """

    gap: Float64s
    log_gap: Float64s
    height: Float64s
    next_height: Float64s
    size: Float64s
    pair: Bools
    branch: Bools
    open: Bools
    folded: "_Below"
    waves: list["_Below"]


@dataclass(frozen=True)
class _Below:
    """Lines (m,), sorted by the line ``above`` (m,) each; groups of one ``above`` begin at ``starts`` (g,)."""

    lines: Int64s
    above: Int64s
    starts: Int64s

    def add_to(self, total: Float64s, values: Float64s) -> None:
        """Add ``values`` (c, m) of the lines to ``total`` (c, n - 1) of those above."""
        if len(self.lines):
            total[:, self.above[self.starts]] += np.add.reduceat(values, self.starts, axis=1)


@dataclass(frozen=True)
class _Fit:
    """The model fitted at each of c cuts: log-evidence (c,) and per line (c, n - 1) the terms of the choice."""

    evidence: Float64s
    odds: Float64s
    stop: Float64s
    go_on: Float64s


def isolated_branches(tree: Float64s, least_gap: float = ISOLATED_GAP) -> Bools:
    """Choose the branches that are one subject's shots.

    Args:
        tree: Average linkage of n >= 2 distinct points in SciPy's form (n - 1, 4), heights non-decreasing.
        least_gap: Of a branch that may be chosen, at least ``SHORTEST_GAP``.

    Returns:
        For each line (n - 1,) whether the branch below is a subject; no chosen line lies below another.  The points
        outside all of them are subjects with one shot.
    """
    lines = _read(tree, least_gap)
    nothing = np.zeros(len(tree), dtype=bool)
    if len(tree) < 2:
        return nothing
    evidence, fit = _best_fit(lines)
    if evidence < _STRONG:
        return nothing
    chosen = _most_probable(lines, fit.stop[0] + fit.odds[0], fit.go_on[0])
    if lines.size[chosen].sum() >= MAJORITY * (len(tree) + 1):
        return chosen
    # As many chances as lines: an ordinary line passes less than once a date (Bonferroni).
    alone = np.where(fit.odds[0] > np.log(len(tree)), fit.odds[0], -np.inf)
    return _most_probable(lines, alone, np.zeros(len(tree)))


def _read(tree: Float64s, least_gap: float) -> _Lines:
    count = len(tree) + 1
    parts = tree[:, :2].astype(np.int64)
    height = np.log(np.maximum(tree[:, 2], _FLOOR))
    above = np.full(2 * count - 1, count - 2)
    above[parts] = np.arange(count - 1)[:, None]
    next_height = height[above[count:]]
    gap = np.minimum(next_height - height, _LONGEST_GAP)
    root = np.arange(count - 1) == count - 2
    size = tree[:, 3]
    is_open = ~root & (gap >= least_gap)
    folded, waves = _waves(above[count:], is_open)
    return _Lines(
        gap,
        np.log(np.maximum(gap, SHORTEST_GAP)),
        height,
        next_height,
        size,
        (size == 2) & ~root,
        (size > 2) & ~root,
        is_open,
        folded,
        waves,
    )


def _waves(above: Int64s, is_open: Bools) -> tuple[_Below, list[_Below]]:
    """``folded`` and ``waves`` of :class:`_Lines`, from the line above each line; the last is the root."""
    root = len(above) - 1
    parent = above.tolist()
    kept = is_open.tolist()
    for line in range(root - 1, -1, -1):
        if parent[line] != root and not kept[parent[line]]:
            parent[line] = parent[parent[line]]
    level = np.zeros(len(above), dtype=np.int64)
    for line in np.flatnonzero(is_open).tolist():
        level[parent[line]] = max(level[parent[line]], level[line] + 1)
    nearest = np.array(parent, dtype=np.int64)
    closed = np.flatnonzero(~is_open[:root])
    every = np.flatnonzero(is_open | (np.arange(len(above)) == root))
    waves = [_below(every[level[every] == step], nearest) for step in range(int(level[root]) + 1)]
    return _below(closed, nearest), [wave for wave in waves if len(wave.lines)]


def _below(lines: Int64s, nearest: Int64s) -> _Below:
    lines = lines[np.argsort(nearest[lines], kind="stable")]
    above = nearest[lines]
    return _Below(lines, above, np.flatnonzero(np.diff(above, prepend=-1)))


def _grid(lines: _Lines) -> Float64s:
    """Cuts from the lowest merges (but the last few hundredths) to above the root."""
    return np.arange(np.quantile(lines.height, 0.02), lines.height[-1] + _GRID_STEP, _GRID_STEP)


def _best_fit(lines: _Lines) -> tuple[float, _Fit]:
    """The log of the mean evidence over the grid, and the fit at its best cut (the first of the best)."""
    cuts = _grid(lines)
    step = max(_BLOCK_NUMBERS // len(lines.gap), 1)
    evidence: list[Float64s] = []
    best: _Fit | None = None
    for start in range(0, len(cuts), step):
        fit = _fit(lines, cuts[start : start + step])
        top = int(np.argmax(fit.evidence))
        evidence.append(fit.evidence)
        if best is None or fit.evidence[top] > best.evidence[0]:
            best = _Fit(*(values[top : top + 1].copy() for values in (fit.evidence, fit.odds, fit.stop, fit.go_on)))
    assert best is not None  # noqa: S101 - a grid has at least one cut
    return float(logsumexp(np.concatenate(evidence)) - np.log(len(cuts))), best


def _fit(lines: _Lines, cuts: Float64s) -> _Fit:
    """Fit rates, gap and spread at each cut (c,) by expectation-maximisation."""
    eligible = lines.pair | lines.branch
    stop, go_on = _cut_terms(lines, cuts)
    nobody = np.zeros((1, len(lines.gap)))
    plain_rates = _rates(lines, nobody)
    plain = np.where(eligible, _ordinary(lines, plain_rates), 0.0).sum() + _rate_prior(plain_rates)[0]
    rates = np.repeat(plain_rates, len(cuts), axis=0)
    gap, spread = np.full((len(cuts), 1), np.log(_GAP)), np.full((len(cuts), 1), _GAP_SPREAD)
    for _ in range(_ITERATIONS):
        odds = np.where(lines.open, _isolated(lines, gap, spread) - _ordinary(lines, rates), -np.inf)
        chosen = _expected(lines, stop + odds, go_on)
        rates = _rates(lines, chosen)
        gap, spread = _gap_law(lines, chosen)
    ordinary = _ordinary(lines, rates)
    odds = np.where(lines.open, _isolated(lines, gap, spread) - ordinary, -np.inf)
    total = _upward(lines, stop + odds, go_on)[:, len(lines.gap) - 1]
    evidence = np.where(eligible, ordinary, 0.0).sum(axis=1) + _rate_prior(rates) + total - plain
    return _Fit(evidence, odds, stop, go_on)


def _cut_terms(lines: _Lines, cuts: Float64s) -> tuple[Float64s, Float64s]:
    """Log-probabilities (c, n - 1) of a subject's cut above the line, or not, given that it is under the next merge.

    Not to choose a line goes with not choosing those that are folded into it.
    """
    low = (lines.height - cuts[:, None]) / _CUT_SPREAD
    high = (lines.next_height - cuts[:, None]) / _CUT_SPREAD
    high[:, -1] = np.inf
    below_next = log_ndtr(high)
    # log(F(high) - F(low)) from the tails on whichever side they are small.
    mirrored = low > 0
    upper = np.where(mirrored, log_ndtr(-low), log_ndtr(high))
    lower = np.where(mirrored, log_ndtr(-high), log_ndtr(low))
    between = upper + np.log1p(-np.exp(np.minimum(lower - upper, -1e-12)))
    between[:, -1] = -np.inf
    go_on = log_ndtr(low) - below_next
    go_on[:, -1] = 0.0
    lines.folded.add_to(go_on, go_on[:, lines.folded.lines])
    return between - below_next, go_on


def _ordinary(lines: _Lines, rates: Float64s) -> Float64s:
    """Log-density of the gaps (c, n - 1) at ``rates`` (c, 2) of pairs and of larger branches."""
    rate = np.where(lines.pair, rates[:, :1], rates[:, 1:] * np.sqrt(lines.size))
    return np.asarray(np.log(rate) - rate * lines.gap)


def _isolated(lines: _Lines, gap: Float64s, spread: Float64s) -> Float64s:
    """Log-density of the gaps (c, n - 1) at the log-normal's mean and standard deviation (c, 1)."""
    z = (lines.log_gap - gap) / spread
    return np.asarray(-0.5 * z * z - np.log(spread) - 0.5 * np.log(2 * np.pi) - lines.log_gap)


def _rates(lines: _Lines, chosen: Float64s) -> Float64s:
    """Maximum a posteriori rates (c, 2), gamma priors, from the lines that are not chosen (c, n - 1)."""
    ordinary = 1.0 - chosen
    pairs, branches = ordinary * lines.pair, ordinary * lines.branch
    totals = ((pairs, lines.gap, _PAIR_RATE), (branches, lines.gap * np.sqrt(lines.size), _BRANCH_RATE))
    columns = [(w.sum(axis=1) + _PRIOR_LINES) / (w @ g + _PRIOR_LINES / prior) for w, g, prior in totals]
    return np.stack(columns, axis=1)


def _rate_prior(rates: Float64s) -> Float64s:
    """Log-prior of rates (c, 2) but for a constant."""
    ratio = rates / np.array([_PAIR_RATE, _BRANCH_RATE])
    return np.asarray((_PRIOR_LINES * (np.log(ratio) - ratio)).sum(axis=1))


def _gap_law(lines: _Lines, chosen: Float64s) -> tuple[Float64s, Float64s]:
    """Maximum a posteriori mean and standard deviation (c, 1) of the chosen lines' log-gaps."""
    weight = _PRIOR_LINES + chosen.sum(axis=1, keepdims=True)
    mean = (_PRIOR_LINES * np.log(_GAP) + (chosen @ lines.log_gap)[:, None]) / weight
    mean = np.maximum(mean, np.log(_LEAST_GAP))
    square = (chosen * (lines.log_gap - mean) ** 2).sum(axis=1, keepdims=True)
    return mean, np.sqrt((_PRIOR_LINES * _GAP_SPREAD**2 + square) / weight)


def _upward(lines: _Lines, take: Float64s, go_on: Float64s) -> Float64s:
    """Log-sum (c, n - 1) over all ways to cut the branch below each open line, and the root."""
    total = go_on.copy()
    for wave in lines.waves:
        found = np.logaddexp(take[:, wave.lines], total[:, wave.lines])
        total[:, wave.lines] = found
        _pass_up(lines, wave, total, found)
    return total


def _pass_up(lines: _Lines, wave: _Below, total: Float64s, found: Float64s) -> None:
    """Add what was found of a wave to the lines above; the root, alone in the last wave, has none."""
    if wave is not lines.waves[-1]:
        wave.add_to(total, found)


def _expected(lines: _Lines, take: Float64s, go_on: Float64s) -> Float64s:
    """Probability (c, n - 1) that each line is chosen."""
    total = _upward(lines, take, go_on)
    rest = np.ones_like(total)
    chosen = np.zeros_like(take)
    for wave in reversed(lines.waves):
        reached = rest[:, wave.above]  # of the root its own, which is 1
        found = reached * np.exp(take[:, wave.lines] - total[:, wave.lines])
        chosen[:, wave.lines] = found
        rest[:, wave.lines] = reached - found
    return chosen


def _most_probable(lines: _Lines, take: Float64s, go_on: Float64s) -> Bools:
    """Choose the lines (n - 1,) of the most probable way to cut; on a tie, to go on."""
    best = go_on[None].copy()
    taken = np.zeros(len(take), dtype=bool)
    for wave in lines.waves:
        here = take[wave.lines]
        taken[wave.lines] = here > best[0, wave.lines]
        found = np.maximum(here, best[0, wave.lines])[None]
        best[:, wave.lines] = found
        _pass_up(lines, wave, best, found)
    covered = np.zeros(len(take), dtype=bool)
    for wave in reversed(lines.waves):
        inside = covered[wave.above]
        taken[wave.lines] &= ~inside
        covered[wave.lines] = inside | taken[wave.lines]
    return taken
