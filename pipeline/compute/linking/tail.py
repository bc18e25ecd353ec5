"""How many strangers a list holds at each score: counted where there are many, extrapolated above."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compute.linking.memory import LOWEST, NUM_BINS, WIDTH, Memory

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

FINE = 10
"""Fine bins a score bin."""

PRIOR_RATE, PRIOR_PAIRS = 1.5, 10.0
"""Rate of strangers' tail in its own units before anything was seen, and the pairs it is worth.

The score is half the row's and half the column's normalised closeness; the mean of two halves with exponential tails
of rate 1 falls like rate 1.5 over the range where strangers are still met.
"""

PRIOR_LISTS = 3.0
"""Lists that the extrapolated tail is worth against the strangers counted."""

KNOWN_PAIRS = 200.0
"""Pairs that earlier dates are worth at most in the tail's rate."""


@dataclass(frozen=True)
class Tail:
    """Strangers a list in each score bin; ``body`` where they were counted; ``pairs`` and ``excess`` for the memory."""

    expected: Doubles
    body: npt.NDArray[np.bool_]
    pairs: float
    excess: float

    def rates(self, strangers: Doubles, exposed: Doubles) -> Doubles:
        """Strangers a list, first met and next (rank x score bin): the extrapolation, or more where more were met.

        Args:
            strangers: met in each bin, rank x score bin.
            exposed: lists in which they could have been met.
        """
        met = (strangers + PRIOR_LISTS * self.expected) / (exposed + PRIOR_LISTS)
        out: Doubles = np.where(self.body, self.expected, np.maximum(self.expected, met))
        return out


def fine_histogram(scores: Floats) -> Doubles:
    """Counts of all pairs' scores in fine bins."""
    place = np.floor((scores.ravel() - np.float32(LOWEST)) * np.float32(FINE / WIDTH))
    index = np.clip(place, 0, NUM_BINS * FINE - 1).astype(np.int32)
    return np.bincount(index, minlength=NUM_BINS * FINE).astype(np.float64)


def strangers_only(histogram: Doubles, score: Doubles, probability: Doubles) -> Doubles:
    """The fine histogram without the pairs that are links, by their probability."""
    place = np.clip(np.floor((score - LOWEST) * FINE / WIDTH), 0, len(histogram) - 1).astype(np.int64)
    links = np.bincount(place, probability, minlength=len(histogram))
    rest: Doubles = np.maximum(histogram - links, 0.0)
    return rest


def fit_tail(histogram: Doubles, lists: float, memory: Memory) -> Tail:
    """Fit an exponential tail above the body of the strangers' scores.

    The rate is estimated in a window that reaches from the best 6 to the best 1.5 pairs a list, with the pairs above it
    censored; averaging over its posterior (Gamma, with the earlier dates as prior) gives the Lomax tail that is
    extrapolated over them.

    Args:
        histogram: strangers' scores in fine bins.
        lists: root of clusters times tracks.
        memory: of the earlier dates.
    """
    above = histogram[::-1].cumsum()[::-1]
    upper, lower = min(1.5 * lists, 0.25 * above[0]), min(6.0 * lists, 0.5 * above[0])
    first = int(np.searchsorted(-above, -lower, side="right"))
    last = max(int(np.searchsorted(-above, -upper, side="right")), first + 1)
    width = WIDTH / FINE
    inside = histogram[first:last]
    beyond = float(above[last]) if last < len(above) else 0.0
    pairs = float(inside.sum())
    excess = float(inside @ ((np.arange(len(inside)) + 0.5) * width)) + beyond * len(inside) * width
    known = min(1.0, KNOWN_PAIRS / memory.tail_pairs) if memory.tail_pairs else 0.0
    shape = pairs + known * memory.tail_pairs + PRIOR_PAIRS
    length = excess + known * memory.tail_excess + PRIOR_PAIRS / PRIOR_RATE
    start = LOWEST + last * width
    places = LOWEST + WIDTH * np.append(np.arange(NUM_BINS), np.inf)
    survivors = max(beyond, 1.0) * (1.0 + np.maximum(places - start, 0.0) / length) ** -shape
    body = start >= places[:-1] + WIDTH
    counted = np.maximum(histogram.reshape(NUM_BINS, FINE).sum(axis=1), 1.0)
    expected = np.where(body, counted, np.maximum(survivors[:-1] - survivors[1:], 1e-12))
    return Tail(expected / lists, body, pairs, excess)
