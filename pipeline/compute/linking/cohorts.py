"""Scores that mean the same for every cluster and track: normalised against the cluster's and the track's own lists."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

SMALLEST_DISTANCE = 1e-6
"""1 - cosine below this is rounding (float32 carries 1.2e-7 a term)."""

SKIPPED = 2
"""Best entries of a list that are left out of its level: the genuine one, and one look-alike."""

COHORT = 10
"""Entries after those that make the level; fewer in short lists, at most a third of what is left."""

DEEPEST = 129
"""Entries of a list that are looked at where subjects are in pieces: up to 64 pieces and as many strangers."""

WIDER = 1.4
"""From one rank to the next spacings narrow by less than this where only strangers are."""

PRIOR_SPACING = 0.3
"""Tail scale of log distance before anything was seen.

Distances of strangers near zero follow a power law whose exponent is the local intrinsic dimension d of the vectors
(Amsaleg et al., 2015); log squared distance then has an exponential tail of scale 2 / d, and image networks' vectors
have d of 5 to 10.
"""

PRIOR_WEIGHT = 4.0
"""How many spacings the prior is worth."""


@dataclass(frozen=True)
class Level:
    """What one side's lists say: each list's level of strangers, and the pooled tail scale with its weight."""

    level: Doubles
    spacing_sum: float
    num_spacings: float


def closeness(similarity: Floats) -> Floats:
    """Minus the log of half the squared distance: strangers' tails are exponential in it, whatever the dimension."""
    distance = np.float32(1.0) - similarity
    out: Floats = -np.log(np.maximum(distance, np.float32(SMALLEST_DISTANCE)))
    return out


def levels(close: Floats, pieces: bool = False) -> Level:
    """Level of strangers of each row of ``close`` (lists x entries, at least two entries).

    The level is the mean of the entries after the best ``SKIPPED``, or, where subjects are in ``pieces``, after as many
    as they have; the tail scale is the mean of the normalised spacings r * (x_(r) - x_(r+1)) over the same ranks
    (Renyi, 1953: for an exponential tail they are independent, with the tail's scale as mean).
    """
    entries = close.shape[1]
    deep = min(entries, DEEPEST if pieces else SKIPPED + COHORT + 1)
    top = -np.sort(np.partition(-close, deep - 1, axis=1)[:, :deep], axis=1).astype(np.float64)
    spacings = np.arange(1, deep) * (top[:, :-1] - top[:, 1:])
    skipped = min(max(SKIPPED, own_entries(spacings) if pieces else 0), entries - 1)
    count = max(1, min(COHORT, -(-(entries - skipped) // 3)))
    kept = min(deep, skipped + count + 1)
    spacings = spacings[:, skipped : kept - 1]
    return Level(top[:, skipped : skipped + count].mean(axis=1), float(spacings.sum()), float(spacings.size))


def own_entries(spacings: Doubles) -> int:
    """How many of a list's best entries are, in most lists, one subject's pieces; 0 where there is no sign of them.

    Strangers' normalised spacings have one mean in the tail and wider ones in the body; a step down from one rank to
    the next is where the subject's own entries end.  Pieces are as near as each other, so the first is not the widest.

    Args:
        spacings: normalised, lists x ranks (:func:`levels`); ranks are taken in blocks that double.
    """
    lists, ranks = spacings.shape
    blocks = list(pairwise([0, 1, *(2**k for k in range(1, 12) if 2**k <= ranks)]))
    means = np.array([spacings[:, first:last].mean() for first, last in blocks])
    chance = 2.0 / np.sqrt([lists * (last - first) for first, last in blocks[:-1]])
    steps = np.flatnonzero(means[:-1] > means[1:] * (WIDER + chance))
    return blocks[steps[-1]][1] if len(steps) and means[: steps[-1] + 1].argmax() else 0


@dataclass(frozen=True)
class Strangers:
    """What strangers are like on a date: their level in each cluster's and each track's list, and the tail's scale."""

    row: Doubles
    column: Doubles
    scale: float

    def scores(self, close: Floats) -> Floats:
        """Units of the tail above the level of strangers, half by the row's list and half by the column's."""
        level = 0.5 * self.row[:, None] + 0.5 * self.column[None, :]
        out: Floats = (close - level.astype(np.float32)) / np.float32(self.scale)
        return out


def strangers(close: Floats, usual_level: float | None, pieces: bool = False) -> Strangers | None:
    """Strangers of each cluster and each track.

    Args:
        close: clusters x tracks, from :func:`closeness`.
        usual_level: level of earlier dates, for a side that has one entry only.
        pieces: whether subjects are in pieces (:mod:`pipeline.compute.linking.pieces`).

    Returns:
        None when there is nothing to compare with: one cluster, one track, no history.
    """
    rows = levels(close, pieces) if close.shape[1] > 1 else None
    columns = levels(np.ascontiguousarray(close.T), pieces) if close.shape[0] > 1 else None
    known = [side for side in (rows, columns) if side is not None]
    if not known and usual_level is None:
        return None
    fallback = usual_level if usual_level is not None else float(np.mean([np.mean(side.level) for side in known]))
    row = rows.level if rows is not None else np.full(close.shape[0], fallback)
    column = columns.level if columns is not None else np.full(close.shape[1], fallback)
    total = sum(side.spacing_sum for side in known) + PRIOR_WEIGHT * PRIOR_SPACING
    return Strangers(row, column, total / (sum(side.num_spacings for side in known) + PRIOR_WEIGHT))


def normalise(close: Floats, usual_level: float | None, pieces: bool = False) -> Floats | None:
    """:meth:`Strangers.scores` of all pairs, clusters x tracks; None when there is nothing to compare with."""
    found = strangers(close, usual_level, pieces)
    return None if found is None else found.scores(close)
