"""How well subjects are followed, beside simpler ways, on real sets and simulated worlds.

    python -m tests.bench.quality            some 3 000 decisions a world
    FULL=1 python -m tests.bench.quality     20 000 decisions a world

Sets: the sample and, where it is, `../shared/data`, in three forms: every image its own cluster, the true clusters of
each date, and those of the default clusterer; fingerprints and projection are the pipeline's defaults.  Truth is read
by the scorer and by the rows that say so.  `false` and `recall` are of links; [low, high] is a 95 % bootstrap over
subjects.  `oracle` is one-to-one linking at the single similarity threshold that gives the best F of links, chosen with
the labels.  Ward and average linkage are told the number of subjects.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from pipeline.compute.scoring.contingency import contingency
from pipeline.compute.scoring.partitions import partition_scores
from pipeline.stages.fingerprint import Fingerprinter, FingerprintParams
from tests.bench.bench_clusterers import SHARED, Photographs, by_auto, sample_set, shared_set
from tests.bench.following import PARAMS, Outcome, follow, nearest, ours, pooled, threshold
from tests.bench.worlds import WORLDS, Day, Ints, generate

FULL = bool(os.environ.get("FULL"))
DECISIONS = 20_000 if FULL else 3_000
MOST_WARD = 6_000
"""Images up to which all pairs are clustered."""

HEAD = (
    f"{'':24s} clusters  IDF1   false  [low,    high  ]  recall | oracle: false, recall | false a cluster, ECE |"
    " IDF1 of the oracle, chained, Ward, average"
)


@dataclass(frozen=True)
class Instrument:
    """Runs of dates; ``worlds`` are independent of each other."""

    name: str
    worlds: list[list[Day]]


def simulated() -> Iterator[Instrument]:
    for name, knobs in WORLDS.items():
        worlds, clusters = [], 0
        while clusters < DECISIONS and len(worlds) < 500:
            worlds.append(list(generate(knobs, len(worlds))))
            clusters += sum(len(day.starts) for day in worlds[-1])
        yield Instrument(name, worlds)


def real() -> Iterator[Instrument]:
    fingerprinter = Fingerprinter(FingerprintParams())
    sets = {"sample": sample_set(fingerprinter)}
    if SHARED.exists():
        sets |= {name: shared_set(fingerprinter, name) for name in ("bananas", "emoji")}
    else:
        print(f"no {SHARED.name}: bananas and emoji are left out")
    for name, photos in sets.items():
        subject = np.unique(photos.subject, return_inverse=True)[1]
        yield Instrument(f"{name}, each image", [days(photos, subject, "each")])
        yield Instrument(f"{name}, true clusters", [days(photos, subject, "true")])
        yield Instrument(f"{name}, clustered", [days(photos, subject, "auto")])


def days(photos: Photographs, subject: Ints, form: str) -> list[Day]:
    """The dates of a set, clustered in one of the three forms."""
    out = []
    for t, date in enumerate(np.unique(photos.date[photos.date != ""])):
        rows = np.flatnonzero(photos.date == date)
        label = {"each": np.arange(len(rows)), "true": subject[rows]}.get(form)
        group = by_auto(photos.vectors[rows]) if label is None else label
        order = np.argsort(group, kind="stable")
        starts = np.flatnonzero(np.append(True, group[order][1:] != group[order][:-1]))
        whose = subject[rows[order]]
        of_cluster = np.array([np.bincount(part).argmax() for part in np.split(whose, starts[1:])])
        out.append(Day(t, photos.vectors[rows[order]], starts, of_cluster, whose))
    return out


def oracle(worlds: Sequence[Sequence[Day]]) -> Outcome:
    """The best single threshold by the F of links."""

    def quality(outcome: Outcome) -> float:
        precision, recall = 1.0 - outcome.false_link_rate(), outcome.recall()
        return 2 * precision * recall / max(precision + recall, 1e-9)

    tried = [pooled([follow(world, threshold(least)) for world in worlds]) for least in np.arange(0.2, 1.0, 0.1)]
    return max(tried, key=quality)


def global_clustering(world: Sequence[Day], method: str) -> float:
    """IDF1 of clustering everything at once, told the number of subjects."""
    vectors = np.concatenate([day.vectors for day in world])
    subject = np.concatenate([day.image_subject for day in world])
    num = len(np.unique(subject))
    if len(vectors) > MOST_WARD or len(vectors) <= num:
        return float("nan")
    found = fcluster(linkage(vectors, method), num, "maxclust")
    return partition_scores(contingency(subject, found))["idf1"]


def interval(outcome: Outcome) -> tuple[float, float]:
    """95 % bootstrap over subjects of the false-link rate."""
    code = np.unique(outcome.subject, return_inverse=True)[1]
    links = np.bincount(code, outcome.linked >= 0)
    false = np.bincount(code, (outcome.linked >= 0) & ~outcome.right)
    pick = np.random.default_rng(0).integers(len(links), size=(400, len(links)))
    rates = false[pick].sum(axis=1) / np.maximum(links[pick].sum(axis=1), 1)
    return float(np.quantile(rates, 0.025)), float(np.quantile(rates, 0.975))


def row(instrument: Instrument) -> str:
    mine = pooled([follow(world, ours()) for world in instrument.worlds])
    best = oracle(instrument.worlds)
    low, high = interval(mine)
    first = instrument.worlds[0]
    chained = pooled([follow(world, nearest) for world in instrument.worlds])
    simple = (best.idf1(), chained.idf1(), global_clustering(first, "ward"), global_clustering(first, "average"))
    return (
        f"{instrument.name:24s} {len(mine.subject):6d}  {mine.idf1():5.3f}  {mine.false_link_rate():6.4f}"
        f" [{low:6.4f}, {high:6.4f}]  {mine.recall():5.3f} | {best.false_link_rate():6.4f}  {best.recall():5.3f} |"
        f" {mine.false_links():6.4f}  {mine.calibration_error():5.3f} | " + "  ".join(f"{one:5.3f}" for one in simple)
    )


def main() -> None:
    print(__doc__)
    print(f"wanted false-link rate {PARAMS.false_link_rate}\n")
    print(HEAD)
    for instruments in (real(), simulated()):
        for instrument in instruments:
            start = time.perf_counter()
            print(row(instrument), f"  {time.perf_counter() - start:4.0f} s", flush=True)


if __name__ == "__main__":
    main()
