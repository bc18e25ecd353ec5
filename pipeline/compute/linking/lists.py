"""Lists of scores, a cluster's over the tracks or a track's over the clusters, and the strangers in them."""

import numpy as np
import numpy.typing as npt

from pipeline.compute.linking.memory import LOWEST, NUM_BINS, WIDTH, score_bin

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CENTERS = LOWEST + WIDTH * (np.arange(NUM_BINS) + 0.5)
BOUNDS = LOWEST + WIDTH * np.arange(NUM_BINS + 1)

_LEVEL = int(np.searchsorted(CENTERS, 0.0))
"""First score bin above the level of strangers, which is 0."""

LARGEST = 30.0
"""Cap of a log likelihood ratio: beyond it floating point has nothing to say."""


class Lists:
    """The candidates of one side, list by list.

    Going down a list of strangers, they come at one rate until the first is met and at another after it: in some
    collections a subject has one look-alike and no second, in others look-alikes come in families.
    """

    def __init__(self, group: Ints, score: Doubles) -> None:
        self._score = score
        self._order = np.lexsort((-score, group))
        ordered = group[self._order]
        self._starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        sizes = np.diff(np.append(self._starts, len(group)))
        self._is_first = np.zeros(len(group), dtype=bool)
        self._is_first[self._order[self._starts]] = True
        after = np.minimum(self._starts + 1, len(score) - 1)
        second = np.where(sizes > 1, score[self._order][after], LOWEST)
        self._second = np.empty(len(group))
        self._second[self._order] = np.repeat(np.maximum(second, LOWEST), sizes)

    def log_ratio(self, gap: Ints, genuine: Doubles, rates: Doubles) -> Doubles:
        """Log likelihood ratio of each candidate being the link, against its list being of strangers only.

        Taking the first entry out of a list makes the second the first, so a high second score that is well explained
        as the one look-alike speaks for the first being the link.  A higher score never speaks less for the link, and
        one below the level of strangers no more than one at it, however few strangers there are so low.

        Args:
            gap: gap bin of each candidate.
            genuine: density of links' scores, gap bin x score bin.
            rates: strangers a list, first met and next, rank x score bin.
        """
        ratio = np.log(genuine)[:, None] - np.log(rates)[None]
        ratio[:, :, :_LEVEL] = np.minimum(ratio[:, :, :_LEVEL], ratio[:, :, _LEVEL : _LEVEL + 1])
        rising = np.maximum.accumulate(ratio, axis=2)
        out = np.empty(len(self._score))
        for g in range(len(genuine)):
            mine = gap == g
            score = self._score[mine]
            first, after = (np.interp(score, CENTERS, rising[g, rank]) for rank in (0, 1))
            out[mine] = np.where(self._is_first[mine], first, after)
        promoted = self._is_first
        out[promoted] += self._promotion(rates)[promoted]
        return np.clip(out, -LARGEST, LARGEST)

    def _promotion(self, rates: Doubles) -> Doubles:
        gain = np.interp(self._second, CENTERS, np.log(rates[0]) - np.log(rates[1]))
        step = np.append(0.0, np.cumsum(rates[0] - rates[1]))
        out: Doubles = gain - (np.interp(self._score, BOUNDS, step) - np.interp(self._second, BOUNDS, step))
        return out

    def count(self, linked: Bools | None = None) -> tuple[Doubles, Doubles]:
        """Strangers met first and next, and lists exposed to each (rank x score bin); ``linked`` ones are left out."""
        strange = (self._score if linked is None else np.where(linked, -np.inf, self._score))[self._order]
        best = np.maximum.reduceat(strange, self._starts)
        first = np.bincount(score_bin(best[best > -np.inf]), minlength=NUM_BINS).astype(np.float64)
        every = np.bincount(score_bin(strange[strange > -np.inf]), minlength=NUM_BINS)
        met_above = first[::-1].cumsum()[::-1] - 0.5 * first
        return np.array([first, every - first]), np.array([len(best) - met_above, met_above])
