"""The two-group model of a date: which scores strangers have, which scores links have, and how many continue."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from pipeline.compute.linking.evidence import dirichlet_price, log_likelihood, poisson_price
from pipeline.compute.linking.lists import CENTERS, Lists
from pipeline.compute.linking.matching import Edges, Matching
from pipeline.compute.linking.memory import CONTINUED, GAP_BINS, NUM_BINS, Memory, score_bin
from pipeline.compute.linking.tail import PRIOR_LISTS, Tail, fit_tail, strangers_only

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PRIOR_GENUINE = 4.0
"""Links that the prior over genuine scores is worth."""

GENUINE_SCALE = 3.0
"""Of the prior over genuine scores, in tail units: their median is 2.4 times it."""

LATER = np.array([1.0, 0.3, 0.15, 0.08])
"""Chance of each gap bin's tracks to be continued, relative to the first bin's, before anything was seen.

A subject that was missed once has more likely gone than not, and each further bin halves what is left.
"""

PRIOR_TRACKS = (1.5, 0.5)
"""Beta prior of the chance to be continued: most collections follow their subjects."""

PRIOR_BIRTHS = (0.5, 10.0)
"""Births, and the clusters they are among, that the prior is worth."""

TURNOVER = 30.0
"""Tracks that the balance of coming and going is worth: where subjects come, about as many go.

Scores alone cannot tell a track that ended and a cluster that begins one from a link with a poor score.  Believed to be
links, such pairs make it seem that all is continued and that links often have poor scores, and so the next ones too.
How many more clusters than tracks there are does not depend on what is believed.
"""

SEEN_AGAIN = 0.95
"""Probability that a cluster continues something, from which the score of its link is remembered."""

UNUSUAL = 0.1
"""Chance that a date is unlike those before it: in who continues (a flood, a return), or in links' scores (redrawn)."""

BREAK = 0.001
"""Chance that whoever was there has nothing to do with who is: another place, or years in between."""

ROUNDS = 4
"""Rounds of expectation-maximisation; probabilities move by less than 1e-3 in the last."""


@dataclass(frozen=True)
class Problem:
    """A date's candidates.

    ``score`` and ``gap`` (gap bin) are the edges', ``histogram`` holds all pairs' scores in fine bins, ``offered`` the
    open tracks of each gap bin.  Without ``comparable`` the scores mean nothing: there was nothing to compare with.
    ``fits``: edges about as good as their cluster's best; ``pieces``: share of competing clusters that are pieces of
    one subject; ``steady``: about as many subjects go as come.
    """

    edges: Edges
    score: Doubles
    gap: Ints
    histogram: Doubles
    offered: Doubles
    comparable: bool
    fits: Bools
    pieces: float
    steady: bool

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
    """What a date's candidates are, under two assumptions that are weighed by how well they explain the date.

    The usual one: links have scores as on the dates before.  The other: this date shows everybody in another way
    (redrawn, another camera, after a winter), and its links have scores of their own.  Without it, one date on which
    all looks have changed would end every track of a collection whose dates were alike before.
    """
    date = _Date(problem, memory)
    usual = date.explained(memory.genuine)
    if not problem.comparable or not memory.genuine.any():
        return usual.fit
    return date.weighed(usual, date.explained(memory.genuine * min(1.0, PRIOR_GENUINE / memory.genuine.sum())))


@dataclass(frozen=True)
class _Explained:
    """A fit and what its evidence is made of.

    ``price`` is that of the links' scores (:mod:`pipeline.compute.linking.evidence`), ``rates`` are the strangers' and
    ``tail`` what they are extrapolated from.
    """

    fit: Fit
    price: float
    rates: Doubles
    tail: Tail


class _Date:
    """A date's candidates, to be explained under any assumption."""

    def __init__(self, problem: Problem, memory: Memory) -> None:
        edges = problem.edges
        self._problem, self._memory, self._matching = problem, memory, Matching(edges)
        self._sides = (Lists(edges.row, problem.score), Lists(edges.column, problem.score))
        self._weights = (np.sqrt(edges.num_columns / edges.num_rows), np.sqrt(edges.num_rows / edges.num_columns))
        self._prior = _prior(problem, memory)

    def explained(self, carried: Doubles) -> _Explained:
        """Expectation-maximisation over the candidates.

        Each round: strangers' rates from the pairs that are not links, links' scores from those that are, and by belief
        propagation the probability of every candidate for each value of CONTINUED, averaged by their evidence.  What is
        remembered of links' scores are only those more likely than not, of clusters that surely continue something:
        else, where hardly anything can be told, strangers would be learnt as links a little at a time.

        Args:
            carried: links by score from before this date, gap bin x score bin.
        """
        problem, memory = self._problem, self._memory
        strangers, exposed = np.zeros((2, NUM_BINS)), np.zeros((2, NUM_BINS))
        probability = alone = known = np.zeros(len(problem.score))
        for _ in range(ROUNDS):
            rest = strangers_only(problem.histogram, problem.score, known)
            tail = fit_tail(rest, problem.lists, memory)
            rates = tail.rates(memory.strangers + strangers, memory.exposed + exposed)
            links = _by_score(problem, _mix(problem, probability, alone))
            ratio = self._log_ratio(genuine_density(carried + links), rates)
            chances = _per_chance(problem, self._matching, ratio, memory)
            share = self._prior * np.exp(chances.evidence - chances.evidence.max())
            share /= share.sum()
            probability, alone = share @ chances.one_to_one, share @ chances.many_to_one
            known = _mix(problem, probability, share @ chances.same)
            strangers, exposed = self._count(known > 0.5)
        mixed = _mix(problem, probability, alone)
        again = np.bincount(problem.edges.row, mixed, minlength=problem.edges.num_rows)[problem.edges.row] > SEEN_AGAIN
        likely = _by_score(problem, np.where((mixed > 0.5) & again, mixed, 0.0))
        continued: Doubles = np.bincount(problem.gap, mixed, minlength=len(GAP_BINS)).astype(np.float64)
        found = (probability, alone, continued, likely, strangers, exposed, chances.evidence, tail.pairs, tail.excess)
        worth = carried.sum(axis=1, keepdims=True) + PRIOR_GENUINE
        price = dirichlet_price(links, genuine_density(carried) * worth)
        return _Explained(Fit(*found), price, rates, tail)

    def weighed(self, usual: _Explained, own: _Explained) -> Fit:
        """The mean of both fits, by their evidence."""
        both, bins = (usual, own), ~(usual.tail.body | own.tail.body)
        everyone = [0.5 * sum(counts) for counts in zip(*(side.count() for side in self._sides), strict=True)]
        met, exposed = (count[:, bins] for count in everyone)
        without_links = [log_likelihood(met, exposed, one.rates[:, bins]) for one in both]
        rest = np.log([1.0 - UNUSUAL, UNUSUAL]) + without_links + [self._prices(one, bins) for one in both]
        evidence = np.array([one.fit.evidence for one in both]) + rest[:, None]
        share = np.exp(evidence - evidence.max()) @ self._prior
        share /= share.sum()
        names = [name for name in vars(usual.fit) if name != "evidence"]
        mean = {name: share[0] * getattr(usual.fit, name) + share[1] * getattr(own.fit, name) for name in names}
        return Fit(**mean, evidence=np.logaddexp(*evidence))

    def _log_ratio(self, genuine: Doubles, rates: Doubles) -> Doubles:
        """Of each candidate being the link, by both its lists."""
        if not self._problem.comparable:
            return np.zeros_like(self._problem.score)
        gap = self._problem.gap
        return 0.5 * (self._sides[0].log_ratio(gap, genuine, rates) + self._sides[1].log_ratio(gap, genuine, rates))

    def _count(self, known: Bools) -> tuple[Doubles, Doubles]:
        """Strangers met and exposed to, half by the clusters' lists and half by the tracks'."""
        (met, exposed), (of_tracks, exposed_tracks) = (side.count(known) for side in self._sides)
        exposed = self._weights[0] * exposed + self._weights[1] * exposed_tracks
        return 0.5 * (met + of_tracks), 0.5 * exposed

    def _prices(self, one: _Explained, bins: Bools) -> float:
        """Of the links' scores, and of strangers' rates in the score bins that count."""
        memory, found = self._memory, one.fit
        prior, prior_exposed = memory.strangers + PRIOR_LISTS * one.tail.expected, memory.exposed + PRIOR_LISTS
        met = (found.strangers, found.exposed, prior, prior_exposed)
        return one.price + poisson_price(*(part[:, bins] for part in met))


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

    A gap bin starts from the one before it, the first from a broad prior (distribution (u / (u + GENUINE_SCALE))^2 over
    scores u above 0), which says that a link scores above the level of strangers, and hardly ever at it.
    """
    above = np.maximum(CENTERS, 0.0)
    prior = np.maximum(above * GENUINE_SCALE / (above + GENUINE_SCALE) ** 3, 1e-4)
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
    evidence of each value, against all candidates being strangers.
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
    rows = problem.edges.num_rows
    birth_share = (memory.births + PRIOR_BIRTHS[0]) / (memory.clusters + PRIOR_BIRTHS[1])
    each = np.array(CONTINUED)[:, None] * _relative(memory)
    births = np.maximum(rows - each @ problem.offered, birth_share * rows)
    odds = (each / (1.0 - each))[:, problem.gap] * (problem.lists / births)[:, None] * np.exp(ratio)
    one_to_one, log_sum = matching.marginals(odds)
    evidence = log_sum + np.log1p(-each) @ problem.offered + rows * np.log(births) - births
    return _PerChance(one_to_one, matching.alone(odds), odds / (1.0 + odds), evidence)


def _relative(memory: Memory) -> Doubles:
    """Chance of each gap bin's tracks to be continued, relative to the first bin's."""
    rate = (memory.continued + LATER * 0.75) / (memory.offered + 1.0)
    out: Doubles = np.minimum(rate / max(rate[0], 1e-9), 1.0)
    return out


def _prior(problem: Problem, memory: Memory) -> Doubles:
    """Prior over CONTINUED: what explains the earlier dates; for an unusual date what was believed at first.

    At first is believed that most tracks are continued, and that as many end as subjects come (``TURNOVER``).  After a
    break nothing is known but the former.
    """
    rows, columns = problem.edges.num_rows, problem.edges.num_columns
    come = memory.births + max(rows - columns, 0) + PRIOR_BIRTHS[0]
    share = come / (memory.clusters + rows + PRIOR_BIRTHS[1])
    worth = min(TURNOVER, memory.clusters) if problem.steady else 0.0
    first = _log_beta(PRIOR_TRACKS[0] + worth * (1.0 - share), PRIOR_TRACKS[1] + worth * share)
    usual, unusual, after_break = softmax(first + memory.evidence), softmax(first), softmax(_log_beta(*PRIOR_TRACKS))
    out: Doubles = (1.0 - UNUSUAL - BREAK) * usual + UNUSUAL * unusual + BREAK * after_break
    return out


def _log_beta(goes_on: float, ends: float) -> Doubles:
    """Log density of CONTINUED, but for a constant."""
    chance = np.clip(np.array(CONTINUED), 1e-3, 1.0)
    out: Doubles = (goes_on - 1.0) * np.log(chance) + (ends - 1.0) * np.log1p(-chance)
    return out
