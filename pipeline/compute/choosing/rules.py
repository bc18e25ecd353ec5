"""Which of the settings that were tried is taken: each rule turns measurements into a merit, the larger the better."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Float64s = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Measures = Mapping[str, Float64s]
"""Name -> a number a setting; NaN where it has none."""


@dataclass(frozen=True)
class Limits:
    """What a setting has to keep to be taken; the defaults refuse nothing."""

    min_clusters: int = 1
    max_noise_fraction: float = 1.0
    max_cluster_fraction: float = 1.0

    def refusals(self, measures: Measures) -> list[str | None]:
        """For each setting, what it breaks; None if nothing."""
        broken = (
            ("fewer than min_clusters", measures["num_clusters"] < self.min_clusters),
            ("more noise than max_noise_fraction", measures["noise_fraction"] > self.max_noise_fraction),
            ("a cluster above max_cluster_fraction", measures["largest_fraction"] > self.max_cluster_fraction),
        )
        rows = [[words for words, flags in broken if flags[row]] for row in range(len(measures["num_clusters"]))]
        return ["; ".join(words) or None for words in rows]


def by_elbow(measures: Measures) -> Float64s:
    """Where the within-cluster sum of squares, over the number of clusters, bends most (Kneedle; Satopää et al., 2011).

    The merit is how far the curve lies below its chord, both axes 0 to 1; the knee that kneed finds ranks first.  Of
    several settings with one number of clusters the one with the smallest sum counts.
    """
    from kneed import KneeLocator

    clusters, within = measures["num_clusters"], measures["inertia"]
    merit = np.full(len(clusters), np.nan)
    order = [row for row in np.lexsort((within, clusters)) if not np.isnan(within[row])]
    _, first = np.unique(clusters[order], return_index=True)
    curve = np.array(order, dtype=np.int64)[first]
    if len(curve) < 3 or within[curve].min() == within[curve].max():
        return merit
    x, y = (_from_0_to_1(values[curve]) for values in (clusters, within))
    merit[curve] = 1.0 - x - y
    knee = KneeLocator(clusters[curve], within[curve], curve="convex", direction="decreasing").knee
    return merit if knee is None else _lifted(merit, curve[clusters[curve] == knee])


def by_gap(measures: Measures) -> Float64s:
    """The gap; the smallest number of clusters with gap >= next gap - its standard error ranks first (Tibshirani)."""
    merit, error = measures["gap"].copy(), measures["gap_error"]
    order = [row for row in np.argsort(measures["num_clusters"], kind="stable") if not np.isnan(merit[row])]
    for row, after in pairwise(order):
        if merit[row] >= merit[after] - error[after]:
            return _lifted(merit, np.array([row]))
    return merit


RULES: dict[str, Callable[[Measures], Float64s]] = {
    "elbow": by_elbow,
    "silhouette": lambda measures: measures["silhouette"],
    "calinski_harabasz": lambda measures: measures["calinski_harabasz"],
    "davies_bouldin": lambda measures: -measures["davies_bouldin"],
    "gap": by_gap,
    "stability": lambda measures: measures["stability"],
}
"""Rule -> merit of each setting."""


def weighted_rank(merits: Sequence[Float64s], weights: Sequence[float], allowed: Bools) -> Float64s:
    """Weighted mean over the rules of each setting's rank among the ``allowed``, 1 the best; NaN for the others.

    Equal merits share the mean of their ranks; settings without a merit share the last ones.
    """
    total = np.zeros(len(allowed))
    for merit, weight in zip(merits, weights, strict=True):
        total[allowed] += weight * _ranks(merit[allowed])
    return np.where(allowed, total / (sum(weights) or 1.0), np.nan)


def best(ranks: Float64s, num_clusters: Float64s) -> int:
    """The setting with the smallest rank; of equals the one with the most clusters, of those the earliest.

    Linking mends pieces, not mixtures.
    """
    level = np.flatnonzero(np.round(ranks - np.nanmin(ranks), 9) == 0)
    return int(level[np.argmax(num_clusters[level])])


def _ranks(merit: Float64s) -> Float64s:
    from scipy.stats import rankdata

    return np.asarray(rankdata(-np.nan_to_num(merit, nan=-np.inf, posinf=np.inf, neginf=-np.finfo(float).max)))


def _from_0_to_1(values: Float64s) -> Float64s:
    least, most = float(values.min()), float(values.max())
    return np.asarray((values - least) / (most - least))


def _lifted(merit: Float64s, rows: npt.NDArray[np.int64]) -> Float64s:
    """With the merit of ``rows`` above all others."""
    merit[rows] = np.nextafter(np.nanmax(merit), np.inf)
    return merit
