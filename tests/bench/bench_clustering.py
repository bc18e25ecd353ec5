"""Clustering a date: ratios against bare FAISS and SciPy in one run, cost an image, peak memory.

    python -m tests.bench.bench_clustering                 ratios, and dates of 1 000 to 100 000 images
    python -m tests.bench.bench_clustering --date 1000000  one date of a million images of 256 numbers
    python -m tests.bench.bench_clustering --dates 365     that many dates of 3 000 images, from stored fingerprints

Simulated dates: subjects of 1 to 8 shots with the falling spectrum of real fingerprints (tests/bench/dates.py).  A date
runs its stages (neighbours, clusters) at their defaults, projection included, in a process of its own, from Arrow
tables to Arrow tables.  Recall is of the neighbours of a sample of its images, against exact search.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.bench import measuring

measuring.use_the_machines_own_kernels()

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.cluster.hierarchy import fcluster, linkage

from pipeline.compute.agglomerative import agglomerative
from pipeline.compute.kmeans import kmeans
from pipeline.compute.knn import Search, neighbor_graph, probes
from pipeline.compute.task import ClusteringTask, Settings
from pipeline.stages.cluster import cluster
from pipeline.stages.cluster_params import ClusterParams
from pipeline.stages.date_tables import DateTables
from pipeline.stages.neighbors import NeighborsParams, neighbors
from pipeline.stages.projection import ProjectionParams, apply, fit
from pipeline.stages.vectors import to_column
from tests.bench.dates import DIMENSIONS, planted

THREADS = 2
NO_GRAPH = (np.zeros((0, 0), np.int64), np.zeros((0, 0), np.float32))
SAMPLE = 1000
BARE = "bare FAISS or SciPy"
Ways = dict[str, Callable[[], None]]


def images(count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors of a date (count, 256), made some at a time: their making is not to be the peak of memory."""
    sizes = np.random.default_rng(seed).integers(1, 9, size=count)
    whole = int(np.searchsorted(np.cumsum(sizes), count))
    sizes = np.append(sizes[:whole], count - sizes[:whole].sum())
    vectors = np.empty((count, DIMENSIONS), dtype=np.float32)
    made = part = 0
    while made < count:
        some = planted(sizes[part : part + 5000].tolist(), 0.2, seed + part)[0]
        vectors[made : made + len(some)] = some
        made, part = made + len(some), part + 5000
    return vectors


def kmeans_ways(vectors: np.ndarray) -> Ways:
    def bare() -> None:
        trainer = faiss.Kmeans(DIMENSIONS, 500, niter=25, seed=1, spherical=True, min_points_per_centroid=1)
        trainer.train(vectors)
        trainer.index.search(vectors, 1)

    def ours() -> None:
        kmeans(ClusteringTask(vectors, *NO_GRAPH, Settings(num_clusters=500), THREADS))

    return {BARE: bare, "ours": ours}


def exact_graph_ways(vectors: np.ndarray) -> Ways:
    def bare() -> None:
        index = faiss.IndexFlatIP(DIMENSIONS)
        index.add(vectors)
        index.search(vectors, 31)

    def ours() -> None:
        neighbor_graph(vectors, 30, Search(threads=THREADS))

    return {BARE: bare, "ours": ours}


def graph_ways(vectors: np.ndarray) -> Ways:
    """Inverted lists: FAISS' own search of as many lists, of which as many are probed."""
    lists = round(np.sqrt(len(vectors)) / 2)

    def bare() -> None:
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(DIMENSIONS), DIMENSIONS, lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1
        index.nprobe = probes(lists)
        index.train(vectors)
        index.add(vectors)
        index.search(vectors, 31)

    def ours() -> None:
        neighbor_graph(vectors, 30, Search(threads=THREADS))

    return {BARE: bare, "ours": ours}


def linkage_ways(vectors: np.ndarray) -> Ways:
    def bare() -> None:
        count = len(vectors)
        distances = np.empty(count * (count - 1) // 2)
        done = 0
        for start in range(0, count, 1000):
            for row, products in enumerate(vectors[start : start + 1000] @ vectors.T, start):
                distances[done : done + count - row - 1] = products[row + 1 :]
                done += count - row - 1
        np.subtract(1.0, distances, out=distances)
        np.maximum(distances, 0.0, out=distances)
        fcluster(linkage(distances, "average"), 0.5, "distance")

    def ours() -> None:
        agglomerative(ClusteringTask(vectors, *NO_GRAPH, Settings(similarity=0.5), THREADS))

    return {BARE: bare, "ours": ours}


CONTESTS: dict[str, tuple[int, Callable[[np.ndarray], Ways]]] = {
    "k-means, 50 000 x 256, k = 500": (50_000, kmeans_ways),
    "graph, 20 000 x 256, exact, k = 30": (20_000, exact_graph_ways),
    "graph, 50 000 x 256, 14 of 112 inverted lists, k = 30": (50_000, graph_ways),
    "average linkage, 10 000 x 256": (10_000, linkage_ways),
}
"""What is compared -> images, and the ways to do it."""


def ratios() -> None:
    vectors = images(50_000)
    faiss.omp_set_num_threads(THREADS)
    for title, (count, ways) in CONTESTS.items():
        found = ways(vectors[:count])
        measuring.show(title, measuring.in_turns(found, 3), count, BARE)
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file, vectors[:count])
            file.flush()
            peaks = [f"{way} {peak(file.name, title, way):,.0f}" for way in found]
        print(f"  peak memory beyond the vectors, MiB, each in a process of its own: {', '.join(peaks)}", flush=True)


def peak(file: str, title: str, way: str) -> float:
    """What the way adds to the memory of a process that holds the vectors, MiB."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_added, file, title, way).result()


def _added(file: str, title: str, way: str) -> float:
    faiss.omp_set_num_threads(THREADS)
    run = CONTESTS[title][1](np.load(file))[way]
    before = measuring.peak_mib()
    run()
    return measuring.peak_mib() - before


def one_date(count: int) -> dict[str, float]:
    """Cluster a date; seconds and peak memory of this process."""
    ids = pa.array([f"{i:032x}" for i in range(count)])
    rows = pa.table({"image_id": ids, "vector": to_column(images(count))})
    model = fit([rows.slice(0, 50_000)], ProjectionParams(), count)
    before, wall = measuring.cpu_seconds(), time.perf_counter()
    graph = neighbors(rows, model, NeighborsParams(), threads=THREADS)
    between, middle = measuring.cpu_seconds(), time.perf_counter()
    _, clusters, _ = cluster("2024-05-01", DateTables(rows, model, graph), ClusterParams(), threads=THREADS)
    after, end = measuring.cpu_seconds(), time.perf_counter()
    return {
        "images": count,
        "clusters": clusters.num_rows,
        "graph_cpu": between - before,
        "cluster_cpu": after - between,
        "wall": end - wall,
        "graph_wall": middle - wall,
        "peak_gib": measuring.peak_mib() / 2**10,
        "recall": recall(rows, model, graph),
    }


def recall(rows: pa.Table, model: pa.Table, graph: pa.Table) -> float:
    """Share of the true neighbours of some images that the graph has."""
    ids, vectors = apply(model, rows)
    chosen = np.sort(np.random.default_rng(0).choice(len(ids), min(SAMPLE, len(ids)), replace=False))
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    width = int(np.max(graph["rank"].to_numpy()))
    _, true = index.search(vectors[chosen], width + 1)
    found = {i: set() for i in chosen.tolist()}
    row = pc.index_in(graph["image_id"], value_set=pa.array([ids[i] for i in found]))
    kept = graph.append_column("place", row).filter(pc.is_valid(row))
    for place, other in zip(kept["place"].to_pylist(), kept["neighbor_id"].to_pylist(), strict=True):
        found[int(chosen[place])].add(other)
    hits = [len({ids[j] for j in row if j != i} & found[i]) for i, row in zip(found, true.tolist(), strict=True)]
    return float(np.mean(hits)) / width


def in_its_own_process(count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.bench_clustering", "--date", str(count), "--json"]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))


def show(found: dict[str, float]) -> None:
    count = found["images"]
    cpu = found["graph_cpu"] + found["cluster_cpu"]
    print(
        f"{count:10,.0f} images: {1000 * cpu / count:6.2f} CPU-ms an image"
        f" (graph {1000 * found['graph_cpu'] / count:.2f}, clusters {1000 * found['cluster_cpu'] / count:.2f});"
        f" {found['wall']:.0f} s wall; peak {found['peak_gib']:.2f} GiB; recall of the graph {found['recall']:.4f};"
        f" {found['clusters']:,.0f} clusters",
        flush=True,
    )


def many_dates(count: int) -> None:
    """Dates of 3 000 images from stored fingerprints, by Ray: memory of the driver after each tenth of them."""
    from tests.bench.year import run_year

    with tempfile.TemporaryDirectory() as folder:
        run_year(Path(folder), count, 3000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--date", type=int, help="one date of so many images, in this process")
    parser.add_argument("--dates", type=int, help="so many dates of 3 000 images")
    parser.add_argument("--json", action="store_true", help="print the date's figures as JSON")
    wanted = parser.parse_args()
    if wanted.date:
        found = one_date(wanted.date)
        print(json.dumps(found)) if wanted.json else show(found)
    elif wanted.dates:
        many_dates(wanted.dates)
    else:
        ratios()
        print("\none date, every default")
        for count in (1_000, 10_000, 50_000, 100_000):
            show(in_its_own_process(count))


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
