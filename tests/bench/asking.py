"""What answers of people are worth: IDF1 against their number, asked by `review` or at random.

    python -m tests.bench.asking [WORD...]            up to 20 answers; WORD: only what has it in its name
    FULL=1 python -m tests.bench.asking [WORD...]     up to 40 answers, more worlds, two of each kind

Labels answer.  At 0, 5, 10, 20 (and 40) answers everything is linked again under all verdicts so far, by the stages
that a run has, and the next pairs are chosen from what came out: those of the greatest expected gain, or at random
(mean of three draws) among all that an answer could overturn.  Sets are clustered as a run does by default; of the
simulated worlds some that are not solved already.  Written to OUT (default out): asking.png, asking.json.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline import schemas
from pipeline.stages.constraints import constraints, of_clusters
from pipeline.stages.review import LINKED, SHOWN, questions
from tests.bench.bars import Bar, show
from tests.bench.baselines import idf1
from tests.bench.fold import Fold, clustered, date_of, image_ids
from tests.bench.processes import each
from tests.bench.quality import days
from tests.bench.sets import real_sets
from tests.bench.worlds import WORLDS, Day, generate

OUT = Path(os.environ.get("OUT", "out"))
FULL = bool(os.environ.get("FULL"))
ANSWERS = (0, 5, 10, 20, 40) if FULL else (0, 5, 10, 20)
JUDGED = 20
DRAWS = 3
KINDS = ("0 plain", "2 merged 20 %", "2 pieces 1.5x", "3 twins", "7 lighting") if FULL else ("3 twins", "7 lighting")
SEEDS = 2 if FULL else 1
Said = list[dict[str, str | None]]


@dataclass(frozen=True)
class Asked:
    """A set or world: IDF1 at each of ``ANSWERS``, chosen by review and at random."""

    name: str
    chosen: list[float]
    random: list[float]


@dataclass(frozen=True)
class Found:
    """What linking gave: tables of all dates for `review`, and IDF1."""

    links: pa.Table
    clusters: pa.Table
    known: dict[str, list[dict[str, object]]]
    idf1: float


def linked(days: Sequence[Day], said: Said) -> Found:
    """Link all dates under verdicts, by the stages' own functions."""
    verdicts = pa.Table.from_pylist(said, schema=schemas.VERDICTS.empty().schema)
    fold = Fold()
    links, shown, tracks = [], [], []
    every: dict[str, list[dict[str, object]]] = {}
    for t, day in enumerate(days):
        date, ids = date_of(t, day), image_ids(day, t)
        images = {"image_id": ids, "uri": ids, "region": pa.nulls(len(ids), pa.int32())}
        rules = constraints(pa.table(images), verdicts)
        assigned, clusters, looks = clustered(day, t, rules)
        known = of_clusters(rules, assigned)
        result = fold.link(date, clusters, looks, known)
        fold.add(date, result)
        named = [name.replace("track_key", "track_id") for name in result.links.column_names]
        rows = result.links.rename_columns(named)
        links.append(rows.select(LINKED).append_column("date", pa.array([date] * rows.num_rows, pa.string())))
        shown.append(clusters.select(SHOWN))
        track = dict(zip(rows["cluster_id"].to_pylist(), rows["track_id"].to_pylist(), strict=True))
        tracks += [track[cluster] for cluster in assigned["cluster_id"].to_pylist()]
        every |= known
    subject = np.concatenate([day.image_subject for day in days])
    label = np.unique(np.array(tracks), return_inverse=True)[1]
    return Found(pa.concat_tables(links), pa.concat_tables(shown), every, idf1(subject, label))


def asked(days: Sequence[Day], seed: int | None, first: Found) -> list[float]:
    """IDF1 at each of ``ANSWERS``; ``seed``: of pairs drawn at random, None: chosen."""
    truth = {
        image: who
        for t, day in enumerate(days)
        for image, who in zip(image_ids(day, t), day.image_subject, strict=True)
    }
    rng = None if seed is None else np.random.default_rng(seed)
    said: Said = []
    found, out = first, [first.idf1]
    for many in ANSWERS[1:]:
        rows = questions(found.links, found.clusters, found.known)
        order = np.arange(rows.num_rows) if rng is None else rng.permutation(rows.num_rows)
        rows = rows.take(pa.array(order[: many - len(said)]))
        said += [answer(one["image_id"], one["other_image_id"], truth) for one in rows.to_pylist()]
        found = linked(days, said)
        out.append(found.idf1)
    return out


def judged(instrument: tuple[str, list[Day]]) -> Asked:
    name, dates = instrument
    first = linked(dates, [])
    drawn = np.mean([asked(dates, seed, first) for seed in range(DRAWS)], axis=0)
    return Asked(name, asked(dates, None, first), drawn.tolist())


def answer(one: str, other: str, truth: dict[str, int]) -> dict[str, str | None]:
    verdict = "same" if truth[one] == truth[other] else "different"
    pair = {"image_id": min(one, other), "other_image_id": max(one, other), "verdict": verdict}
    return {**pair, "who": "labels", "when": None, "note": None}


def instruments() -> Iterator[tuple[str, list[Day]]]:
    for name, photos in real_sets():
        yield name, days(photos, np.unique(photos.subject, return_inverse=True)[1], "auto")
    for name in KINDS:
        for seed in range(SEEDS):
            yield f"{name}, seed {seed}", list(generate(WORLDS[name], seed))


def bars(found: Sequence[Asked]) -> list[Bar]:
    place = ANSWERS.index(JUDGED)
    beside = f"IDF1 after {JUDGED} answers, beside random ones"
    each = [Bar(one.name, beside, one.chosen[place], one.random[place], least=True) for one in found]
    gain, other = (
        float(np.mean([side[place] - side[0] for side in sides])) for sides in zip(*map(_sides, found), strict=True)
    )
    return [*each, Bar("all", f"IDF1 that {JUDGED} answers gain, beside random ones", gain, other, least=True)]


def _sides(one: Asked) -> tuple[list[float], list[float]]:
    return one.chosen, one.random


def draw(found: Sequence[Asked], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = 4
    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.2 * columns, 2.6 * rows), sharex=True, squeeze=False)
    for ax in axes.flat[len(found) :]:
        ax.axis("off")
    for ax, one in zip(axes.flat, found, strict=False):
        ax.plot(ANSWERS, one.random, color="0.6", marker="o", markersize=3, label="at random")
        ax.plot(ANSWERS, one.chosen, color="C0", marker="o", markersize=3, label="by review")
        ax.set_title(one.name, fontsize=9)
        ax.tick_params(labelsize=8)
        ax.margins(y=0.2)
    axes[0, 0].legend(fontsize=8, frameon=False)
    figure.supxlabel("answers", fontsize=9)
    figure.supylabel("IDF1", fontsize=9)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)


def main() -> None:
    print(__doc__)
    start = time.perf_counter()
    print(f"{'':28s}" + "".join(f"{many:>16d}" for many in ANSWERS) + "   answers: IDF1 by review, at random")
    results = []
    for one in each(judged, (one for one in instruments() if any(word in one[0] for word in sys.argv[1:] or [""]))):
        results.append(one)
        pairs = zip(one.chosen, one.random, strict=True)
        print(f"{one.name:28s}" + "".join(f"   {a:.3f}, {b:.3f}" for a, b in pairs), flush=True)
    print(f"{time.perf_counter() - start:.0f} s")
    show(bars(results))
    OUT.mkdir(exist_ok=True)
    draw(results, OUT / "asking.png")
    (OUT / "asking.json").write_text(json.dumps([vars(one) for one in results], indent=1))


if __name__ == "__main__":
    main()
