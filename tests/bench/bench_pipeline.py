"""The whole run on generated JPEGs against a hand-written loop: CPU per image, fixed cost, memory.

    python -m tests.bench.bench_pipeline [--images N …] [--dates N] [--repeats N] [--engine local] [--photographs DIR]

The loop reads, decodes, shrinks, encodes, opens again and runs the network, as the pipeline does, and nothing else: no
tables, no failures, no neighbours, no clusters.  It runs in as many processes as there are cores, one thread each: on a
machine that is as busy as the pipeline makes it an image costs more than on an idle one.  The pipeline runs with few
images and with each number that is given, so that what Ray and the imports cost once (fixed) stands apart from what an
image costs (marginal), and growth shows.

CPU time grows with a machine's other load too (shared cores, caches).  So while the pipeline runs over each number of
images, half of the loop's photographs come before it and half after it, and where there are repeats the medians count.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from tests.bench import measuring

FEW = 64
LOOP = """
import json, resource, sys
from pathlib import Path
import numpy as np
from pipeline.compute import extractors
from pipeline.compute.decoding import open_pixels
from pipeline.compute.pixels import encode, shrink
extractor = extractors.build(extractors.resolve("efficientnet_lite0"), extractors.Settings(threads=1))
start, stop, step = map(int, sys.argv[2:])
paths = sorted(Path(sys.argv[1]).rglob("*.jpg"))[start:stop:step]
batch, spent = [], dict.fromkeys(("read, decode, shrink", "encode", "open again", "network"), 0.0)
def used():
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime
shrink(open_pixels(paths[0].read_bytes()), 384)  # what is imported at first use is no image's
extractor(np.stack([extractor.prepare(open_pixels(paths[0].read_bytes()))]))
before = begun = used()
def spend(step):
    global begun
    now = used()
    spent[step] += now - begun
    begun = now
for number, path in enumerate(paths, start=1):
    small = shrink(open_pixels(path.read_bytes()), 384)
    spend("read, decode, shrink")
    kept = encode(small, 90)
    spend("encode")
    batch.append(extractor.prepare(open_pixels(kept)))
    spend("open again")
    if len(batch) == extractor.batch_size or number == len(paths):
        extractor(np.stack(batch))
        batch = []
    spend("network")
print(json.dumps(spent))
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


@dataclass(frozen=True)
class Measured:
    """One number of images: the run, and CPU seconds of the loop's steps over the same ones."""

    run: Watch
    loop: dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[2000])
    parser.add_argument("--dates", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--engine", choices=["ray", "local"], default="ray")
    parser.add_argument("--photographs", type=Path, help="a folder of JPEGs to take instead of making some")
    wanted = parser.parse_args()
    measuring.use_the_machines_own_kernels()
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    sizes = [(FEW, 4), *((images, wanted.dates) for images in wanted.images)]
    with tempfile.TemporaryDirectory() as folder:
        for images, dates in sizes:
            make(Path(folder) / str(images), images, dates, wanted.photographs)
        turns = [
            [measure(Path(folder), images, wanted.engine, env) for images, _ in sizes] for _ in range(wanted.repeats)
        ]
    for number, images in enumerate(wanted.images, start=1):
        report([turn[0] for turn in turns], [turn[number] for turn in turns], images)


def measure(folder: Path, images: int, engine: str, env: dict[str, str]) -> Measured:
    """The run over so many images, half of the loop before it and half after it."""
    photos = folder / str(images)
    with tempfile.TemporaryDirectory(dir=folder) as workspace:
        first = loop(photos, 0, images // 2, env)
        by_us = watch(command(photos, Path(workspace) / "workspace", engine), env)
        second = loop(photos, images // 2, images, env)
    return Measured(by_us, {step: first[step] + second[step] for step in first})


def loop(photos: Path, start: int, stop: int, env: dict[str, str]) -> dict[str, float]:
    """CPU seconds by step of the hand-written loop over ``photos`` from ``start`` to ``stop``, a process a core."""
    cores = os.cpu_count() or 1
    shares = [
        subprocess.Popen(
            [sys.executable, "-c", LOOP, str(photos), str(start + one), str(stop), str(cores)],
            env={**env, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for one in range(cores)
    ]
    told = [json.loads(share.communicate()[0]) for share in shares]
    return {step: sum(one[step] for one in told) for step in told[0]}


def command(photos: Path, workspace: Path, engine: str) -> list[str]:
    run = [str(Path(sys.executable).parent / "imagetracks"), "run", "--engine", engine]
    return [*run, "-c", str(photos), "-w", str(workspace)]


def median_of(costs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The median of each entry."""
    each = list(costs)
    return {name: median(one.get(name, 0.0) for one in each) for name in each[0]}


def report(fewest: list[Measured], measured: list[Measured], images: int) -> None:
    few, cpu = (median_of(one.run.cpu for one in turns) for turns in (fewest, measured))
    steps = {name: seconds / images for name, seconds in median_of(one.loop for one in measured).items()}
    marginal = {kind: (cpu[kind] - few.get(kind, 0.0)) / (images - FEW) for kind in cpu}
    each, total = sum(steps.values()), sum(marginal.values())
    print(f"\nWhole run, {images} JPEGs of 640x480 (CPU milliseconds an image; {FEW} images give the fixed part)")
    for name, seconds in steps.items():
        print(f"    {'loop: ' + name:38s} {1000 * seconds:8.2f}")
    print(f"  {'hand-written loop, a process a core':40s} {1000 * each:8.2f}")
    for kind, seconds in marginal.items():
        print(f"  {kind + ', marginal':40s} {1000 * seconds:8.2f}")
    print(f"  {'all, marginal':40s} {1000 * total:8.2f}   loop / pipeline = {each / total:.2f}")
    print(f"  {'loop / workers alone':40s} {each / marginal.get('workers', total):8.2f}")
    wall, everything = median(one.run.wall for one in measured), sum(cpu.values())
    print(f"  {'fixed: Ray, imports, models':40s} {sum(few.values()) - FEW * total:8.1f} CPU-s")
    print(f"  whole run: {everything:.1f} CPU-s, {wall:.1f} s of wall, {images / wall:.1f} images/s")
    ratios = sorted(sum(one.loop.values()) / sum(one.run.cpu.values()) for one in measured)
    spread = f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
    print(f"  {'loop / whole run, fixed part and all':40s} {images * each / everything:8.2f} {spread}")
    for kind in cpu:
        peak = max(one.run.peak[kind] for one in measured)
        print(f"  peak memory of {'one of ' if kind != 'driver' else ''}the {kind}: {peak / 2**20:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
