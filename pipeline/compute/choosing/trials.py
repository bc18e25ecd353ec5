"""Trying settings on one date's vectors and choosing among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no types

from pipeline.compute.choosing.resampling import Clusterer, gap_statistic, stability
from pipeline.compute.choosing.rules import RULES, Limits, Measures, best, weighted_rank
from pipeline.compute.choosing.scores import (
    calinski_harabasz,
    davies_bouldin,
    inertia,
    scatter,
    silhouettes,
)
from pipeline.compute.clustering import noise_alone

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

MEASURES = (
    "num_clusters",
    "noise_fraction",
    "largest_fraction",
    "inertia",
    "silhouette",
    "calinski_harabasz",
    "davies_bouldin",
    "gap",
    "gap_error",
    "stability",
)
"""What is measured of a setting, noise being clusters of one; ``gap`` and ``stability`` only where a rule asks."""


@dataclass(frozen=True)
class Trials:
    """What was tried: ``labels`` (n,) and measures of each setting, its rank and refusal, and which was ``chosen``."""

    labels: list[Int64s]
    measures: Measures
    ranks: Float64s
    refusals: list[str | None]
    chosen: int


def try_settings(  # noqa: PLR0913  (what to cluster, how, by what to choose and what to keep to)
    vectors: Float32s,
    count: int,
    cluster: Clusterer,
    weights: Mapping[str, float],
    limits: Limits,
    *,
    times: int = 10,
    seed: int = 0,
) -> Trials:
    """Cluster with each of ``count`` settings and choose one.

    Args:
        vectors: Rows (n, d), n >= 1.
        count: Settings; ``cluster`` knows them by their numbers 0 ... count - 1.
        cluster: The clusterer.
        weights: Rule (of ``RULES``) -> its weight; one rule alone decides by itself.
        limits: What a setting has to keep.
        times: References of the gap statistic, pairs of resamples of stability.
        seed: Of every random choice.

    Returns:
        The trials.  Where no setting keeps the limits, they are chosen from as if there were none.
    """
    cut = cluster(vectors)
    labels = [cut(number) for number in range(count)]
    with threadpool_limits(limits=1, user_api="blas"):  # the last bits of a matrix product depend on their number
        rows = _measured(vectors, labels, seed)
    measures = {name: np.array([row.get(name, np.nan) for row in rows]) for name in MEASURES}
    if weights.get("gap"):
        measures["gap"], measures["gap_error"] = gap_statistic(vectors, labels, cluster, times, seed)
    if weights.get("stability"):
        measures["stability"] = stability(vectors, count, cluster, times, seed)
    refusals = limits.refusals(measures)
    allowed = np.array([refusal is None for refusal in refusals])
    merits = [RULES[rule](measures) for rule in weights]
    ranks = weighted_rank(merits, list(weights.values()), allowed if allowed.any() else np.ones(count, dtype=bool))
    return Trials(labels, measures, ranks, refusals, best(ranks, measures["num_clusters"]))


def _measured(vectors: Float32s, labels: Sequence[Int64s], seed: int) -> list[dict[str, float]]:
    """Of each clustering what holds for itself, noise being clusters of one."""
    kept = [noise_alone(one) for one in labels]
    seen = silhouettes(vectors, kept, seed)
    return [
        {"noise_fraction": float((one < 0).mean()), "silhouette": score, **_shape(vectors, alone)}
        for one, alone, score in zip(labels, kept, seen, strict=True)
    ]


def _shape(vectors: Float32s, labels: Int64s) -> dict[str, float]:
    found = scatter(vectors, labels)
    return {
        "num_clusters": float(len(found.sizes)),
        "largest_fraction": float(found.sizes.max() / len(vectors)),
        "inertia": inertia(found),
        "calinski_harabasz": calinski_harabasz(found),
        "davies_bouldin": davies_bouldin(vectors, labels, found),
    }
