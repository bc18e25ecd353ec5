"""What linking costs: the stage's own function, date after date, from Arrow tables to Arrow tables.

    python -m tests.bench.bench_linking [--dates 365] [--clusters 1000] [--open 10000] [--most 2000]

1 000 subjects drift on the sphere in 256 dimensions, with births, ends and gaps; each date has a cluster of up to five
looks of every subject that is seen.  Then one date of 2 000 clusters against 10 000 open tracks.
"""

import argparse
import datetime
import time

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.stages.vectors import to_column
from tests.bench import measuring
from tests.bench.fold import Fold

DIMENSIONS = 256
LOOKS = 3
DRIFT, NOISE = 0.2, 0.4
TURNOVER, AWAY = 0.02, 0.05
Floats = npt.NDArray[np.float32]


class Collection:
    """Subjects and what is seen of them on a date; ``alive`` of them at any time."""

    def __init__(self, alive: int) -> None:
        self.rng = np.random.default_rng(0)
        self.axes = np.arange(1, DIMENSIONS + 1) ** -0.5
        self.axes /= np.linalg.norm(self.axes)
        self.subjects = self._draw(alive)

    def date(self, day: str) -> tuple[pa.Table, pa.Table]:
        """The ``clusters`` and the exemplars of a date."""
        alive = len(self.subjects)
        self.subjects = (self.subjects + DRIFT * self._draw(alive)) / np.sqrt(1 + DRIFT**2)
        ends = self.rng.random(alive) < TURNOVER
        self.subjects[ends] = self._draw(int(ends.sum()))
        seen = self.subjects[self.rng.random(alive) >= AWAY]
        looks = np.repeat(seen, LOOKS, axis=0) + NOISE * self._draw(len(seen) * LOOKS)
        looks /= np.linalg.norm(looks, axis=1, keepdims=True)
        return _tables(day, looks.astype(np.float32))

    def _draw(self, num: int) -> npt.NDArray[np.float64]:
        out: npt.NDArray[np.float64] = self.rng.normal(size=(num, DIMENSIONS)) * self.axes
        return out


def _tables(day: str, looks: Floats) -> tuple[pa.Table, pa.Table]:
    num = len(looks) // LOOKS
    images = [[f"{day}{i:08d}{k}" for k in range(LOOKS)] for i in range(num)]
    centers = looks.reshape(num, LOOKS, DIMENSIONS).mean(axis=1)
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    clusters = pa.table(
        {
            "cluster_id": [f"{day}-{i:08d}" for i in range(num)],
            "num_images": pa.array([LOOKS] * num, pa.int32()),
            "medoid_image_id": [names[0] for names in images],
            "center": to_column(centers),
            "exemplar_image_ids": images,
        }
    )
    exemplars = pa.table({"image_id": [name for names in images for name in names], "vector": to_column(looks)})
    return clusters, exemplars


def _day(number: int) -> str:
    return str(datetime.date(2024, 1, 1) + datetime.timedelta(days=number))


def year(dates: int, clusters: int) -> None:
    collection, fold = Collection(clusters), Fold()
    seconds, cpu = [], []
    for t in range(dates):
        tables = collection.date(_day(t))
        started, used = time.perf_counter(), time.process_time()
        found = fold.link(_day(t), *tables)
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
        fold.add(_day(t), found)
    print(f"{dates} dates x {clusters} clusters x {DIMENSIONS}-d: {sum(seconds):.0f} s, {sum(cpu):.0f} CPU-s")
    early, late = float(np.median(cpu[20:40] or cpu)), float(np.median(cpu[-20:]))
    print(f"  a date: {early:.2f} CPU-s around date 30, {late:.2f} at the end: {late / early:.2f} times (limit 1.5)")
    print(f"  peak memory {measuring.peak_mib():.0f} MiB")


def flood(tracks: int, clusters: int) -> None:
    """Open tracks from five dates, then one date."""
    assert clusters * 5 >= tracks, "all open tracks were seen within max_gap dates"
    rng, axes, fold = np.random.default_rng(1), Collection(1).axes, Fold()
    for t in range(5):
        looks = rng.normal(size=(tracks // 5 * LOOKS, DIMENSIONS)) * axes
        looks /= np.linalg.norm(looks, axis=1, keepdims=True)
        fold.add(_day(t), Fold().link(_day(t), *_tables(_day(t), looks.astype(np.float32))))
        last = looks
    again = np.repeat(last[::LOOKS][:clusters], LOOKS, axis=0)
    again = again + NOISE / 16 * rng.normal(size=again.shape)
    again /= np.linalg.norm(again, axis=1, keepdims=True)
    tables = _tables(_day(5), again.astype(np.float32))
    started, used = time.perf_counter(), time.process_time()
    found = fold.link(_day(5), *tables)
    wall, cpu = time.perf_counter() - started, time.process_time() - used
    linked = len(found.links) - found.links["previous_cluster_id"].null_count
    print(f"{clusters} clusters against {tracks} open tracks: {wall:.1f} s, {cpu:.1f} CPU-s, {linked} linked")
    print(f"  peak memory {measuring.peak_mib():.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dates", type=int, default=365)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--open", type=int, default=10_000)
    parser.add_argument("--most", type=int, default=2_000)
    given = parser.parse_args()
    year(given.dates, given.clusters)
    flood(given.open, given.most)


if __name__ == "__main__":
    main()
