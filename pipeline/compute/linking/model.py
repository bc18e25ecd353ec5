"""The two-group model of a date: which scores strangers have, which scores links have, and how many continue."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compute.linking.lists import CENTERS, Lists
from pipeline.compute.linking.matching import Edges, Matching
from pipeline.compute.linking.memory import CONTINUED, GAP_BINS, NUM_BINS, Memory, score_bin
from pipeline.compute.linking.tail import fit_tail, strangers_only

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PRIOR_GENUINE = 4.0
"""Links that the prior over genuine scores is worth."""

LATER = np.array([1.0, 0.3, 0.15, 0.08])
"""Chance of each gap bin's tracks to be continued, relative to the first bin's, before anything was seen.

A subject that was missed once has more likely gone than not, and each further bin halves what is left.
"""

PRIOR_TRACKS = (1.5, 0.5)
"""Beta prior of the chance to be continued: most collections follow their subjects."""

PRIOR_BIRTHS = (0.5, 10.0)
"""Births, and the clusters they are among, that the prior is worth."""

UNUSUAL = 0.1
"""Chance that a date is unlike those before it (all redrawn, a flood, a return), so that its own scores decide."""

ROUNDS = 4
"""Rounds of expectation-maximisation; probabilities move by less than 1e-3 in the last."""


@dataclass(frozen=True)
class Problem:
    """A date's candidates.

    ``score`` and ``gap`` (gap bin) are the edges', ``histogram`` holds all pairs' scores in fine bins, ``offered`` the
    open tracks of each gap bin.  Without ``comparable`` the scores mean nothing: there was nothing to compare with.
    ``fits``: edges about as good as their cluster's best; ``pieces``: share of competing clusters that are pieces of
    one subject.
    """

    edges: Edges
    score: Doubles
    gap: Ints
    histogram: Doubles
    offered: Doubles
    comparable: bool
    fits: Bools
    pieces: float

    @property
    def lists(self) -> float:
        """Root of clusters times tracks: pairs of strangers at a given score grow with it."""
        return float(np.sqrt(self.edges.num_rows * self.edges.num_columns))


@dataclass(frozen=True)
class Fit:
    """What the model says of a date: of each candidate, and what the memory keeps."""

    probability: Doubles
    """That it is the link, each track having one cluster."""
    alone: Doubles
    """That it is the link, whatever the other clusters do."""
    continued: Doubles
    genuine: Doubles
    strangers: Doubles
    exposed: Doubles
    evidence: Doubles
    tail_pairs: float
    tail_excess: float


def fit(problem: Problem, memory: Memory) -> Fit:
    """Expectation-maximisation over the date's candidates, from the memory of earlier dates.

    Each round: strangers' rates from the pairs that are not links, links' scores from those that are, and by belief
    propagation the probability of every candidate for each value of CONTINUED, averaged by their evidence.  What is
    remembered of links' scores are only those more likely than not: else, where hardly anything can be told, strangers
    would be learnt as links a little at a time.
    """
    edges = problem.edges
    matching = Matching(edges)
    sides = (Lists(edges.row, problem.score), Lists(edges.column, problem.score))
    weights = (np.sqrt(edges.num_columns / edges.num_rows), np.sqrt(edges.num_rows / edges.num_columns))
    strangers, exposed = np.zeros((2, NUM_BINS)), np.zeros((2, NUM_BINS))
    probability = alone = known = np.zeros(len(problem.score))
    for _ in range(ROUNDS):
        rest = strangers_only(problem.histogram, problem.score, known)
        tail = fit_tail(rest, problem.lists, memory)
        rates = tail.rates(memory.strangers + strangers, memory.exposed + exposed)
        genuine = genuine_density(memory.genuine + _by_score(problem, _mix(problem, probability, alone)))
        ratio = 0.5 * (
            sides[0].log_ratio(problem.gap, genuine, rates) + sides[1].log_ratio(problem.gap, genuine, rates)
        )
        if not problem.comparable:
            ratio = np.zeros_like(ratio)
        chances = _per_chance(problem, matching, ratio, memory)
        share = _prior(memory) * np.exp(chances.evidence)
        share /= share.sum()
        probability, alone = share @ chances.one_to_one, share @ chances.many_to_one
        known = _mix(problem, probability, share @ chances.same)
        met = [side.count(known > 0.5) for side in sides]
        strangers = 0.5 * (met[0][0] + met[1][0])
        exposed = 0.5 * (weights[0] * met[0][1] + weights[1] * met[1][1])
    mixed = _mix(problem, probability, alone)
    likely = np.where(mixed > 0.5, mixed, 0.0)
    continued: Doubles = np.bincount(problem.gap, mixed, minlength=len(GAP_BINS)).astype(np.float64)
    genuine = _by_score(problem, likely)
    return Fit(probability, alone, continued, genuine, strangers, exposed, chances.evidence, tail.pairs, tail.excess)


def _mix(problem: Problem, one_to_one: Doubles, many_to_one: Doubles) -> Doubles:
    """By the share of pieces: each track has one cluster, or any number."""
    out: Doubles = (1.0 - problem.pieces) * one_to_one + problem.pieces * many_to_one
    return out


def _by_score(problem: Problem, weight: Doubles) -> Doubles:
    out = np.zeros((len(GAP_BINS), NUM_BINS))
    np.add.at(out, (problem.gap, score_bin(problem.score)), weight)
    return out


def genuine_density(counts: Doubles) -> Doubles:
    """Share of links in each score bin, for each gap bin, from (expected) counts of links.

    A gap bin starts from the one before it, the first from a broad prior (density 1 / (4 (1 + u/4)^2) over scores above
    0, median 4 tail units), which says only that a link scores above the level of strangers.
    """
    prior = np.where(CENTERS > 0, 1.0 / (1.0 + np.maximum(CENTERS, 0.0) / 4.0) ** 2, 1e-3)
    prior /= prior.sum()
    out = np.empty_like(counts)
    for g, count in enumerate(counts):
        density = (count + PRIOR_GENUINE * prior) / (count.sum() + PRIOR_GENUINE)
        smooth = np.convolve(np.pad(density, 2, mode="edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid")
        prior = out[g] = smooth / smooth.sum()
    return out


@dataclass(frozen=True)
class _PerChance:
    """A candidate's probability to be the link for each value of CONTINUED (values x edges), in three ways.

    Each track has one cluster; any number; and the cluster has any number of tracks too.  ``evidence`` is the log
    evidence of each value, the best being 0.
    """

    one_to_one: Doubles
    many_to_one: Doubles
    same: Doubles
    evidence: Doubles


def _per_chance(problem: Problem, matching: Matching, ratio: Doubles, memory: Memory) -> _PerChance:
    """What each chance to be continued says of the candidates.

    Tracks are continued independently, a continued one by any cluster alike, and births are Poisson: the odds of a pair
    against an end and a birth are chance / (1 - chance) * clusters * likelihood ratio of the pair / expected births.
    """
    edges = problem.edges
    rows, columns = edges.num_rows, edges.num_columns
    relative = _relative(memory)
    birth_share = (memory.births + PRIOR_BIRTHS[0]) / (memory.clusters + PRIOR_BIRTHS[1])
    evidence = np.empty(len(CONTINUED))
    one, many, same = np.zeros((3, len(CONTINUED), len(ratio)))
    for k, chance in enumerate(CONTINUED):
        each = chance * relative
        births = max(rows - float(each @ problem.offered), birth_share * rows)
        weight = (each / (1.0 - each))[problem.gap] * (np.sqrt(columns * rows) / births)
        log_sum = 0.0
        if chance:
            odds = weight * np.exp(ratio)
            one[k], log_sum = matching.marginals(odds)
            many[k] = odds / (1.0 + np.bincount(edges.row, odds, minlength=rows)[edges.row])
            same[k] = odds / (1.0 + odds)
        evidence[k] = log_sum + problem.offered @ np.log1p(-each) + rows * np.log(births) - births
    return _PerChance(one, many, same, evidence - evidence.max())


def _relative(memory: Memory) -> Doubles:
    """Chance of each gap bin's tracks to be continued, relative to the first bin's."""
    rate = (memory.continued + LATER * 0.75) / (memory.offered + 1.0)
    out: Doubles = np.minimum(rate / max(rate[0], 1e-9), 1.0)
    return out


def _prior(memory: Memory) -> Doubles:
    """Prior over CONTINUED: what the earlier dates say, and for an unusual date what was believed at first."""
    chance = np.clip(np.array(CONTINUED), 1e-3, 1.0)
    first = chance ** (PRIOR_TRACKS[0] - 1) * (1.0 - chance) ** (PRIOR_TRACKS[1] - 1)
    first /= first.sum()
    usual = first * np.exp(memory.evidence - memory.evidence.max())
    out: Doubles = (1.0 - UNUSUAL) * usual / usual.sum() + UNUSUAL * first
    return out
