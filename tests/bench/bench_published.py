"""How clustering everything at once compares with published studies, and no method collapses.

    python -m tests.bench.bench_published            the rows of the issue
    FULL=1 python -m tests.bench.bench_published     every extractor x reduction x method on umist too

umist: 575 faces of 20 people, Ward's method at 20 clusters as in the studies.  bananas: the first study's protocol,
vectors alone and with weighted metadata (the manifest's bunch and treatment, each worth as much as the whole content),
clustered by k-means and agglomerative, before and after PCA and t-SNE, at 11 clusters.  Truth is read by the scorer,
and its number of subjects where a row says k.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image
from scipy.cluster.hierarchy import fcluster, linkage

from pipeline.compute.agglomerative import grow
from pipeline.compute.clustering import cluster_rows, noise_alone
from pipeline.compute.extractors.bag_of_sift import descriptors, fit_words
from pipeline.compute.geometry import augment, categorical
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.maps import MapSettings, make_map
from pipeline.compute.projection import unit_rows
from pipeline.compute.scoring.contingency import contingency
from pipeline.compute.scoring.partitions import partition_scores
from pipeline.compute.task import ClusteringTask, Settings
from pipeline.stages.choose import choose
from pipeline.stages.cluster_params import ClusterParams
from pipeline.stages.date_tables import settings_of
from pipeline.stages.fingerprint import Fingerprinter, FingerprintParams
from pipeline.stages.projection import ProjectionParams, apply, fit
from pipeline.stages.vectors import to_matrix
from tests import objects
from tests.bench.bench_clusterers import Dates, real_instruments, simulated_instruments
from tests.bench.dates import planted
from tests.shared_sets import DATA, rows_of

FULL = bool(os.environ.get("FULL"))
Vectors = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]

SHOWN = ("purity", "nmi_geometric", "fowlkes_mallows", "ari")
LINKAGES = ("average", "complete", "ward", "single")
METHODS: dict[str, Settings] = {
    "auto": Settings(),
    "kmeans": Settings(num_clusters=20, restarts=5),
    "average": Settings(num_clusters=20),
    "complete": Settings(num_clusters=20, linkage="complete"),
    "ward": Settings(num_clusters=20, linkage="ward"),
    "single": Settings(num_clusters=20, linkage="single"),
    "dbscan": Settings(similarity=0.7),
    "hdbscan": Settings(min_cluster_size=2),
    "leiden": Settings(),
    "components": Settings(similarity=0.7),
    "chinese_whispers": Settings(similarity=0.5),
}
"""What is asked of each method; those named by a linkage are agglomerative."""


def _chosen(method: str, **settings: str) -> ClusterParams:
    """By silhouette, among what `cluster.choose` tries where the config names no grid."""
    choose = {"by": {"silhouette": 1.0}, "min_clusters": 2, "max_cluster_fraction": 0.9}
    return ClusterParams.model_validate({"method": method, "choose": choose, **settings})


BY_ITSELF: dict[str, ClusterParams] = {
    "auto": ClusterParams(),
    "kmeans": _chosen("kmeans"),
    **{name: _chosen("agglomerative", linkage=name) for name in LINKAGES},
    **{name: _chosen(name) for name in ("dbscan", "hdbscan", "leiden", "components", "chinese_whispers")},
}
"""Methods as they set themselves on each date; no cluster above nine tenths of the images."""
KMEANS = Settings(num_clusters=11, restarts=5, spherical=False)


def fingerprints(name: str, extractor: str) -> pa.Table:
    paths = [row["path"] for row in rows_of(name)]
    images = objects.images(paths, [(DATA / name / path).read_bytes() for path in paths])
    return Fingerprinter(FingerprintParams(extractor=extractor))(images)


def ward(vectors: Vectors, count: int) -> Labels:
    return np.asarray(fcluster(linkage(vectors.astype(np.float64), "ward"), count, "maxclust"), dtype=np.int64)


def clustered(vectors: Vectors, method: str, settings: Settings, unit: bool = True) -> Labels:
    """The pipeline's own methods, noise as clusters of one; ``unit``: by angle."""
    rows = (unit_rows(vectors) if unit else vectors).astype(np.float32)
    graph = neighbor_graph(rows, 30, Search(unit=unit))
    task = ClusteringTask(rows, *graph, settings, unit=unit)
    return noise_alone(cluster_rows("agglomerative" if method in LINKAGES else method, task))


def report(name: str, truth: Sequence[str], found: Labels) -> dict[str, float]:
    scores = partition_scores(contingency(truth, found))
    shown = "  ".join(f"{scores[key]:.4f}" for key in SHOWN)
    print(f"{name:58s} {len(np.unique(found)):5d}  {shown}", flush=True)
    return scores


def reduced(table: pa.Table) -> Iterator[tuple[str, Vectors]]:
    """None, PCA, whitened PCA, t-SNE, UMAP of unit vectors."""
    yield "none", unit_rows(to_matrix(table["vector"]))
    for name, kind in (("PCA", "pca"), ("whitened PCA", "whitened_pca")):
        yield name, apply(fit([table], ProjectionParams(dimensions=20, reduction=kind), table.num_rows), table)[1]
    unit = unit_rows(to_matrix(table["vector"])).astype(np.float32)
    for name, method in (("t-SNE", "tsne"), ("UMAP", "umap")):
        yield name, make_map(unit, method, MapSettings(), Search())


def bags_of_sift(rows: Sequence[dict[str, str]], seeds: int, words: int = 256) -> Iterator[Vectors]:
    """The images' bags of SIFT, whose words are fitted on another half of the images for each seed."""
    images = [np.asarray(Image.open(DATA / "umist" / row["path"]).convert("RGB").resize((256, 256))) for row in rows]
    found = [descriptors(image) for image in images]
    for seed in range(seeds):
        half = np.random.default_rng(seed).permutation(len(found))[: len(found) // 2]
        centers = fit_words(np.concatenate([found[row] for row in half]), words).astype(np.float64)
        squares = (centers**2).sum(axis=1)
        nearest = [(squares - 2.0 * one @ centers.T).argmin(axis=1) for one in found]
        yield np.array([np.sqrt(np.bincount(one, minlength=len(centers)) / max(len(one), 1)) for one in nearest])


def umist() -> None:
    truth = [row["identity"] for row in rows_of("umist")]
    print(f"\n{'umist, 20 people':58s} found  " + "  ".join(SHOWN))
    pixels = fingerprints("umist", "raw_pixels:size=92x112:color=grey")
    report("raw 92x112 grey pixels, Ward k=20 (.5026 .6633 .3792)", truth, ward(to_matrix(pixels["vector"]), 20))
    rows = rows_of("umist")
    tried = [partition_scores(contingency(truth, ward(bags, 20))) for bags in bags_of_sift(rows, 5)]
    median = "  ".join(f"{np.median([one[key] for one in tried]):.4f}" for key in SHOWN)
    print(f"{'bag of SIFT, Ward k=20, median of 5 (.5548 .6544 .3584)':58s} {20:5d}  {median}", flush=True)
    print("published best, VGG19 fc1, Ward k=20:                             .654   .766   .518")
    for extractor in ("efficientnet_lite0", "classical/hog", *(["classical/lbp", "faces/dlib"] if FULL else [])):
        every = fingerprints("umist", extractor)
        table = every.filter(every["vector"].is_valid())
        found = [one for one, kept in zip(truth, every["vector"].is_valid().to_pylist(), strict=True) if kept]
        if table.num_rows < every.num_rows:
            print(f"{extractor}: {every.num_rows - table.num_rows} of {every.num_rows} images have no vector: left out")
        for name, vectors in reduced(table):
            for method, settings in METHODS.items() if FULL else [("ward", None), ("auto", METHODS["auto"])]:
                if settings is None or method == "ward":
                    report(f"{extractor}, {name}, Ward k=20", found, ward(vectors, 20))
                else:
                    report(f"{extractor}, {name}, {method}", found, clustered(vectors, method, settings))


def bananas() -> None:
    rows = rows_of("bananas")
    truth = [row["identity"] for row in rows]
    print(f"\n{'bananas, 11 fruits, 20 days at once, k=11':58s} found  " + "  ".join(SHOWN))
    table = fingerprints("bananas", "efficientnet_lite0")
    blocks = [(1.0, categorical([row[column] for row in rows])) for column in ("bunch", "treatment")]
    ways: dict[str, Callable[[Vectors], Labels]] = {
        "k-means": lambda v: clustered(v, "kmeans", KMEANS, unit=False),
        "agglomerative (Ward)": lambda v: ward(v, 11),
    }
    for name, vectors in reduced(table):
        if name in ("none", "PCA", "t-SNE"):
            scale = np.sqrt((vectors**2).sum(axis=1).mean())
            content = (vectors / scale).astype(np.float32)
            for what, seen in (("vectors", content), ("vectors + metadata", augment(content, 1.0, blocks))):
                for method, way in ways.items():
                    report(f"{what}, {name}, {method}", truth, way(seen))


def by_itself(vectors: Vectors, params: ClusterParams) -> Labels:
    rows = unit_rows(vectors).astype(np.float32)
    task = ClusteringTask(rows, *neighbor_graph(rows, 30, Search()), settings_of(params))
    settings = params.tried(len(rows))
    if not settings:
        return noise_alone(cluster_rows(params.method, task))
    tree = grow(task) if params.has_tree else None

    def cut(one: ClusteringTask, tried: Mapping[str, object]) -> Labels:
        return cluster_rows(params.method, replace(one, settings=settings_of(params.replaced(tried)), tree=tree))

    return noise_alone(choose(task, settings, cut, params.choose)[1])


def large_instruments() -> Iterator[Dates]:
    """Crowded dates: what single dates of some hundred images do not show."""
    for name, sizes, scatter in (
        ("1 000 singletons", [1] * 1000, 0.1),
        ("1 500 pairs", [2] * 1500, 0.1),
        ("3 000, half noise", [10] * 150 + [1] * 1500, 0.1),
        ("3 000, half noise", [10] * 150 + [1] * 1500, 0.3),
    ):
        yield Dates(f"sim {name}, {scatter}", [planted(sizes, scatter, 0)])


def collapse() -> None:
    """Each method's clusters a date beside the subjects; marked is what is one cluster, or all images alone."""
    print("\nclusters a date, mean; * on some date one cluster, ! all images alone, where the truth is neither")
    print(f"{'':30s}{'images':>7s}{'truth':>7s}" + "".join(f"{name[:9]:>10s}" for name in BY_ITSELF))
    real = real_instruments(Fingerprinter(FingerprintParams()))
    for instrument in (*real, *simulated_instruments(), *large_instruments()):
        dates = [(vectors, truth) for vectors, truth in instrument.dates if len(vectors) > 2]
        subjects = np.array([len(set(truth)) for _, truth in dates])
        size = np.array([len(truth) for _, truth in dates])
        row = ""
        for params in BY_ITSELF.values():
            count = np.array([len(np.unique(by_itself(vectors, params))) for vectors, _ in dates])
            mark = "*" * bool(((count == 1) & (subjects > 1)).any())
            mark += "!" * bool(((count == size) & (subjects < size)).any())
            row += f"{f'{count.mean():.0f}{mark}':>10s}"
        print(f"{instrument.name:30s}{size.mean():7.0f}{subjects.mean():7.0f}{row}", flush=True)


def main() -> None:
    print(__doc__)
    start = time.perf_counter()
    collapse()
    if not DATA.exists():
        print(f"no {DATA.name}: umist and bananas are left out")
    else:
        bananas()
        umist()
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
