"""From similarities to decisions: which cluster continues which track, and how sure that is."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipeline.compute.linking.cohorts import closeness, levels, normalise
from pipeline.compute.linking.kin import CERTAIN, NONE, Claims, Lives, chance_of_cuts, claims
from pipeline.compute.linking.matching import Edges
from pipeline.compute.linking.memory import GAP_BINS, Memory, gap_bin
from pipeline.compute.linking.model import Fit, Problem, fit
from pipeline.compute.linking.pieces import (
    MOSTLY,
    NOTHING,
    Collisions,
    Groups,
    collisions,
    fitting,
    group,
    share_of_pieces,
)
from pipeline.compute.linking.tail import fine_histogram

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Decisions:
    """One entry per cluster: ``track`` is -1 for a birth, ``probability`` that the decision is right.

    ``unseen`` has an entry per track: the probability that no cluster of the date continues it.
    """

    track: Ints
    probability: Doubles
    similarity: Doubles
    score: Doubles
    runner_up: Ints
    margin: Doubles
    unseen: Doubles
    memory: Memory


@dataclass(frozen=True)
class Rules:
    """What a person may set, and what the caller knows.

    ``false_link_rate``: expected fraction of false links among the links written.  ``candidates``: tracks weighed for
    a cluster, and clusters for a track.  ``many_to_one``: whether clusters of one date may be pieces of one subject.
    ``least_probability``: links less probable are not written.  ``steady``: about as many subjects go as come; not
    where most clusters are known to continue none of the tracks.
    """

    false_link_rate: float = 0.01
    candidates: int = 16
    many_to_one: bool = True
    least_probability: float = 0.5
    steady: bool = True


def decide(
    similarity: Floats,
    gaps: Ints,
    memory: Memory | None = None,
    rules: Rules | None = None,
    lives: Lives | None = None,
) -> Decisions:
    """Decide which cluster continues which track.

    Args:
        similarity: clusters x tracks, their likeness (:mod:`pipeline.compute.linking.scores`).
        gaps: dates since each track was seen, 1 is the date before.
        memory: of the earlier dates.
        rules: the user's.
        lives: when the tracks were seen; without, only ``gaps`` are known of it.

    Returns:
        A decision a cluster.  A track is given to one cluster, unless the collection's clusters have shown themselves
        to be pieces of subjects (:mod:`pipeline.compute.linking.pieces` and :mod:`~pipeline.compute.linking.kin`): then
        to all that are taken for one.
    """
    before = memory if memory is not None else Memory()
    rules = rules if rules is not None else Rules()
    lives = lives if lives is not None else Lives.of(gaps)
    num_clusters, num_tracks = similarity.shape
    if not num_clusters or not num_tracks:
        return _all_births(num_clusters, num_tracks, before)
    each = _Table.of(similarity, gaps, before)
    cut = chance_of_cuts(before) if rules.many_to_one else 0.0
    today = _collisions(each, before, cut) if rules.many_to_one else NOTHING
    pieces = share_of_pieces(before, today) if rules.many_to_one else 0.0
    joined = _join(each, lives, before, pieces, cut)
    problem = _problem(joined.table, rules, pieces)
    found = fit(problem, before)
    claimed = NONE if joined.subjects else claims(problem.edges, found.probability, lives, cut)
    right = _right(problem, found, claimed)
    chosen = _choose(right, before, rules if joined.table.comparable else replace(rules, false_link_rate=1.0))
    memory = _remember(problem, found, chosen, right, before)
    memory.collisions += today.met
    memory.by_chance += today.by_chance
    memory.kin += claimed.kin
    memory.kin_among += 0.0 if joined.subjects else num_clusters
    if min(joined.table.similarity.shape) > 1:
        memory.level_sum += float(levels(closeness(joined.table.similarity)).level.mean())
        memory.levels += 1.0
    return _decisions(joined, lives, _Answer(problem, found, chosen, right, memory))


@dataclass(frozen=True)
class _Table:
    """Clusters by tracks, or groups by groups: cosine, its normalised scores, and dates since each track was seen.

    Where there is nothing to compare with the scores are zeros, and not ``comparable``.
    """

    similarity: Floats
    gaps: Ints
    scores: Floats
    comparable: bool

    @classmethod
    def of(cls, similarity: Floats, gaps: Ints, memory: Memory, pieces: bool = False) -> "_Table":
        scores = normalise(closeness(similarity), memory.usual_level, pieces)
        return cls(similarity, gaps, np.zeros_like(similarity) if scores is None else scores, scores is not None)


@dataclass(frozen=True)
class _Joined:
    """Clusters by tracks, and what is linked: ``subjects``, groups of clusters by groups of tracks, or one by one."""

    each: _Table
    groups: Groups
    table: _Table
    subjects: bool


def _collisions(each: _Table, memory: Memory, cut: float) -> Collisions:
    """Collisions of the date; while clusters are taken for one, among the tracks that the last date showed.

    A track whose clusters went on with another is soon older than that one.  All prefer the newer, look-alikes too:
    counted, that would hold for ever what was joined by mistake.
    """
    joined = share_of_pieces(memory) > MOSTLY or cut > CERTAIN
    return collisions(each.scores, each.gaps == 1 if joined else np.ones(len(each.gaps), dtype=bool))


def _join(each: _Table, lives: Lives, memory: Memory, pieces: float, cut: float) -> _Joined:
    """Take clusters, and tracks, for one, if the collection's have shown to be pieces: most, or now and then (kin)."""
    if pieces <= MOSTLY and cut <= CERTAIN:
        alone = Groups(np.arange(len(each.scores)), np.arange(len(each.gaps)))
        return _Joined(each, alone, each, subjects=False)
    each = _Table.of(each.similarity, each.gaps, memory, pieces=True)
    groups = group(each.scores, None if pieces > MOSTLY else lives)
    table = _Table.of(groups.best(each.similarity), groups.newest(each.gaps), memory, pieces=True)
    return _Joined(each, groups, table, subjects=True)


@dataclass(frozen=True)
class _Answer:
    """What was found of the groups of clusters and tracks."""

    problem: Problem
    found: Fit
    chosen: Ints
    right: Doubles
    memory: Memory


def _problem(table: _Table, rules: Rules, pieces: float) -> Problem:
    edges = _candidates(table.scores, rules.candidates)
    bins = gap_bin(table.gaps)
    return Problem(
        edges,
        table.scores[edges.row, edges.column].astype(np.float64),
        bins[edges.column],
        fine_histogram(table.scores),
        np.bincount(bins, minlength=len(GAP_BINS)).astype(np.float64),
        table.comparable,
        fitting(table.scores)[edges.row, edges.column],
        pieces,
        rules.steady,
    )


def _all_births(num_clusters: int, num_tracks: int, memory: Memory) -> Decisions:
    none, zeros = np.full(num_clusters, -1, dtype=np.int64), np.zeros(num_clusters)
    return Decisions(none, np.ones(num_clusters), zeros, zeros, none, zeros, np.ones(num_tracks), memory)


def _candidates(scores: Floats, count: int) -> Edges:
    """The best tracks of each cluster and the best clusters of each track."""
    num_rows, num_columns = scores.shape
    wanted = np.zeros(scores.shape, dtype=bool)
    if num_columns <= count or num_rows <= count:
        wanted[:] = True
    else:
        np.put_along_axis(wanted, np.argpartition(-scores, count, axis=1)[:, :count], True, axis=1)
        np.put_along_axis(wanted, np.argpartition(-scores, count, axis=0)[:count], True, axis=0)
    row, column = np.nonzero(wanted)
    return Edges(row.astype(np.int64), column.astype(np.int64), num_rows, num_columns)


def _right(problem: Problem, found: Fit, claimed: Claims) -> Doubles:
    """For each cluster's best candidate the probability that the link is right; 0 for all others.

    Where several tracks fit a cluster, or several clusters a track, any of them is right by the share of pieces; one
    that stands for kin is ``claimed``.
    """
    edges, one = problem.edges, found.probability
    fits = np.where(problem.fits, one, 0.0)
    either = np.maximum(np.bincount(edges.row, fits, minlength=edges.num_rows)[edges.row] * problem.fits, found.alone)
    value = one + problem.pieces * np.maximum(either - one, 0.0)
    np.maximum.at(value, claimed.edge, claimed.probability)
    order = one.copy()
    np.maximum.at(order, claimed.edge, claimed.probability)
    best = _first(edges.row, -order, -found.alone)
    if problem.pieces <= MOSTLY:
        best = best[_first(edges.column[best], -value[best], edges.row[best])]
    out = np.zeros(len(value))
    out[best] = value[best]
    return out


def _first(label: Ints, *keys: npt.NDArray[np.generic]) -> Ints:
    """Index of the first of each label in the order of ``keys``."""
    order = np.lexsort((*keys[::-1], label))
    out: Ints = order[np.flatnonzero(np.append(True, np.diff(label[order]) > 0))]
    return out


def _choose(probability: Doubles, memory: Memory, rules: Rules) -> Ints:
    """Indices of the edges written: the most probable one-to-one set, as long as few of them are expected false."""
    likely = np.flatnonzero(probability > rules.least_probability)
    order = likely[np.argsort(-probability[likely], kind="stable")]
    expected = memory.expected_false + np.cumsum(1.0 - probability[order])
    allowed = rules.false_link_rate * (memory.links + np.arange(1, len(order) + 1))
    good = np.flatnonzero(expected <= allowed)
    return order[: good[-1] + 1] if len(good) else order[:0]


def _decisions(joined: _Joined, lives: Lives, answer: _Answer) -> Decisions:
    """Of the clusters, from what was found of their groups."""
    each, groups = joined.each, joined.groups
    scores, edges, chosen = each.scores, answer.problem.edges, answer.chosen
    linked = np.bincount(edges.row, answer.found.probability, minlength=edges.num_rows)
    probability = np.clip(1.0 - linked, 0.0, 1.0)
    probability[edges.row[chosen]] = answer.right[chosen]
    track = _tracks(each, groups, lives, edges.row[chosen], edges.column[chosen])
    best = np.where(track >= 0, track, scores.argmax(axis=1))
    every = np.arange(len(scores))
    score = scores[every, best].astype(np.float64)
    rest = np.where(groups.track[None, :] == groups.track[best][:, None], -np.inf, scores)
    others = np.isfinite(rest).any(axis=1)
    runner = np.where(others, rest.argmax(axis=1), -1).astype(np.int64)
    margin = np.where(others, score - rest[every, runner], 0.0)
    similarity = each.similarity[every, best].astype(np.float64)
    seen = np.bincount(edges.column, answer.found.probability, minlength=edges.num_columns)
    unseen = np.clip(1.0 - seen, 0.0, 1.0)[groups.track]
    return Decisions(track, probability[groups.cluster], similarity, score, runner, margin, unseen, answer.memory)


def _tracks(each: _Table, groups: Groups, lives: Lives, row: Ints, column: Ints) -> Ints:
    """For each cluster the likeliest track of the family that its group was given, or -1."""
    given = np.full(groups.cluster.max() + 1, -1, dtype=np.int64)
    for i, j in zip(row.tolist(), column.tolist(), strict=True):
        family, goes_on = np.flatnonzero(groups.track == j), 0
        if len(family) > 1:
            near = each.similarity[np.ix_(groups.cluster == i, family)].max(axis=0)
            goes_on = lives.likeliest(family, near.astype(np.float64))
        given[i] = family[goes_on]
    return given[groups.cluster]


def _remember(problem: Problem, found: Fit, chosen: Ints, right: Doubles, before: Memory) -> Memory:
    memory = before.faded()
    memory.genuine += found.genuine
    memory.strangers += found.strangers
    memory.exposed += found.exposed
    memory.continued += found.continued
    memory.offered += problem.offered
    memory.evidence += found.evidence
    memory.evidence -= memory.evidence.max()
    memory.births += problem.edges.num_rows - float(found.probability.sum())
    memory.clusters += problem.edges.num_rows
    memory.tail_pairs += found.tail_pairs
    memory.tail_excess += found.tail_excess
    memory.links += len(chosen)
    memory.expected_false += float((1.0 - right[chosen]).sum())
    return memory
