"""How well `auto` clusters dates, beside the alternatives that were tried.

    python -m tests.bench.bench_clusterers

Sets: the sample; `../shared/data` where it is (bananas and emoji have one image a subject and date; `x 2`, `x 4` take
consecutive dates of theirs as the shots of one date; of umist, consecutive poses are the shots); simulated dates.
Fingerprints by the default extractor, projected by the default projection fitted on the whole set.  Truth is read by
the scorer, and by the columns that say so.  A score is the mean over a set's dates.

The second table has every other method with the one setting, of those tried, that is best over all sets together: no
set's own, but chosen with the labels, which flatters them beside `auto`.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import linkage
from sklearn.metrics import silhouette_score

from pipeline.compute.agglomerative import condensed_distances
from pipeline.compute.auto import auto
from pipeline.compute.clustering import cluster_rows, noise_alone
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.scoring.contingency import contingency
from pipeline.compute.task import ClusteringTask, Settings
from pipeline.compute.trees import labels_of
from tests.bench.processes import each
from tests.bench.sets import Dates, Vectors, real_instruments, simulated_instruments

Labels = npt.NDArray[np.int64]
Clusterer = Callable[[Vectors], Labels]
SHOWN = ("pairwise_precision", "pairwise_recall", "pairwise_f", "bcubed_f")


# --- the clusterers -------------------------------------------------------------------------------------------------


def by_auto(vectors: Vectors) -> Labels:
    return auto(ClusteringTask(vectors, *neighbor_graph(vectors, 30, Search())))


def one_each(vectors: Vectors) -> Labels:
    return np.arange(len(vectors))


def tree(vectors: Vectors) -> npt.NDArray[np.float64]:
    return linkage(condensed_distances(vectors), "average") if len(vectors) > 1 else np.zeros((0, 4))


def gap_of_two(vectors: Vectors) -> Labels:
    """The topmost branches whose next merge is at least twice as high: the idea of `auto` without its model."""
    lines = tree(vectors)
    above = np.full(2 * len(lines) + 1, np.inf)
    above[lines[:, :2].astype(int)] = lines[:, 2][:, None]
    next_height = above[len(lines) + 1 :]
    return labels_of(lines, (next_height >= 2 * lines[:, 2]) & np.isfinite(next_height))


def best_silhouette(vectors: Vectors) -> Labels:
    """The cut of average linkage with the best mean silhouette."""
    lines = tree(vectors)
    best, labels = -1.0, one_each(vectors)
    for k in np.unique(np.geomspace(2, max(len(vectors) - 1, 2), 30).astype(int)):
        if not 1 < k < len(vectors):
            continue
        cut = labels_of(lines, np.arange(len(lines)) < len(lines) + 1 - k)
        score = silhouette_score(vectors, cut, metric="cosine")
        if score > best:
            best, labels = score, cut
    return labels


def by_method(method: str, **settings: object) -> Clusterer:
    """A method of the registry with some settings; noise are clusters of one."""

    def cluster(vectors: Vectors) -> Labels:
        task = ClusteringTask(vectors, *neighbor_graph(vectors, 30, Search()), Settings(**settings))
        return noise_alone(cluster_rows(method, task))

    return cluster


SIMILARITIES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FAMILIES: dict[str, dict[str, Clusterer]] = {
    "average": {f"{s}": by_method("agglomerative", similarity=s) for s in SIMILARITIES},
    "complete": {f"{s}": by_method("agglomerative", similarity=s, linkage="complete") for s in SIMILARITIES},
    "single": {f"{s}": by_method("agglomerative", similarity=s, linkage="single") for s in SIMILARITIES},
    "ward": {f"{s}": by_method("agglomerative", similarity=s, linkage="ward") for s in (-0.5, 0, *SIMILARITIES)},
    "components": {f"{s}": by_method("components", similarity=s) for s in SIMILARITIES},
    "whispers": {f"{s}": by_method("chinese_whispers", similarity=s) for s in SIMILARITIES},
    "dbscan": {f"{s}": by_method("dbscan", similarity=s, min_samples=2) for s in SIMILARITIES},
    "leiden": {f"{r}": by_method("leiden", resolution=r) for r in (1.0, 3.0, 10.0, 30.0, 100.0)},
    "leiden at .5": {f"{r}": by_method("leiden", resolution=r, similarity=0.5) for r in (1.0, 10.0, 100.0)},
    "hdbscan": {f"{m}": by_method("hdbscan", min_samples=m) for m in (1, 2, 3)},
}
"""Method -> the settings that are tried."""

ALTERNATIVES: dict[str, Clusterer] = {
    "auto": by_auto,
    "one each": one_each,
    "gap of two": gap_of_two,
    "silhouette": best_silhouette,
}


# --- the scores -----------------------------------------------------------------------------------------------------


def date_scores(truth: npt.NDArray[np.generic], found: Labels) -> dict[str, float]:
    """What is shown of `partition_scores` (all of it costs more than the clustering)."""
    table = contingency(truth, found)
    right, claimed, true = (float((n * (n - 1.0)).sum()) for n in (table.count, table.column_size, table.row_size))
    squares = table.count.astype(np.float64) ** 2 / table.num_images
    pairs = (right / claimed if claimed else 1.0, right / true if true else 1.0)
    bcubed = ((squares / table.column_size[table.column]).sum(), (squares / table.row_size[table.row]).sum())
    return dict(zip(SHOWN, (*pairs, harmonic(*pairs), harmonic(*bcubed)), strict=True))


def harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second) if first + second else 0.0


def scores(found: list[Labels], dates: Dates) -> dict[str, float]:
    parts = [date_scores(truth, f) for f, (_, truth) in zip(found, dates.dates, strict=True)]
    means = {name: float(np.mean([part[name] for part in parts])) for name in SHOWN}
    return means | {"clusters": float(np.mean([len(np.unique(f)) for f in found]))}


def told_the_cut(dates: Dates) -> float:
    """B-cubed F of average linkage cut at the one similarity that is best for the set."""
    trees = [tree(vectors) for vectors, _ in dates.dates]
    cuts = np.linspace(0.01, 1.2, 40)
    return max(scores([labels_of(t, t[:, 2] <= cut) for t in trees], dates)["bcubed_f"] for cut in cuts)


def told_k(dates: Dates) -> float:
    """B-cubed F of average linkage told each date's number of subjects."""
    found = []
    for vectors, truth in dates.dates:
        lines = tree(vectors)
        found.append(labels_of(lines, np.arange(len(lines)) < len(lines) + 1 - len(np.unique(truth))))
    return scores(found, dates)["bcubed_f"]


def kmeans_told_k(dates: Dates) -> float:
    """B-cubed F of spherical k-means told each date's number of subjects."""
    found = [by_method("kmeans", num_clusters=len(np.unique(truth)))(vectors) for vectors, truth in dates.dates]
    return scores(found, dates)["bcubed_f"]


def judged(dates: Dates) -> tuple[str, dict[str, float]]:
    """A line, and the B-cubed F of every column."""
    every = {name: scores([cluster(v) for v, _ in dates.dates], dates) for name, cluster in ALTERNATIVES.items()}
    ours = every["auto"]
    images = np.mean([len(truth) for _, truth in dates.dates])
    subjects = np.mean([len(np.unique(truth)) for _, truth in dates.dates])
    columns = {name: found["bcubed_f"] for name, found in every.items()}
    columns |= {"told the cut": told_the_cut(dates), "told k": told_k(dates), "k-means, k": kmeans_told_k(dates)}
    line = f"{dates.name:30s}{len(dates.dates):4d}{images:7.0f}{subjects:6.0f}{ours['clusters']:7.1f}"
    line += "".join(f"{ours[name]:6.3f}" for name in SHOWN[:3]) + " |"
    line += "".join(f"{value:13.3f}" for value in columns.values())
    for family, tried in FAMILIES.items():
        for setting, cluster in tried.items():
            columns[f"{family} {setting}"] = scores([cluster(v) for v, _ in dates.dates], dates)["bcubed_f"]
    return line, columns


def second_table(names: Sequence[str], rows: Sequence[dict[str, float]], kinds: dict[str, slice]) -> None:
    """Each family at its best setting over all sets; then the means, and what all settings reached."""
    means = {column: float(np.mean([row[column] for row in rows])) for column in rows[0]}
    best = {f: max((f"{f} {s}" for s in tried), key=means.__getitem__) for f, tried in FAMILIES.items()}
    shown = ["auto", *best.values()]
    print(f"\n{'B-cubed F':30s}" + "".join(f"{name:>18s}" for name in shown))
    for name, row in zip(names, rows, strict=True):
        print(f"{name:30s}" + "".join(f"{row[column]:18.3f}" for column in shown))
    for kind, part in kinds.items():
        print(f"{kind:30s}" + "".join(f"{np.mean([row[c] for row in rows[part]]):18.3f}" for c in shown))
    print(f"{'mean of all':30s}" + "".join(f"{means[column]:18.3f}" for column in shown))
    print("\nall that was tried, mean over all sets:")
    for family, tried in FAMILIES.items():
        print(f"  {family:14s}" + "  ".join(f"{s}: {means[f'{family} {s}']:.3f}" for s in tried))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    started = time.perf_counter()
    columns = [*ALTERNATIVES, "told the cut", "told k", "k-means, k"]
    print(f"{'':30s}{'of auto, a date':^38s}  | B-cubed F")
    head = f"{'set':30s}{'n':>4s}{'images':>7s}{'subj':>6s}{'clust':>7s}{'P':>6s}{'R':>6s}{'F':>6s} |"
    print(head + "".join(f"{name:>13s}" for name in columns))
    real = list(real_instruments())
    every = [*real, *simulated_instruments()]
    names, found = [dates.name for dates in every], []
    for line, row in each(judged, every):
        found.append(row)
        print(line, flush=True)
    kinds = {"mean of the real sets": slice(len(real)), "mean of the simulated": slice(len(real), None)}
    for kind, part in kinds.items():
        print(f"{kind:74s}" + "".join(f"{np.mean([row[c] for row in found[part]]):13.3f}" for c in columns))
    second_table(names, found, kinds)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
