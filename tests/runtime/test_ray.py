"""The Ray engine: the same tables as in one process, on one CPU and on two, and as a submitted job."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from pipeline.schemas import FINGERPRINTS
from pipeline.stages.fingerprint import extractor_folder
from tests.collections import Collection, small
from tests.killing import end_family
from tests.runtime.runs import open_read, run_local, tables

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
BIN = Path(sys.executable).parent
ALSO = "fingerprint.also=[raw_pixels:size=8]"


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return small(tmp_path_factory.mktemp("ray") / "photos")


@pytest.fixture(scope="module")
def local(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that one process has written."""
    workspace = tmp_path_factory.mktemp("local") / "ws"
    run_local(collection.root, workspace, ALSO)
    return workspace


@pytest.fixture(scope="module")
def expected(local: Path) -> dict[str, object]:
    return tables(local)


def vectors_of(workspace: Path) -> dict[str, pa.Table]:
    """The second extractor's table, by date."""
    store = open_read(workspace).workspace.store(FINGERPRINTS, extractor_folder("raw_pixels:size=8"))
    return {date: store.read(date, None, one) for date, one in store.partitions.items()}


def environment(**more: str) -> dict[str, str]:
    """This process's, without a cluster to join."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("RAY_")}, **more}


def test_ray_writes_what_one_process_writes(
    collection: Collection, local: Path, expected: dict[str, object], tmp_path: Path
) -> None:
    """By two extractors, on two CPUs; on one in :mod:`tests.test_s3`."""
    command = [BIN / "imagetracks", "run", "--collection", collection.root, "--workspace", tmp_path / "ws"]
    options = ["--set", "resources.num_cpus=2", "--set", "resources.rows_per_fragment=5", "--set", ALSO]
    done = subprocess.run(
        [*command, *options], check=False, env=environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "ws") == expected
    assert vectors_of(tmp_path / "ws") == vectors_of(local) != {}
    again = subprocess.run(
        [*command, *options], check=False, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert "Nothing to do" in again.stdout
    assert "ray" not in again.stderr.lower()


@pytest.fixture
def head() -> Iterator[dict[str, str]]:
    """A Ray head of its own."""
    ports = [free_port() for _ in range(2)]
    env = environment(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(24), RAY_USAGE_STATS_ENABLED="0")
    command = [BIN / "ray", "start", "--head", "--block", "--disable-usage-stats", "--num-cpus=2"]
    # Ports of its own: the agent's default one is taken where another Ray runs on the machine.
    where = ["--node-ip-address=127.0.0.1", f"--port={ports[0]}", "--dashboard-host=127.0.0.1"]
    where.append("--dashboard-agent-listen-port=0")
    process = subprocess.Popen(
        [*command, *where, f"--dashboard-port={ports[1]}"],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(ports[1])
        yield {**env, "RAY_ADDRESS": f"http://127.0.0.1:{ports[1]}"}
    finally:
        end_family(psutil.Process(process.pid))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"nothing listens on {port}")


def test_a_submitted_job_runs_on_the_cluster_that_it_was_submitted_to(
    head: dict[str, str], collection: Collection, expected: dict[str, object], tmp_path: Path
) -> None:
    run = [sys.executable, "-m", "jobs.run", "--collection", collection.root, "--workspace", tmp_path / "ws"]
    submit = [BIN / "ray", "job", "submit", "--entrypoint-num-cpus", "0", "--", *map(str, run)]
    done = subprocess.run(submit, check=False, env=head, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
    assert tables(tmp_path / "ws") == expected


def test_gpus_are_asked_for_when_the_resources_give_them() -> None:
    """`num_gpus` of Ray is bookkeeping: a machine without one can show who would get it."""
    code = """
import json
import pyarrow as pa
from pipeline.resources import Resources
from pipeline.runtime.engine import Call, Fragment, MapJob
from pipeline.runtime.engines import engine_maker

def where(*, threads, gpu):
    import ray
    return [gpu, len(ray.get_gpu_ids())]

def worker(device, threads):
    import ray
    ids = len(ray.get_gpu_ids())
    return lambda rows: pa.table({"where": [f"{device}, {ids} given"] * rows.num_rows})

def read(unit):
    yield unit

def write(rows):
    return Fragment(rows["where"][0].as_py(), 1, {"d": rows.num_rows})

def processes(engine):
    return list(dict(engine.call([Call("a", str(n), shown, (), wants_gpu=True) for n in range(4)])).values())

def shown(*, threads, gpu):
    import os
    return [os.getpid(), len(os.environ["CUDA_VISIBLE_DEVICES"].split(","))]

engine = engine_maker("ray", None, Resources(num_cpus=2, num_gpus=3, gpus_per_date=2))()
found = {"several": processes(engine)}
engine.close()
engine = engine_maker("ray", None, Resources(num_cpus=2, num_gpus=1, gpus_per_date=2))()
found["one"] = processes(engine)
calls = [Call("a", "with", where, (), wants_gpu=True), Call("a", "without", where, ())]
found |= dict(engine.call(calls))
for name, wants in (("pool with", True), ("pool without", False)):
    job = MapJob([pa.table({"n": [1]})], read, write, 1, worker, wants_gpu=wants)
    found[name] = [one.path for one in engine.map(job, lambda done, failed: None)]
print(json.dumps(found))
engine.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for name, given in (("several", 2), ("one", 1)):
        used = found.pop(name)
        assert [gpus for _, gpus in used] == [given] * 4
        assert len({process for process, _ in used}) == 4  # CUDA would stay with the GPUs that a process first saw
    assert found == {
        "with": [True, 1],
        "without": [False, 0],
        "pool with": ["cuda, 1 given"],
        "pool without": ["cpu, 0 given"],
    }


def driver_peak(collection: Collection, workspace: Path) -> int:
    """Peak resident bytes of the process that drives a run on Ray."""
    code = """
import resource, sys
from pipeline.config import load_config
from pipeline.runtime.engines import engine_maker
from pipeline.runtime.progress import LineReporter
from pipeline.runtime.run import Request, run

config = load_config(None, ["resources.num_cpus=2", "resources.rows_per_fragment=64"])
context = run(Request(*sys.argv[1:]), config, engine_maker("ray", None, config.resources), LineReporter(lambda _: None))
print(context.done["fingerprints"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
    command = [sys.executable, "-c", code, str(collection.root), str(workspace)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=400, check=True)
    images, peak = map(int, done.stdout.split()[-2:])
    assert images == len(collection.identity)
    return peak


def test_the_drivers_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    few, many = small(tmp_path / "few", subjects=4, shots=5), small(tmp_path / "many", subjects=8, shots=25)
    assert len(many.identity) == 10 * len(few.identity)
    pixels = sum((many.root / key).stat().st_size for key in many.identity)
    vectors = 4 * 1280 * len(many.identity)
    growth = driver_peak(many, tmp_path / "ws-many") - driver_peak(few, tmp_path / "ws-few")
    # The rows that went by, once for the images and once for their pixels on the way to the vectors, and the vectors.
    # What the driver may keep of an image is its line of the listing.
    print(f"the driver grew by {growth / 2**20:.2f} MiB while {(2 * pixels + vectors) / 2**20:.2f} MiB went by")
    # Who kept every row once would have grown by nine tenths of this.
    assert growth < 0.75 * (pixels + vectors)
