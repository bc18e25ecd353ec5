"""Scores that cluster again: on data without clusters (the gap statistic) and on parts of the data (stability)."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipeline.compute.choosing.scores import inertia, scatter
from pipeline.compute.clustering import noise_alone
from pipeline.compute.projection import unit_rows
from pipeline.compute.scoring.contingency import contingency
from pipeline.compute.scoring.partitions import adjusted_rand_index

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

Cut = Callable[[int], Int64s]
"""Number of a setting -> labels (n,) of the rows it was made for; below 0: noise."""
Clusterer = Callable[[Float32s], Cut]
"""Rows (n, d) -> their cuts; what all settings share (a neighbour graph, a tree) is computed once for the rows."""

SHARE = 0.8
"""Of the rows, in a resample."""
FEWEST = 5
"""Rows below which there is nothing to resample."""


def gap_statistic(
    vectors: Float32s, found: list[Int64s], cluster: Clusterer, times: int, seed: int
) -> tuple[Float64s, Float64s]:
    """Gap of each setting and its standard error (Tibshirani, Walther and Hastie, 2001, with their reference (b)).

    Gap = mean over references of log W* - log W, with W the within-cluster sum of squares.  A reference has the rows'
    number and lies evenly in the box along their principal axes; where the rows have unit length, so has it.

    Args:
        vectors: Rows (n, d).
        found: Labels (n,) of each setting.
        cluster: Clusters the references; meant for settings that fix the number of clusters.
        times: References.
        seed: Of the references.

    Returns:
        Two arrays (settings,); NaN where a within-cluster sum is 0.
    """
    log_within = np.array([_log_within(vectors, labels) for labels in found])
    nothing = np.full(len(found), np.nan)
    if len(vectors) < FEWEST or not times:
        return nothing, nothing
    rng = np.random.default_rng(seed)
    of_references = np.zeros((times, len(found)))
    for step in range(times):
        reference = reference_rows(vectors, rng)
        cut = cluster(reference)
        of_references[step] = [_log_within(reference, cut(number)) for number in range(len(found))]
    error = of_references.std(axis=0) * np.sqrt(1.0 + 1.0 / times)
    return of_references.mean(axis=0) - log_within, error


def reference_rows(vectors: Float32s, rng: np.random.Generator) -> Float32s:
    """Draw as many rows evenly from the box that the rows fill along their principal axes."""
    wide = vectors.astype(np.float64)
    mean = wide.mean(axis=0)
    axes = np.linalg.svd(wide - mean, full_matrices=False)[2]
    along = (wide - mean) @ axes.T
    drawn = rng.uniform(along.min(axis=0), along.max(axis=0), along.shape) @ axes + mean
    lengths = np.linalg.norm(wide, axis=1)
    return (unit_rows(drawn) if np.allclose(lengths, 1.0, atol=1e-3) else drawn).astype(np.float32)


def stability(vectors: Float32s, count: int, cluster: Clusterer, times: int, seed: int) -> Float64s:
    """How alike two random parts of the rows are clustered, for each of ``count`` settings (Ben-Hur et al., 2002).

    Mean over ``times`` pairs of parts, 0.8 of the rows each, of the adjusted Rand index on the rows that both hold;
    each noise row is a cluster of its own there.  1 is perfect.  A pair of clusterings that are both one cluster, or
    both all singletons, could not differ and says nothing; NaN where that holds for every pair.
    """
    if len(vectors) < FEWEST or not times:
        return np.full(count, np.nan)
    rng = np.random.default_rng(seed)
    size = max(FEWEST - 1, round(SHARE * len(vectors)))
    agreement = np.full((times, count), np.nan)
    for step in range(times):
        parts = [np.sort(rng.choice(len(vectors), size, replace=False)) for _ in range(2)]
        cuts = [cluster(vectors[part]) for part in parts]
        _, first, second = np.intersect1d(parts[0], parts[1], assume_unique=True, return_indices=True)
        for number in range(count):
            labels = [noise_alone(cut(number)[rows]) for cut, rows in zip(cuts, (first, second), strict=True)]
            if not all(_trivial(one) for one in labels):
                agreement[step, number] = adjusted_rand_index(contingency(*labels))
    told = ~np.isnan(agreement)
    mean = np.where(told, agreement, 0.0).sum(axis=0) / np.maximum(told.sum(axis=0), 1)
    return np.where(told.any(axis=0), mean, np.nan)


def _log_within(vectors: Float32s, labels: Int64s) -> float:
    within = inertia(scatter(vectors, noise_alone(labels)))
    return float(np.log(within)) if within > 0 else float("nan")


def _trivial(labels: Int64s) -> bool:
    return len(np.unique(labels)) in (1, len(labels))
