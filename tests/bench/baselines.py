"""Simpler ways to follow subjects; those that are told something from the labels say so in their names."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist
from sklearn.neighbors import NearestNeighbors

from pipeline.compute.linking.memory import Memory
from pipeline.compute.scoring.contingency import contingency
from pipeline.compute.scoring.matching import max_weight_matching
from tests.bench.following import Doubles, Floats, Ints, Linked, Linker, Outcome, Seen, follow, pooled, spans_of
from tests.bench.worlds import Day

MOST = 6_000
"""Images up to which everything is clustered at once: all pairs are held."""

MERGED_FROM = 0.7
"""Cosine from which a cluster's mean is merged into a track's."""

Labels = npt.NDArray[np.generic]


# --- linking from date to date ---------------------------------------------------------------------------------------


def threshold(least: float) -> Linker:
    """One-to-one by similarity, nothing below ``least``."""

    def link(seen: Seen, memory: Memory) -> Linked:
        similarity = seen.similarity
        track = np.full(len(similarity), -1, dtype=np.int64)
        if similarity.size:
            rows, columns = linear_sum_assignment(-np.maximum(similarity - least, 0.0))
            good = similarity[rows, columns] > least
            track[rows[good]] = columns[good]
        return Linked(track, np.ones(len(track)), memory)

    return link


def nearest(seen: Seen, memory: Memory) -> Linked:
    """Every cluster takes the nearest cluster of the date before; the first by similarity where two want one."""
    masked = np.where(seen.gaps[None] == 1, seen.similarity, -2.0)
    track = np.full(len(masked), -1, dtype=np.int64)
    if masked.size:
        best = masked.argmax(axis=1)
        for i in np.argsort(-masked.max(axis=1), kind="stable"):
            if masked[i, best[i]] > -2 and best[i] not in track:
                track[i] = best[i]
    return Linked(track, np.ones(len(track)), memory)


def thresholds(worlds: Sequence[Sequence[Day]]) -> list[Outcome]:
    """One-to-one linking at thresholds from 0.2 to 0.9: the oracles are chosen among them."""
    return [pooled([follow(world, threshold(least)) for world in worlds]) for least in np.arange(0.2, 1.0, 0.1)]


def sequential(world: Sequence[Day]) -> Ints:
    """Of each image the track: every cluster's mean joins the nearest track's from cosine 0.7 on, or begins one."""
    sums, labels = np.zeros((0, world[0].vectors.shape[1])), []
    for day in world:
        for first, last in spans_of(day):
            total = day.vectors[first:last].sum(axis=0, dtype=np.float64)
            near = sums @ total / np.maximum(np.linalg.norm(sums, axis=1) * np.linalg.norm(total), 1e-12)
            best = int(near.argmax()) if len(near) and near.max() >= MERGED_FROM else len(sums)
            if best == len(sums):
                sums = np.concatenate([sums, np.zeros((1, sums.shape[1]))])
            sums[best] += total
            labels.append(np.full(last - first, best))
    return np.concatenate(labels)


# --- clustering everything at once -----------------------------------------------------------------------------------


def idf1(subject: Labels, label: Labels) -> float:
    table = contingency(subject, label)
    return float(table.count[max_weight_matching(table)].sum()) / len(subject)


def at_once(world: Sequence[Day]) -> dict[str, float]:
    """IDF1 of clustering all dates' images at once; nan above ``MOST`` images."""
    vectors = np.concatenate([day.vectors for day in world])
    subject = np.concatenate([day.image_subject for day in world])
    found = {name: float("nan") for name in AT_ONCE}
    if 1 < len(vectors) <= MOST:
        distances = pdist(vectors)
        found = {name: cluster(vectors, distances, subject) for name, cluster in AT_ONCE.items()}
    return found


def _tree(method: str) -> Callable[[Floats, Doubles, Labels], float]:
    def cluster(_: Floats, distances: Doubles, subject: Labels) -> float:
        num = len(np.unique(subject))
        return idf1(subject, fcluster(linkage(distances, method), num, "maxclust"))

    return cluster


def _dbscan(_: Floats, distances: Doubles, subject: Labels) -> float:
    """With two images a core: the components within eps (single linkage's cut), eps told from twenty quantiles."""
    tree = linkage(distances, "single")
    cuts = np.unique(np.quantile(tree[:, 2], np.linspace(0.02, 0.98, 20)))
    return max(idf1(subject, fcluster(tree, cut, "distance")) for cut in cuts)


def _components(vectors: Floats, _: Doubles, subject: Labels) -> float:
    """Of the kNN graph; k told, of 1, 2, 3 and 5."""
    most = min(5, len(vectors) - 1)
    near = NearestNeighbors(n_neighbors=most).fit(vectors).kneighbors(return_distance=False)
    rows = np.arange(len(vectors))
    found = []
    for k in (k for k in (1, 2, 3, 5) if k <= most):
        ends = (np.repeat(rows, k), near[:, :k].ravel())
        graph = csr_array((np.ones(len(ends[0])), ends), shape=(len(rows), len(rows)))
        found.append(idf1(subject, connected_components(graph, directed=False)[1]))
    return max(found)


AT_ONCE: dict[str, Callable[[Floats, Doubles, Labels], float]] = {
    "Ward, told k": _tree("ward"),
    "average, told k": _tree("average"),
    "DBSCAN, told eps": _dbscan,
    "kNN components, told k": _components,
}
