"""Methods that set themselves: how many clusters a date they find, and whether one of them collapses.

    python -m tests.bench.by_itself            dates of more than 200 images by `auto` alone
    FULL=1 python -m tests.bench.by_itself     by every method

Of `auto`, and of the other methods with what `cluster.choose` tries where the config names no grid: the best silhouette
with no cluster above nine tenths of the images.  Truth is read for the column that says so, and for the marks.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from pipeline.compute.agglomerative import grow
from pipeline.compute.clustering import cluster_rows, noise_alone
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.projection import unit_rows
from pipeline.compute.task import ClusteringTask
from pipeline.stages.choose import choose
from pipeline.stages.cluster_params import ClusterParams
from pipeline.stages.date_tables import settings_of
from tests.bench.processes import each
from tests.bench.sets import Dates, large_instruments, real_instruments, simulated_instruments

FULL = bool(os.environ.get("FULL"))
CROWDED = 200
"""Images a date above which, without FULL, `auto` alone is tried."""

LINKAGES = ("average", "complete", "ward", "single")
Vectors = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]


def chosen(method: str, **settings: object) -> ClusterParams:
    """By silhouette, among what `cluster.choose` tries; ``grid`` of ``settings``: among that."""
    grid = settings.pop("grid", [])
    choose = {"by": {"silhouette": 1.0}, "min_clusters": 2, "max_cluster_fraction": 0.9, "grid": grid}
    return ClusterParams.model_validate({"method": method, "choose": choose, **settings})


BY_ITSELF: dict[str, ClusterParams] = {
    "auto": ClusterParams(),
    "kmeans": chosen("kmeans"),
    **{name: chosen("agglomerative", linkage=name) for name in LINKAGES},
    **{name: chosen(name) for name in ("dbscan", "hdbscan", "leiden", "components", "chinese_whispers")},
}


def clustered(vectors: Vectors, params: ClusterParams, unit: bool = True) -> Labels:
    """The pipeline's own methods, noise as clusters of one; ``unit``: by angle."""
    rows = (unit_rows(vectors) if unit else vectors).astype(np.float32)
    graph = neighbor_graph(rows, 30, Search(unit=unit))
    task = ClusteringTask(rows, *graph, settings_of(params), unit=unit)
    settings = params.tried(len(rows))
    if not settings:
        return noise_alone(cluster_rows(params.method, task))
    tree = grow(task) if params.has_tree else None

    def cut(one: ClusteringTask, tried: Mapping[str, object]) -> Labels:
        return cluster_rows(params.method, replace(one, settings=settings_of(params.replaced(tried)), tree=tree))

    return noise_alone(choose(task, settings, cut, params.choose)[1])


def count(asked: tuple[str, list[Vectors]]) -> list[int]:
    """Clusters a date of a method."""
    method, dates = asked
    return [len(np.unique(clustered(vectors, BY_ITSELF[method]))) for vectors in dates]


def line(instrument: Dates, counts: Sequence[Sequence[int]]) -> str:
    """``counts`` of each method, a date; marked is what is one cluster, or all images alone."""
    truths = [truth for _, truth in some(instrument)]
    subjects = np.array([len(set(truth)) for truth in truths])
    size = np.array([len(truth) for truth in truths])
    row = f"{instrument.name:30s}{size.mean():7.0f}{subjects.mean():7.0f}"
    for found in map(np.array, counts):
        mark = "*" * bool(((found == 1) & (subjects > 1)).any())
        mark += "!" * bool(((found == size) & (subjects < size)).any())
        row += f"{f'{found.mean():.0f}{mark}':>10s}"
    return row


def some(instrument: Dates) -> Iterator[tuple[Vectors, npt.NDArray[np.generic]]]:
    """The dates of more than two images."""
    return ((vectors, truth) for vectors, truth in instrument.dates if len(vectors) > 2)


def crowded(instrument: Dates) -> bool:
    return bool(np.mean([len(truth) for _, truth in some(instrument)]) > CROWDED)


def main() -> None:
    print(__doc__)
    start = time.perf_counter()
    print("clusters a date, mean; * on some date one cluster, ! all images alone, where the truth is neither")
    print(f"{'':30s}{'images':>7s}{'truth':>7s}" + "".join(f"{name[:9]:>10s}" for name in BY_ITSELF))
    tried = chain(large_instruments(), real_instruments(), simulated_instruments())
    instruments = [(one, tuple(BY_ITSELF) if FULL or not crowded(one) else ("auto",)) for one in tried]
    found = each(count, ((name, [v for v, _ in some(one)]) for one, names in instruments for name in names))
    for instrument, names in instruments:
        print(line(instrument, list(islice(found, len(names)))), flush=True)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
