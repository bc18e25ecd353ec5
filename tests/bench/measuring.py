"""Side by side: the same work done in several ways, in turns, by CPU time (children included) and wall time."""

import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


def use_the_machines_own_kernels() -> None:
    """Forget what tells BLAS to take another CPU for granted; call it before numpy is imported."""
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)


@dataclass(frozen=True)
class Cost:
    """Medians over the repeats, in seconds."""

    cpu: float
    wall: float


def cpu_seconds() -> float:
    """User and system time of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def peak_mib() -> float:
    """The most memory that this process has had so far (getrusage counts that of the process that began it, too)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10


def in_turns(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Cost]:
    """Run every way once to warm up, then all of them in turn ``repeats`` times: a slow minute hits all alike."""
    for run in ways.values():
        run()
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            started, used = time.perf_counter(), cpu_seconds()
            run()
            cpu[name].append(cpu_seconds() - used)
            wall[name].append(time.perf_counter() - started)
    return {name: Cost(statistics.median(cpu[name]), statistics.median(wall[name])) for name in ways}


def show(title: str, costs: Mapping[str, Cost], images: int, baseline: str) -> None:
    """One line a way: images per CPU second, the ratio to ``baseline`` (more is better), images per second of wall."""
    print(f"\n{title}\n  {'':44s} {'img/CPU-s':>10s} {'ratio':>6s} {'img/s wall':>11s}")
    for name, cost in costs.items():
        ratio = costs[baseline].cpu / cost.cpu
        print(f"  {name:44s} {images / cost.cpu:10.1f} {ratio:6.2f} {images / cost.wall:11.1f}")
