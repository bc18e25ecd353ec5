"""The two-group model of a date: which scores strangers have, which scores links have, and how many continue."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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

ROUNDS = 4


@dataclass(frozen=True)
class Problem:
    """A date's candidates: their scores, their tracks' gap bins, and the fine histogram of all pairs' scores."""

    edges: Edges
    score: Doubles
    gap: Ints
    """Gap bin of each track."""
    histogram: Doubles

    @property
    def lists(self) -> float:
        """Root of clusters times tracks: pairs of strangers at a given score grow with it."""
        return float(np.sqrt(self.edges.num_rows * self.edges.num_columns))


@dataclass(frozen=True)
class Fit:
    """What the model says of a date."""

    probability: Doubles
    """Of each edge."""
    continued: Doubles
    """Expected continued tracks per gap bin."""
    genuine: Doubles
    """Gap bin x score bin: expected links."""
    strangers: Doubles
    """Score bin: expected pairs of strangers in the tail."""
    evidence: Doubles
    """Log evidence of each value of CONTINUED."""
    tail_pairs: float
    tail_excess: float


def fine_histogram(scores: Floats) -> Doubles:
    """Counts of all pairs' scores in fine bins."""
    place = np.floor((scores.ravel() - np.float32(LOWEST)) * np.float32(FINE / WIDTH))
    index = np.clip(place, 0, NUM_BINS * FINE - 1).astype(np.int32)
    return np.bincount(index, minlength=NUM_BINS * FINE).astype(np.float64)


def fit(problem: Problem, memory: Memory) -> Fit:
    """Expectation-maximisation over the date's candidates, from the memory of earlier dates."""
    edges = problem.edges
    gap = problem.gap[edges.column]
    bins = score_bin(problem.score)
    probability = np.zeros(len(problem.score))
    counted = np.zeros((len(GAP_BINS), NUM_BINS))
    matching = Matching(edges)
    share = evidence = None
    for _ in range(ROUNDS):
        tail = _tail(problem, probability, memory)
        strangers = tail.predicted if share is None else tail.expected
        ratio = log_ratio(genuine_density(memory.genuine + counted), strangers / problem.lists)
        likelihood = np.array([np.interp(s, CENTERS, ratio[g]) for s, g in zip(problem.score, gap, strict=True)])
        averages, found = _per_chance(problem, matching, likelihood, memory)
        evidence = found
        share = _prior(memory) * np.exp(found)
        share /= share.sum()
        probability = share @ averages
        counted = np.zeros((len(GAP_BINS), NUM_BINS))
        np.add.at(counted, (gap, bins), np.where(probability > 0.5, probability, 0.0))
    continued = np.bincount(gap, probability, minlength=len(GAP_BINS))
    return Fit(probability, continued, counted, tail.counted, evidence, tail.pairs, tail.excess)


@dataclass(frozen=True)
class _Tail:
    predicted: Doubles
    expected: Doubles
    counted: Doubles
    pairs: float
    excess: float


def _tail(problem: Problem, probability: Doubles, memory: Memory) -> _Tail:
    """Expected strangers in each score bin: counted in the body, extrapolated in the tail, more where more were met."""
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
    lists = problem.lists
    tail_counted = np.where(body, 0.0, counted)
    rate = (memory.strangers + tail_counted + PRIOR_LISTS * expected / lists) / (memory.lists + lists + PRIOR_LISTS)
    before = (memory.strangers + PRIOR_LISTS * expected / lists) / (memory.lists + PRIOR_LISTS)
    predicted = np.maximum(expected, before * lists)
    return _Tail(predicted, np.maximum(expected, rate * lists), tail_counted, pairs, excess)


def genuine_density(counts: Doubles) -> Doubles:
    """Share of links in each score bin, for each gap bin; a gap bin starts from the one before it.

    The prior is broad (density 1 / (4 (1 + u/4)^2) over scores above 0, median 4 tail units): it says only that a link
    scores above the level of strangers.
    """
    prior = np.where(CENTERS > 0, 1.0 / (1.0 + np.maximum(CENTERS, 0.0) / 4.0) ** 2, 1e-3)
    prior /= prior.sum()
    out = np.empty_like(counts)
    for g, count in enumerate(counts):
        density = (count + PRIOR_GENUINE * prior) / (count.sum() + PRIOR_GENUINE)
        smooth = np.convolve(np.pad(density, 2, mode="edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid")
        prior = out[g] = smooth / smooth.sum()
    return out


def log_ratio(genuine: Doubles, strangers: Doubles) -> Doubles:
    """Log likelihood ratio of a link against strangers, never falling with the score (gap bins x score bins)."""
    ratio = np.log(genuine) - np.log(strangers)[None, :]
    return np.clip(np.maximum.accumulate(ratio, axis=1), -LARGEST, LARGEST)


def _per_chance(problem: Problem, matching: Matching, likelihood: Doubles, memory: Memory) -> tuple[Doubles, Doubles]:
    """Marginals for each chance to be continued (chances x edges), and the log evidence of each."""
    edges = problem.edges
    relative = _relative(memory)[problem.gap]
    birth_share = (memory.births + PRIOR_BIRTHS[0]) / (memory.clusters + PRIOR_BIRTHS[1])
    evidence = np.empty(len(CONTINUED))
    averages = np.zeros((len(CONTINUED), len(likelihood)))
    for k, chance in enumerate(CONTINUED):
        each = chance * relative
        births = max(edges.num_rows - each.sum(), birth_share * edges.num_rows)
        weight = (each / (1.0 - each))[edges.column] * np.sqrt(edges.num_columns * edges.num_rows) / births
        averages[k], log_sum = matching.marginals(weight * np.exp(likelihood)) if chance else (averages[k], 0.0)
        evidence[k] = log_sum + np.log1p(-each).sum() + edges.num_rows * np.log(births) - births
    evidence -= evidence.max()
    return averages, evidence


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
