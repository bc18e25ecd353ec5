"""Stitching: a track that began a while ago may be one that was seen before; with more looks it can be told.

A cluster that begins a track had one date's looks, and only open tracks to continue.  Some dates later its track has
more looks, and tracks that have ended are compared too.  What strangers score is known from the tracks that go on:
none of them is one that is away, so whoever is stitched must stand out from them (the same two-group model as
linking's, with a memory of its own).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compute.linking.decisions import Rules, decide
from pipeline.compute.linking.memory import Memory
from pipeline.compute.linking.scores import grouped, likeness

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stitches:
    """An entry per newborn: ``earlier`` is the track that it is, or -1; probability and likeness of the pair."""

    earlier: Ints
    probability: Doubles
    similarity: Doubles
    memory: Memory


@dataclass(frozen=True)
class Banks:
    """Looks (exemplars x dimensions, unit length, at least one each) of three kinds of tracks.

    ``newborn``: that began a while ago; ``going_on``: that were there before these and are still seen; ``away``: not
    seen since before the newborn began, so that they do not overlap with them in time.
    """

    newborn: Sequence[Floats]
    going_on: Sequence[Floats]
    away: Sequence[Floats]


def stitch(banks: Banks, gaps: Ints, memory: Memory, rules: Rules, least: float) -> Stitches:
    """Find the newborn tracks that are one that is away, one-to-one.

    Args:
        banks: of the tracks.
        gaps: of each track that is away, dates from its last one to the first of the newborn.
        memory: of earlier stitching.
        rules: the user's; ``many_to_one`` is not obeyed.
        least: probability that a stitch must have.
    """
    num = len(banks.newborn)
    none, zeros = np.full(num, -1, dtype=np.int64), np.zeros(num)
    if not num or not banks.away:
        return Stitches(none, zeros, zeros, memory)
    similarity = likeness(*grouped([*banks.newborn, *banks.going_on]), *grouped(banks.away))
    own = Rules(rules.false_link_rate, rules.candidates, many_to_one=False, steady=False)
    found = decide(similarity, gaps, memory, own)
    sure = (found.track[:num] >= 0) & (found.probability[:num] >= least)
    earlier = np.where(sure, found.track[:num], -1)
    return Stitches(earlier, found.probability[:num], found.similarity[:num], found.memory)
