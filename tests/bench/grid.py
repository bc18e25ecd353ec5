"""Everything at once by every extractor x reduction x method (`FULL=1 make bench-quality`).

    python -m tests.bench.grid [WORD...]       WORD: only the sets and extractors that have it in their names

Sets: umist (575 faces of 20 people) and bananas (220 photographs of 11 fruits on 20 days).  k-means and the four
linkages are told the number of subjects; the others are told nothing: `auto`, and those that choose among similarities,
`min_samples` or resolutions by silhouette (no cluster above nine tenths of the images).  Vectors count by their angle,
maps (t-SNE, UMAP: two dimensions, scaled to a mean square of 1) by distance.  Truth is read by the scorer, and for k.

Printed is Fowlkes-Mallows / the number of clusters; written to OUT (default out) is grid.json, with all scores.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.compute.scoring.contingency import contingency
from pipeline.compute.scoring.partitions import partition_scores
from pipeline.stages.cluster_params import ClusterParams
from pipeline.stages.vectors import to_matrix
from tests.bench.bench_published import MAPS, bags_of_sift, kept, reduced
from tests.bench.by_itself import BY_ITSELF, LINKAGES, Labels, Vectors, chosen, clustered
from tests.bench.processes import each
from tests.shared_sets import DATA, rows_of

OUT = Path(os.environ.get("OUT", "out"))
SETS = ("umist", "bananas")
BAGS = "classical/bag_of_sift"
EXTRACTORS = (
    *("efficientnet_lite0", "faces/dlib", "classical/colour_histogram", "classical/hog", "classical/lbp", BAGS),
    "raw_pixels:size=23x28:color=grey",
)
"""All whose weights come with the install; of more pixels a covariance would not fit in memory."""
FEWEST = 50
"""Images with a vector below which there is nothing to compare: fruit has no faces."""
NEAR = [round(1.0 - 2.0 ** -(step / 2), 5) for step in range(1, 21)]
"""Similarities (1 - half the squared distance) that are tried on maps, whose clusters are small beside the whole."""
TOLD = ("kmeans", *LINKAGES)
SHOWN = ("purity", "nmi_geometric", "fowlkes_mallows", "ari")

Row = dict[str, str | float]


def settings(method: str, on_map: bool, num: int) -> ClusterParams:
    """What is asked of a method; ``num`` of those that are told."""
    if method == "kmeans":
        return ClusterParams(method="kmeans", num_clusters=num, restarts=5)
    metric = {"metric": "euclidean"} if on_map else {}
    if method in LINKAGES:
        return ClusterParams.model_validate(
            {"method": "agglomerative", "linkage": method, "num_clusters": num, **metric}
        )
    if on_map and method in ("dbscan", "components", "chinese_whispers"):
        return chosen(method, grid=[{"similarity": NEAR}], **metric)
    return chosen("hdbscan", **metric) if method == "hdbscan" else BY_ITSELF[method]


def vectors_of(name: str, extractor: str) -> tuple[Vectors, list[str]]:
    """The vectors of the images that have one, and whose they are."""
    rows = rows_of(name)
    truth = [row["identity"] for row in rows]
    if extractor == BAGS:
        return next(bags_of_sift(name, rows, 1)), truth
    found = kept(name, extractor)["vector"]
    has = found.is_valid().to_pylist()
    return to_matrix(found.drop_null()), [who for who, there in zip(truth, has, strict=True) if there]


def cells(asked: tuple[str, str]) -> list[Row]:
    """Of a set and an extractor, the scores of every reduction and method."""
    name, extractor = asked
    vectors, truth = vectors_of(name, extractor)
    out: list[Row] = []
    if len(truth) < FEWEST:
        return out
    for reduction, seen in reduced(vectors):
        on_map = reduction in MAPS
        scaled = seen / np.sqrt((seen**2).sum(axis=1).mean()) if on_map else seen
        for method in BY_ITSELF:
            found = clustered(scaled, settings(method, on_map, len(set(truth))), unit=not on_map)
            cell: Row = {"set": name, "extractor": extractor, "reduction": reduction, "method": method}
            out.append({**cell, "images": len(truth), **_scores(truth, found)})
    return out


def _scores(truth: list[str], found: Labels) -> dict[str, float]:
    scores = partition_scores(contingency(truth, found))
    return {"clusters": len(np.unique(found)), **{name: scores[name] for name in SHOWN}}


def lines(rows: list[Row]) -> Iterator[str]:
    """A line a reduction of one set and extractor."""
    for at in range(0, len(rows), len(BY_ITSELF)):
        some = rows[at : at + len(BY_ITSELF)]
        head = f"{some[0]['set']!s:9s}{str(some[0]['extractor']).split(':')[0]:28s}{some[0]['images']:4d} "
        yield f"{head}{some[0]['reduction']!s:13s}" + "".join(
            f"{one['fowlkes_mallows']:>8.3f}/{one['clusters']:<3d}" for one in some
        )


def main() -> None:
    print(__doc__)
    if not DATA.exists():
        print(f"no {DATA.name}: umist and bananas are left out")
        return
    start, found = time.perf_counter(), list[Row]()
    told = [f"{method}{', k' if method in TOLD else ''}" for method in BY_ITSELF]
    print(f"{'':55s}" + "".join(f"{name.replace('chinese_', ''):>12s}" for name in told))
    asked = [(name, extractor) for name in SETS for extractor in EXTRACTORS]
    wanted = [one for one in asked if any(word in " ".join(one) for word in sys.argv[1:] or [""])]
    for rows in each(cells, wanted):
        found += rows
        print(*lines(rows), sep="\n", flush=True)
    print(f"{len(found)} cells, {time.perf_counter() - start:.0f} s")
    for name in SETS:
        mine = sorted((one for one in found if one["set"] == name), key=lambda one: -float(one["fowlkes_mallows"]))
        print(f"\n{name}, the best ten by Fowlkes-Mallows: clusters, {', '.join(SHOWN)}")
        for one in mine[:10]:
            words = f"{one['extractor']}, {one['reduction']}, {one['method']}"
            print(f"{words:70s}{one['clusters']:5d}" + "".join(f"{one[score]:9.4f}" for score in SHOWN))
    OUT.mkdir(exist_ok=True)
    (OUT / "grid.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
