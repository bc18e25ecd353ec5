"""From scores to decisions: which cluster continues which track, and how sure that is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Decisions:
    """One row per cluster: ``track`` is -1 for a birth; ``probability`` that the decision is right."""

    track: Ints
    probability: Doubles
    similarity: Doubles
    score: Doubles
    runner_up: Ints
    margin: Doubles


def decide(similarity: npt.NDArray[np.float32], gaps: Ints, false_link_rate: float) -> Decisions:
    """Decide which cluster continues which track (clusters x tracks similarities, gaps in dates per track)."""
    num_clusters, num_tracks = similarity.shape
    none = np.full(num_clusters, -1, dtype=np.int64)
    if not num_clusters or not num_tracks:
        zeros = np.zeros(num_clusters)
        return Decisions(none, np.ones(num_clusters), zeros, zeros.copy(), none.copy(), zeros.copy())
    s = similarity.astype(np.float64)
    row = np.median(s, axis=1, keepdims=True)
    col = np.median(s, axis=0, keepdims=True)
    z = s - (row + col) / 2 if num_tracks > 1 else s
    spread = np.sqrt(np.mean((z[z <= np.median(z)] - np.median(z)) ** 2)) + 1e-9
    z = (z - np.median(z)) / spread if num_tracks > 1 else s * 10
    cut = np.sqrt(2 * np.log(max(num_clusters * num_tracks, 2)))
    odds = z - cut + 1.0
    rows, cols = linear_sum_assignment(-np.maximum(odds, 0.0))
    track = none.copy()
    for i, j in zip(rows, cols, strict=True):
        if odds[i, j] > 0:
            track[i] = j
    p = 1 / (1 + np.exp(-np.clip(odds * 2, -30, 30)))
    best = np.where(track >= 0, track, odds.argmax(1))
    probability = np.where(track >= 0, p[np.arange(num_clusters), best], 1 - p[np.arange(num_clusters), best])
    masked = z.copy()
    masked[np.arange(num_clusters), best] = -np.inf
    runner = masked.argmax(1) if num_tracks > 1 else none.copy()
    margin = z[np.arange(num_clusters), best] - (masked.max(1) if num_tracks > 1 else 0)
    return Decisions(
        track, probability, s[np.arange(num_clusters), best], z[np.arange(num_clusters), best], runner, margin
    )
