"""How well subjects are followed, beside simpler ways, on real sets and simulated worlds.

    python -m tests.bench.quality [WORD...]            some 3 000 decisions a world; WORD: only what has it in its name
    FULL=1 python -m tests.bench.quality [WORD...]     20 000 decisions a world
    SEED=100 python -m tests.bench.quality [WORD...]   simulated worlds alone, others of each kind: of seeds 100, 101...

Sets: the sample and, where it is, `../shared/data`, in three forms: every image its own cluster, the true clusters of
each date, and those of the default clusterer; fingerprints and projection are the pipeline's defaults.  Truth is read
by the scorer and by what says that it is told something.  [low, high] is a 95 % bootstrap over subjects.

A link is true if the cluster and the track's cluster before have a subject in common; `by majority` asks for the same
subject of most images, so that every merged cluster counts against whoever links it.  `recall` is of the clusters whose
subject was seen within `max_gap`.  The oracle is one-to-one linking at the one similarity threshold, chosen with the
labels, that gives the best F of links; `within` is the best recall of those thresholds whose false links are at most
twice the rate wanted.  ECE is the expected calibration error of all decisions.  The second table has IDF1.

Written to OUT (default `out`): reliability.png, quality.json.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from tests.bench.bars import Result, bars, show
from tests.bench.baselines import AT_ONCE, at_once, idf1, nearest, sequential, thresholds
from tests.bench.bench_clusterers import by_auto
from tests.bench.fold import followed
from tests.bench.following import PARAMS, Outcome, follow, pooled
from tests.bench.processes import each
from tests.bench.reliability_diagram import draw
from tests.bench.sets import Photographs, real_sets
from tests.bench.worlds import WORLDS, Day, Ints, generate

DECISIONS = 20_000 if os.environ.get("FULL") else 3_000
SEED = int(os.environ.get("SEED", "0"))
OUT = Path(os.environ.get("OUT", "out"))
MOST_WORLDS = 2
"""Of one kind in which everything is clustered at once; the mean is shown."""


@dataclass(frozen=True)
class Instrument:
    """Runs of dates; ``worlds`` are independent of each other."""

    name: str
    worlds: list[list[Day]]


def simulated() -> Iterator[Instrument]:
    for name, knobs in WORLDS.items():
        worlds: list[list[Day]] = []
        clusters = 0
        while clusters < DECISIONS:
            worlds.append(list(generate(knobs, SEED + len(worlds))))
            clusters += sum(len(day.starts) for day in worlds[-1])
        yield Instrument(name, worlds)


def real() -> Iterator[Instrument]:
    for name, photos in real_sets():
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


def score(instrument: Instrument) -> Result:
    worlds = instrument.worlds
    mine = pooled([followed(world) for world in worlds])
    tried = thresholds(worlds)
    oracle = max(tried, key=Outcome.f_of_links)
    within = [one.recall() for one in tried if one.false_link_rate() <= 2 * PARAMS.false_link_rate]
    chained = pooled([follow(world, nearest) for world in worlds])
    some = worlds[:MOST_WORLDS]
    images = [np.concatenate([day.image_subject for day in world]) for world in some]
    merged = [idf1(subject, sequential(world)) for subject, world in zip(images, some, strict=True)]
    whole = [at_once(world) for world in some]
    others = {
        "oracle": oracle.idf1(),
        "chained": chained.idf1(),
        "means merged at 0.7": float(np.mean(merged)),
        **{name: float(np.mean([found[name] for found in whole])) for name in AT_ONCE},
    }
    return Result(instrument.name, mine, oracle, max(within, default=float("nan")), others)


def row(result: Result) -> str:
    mine, oracle = result.mine, result.oracle
    (low, high), (recall_low, recall_high) = mine.false_interval(), mine.recall_interval()
    return (
        f"{result.name:24s} {len(mine.subject):7d}  {mine.false_link_rate():6.4f} [{low:6.4f}, {high:6.4f}]"
        f"  {mine.false_by_majority():6.4f}  {mine.recall():5.3f} [{recall_low:5.3f}, {recall_high:5.3f}]"
        f"  {mine.false_links():6.4f}  {mine.confident_wrong(0.9):6.4f}  {result.calibration_error:5.3f} |"
        f" {oracle.false_link_rate():6.4f}  {oracle.false_by_majority():6.4f}  {oracle.recall():5.3f}"
        f"  {result.within:5.3f}"
    )


def head() -> str:
    return (
        f"{'':24s} clusters  false  [low,    high  ]  by maj.  recall [low,   high ]  a clus.  sure,f.  ECE   |"
        " oracle f., by maj., recall, within"
    )


def show_idf1(results: list[Result]) -> None:
    names = list(results[0].others)
    print(f"\nIDF1\n{'':24s} {'ours [low, high]':22s}" + "".join(f"{name:>24s}" for name in names))
    for result in results:
        low, high = result.mine.idf1_interval()
        print(
            f"{result.name:24s} {result.mine.idf1():5.3f} [{low:5.3f}, {high:5.3f}]  "
            + "".join(f"{result.others[name]:24.3f}" for name in names)
        )


def main() -> None:
    print(__doc__)
    print(f"wanted false-link rate {PARAMS.false_link_rate}\n\n{head()}")
    start, results = time.perf_counter(), []
    instruments = chain([] if SEED else real(), simulated())
    wanted = (one for one in instruments if any(word in one.name for word in sys.argv[1:] or [""]))
    for result in each(score, wanted):
        results.append(result)
        print(row(result), flush=True)
    if not results:
        raise SystemExit(f"no set or world has {' or '.join(sys.argv[1:])} in its name; without a word all are tried")
    print(f"{time.perf_counter() - start:.0f} s")
    show_idf1(results)
    show(bars(results))
    OUT.mkdir(exist_ok=True)
    draw(results, OUT / "reliability.png")
    (OUT / "quality.json").write_text(json.dumps([one.figures() for one in results], indent=1))


if __name__ == "__main__":
    main()
