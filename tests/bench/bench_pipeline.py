"""The whole run on generated JPEGs against a hand-written loop: CPU per image, fixed cost, memory.

    python -m tests.bench.bench_pipeline [--images N …] [--dates N] [--photographs FOLDER]

The loop reads, decodes, shrinks, encodes, opens again and runs the network, as the pipeline does, and nothing else: no
tables, no failures, no neighbours, no clusters.  It runs in as many processes as there are cores, one thread each: on a
machine that is as busy as the pipeline makes it an image costs more than on an idle one.  The pipeline runs with few
images and with each number that is given, so that what Ray and the imports cost once (fixed) stands apart from what an
image costs (marginal), and growth shows.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.bench import measuring

FEW = 64
LOOP = """
import sys, resource
from pathlib import Path
import numpy as np
from pipeline.compute import extractors
from pipeline.compute.decoding import open_pixels
from pipeline.compute.pixels import encode, shrink
extractor = extractors.build(extractors.resolve("efficientnet_lite0"), extractors.Settings(threads=1))
paths = sorted(Path(sys.argv[1]).rglob("*.jpg"))[int(sys.argv[2]) :: int(sys.argv[3])]
batch = []
def used():
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime
before = used()
for path in paths:
    kept = encode(shrink(open_pixels(path.read_bytes()), 384), 90)
    batch.append(extractor.prepare(open_pixels(kept)))
    if len(batch) == extractor.batch_size:
        extractor(np.stack(batch))
        batch = []
if batch:
    extractor(np.stack(batch))
print(used() - before)
"""


@dataclass
class Watch:
    """CPU seconds and peak memory of a process and all its descendants, by kind of process."""

    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    peak: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    wall: float = 0.0


def watch(command: list[str], env: dict[str, str]) -> Watch:
    """Run ``command`` and sample its process tree five times a second; a process' CPU is its last sample."""
    found, last = Watch(), dict[int, tuple[str, float]]()
    started = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    root = psutil.Process(process.pid)
    done = threading.Event()
    threading.Thread(target=lambda: (process.wait(), done.set()), daemon=True).start()
    while not done.wait(0.2):
        for one in [root, *root.children(recursive=True)] if root.is_running() else []:
            try:
                kind, times, memory = kind_of(one, root), one.cpu_times(), one.memory_info().rss
            except psutil.Error:
                continue
            last[one.pid] = (kind, times.user + times.system)
            found.peak[kind] = max(found.peak[kind], memory)
    found.wall = time.perf_counter() - started
    for kind, seconds in last.values():
        found.cpu[kind] += seconds
    if process.returncode:
        sys.exit(f"the run failed: {' '.join(command)}")
    return found


def kind_of(one: psutil.Process, root: psutil.Process) -> str:
    if one.pid == root.pid:
        return "driver"
    line = " ".join(one.cmdline())
    return "workers" if line.startswith("ray::") else "Ray's own processes"


def make(folder: Path, count: int, dates: int, given: Path | None) -> None:
    """``count`` JPEGs over ``dates`` days: as many of those ``given``, or new ones."""
    from tests.bench.photographs import photographs

    found = sorted(given.rglob("*.jpg"))[:count] if given else []
    if given and len(found) < count:
        sys.exit(f"{given} has {len(found)} photographs, {count} are wanted")
    whole = (path.read_bytes() for path in found) if given else photographs(count, 640, 480)
    for number, data in enumerate(whole):
        path = folder / f"2024-01-{1 + number * dates // count:02d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[2000])
    parser.add_argument("--dates", type=int, default=20)
    parser.add_argument("--photographs", type=Path, help="a folder of JPEGs to take instead of making some")
    wanted = parser.parse_args()
    measuring.use_the_machines_own_kernels()
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    few = measure(FEW, 4, wanted.photographs, env)
    for images in wanted.images:
        report(few, measure(images, wanted.dates, wanted.photographs, env), images)


def measure(images: int, dates: int, given: Path | None, env: dict[str, str]) -> tuple[Watch, float]:
    """The run over so many images, and the CPU seconds of the loop."""
    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photographs"
        make(photos, images, dates, given)
        by_us = watch(command(photos, Path(name) / "workspace"), env)
        return by_us, loop(photos, env)


def loop(photos: Path, env: dict[str, str]) -> float:
    """CPU seconds of the hand-written loop over ``photos``, a process a core."""
    cores = os.cpu_count() or 1
    shares = [
        subprocess.Popen(
            [sys.executable, "-c", LOOP, str(photos), str(one), str(cores)],
            env={**env, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for one in range(cores)
    ]
    return sum(float(share.communicate()[0]) for share in shares)


def command(photos: Path, workspace: Path) -> list[str]:
    return [str(Path(sys.executable).parent / "imagetracks"), "run", "-c", str(photos), "-w", str(workspace)]


def report(fewest: tuple[Watch, float], measured: tuple[Watch, float], images: int) -> None:
    few, (everything, loop) = fewest[0], measured
    marginal = {kind: (everything.cpu[kind] - few.cpu[kind]) / (images - FEW) for kind in everything.cpu}
    each, total = loop / images, sum(marginal.values())
    print(f"\nWhole run, {images} JPEGs of 640x480 (CPU milliseconds an image; {FEW} images give the fixed part)")
    print(f"  {'hand-written loop, a process a core':40s} {1000 * each:8.2f}")
    for kind, seconds in marginal.items():
        print(f"  {kind + ', marginal':40s} {1000 * seconds:8.2f}")
    print(f"  {'all, marginal':40s} {1000 * total:8.2f}   loop / pipeline = {each / total:.2f}")
    workers = marginal.get("workers", total)
    print(f"  {'loop / workers alone':40s} {each / workers:8.2f}")
    fixed = sum(few.cpu.values()) - FEW * total
    print(f"  {'fixed: Ray, imports, models':40s} {fixed:8.1f} CPU-s, {few.wall:.1f} s of wall")
    cpu = sum(everything.cpu.values())
    print(f"  whole run: {cpu:.1f} CPU-s, {everything.wall:.1f} s of wall, {images / everything.wall:.1f} images/s")
    print(f"  {'loop / whole run, fixed part and all':40s} {loop / cpu:8.2f}")
    for kind, peak in everything.peak.items():
        print(f"  peak memory of {'one of ' if kind != 'driver' else ''}the {kind}: {peak / 2**20:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
