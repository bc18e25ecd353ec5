"""From similarities to decisions: which cluster continues which track, and how sure that is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compute.linking.cohorts import closeness, levels, normalise
from pipeline.compute.linking.matching import Edges
from pipeline.compute.linking.memory import GAP_BINS, Memory, gap_bin
from pipeline.compute.linking.model import Fit, Problem, fit
from pipeline.compute.linking.tail import fine_histogram

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Decisions:
    """One entry per cluster: ``track`` is -1 for a birth, ``probability`` that the decision is right."""

    track: Ints
    probability: Doubles
    similarity: Doubles
    score: Doubles
    runner_up: Ints
    margin: Doubles
    memory: Memory


def decide(
    similarity: Floats, gaps: Ints, memory: Memory | None = None, false_link_rate: float = 0.01, candidates: int = 16
) -> Decisions:
    """Decide which cluster continues which track.

    Args:
        similarity: clusters x tracks, cosine of the best exemplar pair.
        gaps: dates since each track was seen, 1 is the date before.
        memory: of the earlier dates.
        false_link_rate: expected fraction of false links among the links written.
        candidates: tracks looked at a cluster, and clusters a track.
    """
    before = memory if memory is not None else Memory()
    num_clusters, num_tracks = similarity.shape
    if not num_clusters or not num_tracks:
        return _all_births(num_clusters, before)
    close = closeness(similarity)
    usual = before.level_sum / before.levels if before.levels else None
    scores = normalise(close, usual)
    comparable = scores is not None
    if scores is None:
        scores = np.zeros_like(close)
    edges = _candidates(scores, candidates)
    score = scores[edges.row, edges.column].astype(np.float64)
    bins = gap_bin(gaps)
    offered = np.bincount(bins, minlength=len(GAP_BINS)).astype(np.float64)
    problem = Problem(edges, score, bins[edges.column], fine_histogram(scores), offered, comparable)
    found = fit(problem, before)
    chosen = _choose(found.probability, before, false_link_rate if comparable else 1.0)
    return _decisions(similarity, scores, problem, found, chosen, before)


def _all_births(num_clusters: int, memory: Memory) -> Decisions:
    none, zeros = np.full(num_clusters, -1, dtype=np.int64), np.zeros(num_clusters)
    return Decisions(none, np.ones(num_clusters), zeros, zeros, none, zeros, memory)


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


def _choose(probability: Doubles, memory: Memory, rate: float) -> Ints:
    """Indices of the edges written: the most probable one-to-one set, as long as few of them are expected false."""
    likely = np.flatnonzero(probability > 0.5)
    order = likely[np.argsort(-probability[likely], kind="stable")]
    expected = memory.expected_false + np.cumsum(1.0 - probability[order])
    allowed = rate * (memory.links + np.arange(1, len(order) + 1))
    good = np.flatnonzero(expected <= allowed)
    return order[: good[-1] + 1] if len(good) else order[:0]


def _decisions(
    similarity: Floats, scores: Floats, problem: Problem, found: Fit, chosen: Ints, before: Memory
) -> Decisions:
    edges, p = problem.edges, found.probability
    num = edges.num_rows
    every = np.arange(num)
    track = np.full(num, -1, dtype=np.int64)
    track[edges.row[chosen]] = edges.column[chosen]
    linked = np.bincount(edges.row, p, minlength=num)
    probability = np.clip(1.0 - linked, 0.0, 1.0)
    probability[edges.row[chosen]] = p[chosen]
    best = np.where(track >= 0, track, scores.argmax(axis=1))
    score = scores[every, best].astype(np.float64)
    rest = scores.copy()
    rest[every, best] = -np.inf
    runner = rest.argmax(axis=1) if edges.num_columns > 1 else np.full(num, -1, dtype=np.int64)
    margin = score - rest[every, runner] if edges.num_columns > 1 else np.zeros(num)
    memory = _remember(problem, found, chosen, before, similarity)
    return Decisions(track, probability, similarity[every, best].astype(np.float64), score, runner, margin, memory)


def _remember(problem: Problem, found: Fit, chosen: Ints, before: Memory, similarity: Floats) -> Memory:
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
    if min(similarity.shape) > 1:
        memory.level_sum += float(levels(closeness(similarity)).level.mean())
        memory.levels += 1.0
    memory.links += len(chosen)
    memory.expected_false += float((1.0 - found.probability[chosen]).sum())
    return memory
