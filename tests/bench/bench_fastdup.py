"""CPU per image beside fastdup (features, 5 neighbours, components), marginal: two sizes, and the difference.

    python -m tests.bench.bench_fastdup --python FASTDUP/bin/python [--images FEW MANY] [--repeats N]

fastdup is no part of the project (its licence forbids derivatives): install it beside, ``python -m venv FASTDUP &&
FASTDUP/bin/pip install fastdup==2.54``.  Ours is the whole run without Ray, so more than features, neighbours and
clusters: shrunken copies, links and tracks too.  The two take turns on the same photographs, two threads each.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench import measuring
from tests.bench.bench_pipeline import make

FASTDUP = """
import sys, fastdup
found = fastdup.create(input_dir=sys.argv[1], work_dir=sys.argv[2])
found.run(num_threads=2, run_sentry=False, nearest_neighbors_k=5, overwrite=True)
"""


def ours(photographs: Path, work: Path, python: str) -> list[str]:  # noqa: ARG001  (as fastdups)
    run = [str(Path(sys.executable).parent / "imagetracks"), "run", "--engine", "local"]
    return [*run, "-c", str(photographs), "-w", str(work)]


def fastdups(photographs: Path, work: Path, python: str) -> list[str]:
    return [python, "-c", FASTDUP, str(photographs), str(work)]


WAYS = {"fastdup": fastdups, "imagetracks run --engine local": ours}


def cpu_of(command: list[str]) -> tuple[float, float]:
    """CPU seconds of a process and its children, and its peak memory in MiB."""
    quiet = os.environ | {"SENTRY_OPT_OUT": "1", "FASTDUP_OPTOUT": "1"}
    process = subprocess.Popen(command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"it failed: {' '.join(command)[:200]}\n{said.decode(errors='replace')[-2000:]}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="python", help="an interpreter that has fastdup")
    parser.add_argument("--images", type=int, nargs=2, default=[64, 640])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--photographs", type=Path, help="a folder of JPEGs to take instead of making some")
    wanted = parser.parse_args()
    measuring.use_the_machines_own_kernels()
    ask = [wanted.python, "-c", "import fastdup; print(fastdup.__version__)"]
    asked = subprocess.run(ask, check=False, capture_output=True)
    if asked.returncode:
        print("skipped: --python names no interpreter that has fastdup (see --help)")
        return
    print(f"fastdup {asked.stdout.decode().split()[-1]}; JPEGs of 640x480; CPU milliseconds an image, marginal")
    few, many = wanted.images
    costs: dict[str, list[float]] = {name: [] for name in WAYS}
    peaks = dict.fromkeys(WAYS, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        for size in (few, many):
            make(Path(folder) / str(size), size, 4, wanted.photographs)
        for repeat in range(wanted.repeats):
            for number, (name, way) in enumerate(WAYS.items()):
                used = []
                for size in (few, many):
                    work = Path(folder) / f"work-{repeat}-{number}-{size}"
                    cpu, peak = cpu_of(way(Path(folder) / str(size), work, wanted.python))
                    used.append(cpu)
                    peaks[name] = max(peaks[name], peak)
                costs[name].append(1000 * (used[1] - used[0]) / (many - few))
    for name, each in costs.items():
        spread = f"{min(each):.1f} to {max(each):.1f}"
        print(f"  {name:32s} {statistics.median(each):6.1f}  ({spread})   peak {peaks[name]:6.0f} MiB")


if __name__ == "__main__":
    main()
