"""How clustering everything at once compares with two published studies.

    python -m tests.bench.bench_published

umist: 575 faces of 20 people, Ward's method at 20 clusters as in the studies.  bananas: the first study's protocol,
vectors alone and with weighted metadata (the manifest's bunch and treatment, each worth as much as the whole content),
clustered by k-means and agglomerative, before and after PCA and t-SNE, at 11 clusters.  Truth is read by the scorer,
and its number of subjects where a row says k.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from PIL import Image
from scipy.cluster.hierarchy import fcluster, linkage

from pipeline.compute.extractors.bag_of_sift import descriptors, fit_words
from pipeline.compute.geometry import augment, categorical
from pipeline.compute.knn import Search
from pipeline.compute.maps import MapSettings, make_map
from pipeline.compute.projection import unit_rows
from pipeline.compute.scoring.contingency import contingency
from pipeline.compute.scoring.partitions import partition_scores
from pipeline.stages.cluster_params import ClusterParams
from pipeline.stages.fingerprint import FingerprintParams
from pipeline.stages.projection import ProjectionParams, apply, fit
from pipeline.stages.vectors import to_column, to_matrix
from tests.bench.by_itself import BY_ITSELF, Labels, Vectors, clustered
from tests.bench.sets import fingerprints
from tests.shared_sets import DATA, rows_of

SHOWN = ("purity", "nmi_geometric", "fowlkes_mallows", "ari")
MAPS = {"t-SNE": "tsne", "UMAP": "umap"}
KMEANS = ClusterParams(method="kmeans", num_clusters=11, restarts=5, spherical=False)


def kept(name: str, extractor: str) -> pa.Table:
    """Fingerprints of a shared set, in the order of its manifest."""
    return fingerprints(FingerprintParams(extractor=extractor), [row["path"] for row in rows_of(name)], DATA / name)


def ward(vectors: Vectors, count: int) -> Labels:
    return np.asarray(fcluster(linkage(vectors.astype(np.float64), "ward"), count, "maxclust"), dtype=np.int64)


def report(name: str, truth: Sequence[str], found: Labels) -> dict[str, float]:
    scores = partition_scores(contingency(truth, found))
    shown = "  ".join(f"{scores[key]:.4f}" for key in SHOWN)
    print(f"{name:58s} {len(np.unique(found)):5d}  {shown}", flush=True)
    return scores


def reduced(vectors: Vectors) -> Iterator[tuple[str, Vectors]]:
    """None, PCA, whitened PCA, t-SNE, UMAP of unit vectors."""
    unit = unit_rows(vectors)
    yield "none", unit
    ids = [f"{row:05d}" for row in range(len(vectors))]
    table = pa.table({"image_id": ids, "vector": to_column(vectors.astype(np.float32))})
    for name, kind in (("PCA", "pca"), ("whitened PCA", "whitened_pca")):
        yield name, apply(fit([table], ProjectionParams(dimensions=20, reduction=kind), len(ids)), table)[1]
    for name, method in MAPS.items():
        yield name, make_map(unit.astype(np.float32), method, MapSettings(), Search())


def bags_of_sift(name: str, rows: Sequence[dict[str, str]], seeds: int, words: int = 256) -> Iterator[Vectors]:
    """The images' bags of SIFT, whose words are fitted on another half of the images for each seed."""
    images = [np.asarray(Image.open(DATA / name / row["path"]).convert("RGB").resize((256, 256))) for row in rows]
    found = [descriptors(image) for image in images]
    for seed in range(seeds):
        half = np.random.default_rng(seed).permutation(len(found))[: len(found) // 2]
        centers = fit_words(np.concatenate([found[row] for row in half]), words).astype(np.float64)
        squares = (centers**2).sum(axis=1)
        nearest = [(squares - 2.0 * one @ centers.T).argmin(axis=1) for one in found]
        yield np.array([np.sqrt(np.bincount(one, minlength=len(centers)) / max(len(one), 1)) for one in nearest])


def umist() -> None:
    rows = rows_of("umist")
    truth = [row["identity"] for row in rows]
    print(f"\n{'umist, 20 people':58s} found  " + "  ".join(SHOWN))
    pixels = kept("umist", "raw_pixels:size=92x112:color=grey")
    report("raw 92x112 grey pixels, Ward k=20 (.5026 .6633 .3792)", truth, ward(to_matrix(pixels["vector"]), 20))
    tried = [partition_scores(contingency(truth, ward(bags, 20))) for bags in bags_of_sift("umist", rows, 5)]
    median = "  ".join(f"{np.median([one[key] for one in tried]):.4f}" for key in SHOWN)
    print(f"{'bag of SIFT, Ward k=20, median of 5 (.5548 .6544 .3584)':58s} {20:5d}  {median}", flush=True)
    print("published best, VGG19 fc1, Ward k=20:                             .654   .766   .518")
    for extractor in ("efficientnet_lite0", "classical/hog", "classical/lbp"):
        vectors = to_matrix(kept("umist", extractor)["vector"])
        report(f"{extractor}, auto", truth, clustered(vectors, BY_ITSELF["auto"]))
        for name, seen in reduced(vectors):
            report(f"{extractor}, {name}, Ward k=20", truth, ward(seen, 20))


def bananas() -> None:
    rows = rows_of("bananas")
    truth = [row["identity"] for row in rows]
    print(f"\n{'bananas, 11 fruits, 20 days at once, k=11':58s} found  " + "  ".join(SHOWN))
    found = to_matrix(kept("bananas", "efficientnet_lite0")["vector"])
    blocks = [(1.0, categorical([row[column] for row in rows])) for column in ("bunch", "treatment")]
    ways: dict[str, Callable[[Vectors], Labels]] = {
        "k-means": lambda v: clustered(v, KMEANS, unit=False),
        "agglomerative (Ward)": lambda v: ward(v, 11),
    }
    for name, vectors in reduced(found):
        if name in ("none", "PCA", "t-SNE"):
            scale = np.sqrt((vectors**2).sum(axis=1).mean())
            content = (vectors / scale).astype(np.float32)
            for what, seen in (("vectors", content), ("vectors + metadata", augment(content, 1.0, blocks))):
                for method, way in ways.items():
                    report(f"{what}, {name}, {method}", truth, way(seen))


def main() -> None:
    print(__doc__)
    if not DATA.exists():
        print(f"no {DATA.name}: umist and bananas are left out")
        return
    start = time.perf_counter()
    bananas()
    umist()
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
