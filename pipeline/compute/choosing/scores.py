"""Internal scores of a clustering: what can be said of labels without the truth.

All of them are of Euclidean distance between the rows as given; of unit vectors that is cosine, |x - y|² = 2 (1 - x·y).
Where scikit-learn has the score, it is equal to its own; where
scikit-learn refuses (one cluster, every row alone) a stated value stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compute.grouped import membership, sums_of

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

EXACT_ROWS = 5_000
"""Rows whose silhouette is computed, each against all others; of more rows, a seeded sample of so many."""
_BLOCK_ROWS = 256


@dataclass(frozen=True)
class Scatter:
    """Centers float64 (c, d), members (c,) and within-cluster sums of squares (c,) of c clusters, in label order."""

    centers: Float64s
    sizes: Int64s
    squares: Float64s


def scatter(vectors: Float32s, labels: Int64s) -> Scatter:
    """Summarise n >= 1 rows (n, d) under labels 0 ... c - 1."""
    sizes = np.bincount(labels)
    centers = sums_of(vectors, labels, len(sizes)) / sizes[:, None]
    apart = ((vectors - centers[labels]) ** 2).sum(axis=1)
    return Scatter(centers, sizes, np.bincount(labels, apart, len(sizes)).astype(np.float64))


def inertia(found: Scatter) -> float:
    """Sum of squared distances to the own center (k-means' objective, Ward's); 0 when every row is alone."""
    return float(found.squares.sum())


def calinski_harabasz(found: Scatter) -> float:
    """Between over within variance, each by its degrees of freedom (Caliński and Harabasz, 1974); larger is better.

    NaN with one cluster or every row alone; infinite where clusters have no extent.
    """
    rows, count = int(found.sizes.sum()), len(found.sizes)
    if not 1 < count < rows:
        return float("nan")
    mean = (found.sizes[:, None] * found.centers).sum(axis=0) / rows
    between = float((found.sizes * ((found.centers - mean) ** 2).sum(axis=1)).sum())
    within = inertia(found)
    return float("inf") if within == 0 else between / within * (rows - count) / (count - 1)


def davies_bouldin(vectors: Float32s, labels: Int64s, found: Scatter) -> float:
    """Mean over clusters of the worst (extent_i + extent_j) / distance_ij (Davies and Bouldin, 1979); small is better.

    An extent is the mean distance to the center.  NaN with one cluster or every row alone.
    """
    count = len(found.sizes)
    if not 1 < count < len(labels):
        return float("nan")
    apart = np.sqrt(((vectors - found.centers[labels]) ** 2).sum(axis=1))
    extent = np.bincount(labels, apart, count) / found.sizes
    worst = np.zeros(count)
    for start in range(0, count, _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        distance = _distances(found.centers[rows], found.centers)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (extent[rows, None] + extent) / distance
        ratio[np.arange(len(ratio)), np.arange(count)[rows]] = 0.0
        worst[rows] = np.nan_to_num(ratio, nan=0.0, posinf=np.inf).max(axis=1)  # equal points: 0 / 0
    return float(worst.mean())


def silhouettes(vectors: Float32s, labelings: Sequence[Int64s], seed: int = 0, most: int = EXACT_ROWS) -> list[float]:
    """Mean of (b - a) / max(a, b) over rows (Rousseeuw, 1987): a, b the mean distances to the own and nearest cluster.

    A row alone in its cluster counts 0.  Above ``most`` rows it is the mean over a sample of them, each still against
    all rows.  NaN with one cluster.  Distances are computed once for all clusterings.

    Args:
        vectors: Rows (n, d), n >= 1.
        labelings: Clusterings, each labels 0 ... c - 1 (n,).
        seed: Of the sample.
        most: Rows up to which all count.
    """
    chosen = np.arange(len(vectors))
    if len(chosen) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(len(vectors), most, replace=False))
    every = vectors.astype(np.float64)
    sizes = [np.bincount(labels) for labels in labelings]
    members = [membership(labels, len(size)) for labels, size in zip(labelings, sizes, strict=True)]
    values = np.full((len(labelings), len(chosen)), np.nan)
    for start in range(0, len(chosen), _BLOCK_ROWS):
        rows = chosen[start : start + _BLOCK_ROWS]
        distances = _distances(every, every[rows])
        for number, (labels, size) in enumerate(zip(labelings, sizes, strict=True)):
            if len(size) > 1:
                sums = members[number] @ distances
                values[number, start : start + len(rows)] = _silhouettes(sums.T, labels[rows], size)
    return [float(one.mean()) for one in values]


def _silhouettes(sums: Float64s, own: Int64s, sizes: Int64s) -> Float64s:
    """From each row's summed distance to every cluster."""
    here = np.arange(len(own))
    inside = sums[here, own] / np.maximum(sizes[own] - 1, 1)
    outside = sums / sizes
    outside[here, own] = np.inf
    nearest = outside.min(axis=1)
    larger = np.maximum(inside, nearest)
    values = (nearest - inside) / np.where(larger > 0, larger, 1.0)
    return np.where(sizes[own] == 1, 0.0, values)


def _distances(left: Float64s, right: Float64s) -> Float64s:
    """Euclidean distances of all pairs, by one matrix product."""
    squares = left @ right.T
    squares *= -2.0
    squares += (left * left).sum(axis=1)[:, None]
    squares += (right * right).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares))
