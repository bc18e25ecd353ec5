"""The two-group model of a date: which scores strangers have, which scores links have, and how many continue."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from pipeline.compute.linking.matching import Edges, Matching
from pipeline.compute.linking.memory import CONTINUED, GAP_BINS, LOWEST, NUM_BINS, WIDTH, Memory, score_bin

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

CENTERS = LOWEST + WIDTH * (np.arange(NUM_BINS) + 0.5)
EDGES = LOWEST + WIDTH * np.arange(NUM_BINS)

FINE = 10
"""Fine bins a score bin, for the tail's window."""

PRIOR_RATE, PRIOR_PAIRS = 1.5, 10.0
"""Rate of strangers' tail in its own units before anything was seen, and the pairs it is worth.

The score is half the row's and half the column's normalised closeness; the mean of two halves with exponential tails
of rate 1 falls like rate 1.5 over the range where strangers are still met.
"""

PRIOR_GENUINE = 4.0
"""Links that the prior over genuine scores is worth."""

MAX_GENUINE = 50.0
"""Links that the memory is worth at most in each gap bin: a date may be unlike those before it."""

PRIOR_LISTS = 3.0
"""Lists that the extrapolated tail is worth against the strangers counted."""

LATER = np.array([1.0, 0.3, 0.15, 0.08])
"""That chance for the longer gaps, relative to the first, before anything was seen."""

PRIOR_TRACKS = (1.5, 0.5)
"""Beta prior of the chance to be continued: most collections follow their subjects."""

PRIOR_BIRTHS = (0.5, 10.0)
"""Births among clusters that the prior is worth."""

UNUSUAL = 0.1
"""Chance that a date is unlike those before it (everybody redrawn, a flood, a return), so that its own scores decide."""

LARGEST = 30.0
"""Cap of a log likelihood ratio: beyond it floating point has nothing to say."""

RATES = np.geomspace(0.2, 12.0, 60)
"""Grid of rates of strangers' tail."""

NEGLIGIBLE = 1e-6
"""Share of belief below which a value of CONTINUED is left out."""

ROUNDS = 4


@dataclass(frozen=True)
class Problem:
    """A date's candidates.

    ``score`` and ``gap`` (gap bin) are the edges'; ``histogram`` holds all pairs' scores in fine bins; ``row_second``
    and ``column_second`` are the second best score of each list (-inf in a list of one).
    """

    edges: Edges
    score: Doubles
    gap: Ints
    histogram: Doubles
    offered: Doubles
    """Open tracks of each gap bin."""

    @property
    def lists(self) -> float:
        """Root of clusters times tracks: pairs of strangers at a given score grow with it."""
        return float(np.sqrt(self.edges.num_rows * self.edges.num_columns))


@dataclass(frozen=True)
class Fit:
    """What the model says of a date: each edge's probability, and what the memory keeps."""

    probability: Doubles
    continued: Doubles
    genuine: Doubles
    strangers: Doubles
    exposed: Doubles
    evidence: Doubles
    tail_pairs: float
    tail_excess: float


def fine_histogram(scores: Floats) -> Doubles:
    """Counts of all pairs' scores in fine bins."""
    place = np.floor((scores.ravel() - np.float32(LOWEST)) * np.float32(FINE / WIDTH))
    index = np.clip(place, 0, NUM_BINS * FINE - 1).astype(np.int32)
    return np.bincount(index, minlength=NUM_BINS * FINE).astype(np.float64)


OPT: dict = {}


def fit(problem: Problem, memory: Memory) -> Fit:
    """Expectation-maximisation over the date's candidates, from the memory of earlier dates."""
    edges = problem.edges
    matching = Matching(edges)
    sides = (Lists(edges.row, problem.score), Lists(edges.column, problem.score))
    weights = (np.sqrt(edges.num_columns / edges.num_rows), np.sqrt(edges.num_rows / edges.num_columns))
    counted = np.zeros((len(GAP_BINS), NUM_BINS))
    sure = counted
    strangers, exposed = np.zeros((2, NUM_BINS)), np.zeros((2, NUM_BINS))
    probability = np.zeros(len(problem.score))
    cap = OPT.get("cap", 1e9)
    prior = memory.genuine * np.minimum(1.0, cap / np.maximum(memory.genuine.sum(1), 1.0))[:, None]
    first = None
    for k in range(OPT.get("rounds", 4)):
        tail = fit_tail(problem, probability, memory)
        rates = tail.rates(memory.strangers + strangers, memory.exposed + exposed)
        genuine = genuine_density(prior + counted)
        likelihood = 0.5 * sum(side.log_ratio(problem.score, problem.gap, genuine, rates) for side in sides)
        averages, evidence = _per_chance(problem, matching, likelihood, memory)
        if first is None:
            first = evidence
        share = _prior(memory) * np.exp(evidence)
        probability = (share / share.sum()) @ averages
        sure = np.zeros((len(GAP_BINS), NUM_BINS))
        bins = score_bin(problem.score)
        np.add.at(sure, (problem.gap, bins), np.where(probability > 0.5, probability, 0.0))
        counted = np.zeros((len(GAP_BINS), NUM_BINS))
        how = OPT.get("count", "sure")
        w = probability if how == "soft" else probability**2 if how == "square" else np.where(probability > OPT.get('thr',.5), probability, 0.0)
        np.add.at(counted, (problem.gap, bins), w)
        strangers, exposed = np.zeros((2, NUM_BINS)), np.zeros((2, NUM_BINS))
        for side, weight in zip(sides, weights, strict=True):
            met, lists = side.count(problem.score, probability > 0.5)
            strangers += 0.5 * met
            exposed += 0.5 * weight * lists
    continued = np.bincount(problem.gap, probability, minlength=len(GAP_BINS))
    keep = first if OPT.get("first") else evidence
    return Fit(probability, continued, sure if OPT.get("msure", 1) else counted, strangers, exposed, keep, tail.pairs, tail.excess)


def _per_chance(problem, matching, likelihood, memory):
    edges = problem.edges
    relative = _relative(memory)
    birth_share = (memory.births + PRIOR_BIRTHS[0]) / (memory.clusters + PRIOR_BIRTHS[1])
    evidence = np.empty(len(CONTINUED))
    averages = np.zeros((len(CONTINUED), len(likelihood)))
    for k, chance in enumerate(CONTINUED):
        each = chance * relative
        births = max(edges.num_rows - float(each @ problem.offered), birth_share * edges.num_rows)
        weight = (each / (1.0 - each))[problem.gap] * np.sqrt(edges.num_columns * edges.num_rows) / births
        averages[k], log_sum = matching.marginals(weight * np.exp(likelihood)) if chance else (averages[k], 0.0)
        evidence[k] = log_sum + problem.offered @ np.log1p(-each) + edges.num_rows * np.log(births) - births
    evidence -= evidence.max()
    return averages, evidence


class Lists:
    """The clusters' lists of tracks, or the tracks' lists of clusters."""

    def __init__(self, group: Ints, score: Doubles) -> None:
        self._order = np.lexsort((-score, group))
        ordered = group[self._order]
        self._starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        self._sizes = np.diff(np.append(self._starts, len(group)))
        sorted_score = score[self._order]
        second = np.where(self._sizes > 1, sorted_score[np.minimum(self._starts + 1, len(score) - 1)], -np.inf)
        self._is_first = np.zeros(len(group), dtype=bool)
        self._is_first[self._order[self._starts]] = True
        self._second = np.empty(len(group))
        self._second[self._order] = np.repeat(second, self._sizes)

    def log_ratio(self, score: Doubles, gap: Ints, genuine: Doubles, rates: Doubles) -> Doubles:
        """Log likelihood ratio of each edge being a link against its list being of strangers only.

        Going down a list, strangers come at rate ``rates[0]`` until the first is met and at ``rates[1]`` after it: a
        cluster that has met its look-alike seldom has another.  Taking the first entry out of the list makes the
        second the first.
        """
        log_genuine, log_rate = np.log(genuine), np.log(rates)
        above = np.maximum.accumulate(log_genuine[:, None] - log_rate[None], axis=2)
        out = np.empty(len(score))
        for g in range(len(genuine)):
            mine = gap == g
            next_ = np.interp(score[mine], CENTERS, above[g, 1])
            first = np.interp(score[mine], CENTERS, above[g, 0])
            out[mine] = np.where(self._is_first[mine], first + self._promotion(score, rates)[mine], next_)
        return np.clip(out, -LARGEST, LARGEST)

    def _promotion(self, score: Doubles, rates: Doubles) -> Doubles:
        second = np.maximum(self._second, LOWEST)
        gain = np.interp(second, CENTERS, np.log(rates[0]) - np.log(rates[1]))
        step = np.append(0.0, np.cumsum(rates[0] - rates[1]))
        places = LOWEST + WIDTH * np.arange(NUM_BINS + 1)
        return gain - (np.interp(score, places, step) - np.interp(second, places, step))

    def count(self, score: Doubles, linked: npt.NDArray[np.bool_]) -> tuple[Doubles, Doubles]:
        """Strangers met first and next, and lists exposed to each, in each score bin; ``linked`` edges are left out."""
        strange = np.where(linked, -np.inf, score)[self._order]
        best = np.maximum.reduceat(strange, self._starts)
        first = np.bincount(score_bin(best[best > -np.inf]), minlength=NUM_BINS).astype(np.float64)
        every = np.bincount(score_bin(strange[strange > -np.inf]), minlength=NUM_BINS)
        met_above = first[::-1].cumsum()[::-1] - 0.5 * first
        return np.array([first, every - first]), np.array([len(best) - met_above, met_above])


@dataclass(frozen=True)
class Tail:
    """Strangers a list in each score bin: counted in the body, extrapolated above ``start``."""

    expected: Doubles
    body: npt.NDArray[np.bool_]
    pairs: float
    excess: float

    def rates(self, strangers: Doubles, exposed: Doubles) -> Doubles:
        """Strangers a list, rank x score bin: the extrapolation, or more where more were met."""
        met = (strangers + PRIOR_LISTS * self.expected) / (exposed + PRIOR_LISTS)
        out: Doubles = np.where(self.body, self.expected, np.maximum(self.expected, met))
        return out


def fit_tail(problem: Problem, probability: Doubles, memory: Memory) -> Tail:
    """Expected strangers in each score bin of the date."""
    fine = problem.histogram.copy()
    place = np.clip(np.floor((problem.score - LOWEST) * FINE / WIDTH), 0, len(fine) - 1).astype(np.int64)
    np.subtract.at(fine, place, probability)
    fine = np.maximum(fine, 0.0)
    above = fine[::-1].cumsum()[::-1]
    total = above[0]
    upper, lower = min(1.5 * problem.lists, 0.25 * total), min(6.0 * problem.lists, 0.5 * total)
    first = int(np.searchsorted(-above, -lower, side="right"))
    last = max(int(np.searchsorted(-above, -upper, side="right")), first + 1)
    width = WIDTH / FINE
    inside = fine[first:last]
    reach = (np.arange(len(inside)) + 0.5) * width
    beyond = float(above[last]) if last < len(above) else 0.0
    pairs, excess = float(inside.sum()), float((inside * reach).sum() + beyond * len(inside) * width)
    history = min(1.0, 200.0 / memory.tail_pairs) if memory.tail_pairs else 0.0
    num = pairs + history * memory.tail_pairs + PRIOR_PAIRS
    length = excess + history * memory.tail_excess + PRIOR_PAIRS / PRIOR_RATE
    start = LOWEST + last * width
    survivors = max(beyond, 1.0) * (1.0 + np.maximum(np.append(EDGES, np.inf) - start, 0.0) / length) ** -num
    extrapolated = survivors[:-1] - survivors[1:]
    counted = fine.reshape(NUM_BINS, FINE).sum(axis=1)
    body = start >= EDGES + WIDTH
    expected = np.where(body, np.maximum(counted, 1.0), np.maximum(extrapolated, 1e-12))
    return Tail(expected / problem.lists, body, pairs, excess)


def genuine_density(counts: Doubles) -> Doubles:
    prior = np.where(CENTERS > 0, 1.0 / (1.0 + np.maximum(CENTERS, 0.0) / 4.0) ** 2, 1e-3)
    prior /= prior.sum()
    out = np.empty_like(counts)
    for g, count in enumerate(counts):
        density = (count + PRIOR_GENUINE * prior) / (count.sum() + PRIOR_GENUINE)
        smooth = np.convolve(np.pad(density, 2, mode="edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid")
        prior = out[g] = smooth / smooth.sum()
    return out


def _relative(memory: Memory) -> Doubles:
    """Chance of each gap bin to be continued, relative to the first."""
    rate = (memory.continued + LATER * 0.75) / (memory.offered + 1.0)
    return np.minimum(rate / max(rate[0], 1e-9), 1.0)


def _prior(memory: Memory) -> Doubles:
    """Prior over CONTINUED: what the earlier dates say, and for an unusual date what was believed at first."""
    chance = np.clip(np.array(CONTINUED), 1e-3, 1.0)
    first = chance ** (PRIOR_TRACKS[0] - 1) * (1.0 - chance) ** (PRIOR_TRACKS[1] - 1)
    first /= first.sum()
    usual = first * np.exp(memory.evidence - memory.evidence.max())
    out: Doubles = (1.0 - UNUSUAL) * usual / usual.sum() + UNUSUAL * first
    return out
