"""Calibration: do things said to be p likely come true in a share p of the cases?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compute.scoring.contingency import Floats, Ints, total

NUM_BINS = 10
"""Bins of equal width, as in Guo et al., "On calibration of modern neural networks" (2017)."""


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram and its summary, over ``num`` decisions.

    Attributes:
        edges: (bins + 1,) float64, the bins' limits; a bin holds its upper limit, the first one also 0.
        count: (bins,) int64, decisions.
        probability: (bins,) float64, their mean probability; nan in an empty bin.
        right: (bins,) float64, the share of them that is right; nan in an empty bin.
        error: expected calibration error: mean of |probability - right| weighted by count (Naeini et al. 2015).
        brier: mean squared difference of probability and outcome (Brier 1950).
    """

    edges: Floats
    count: Ints
    probability: Floats
    right: Floats
    error: float
    brier: float

    @property
    def num(self) -> int:
        """Decisions in all."""
        return int(self.count.sum())


def reliability(probability: Floats, right: npt.NDArray[np.bool_]) -> Reliability | None:
    """Compare probabilities with outcomes; None without a decision.

    Args:
        probability: (decisions,) float64, 0 to 1.
        right: (decisions,) bool.
    """
    if not probability.size:
        return None
    order = np.argsort(probability)  # sums to the last bit the same in any order of decisions
    probability, right = probability[order], right[order]
    edges = np.linspace(0, 1, NUM_BINS + 1)
    index = np.clip(np.searchsorted(edges, probability, "left") - 1, 0, NUM_BINS - 1)
    count = np.bincount(index, minlength=NUM_BINS)
    some = np.where(count, count, np.nan)
    mean = np.bincount(index, probability, NUM_BINS) / some
    share = np.bincount(index, right, NUM_BINS) / some
    error = float(np.nansum(np.abs(mean - share) * count) / len(probability))
    brier = total((probability - right) ** 2) / len(probability)
    return Reliability(edges, count.astype(np.int64), mean, share, error, brier)
