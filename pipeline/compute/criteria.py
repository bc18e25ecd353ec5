"""What a method's own criterion says of two rows of a date: the evidence for why it put them together or apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from pipeline.compute.agglomerative import condensed_distances
from pipeline.compute.clustering import canonical_labels
from pipeline.compute.communities import affinity_graph, asked, mean_similarities, mutual_graph
from pipeline.compute.cuts import joining_height, joining_line, top_height, whole_branches
from pipeline.compute.density import graph_distances, takes_all_pairs
from pipeline.compute.projection import unit_rows
from pipeline.compute.task import ClusteringTask, reach
from pipeline.compute.trees import expand, single_linkage

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Two = tuple[float, float]

_LEAST = 1e-12
"""The weight of a graph without an edge counts as this."""


@dataclass(frozen=True)
class Dense:
    """The evidence of ``dbscan`` and ``hdbscan``.

    Attributes:
        cores: The distance within which each row has ``min_samples`` rows, itself counted; infinite: the graph of a
            large date has fewer.
        min_samples: As the date was clustered.
        reach: The distance that was asked for; None of hdbscan.
        joined: The least mutual reachability distance (the largest of two rows' distance and their cores) that steps
            from one row to the other have to take; of dbscan from core to core, beginning at the core that is nearest.
        tops: The same for the whole of each one's cluster, of hdbscan; None where it is one row, or no branch.
    """

    cores: Two
    min_samples: int
    reach: float | None
    joined: float
    tops: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class Pulled:
    """The evidence of ``kmeans``, ``leiden`` and ``chinese_whispers``: what binds a row to the two clusters.

    Attributes:
        first: Of the first row: to its own cluster and to the second's.  Similarities to the center (kmeans), or sums
            of what the edges into the cluster weigh, itself left out.
        second: Of the second row, likewise: to its own and to the first's.
        expected: What of ``first`` and ``second`` degrees let expect by chance (leiden).
        gain: What modularity gains if the two clusters are joined (leiden); None where they are one.
    """

    first: Two
    second: Two
    expected: tuple[Two, Two] | None = None
    gain: float | None = None


@dataclass(frozen=True)
class Connected:
    """The evidence of ``components``.

    Attributes:
        joined: The weakest edge of the path that connects the two rows through mutual neighbours; None: no path does.
        mean: Mean similarity of all pairs of what is connected at that level.
        asked: The similarity that was asked for.
    """

    joined: float | None
    mean: float | None
    asked: float


Criterion = Dense | Pulled | Connected


@dataclass(frozen=True)
class _Pair:
    """Two ``rows`` of a task, with the canonical labels of all."""

    task: ClusteringTask
    labels: Int64s
    rows: tuple[int, int]


def criterion(method: str, task: ClusteringTask, labels: Int64s, first: int, second: int) -> Criterion | None:
    """The evidence on two rows.

    Args:
        method: The date's.
        task: What the method was given; at least two rows.
        labels: Each row's cluster (n,), rows of noise alone.
        first: A row.
        second: Another.

    Returns:
        None for a method whose evidence is its tree (``cuts``).
    """
    find = _CRITERIA.get(method)
    return find(_Pair(task, canonical_labels(labels), (first, second))) if find else None


def _dbscan(pair: _Pair) -> Dense:
    """Ester et al. (1996), told by the tree of mutual reachability (Campello et al., 2013): DBSCAN is its cut."""
    settings = pair.task.settings
    within = reach(settings)
    cores, tree, near = _density_tree(pair.task, pair.task.vectors)
    first, second = (_nearest_core(near(row), cores <= within, row) for row in pair.rows)
    joined = joining_height(tree, first, second) if min(first, second) >= 0 else np.inf
    return Dense(_two(cores[list(pair.rows)]), settings.min_samples, within, joined)


def _nearest_core(distances: Float64s, core: npt.NDArray[np.bool_], row: int) -> int:
    """The row itself where it is a core, else the nearest that is; -1 if there is none."""
    if core[row]:
        return row
    far = np.where(core, distances, np.inf)
    return int(np.argmin(far)) if np.isfinite(far).any() else -1


def _hdbscan(pair: _Pair) -> Dense:
    points, group = pair.task.points()
    cores, tree, _ = _density_tree(pair.task, points)
    lines = expand(tree, group)
    whole = whole_branches(lines, pair.labels)
    first, second = (top_height(lines, whole, int(pair.labels[row])) for row in pair.rows)
    found = _two(cores[group[list(pair.rows)]])
    return Dense(found, pair.task.settings.min_samples, None, joining_height(lines, *pair.rows), (first, second))


def _density_tree(
    task: ClusteringTask, rows: npt.NDArray[np.float32]
) -> tuple[Float64s, Float64s, Callable[[int], Float64s]]:
    """Core distances of ``rows`` (n,), the tree of mutual reachability, and the distances (n,) from a row.

    Of all pairs where the method read all pairs, else of the neighbour graph.
    """
    count, settings = len(rows), task.settings
    if takes_all_pairs(settings, count):
        pairs = squareform(condensed_distances(rows, settings.metric, task.unit))
        place = min(settings.min_samples, count) - 1
        cores = np.partition(pairs, place, axis=1)[:, place]
        mutual = squareform(np.maximum(pairs, np.maximum(cores[:, None], cores)), checks=False)
        return cores, linkage(mutual, "single"), lambda row: pairs[row]
    edges, lengths = graph_distances(task, rows)
    cores = _cores_of_graph(count, edges, lengths, settings.min_samples)
    ends = np.maximum(cores[edges[:, 0]], cores[edges[:, 1]])
    known = np.isfinite(ends)
    tree = single_linkage(count, edges[known], np.maximum(lengths, ends)[known])

    def near(row: int) -> Float64s:
        found = np.full(count, np.inf)
        found[row] = 0.0
        for here, there in ((0, 1), (1, 0)):
            mine = edges[:, here] == row
            found[edges[mine, there]] = lengths[mine]
        return found

    return cores, tree, near


def _cores_of_graph(count: int, edges: Int64s, lengths: Float64s, least: int) -> Float64s:
    """The length of each row's (least - 1)-th shortest edge; 0 where that is itself, infinite where it has fewer."""
    if least == 1:
        return np.zeros(count)
    ends, both = edges.T.reshape(-1), np.tile(lengths, 2)
    order = np.lexsort((both, ends))
    starts = np.searchsorted(ends[order], np.arange(count + 1))
    places = starts[:-1] + least - 2
    enough = places < starts[1:]
    return np.where(enough, both[order][np.minimum(places, len(order) - 1)], np.inf)


def _kmeans(pair: _Pair) -> Pulled:
    vectors = pair.task.vectors.astype(np.float64)
    centers = np.stack([vectors[pair.labels == pair.labels[row]].mean(axis=0) for row in pair.rows])
    if pair.task.unit and pair.task.settings.spherical:
        centers = unit_rows(centers)
    found = 1.0 - ((vectors[list(pair.rows), None] - centers) ** 2).sum(axis=2) / 2.0
    return Pulled(_two(found[0]), _two(found[1, ::-1]))


def _chinese_whispers(pair: _Pair) -> Pulled:
    _, group, edges, weights = mutual_graph(pair.task, asked(pair.task, -1.0))
    return Pulled(*_edges_into(pair, group, edges, weights))


def _leiden(pair: _Pair) -> Pulled:
    """Modularity (Reichardt and Bornholdt, 2006): edges into a community against those that degrees let expect."""
    group, edges, weights = affinity_graph(pair.task)
    of_point = _of_points(pair.labels, group)
    degrees = np.bincount(edges.reshape(-1), np.repeat(weights, 2), len(of_point))
    total, volumes = max(float(weights.sum()), _LEAST), np.bincount(of_point, degrees)
    per_edge = pair.task.settings.resolution / (2.0 * total)
    first, second = group[list(pair.rows)].tolist()

    def by_chance(row: int, other: int) -> Two:
        rest = [volumes[of_point[one]] - degrees[row] * (of_point[row] == of_point[one]) for one in (row, other)]
        return _two(per_edge * degrees[row] * np.array(rest))

    into = _edges_into(pair, group, edges, weights)
    expected = (by_chance(first, second), by_chance(second, first))
    a, b = sorted((of_point[first], of_point[second]))
    if a == b:
        return Pulled(*into, expected)
    across = float(weights[(np.sort(of_point[edges], axis=1) == (a, b)).all(axis=1)].sum())
    return Pulled(*into, expected, float((across - per_edge * volumes[a] * volumes[b]) / total))


def _edges_into(pair: _Pair, group: Int64s, edges: Int64s, weights: npt.NDArray[np.floating]) -> tuple[Two, Two]:
    """The weight of each row's edges into its own cluster and into the other's."""
    of_point = _of_points(pair.labels, group)
    first, second = group[list(pair.rows)].tolist()

    def into(row: int, other: int) -> Two:
        mine = (edges == row).any(axis=1)
        there = of_point[edges[mine].sum(axis=1) - row]
        return _two([weights[mine][there == of_point[one]].sum(dtype=np.float64) for one in (row, other)])

    return into(first, second), into(second, first)


def _of_points(labels: Int64s, group: Int64s) -> Int64s:
    """The cluster of each distinct point, from that of its first row."""
    return labels[np.unique(group, return_index=True)[1]]


def _components(pair: _Pair) -> Connected:
    least = asked(pair.task, -1.0)
    points, group, edges, weights = mutual_graph(pair.task, -1.0)
    first, second = group[list(pair.rows)].tolist()
    if first == second:
        return Connected(1.0, 1.0, least)
    tree = single_linkage(len(points), edges, 1.0 - weights.astype(np.float64))
    line = joining_line(tree, first, second)
    if not np.isfinite(tree[line, 2]):
        return Connected(None, None, least)
    return Connected(1.0 - float(tree[line, 2]), float(mean_similarities(tree, points)[line]), least)


def _two(values: Sequence[float] | Float64s) -> Two:
    first, second = values
    return float(first), float(second)


_CRITERIA: dict[str, Callable[[_Pair], Criterion]] = {
    "kmeans": _kmeans,
    "dbscan": _dbscan,
    "hdbscan": _hdbscan,
    "leiden": _leiden,
    "components": _components,
    "chinese_whispers": _chinese_whispers,
}
