"""How well `auto` clusters dates, beside the alternatives that were tried.

    python -m tests.bench.bench_clusterers

Sets: the sample; `../shared/data` where it is (bananas and emoji have one image a subject and date; `x 2`, `x 4` take
consecutive dates of theirs as the shots of one date; of umist, consecutive poses are the shots); simulated dates.
Fingerprints by the default extractor, projected by the default projection fitted on the whole set.  Truth is read by
the scorer, and by the two rows that say so.  A score is the mean over a set's dates.
"""

import argparse
import csv
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.cluster.hierarchy import linkage
from sklearn.cluster import HDBSCAN
from sklearn.metrics import silhouette_score

from pipeline.compute.agglomerative import condensed_distances
from pipeline.compute.auto import auto
from pipeline.compute.knn import Search, neighbor_graph
from pipeline.compute.scoring.contingency import contingency
from pipeline.compute.task import ClusteringTask
from pipeline.compute.trees import labels_of
from pipeline.digests import digest
from pipeline.sample import write_sample
from pipeline.stages.fingerprint import Fingerprinter, FingerprintParams
from pipeline.stages.projection import ProjectionParams, apply, fit
from tests.bench.dates import planted

CACHE = Path(os.environ.get("OUT", "out")) / "vectors"
SHARED = Path(__file__).parents[3] / "shared" / "data"
Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Clusterer = Callable[[Vectors], Labels]
SHOWN = ("pairwise_precision", "pairwise_recall", "pairwise_f", "bcubed_f")


@dataclass(frozen=True)
class Photographs:
    """A set: vectors in one order, with each one's subject and date."""

    vectors: Vectors
    subject: npt.NDArray[np.str_]
    date: npt.NDArray[np.str_]


@dataclass(frozen=True)
class Dates:
    """An instrument: dates, each vectors and subjects."""

    name: str
    dates: list[tuple[Vectors, npt.NDArray[np.generic]]]


# --- the sets -------------------------------------------------------------------------------------------------------


def photographs(fingerprinter: Fingerprinter, root: Path, rows: Sequence[tuple[str, str, str]]) -> Photographs:
    """Fingerprint and project (path, subject, date) below ``root``; fingerprints are kept in ``CACHE`` by content."""
    paths = sorted(rows)
    images = pa.table(
        {
            "image_id": [path for path, _, _ in paths],
            "content_hash": pa.array([None] * len(paths), pa.string()),
            "region": pa.nulls(len(paths)),
            "pixels": [(root / path).read_bytes() for path, _, _ in paths],
            "reason": pa.array([None] * len(paths), pa.string()),
        }
    )
    kept = CACHE / f"{digest([repr(FingerprintParams()), images['image_id'].to_pylist(), _hashes(images)])}.parquet"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        pq.write_table(fingerprinter(images), kept)
    found = pq.read_table(kept)
    model = fit([found], ProjectionParams(), len(paths))
    _, vectors = apply(model, found)
    _, subjects, dates = zip(*paths, strict=True)
    return Photographs(vectors, np.array(subjects), np.array(dates))


def _hashes(images: pa.Table) -> list[str]:
    return [hashlib.blake2b(pixels, digest_size=16).hexdigest() for pixels in images["pixels"].to_pylist()]


def shared_set(fingerprinter: Fingerprinter, name: str) -> Photographs:
    with (SHARED / name / "manifest.csv").open() as file:
        rows = [(r["path"], r["identity"], r.get("captured_at", "")[:10]) for r in csv.DictReader(file)]
    return photographs(fingerprinter, SHARED / name, rows)


def sample_set(fingerprinter: Fingerprinter) -> Photographs:
    with tempfile.TemporaryDirectory() as folder:
        report = write_sample(Path(folder))
        with report.truth.open() as file:
            truth = [(row["path"], row["identity"]) for row in csv.DictReader(file)]
        rows = [(path, subject, taken(report.images / path)) for path, subject in truth]
        return photographs(fingerprinter, report.images, rows)


def taken(path: Path) -> str:
    stamp = Image.open(path).getexif().get_ifd(0x8769)[36867]
    return str(datetime.strptime(stamp, "%Y:%m:%d %H:%M:%S").date())


def by_date(name: str, photos: Photographs, together: int = 1) -> Dates:
    """Dates of ``photos``, ``together`` consecutive ones taken as one."""
    order = np.unique(photos.date, return_inverse=True)[1] // together
    parts = [order == d for d in range(order.max() + 1)]
    label = name if together == 1 else f"{name} x {together}"
    return Dates(label, [(photos.vectors[part], photos.subject[part]) for part in parts])


def poses(photos: Photographs, shots: int | None) -> Dates:
    """Dates of umist: every fourth pose and up to three that follow (1 to 4 shots, seeded), or ``shots``."""
    rng = np.random.default_rng(0)
    dates: dict[int, list[int]] = {}
    for person in np.unique(photos.subject):
        rows = np.flatnonzero(photos.subject == person)
        for date, start in enumerate(range(0, len(rows) - 3, 4)):
            dates.setdefault(date, []).extend(rows[start : start + (shots or rng.integers(1, 5))])
    name = "umist, 1 to 4 poses" if shots is None else f"umist, {shots} pose"
    return Dates(name, [(photos.vectors[rows], photos.subject[rows]) for rows in dates.values()])


def real_instruments(fingerprinter: Fingerprinter) -> Iterator[Dates]:
    yield by_date("sample", sample_set(fingerprinter))
    if not SHARED.exists():
        print(f"no {SHARED.name}: bananas, emoji and umist are left out")
        return
    bananas, emoji, umist = (shared_set(fingerprinter, name) for name in ("bananas", "emoji", "umist"))
    yield from (by_date("bananas", bananas, n) for n in (1, 2, 4))
    yield from (by_date("emoji", emoji, n) for n in (1, 2))
    yield from (poses(umist, 1), poses(umist, None), by_date("umist", umist))


def simulated_instruments() -> Iterator[Dates]:
    rng = np.random.default_rng(0)
    kinds: dict[str, tuple[list[int], float]] = {
        "singletons": ([1] * 150, 1.0),
        "few large": ([100] * 5, 1.0),
        "many small": ([3] * 100, 1.0),
        "pairs": ([2] * 60, 1.0),
        "1 to 20 shots": (rng.integers(1, 21, size=30).tolist(), 1.0),
        "half noise": ([10] * 10 + [1] * 100, 1.0),
        "4 of 5 noise": ([20] * 5 + [1] * 400, 1.0),
        "one huge": ([300] + [1] * 60, 1.0),
        "3x spread of scatter": ([5] * 40, 3.0),
        "two subjects": ([4, 4], 1.0),
    }
    for name, (sizes, spread) in kinds.items():
        for scatter in (0.1, 0.3):
            dates = [planted(sizes, scatter, seed, spread) for seed in range(3)]
            yield Dates(f"sim {name}, {scatter}", [(vectors, truth) for vectors, truth in dates])


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


def hdbscan(vectors: Vectors) -> Labels:
    """HDBSCAN from two images on; its noise are clusters of one."""
    if len(vectors) < 3:
        return one_each(vectors)
    labels = HDBSCAN(min_cluster_size=2, allow_single_cluster=False, copy=True).fit_predict(vectors).astype(np.int64)
    return np.where(labels < 0, len(vectors) + one_each(vectors), labels)


ALTERNATIVES: dict[str, Clusterer] = {
    "auto": by_auto,
    "one each": one_each,
    "gap of two": gap_of_two,
    "silhouette": best_silhouette,
    "hdbscan": hdbscan,
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


def report(dates: Dates) -> dict[str, float]:
    """Print one line; returns the B-cubed F of every column."""
    every = {name: scores([cluster(v) for v, _ in dates.dates], dates) for name, cluster in ALTERNATIVES.items()}
    ours = every["auto"]
    images = np.mean([len(truth) for _, truth in dates.dates])
    subjects = np.mean([len(np.unique(truth)) for _, truth in dates.dates])
    columns = {name: found["bcubed_f"] for name, found in every.items()}
    columns |= {"told the cut": told_the_cut(dates), "told k": told_k(dates)}
    print(
        f"{dates.name:30s}{len(dates.dates):4d}{images:7.0f}{subjects:6.0f}{ours['clusters']:7.1f}"
        + "".join(f"{ours[name]:6.3f}" for name in SHOWN[:3])
        + " |"
        + "".join(f"{value:13.3f}" for value in columns.values()),
        flush=True,
    )
    return columns


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    started = time.perf_counter()
    columns = [*ALTERNATIVES, "told the cut", "told k"]
    print(f"{'':30s}{'of auto, a date':^38s}  | B-cubed F")
    head = f"{'set':30s}{'n':>4s}{'images':>7s}{'subj':>6s}{'clust':>7s}{'P':>6s}{'R':>6s}{'F':>6s} |"
    print(head + "".join(f"{name:>13s}" for name in columns))
    real = [report(dates) for dates in real_instruments(Fingerprinter(FingerprintParams()))]
    simulated = [report(dates) for dates in simulated_instruments()]
    for name, rows in (("mean of the real sets", real), ("mean of the simulated", simulated)):
        print(f"{name:74s}" + "".join(f"{np.mean([row[c] for row in rows]):13.3f}" for c in columns))
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
