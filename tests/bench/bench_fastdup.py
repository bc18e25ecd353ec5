"""CPU per image beside fastdup (features, 5 neighbours, components), marginal: two sizes, and the difference.

    python -m tests.bench.bench_fastdup --python FASTDUP/bin/python [--images FEW MANY] [--repeats N]

fastdup is no part of the project (its licence forbids derivatives): install it beside, ``python -m venv FASTDUP &&
FASTDUP/bin/pip install fastdup==2.54``.  Ours is counted twice: up to the clusters, which is what fastdup does, and
the whole run (links, tracks and pictures for the report too), both without Ray.  They take turns on the same
photographs, two threads each; of ours up to the clusters, CPU by step is printed too.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.bench import measuring
from tests.bench.bench_pipeline import make

FASTDUP = """
import sys, fastdup
found = fastdup.create(input_dir=sys.argv[1], work_dir=sys.argv[2])
found.run(num_threads=2, run_sentry=False, nearest_neighbors_k=5, overwrite=True)
"""

OURS = """
import json, resource, sys
from pipeline.config import load_config
from pipeline.runtime.context import Context
from pipeline.runtime.engine import LocalEngine
from pipeline.runtime.fingerprints import run_fingerprints
from pipeline.runtime.fit import run_projection
from pipeline.runtime.ingest import run_ingest
from pipeline.runtime.progress import LineReporter
from pipeline.runtime.steps import run_stage
from pipeline.stages.catalog import CLUSTER, UNNAMED_STAGES
from pipeline.workspace import collection_name, open_workspace

config, resources = load_config(None, []), load_config(None, []).resources
workspace = open_workspace(sys.argv[2], collection_name(sys.argv[1]), resources.retries, resources.lease_seconds)
context = Context(workspace, config, lambda: LocalEngine(2), LineReporter(lambda _: None))
spent, begun = {}, 0.0

def spend(step):
    global begun
    own = resource.getrusage(resource.RUSAGE_SELF)
    spent[step], begun = own.ru_utime + own.ru_stime - begun, own.ru_utime + own.ru_stime

spend("start")
run_ingest(context, sys.argv[1], None)
spend("ingest")
run_fingerprints(context)
spend("fingerprints")
run_projection(context, False)
for stage in UNNAMED_STAGES[: UNNAMED_STAGES.index(CLUSTER) + 1]:
    run_stage(context, stage)
spend("neighbours and clusters")
context.close()
print(json.dumps(spent))
"""


def up_to_clusters(photographs: Path, work: Path, _python: str) -> list[str]:
    return [sys.executable, "-c", OURS, str(photographs), str(work)]


def ours(photographs: Path, work: Path, _python: str) -> list[str]:
    run = [str(Path(sys.executable).parent / "imagetracks"), "run", "--engine", "local"]
    return [*run, "-c", str(photographs), "-w", str(work)]


def fastdups(photographs: Path, work: Path, python: str) -> list[str]:
    return [python, "-c", FASTDUP, str(photographs), str(work)]


UP_TO_CLUSTERS = "ours up to the clusters"
WAYS = {"fastdup": fastdups, UP_TO_CLUSTERS: up_to_clusters, "imagetracks run --engine local": ours}


class Used(NamedTuple):
    """CPU seconds of a process and its children, its peak memory in MiB, and what it printed last."""

    cpu: float
    peak: float
    told: str


def measure(folder: Path, size: int, name: str, python: str) -> Used:
    """One way over so many photographs."""
    quiet = os.environ | {"SENTRY_OPT_OUT": "1", "FASTDUP_OPTOUT": "1"}
    with tempfile.TemporaryDirectory(dir=folder) as work, (folder / "told").open("w+") as told:
        command = WAYS[name](folder / str(size), Path(work) / "work", python)
        process = subprocess.Popen(command, env=quiet, stdout=told, stderr=subprocess.PIPE)
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"it failed: {name}\n{said.decode(errors='replace')[-2000:]}")
        told.seek(0)
        return Used(used.ru_utime + used.ru_stime, used.ru_maxrss / 2**10, told.read().strip().rpartition("\n")[2])


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
    peaks, steps = dict.fromkeys(WAYS, 0.0), list[dict[str, float]]()
    with tempfile.TemporaryDirectory() as folder:
        for size in (few, many):
            make(Path(folder) / str(size), size, 4, wanted.photographs)
        for _ in range(wanted.repeats):
            for name in WAYS:
                low, high = (measure(Path(folder), size, name, wanted.python) for size in (few, many))
                costs[name].append(1000 * (high.cpu - low.cpu) / (many - few))
                peaks[name] = max(peaks[name], high.peak)
                if name == UP_TO_CLUSTERS:
                    begun, ended = json.loads(low.told), json.loads(high.told)
                    steps.append({step: 1000 * (ended[step] - begun[step]) / (many - few) for step in ended})
    for name, each in costs.items():
        spread = f"{min(each):.1f} to {max(each):.1f}"
        print(f"  {name:32s} {statistics.median(each):6.1f}  ({spread})   peak {peaks[name]:6.0f} MiB")
    for step in steps[0]:
        print(f"    {'ours: ' + step:30s} {statistics.median(one[step] for one in steps):6.1f}")


if __name__ == "__main__":
    main()
