"""SIGTERM and SIGINT: an orderly end within ten seconds, the exit code that a scheduler expects, and a next run."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from tests.collections import AS_THEY_ARE, PLAIN, TINY, Collection, small
from tests.commands import environment, imagetracks, leftovers, message_of, run_arguments, started
from tests.killing import Killable
from tests.runtime.runs import tables

INJECTED = Path(__file__).parent / "injected"
SLOWED = {"PYTHONPATH": str(INJECTED), "DECODE_SLEEP": "0.25"}
"""Each image takes a while, so that a small collection lasts long enough to be stopped."""


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return small(tmp_path_factory.mktemp("stopping") / "photos", subjects=3, shots=1, size=TINY)


@pytest.fixture(scope="module")
def undisturbed(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, pa.Table]]:
    workspace = tmp_path_factory.mktemp("undisturbed") / "ws"
    done = imagetracks(*run_arguments(collection.root, workspace, *PLAIN))
    assert done.returncode == 0, done.stderr
    return tables(workspace, AS_THEY_ARE)


def stop(process: "subprocess.Popen[str]", workspace: Path, sign: str, number: int, wait: bool = True) -> float:
    """Send a signal once ``sign`` is there; returns the seconds that the process then took."""
    deadline = time.monotonic() + 120
    while not list(workspace.glob(sign)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    asked = time.monotonic()
    process.send_signal(number)
    if wait:
        process.wait(60)
    return time.monotonic() - asked


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "sign", "settings"),
    [
        (signal.SIGTERM, "_lease/*.json", []),
        (signal.SIGINT, "images/_staging/fragments/*/*.parquet", ["--set", "resources.rows_per_fragment=2"]),
        (signal.SIGTERM, "fingerprints/*/_staging/fragments/*/*.parquet", ["--set", "resources.rows_per_fragment=2"]),
        (signal.SIGTERM, "clusterings/default/clusters/date=*/_manifest.json", []),
    ],
)
def test_a_run_is_stopped_and_the_next_goes_on(
    number: int,
    sign: str,
    settings: list[str],
    collection: Collection,
    undisturbed: dict[str, dict[str, pa.Table]],
    tmp_path: Path,
) -> None:
    words = run_arguments(collection.root, tmp_path / "ws", *PLAIN, *settings)
    process = started(*words, env=environment(**SLOWED))
    seconds = stop(process, tmp_path / "ws", sign, number)
    _, said = process.communicate()
    print(f"stopped within {seconds:.2f} s")
    assert process.returncode == 128 + number, said
    assert seconds < 10
    assert said.strip().splitlines()[-1].startswith(f"imagetracks: stopped by {signal.Signals(number).name}; what was")
    assert "Traceback" not in said
    [lease] = (tmp_path / "ws" / "_lease").glob("*.json")
    assert json.loads(lease.read_text())["state"] == "unclean"
    done = imagetracks(*words)
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "ws", AS_THEY_ARE) == undisturbed
    assert leftovers(tmp_path / "ws") == []


@pytest.mark.ray
@pytest.mark.timeout(900)
def test_runs_on_ray_are_stopped_in_each_kind_of_stage(
    collection: Collection, undisturbed: dict[str, dict[str, pa.Table]], tmp_path: Path
) -> None:
    """One after the other on one workspace, each a stage further; then one that comes to its end."""
    settings = (AS_THEY_ARE, "resources.num_cpus=1", "resources.rows_per_fragment=2")
    slowed = {"DECODE_SLEEP": "0.25", "STAGE_SLEEP": "1"}
    for stage in ("images", "fingerprints", "link"):
        with Killable(collection.root, tmp_path / "ws", settings, environment=slowed) as run:
            run.until(lambda run=run, stage=stage: run.stage == stage, 300)
            time.sleep(0.5)
            asked = time.monotonic()
            run.process.send_signal(signal.SIGTERM)
            assert run.wait(60) == 143, (stage, run.said)
            seconds = time.monotonic() - asked
        print(f"stopped in {stage} within {seconds:.2f} s")
        assert seconds < 10, stage
        assert run.said.strip().splitlines()[-1].startswith("imagetracks: stopped by SIGTERM; what was"), run.said
        assert "Traceback" not in run.said
        assert run.stage == stage
    done = imagetracks(*run_arguments(collection.root, tmp_path / "ws", *PLAIN))
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "ws", AS_THEY_ARE) == undisturbed
    assert leftovers(tmp_path / "ws") == []


@pytest.mark.slow
def test_a_run_that_lost_its_lease_stops_before_it_commits(
    collection: Collection, undisturbed: dict[str, dict[str, pa.Table]], tmp_path: Path
) -> None:
    """It is held up for longer than its lease lasts; another takes over and comes to its end."""
    settings = [*PLAIN, "--set", "resources.lease_seconds=1", "--set", "resources.rows_per_fragment=2"]
    words = run_arguments(collection.root, tmp_path / "ws", *settings)
    held_up = started(*words, env=environment(**SLOWED))
    try:
        stop(held_up, tmp_path / "ws", "images/_staging/fragments/*/*.parquet", signal.SIGSTOP, wait=False)
        busy = imagetracks(*words)
        if busy.returncode == 75:  # it was still in time
            assert f"process {held_up.pid}" in message_of(busy, 75)
            time.sleep(1.2)
            busy = imagetracks(*words)
        assert busy.returncode == 0, busy.stderr
        committed = published(tmp_path / "ws")
    finally:
        held_up.send_signal(signal.SIGCONT)
    _, said = held_up.communicate(timeout=60)
    assert held_up.returncode == 75, said
    assert "has lost the workspace" in said
    assert "Traceback" not in said
    assert published(tmp_path / "ws") == committed
    assert tables(tmp_path / "ws", AS_THEY_ARE) == undisturbed
    assert imagetracks(*words).returncode == 0
    assert leftovers(tmp_path / "ws") == []


def published(workspace: Path) -> dict[Path, int]:
    """Every part, manifest and head with its time."""
    found = [*workspace.rglob("*.parquet"), *workspace.rglob("*.json")]
    return {path: path.stat().st_mtime_ns for path in found if not {"_staging", "_lease"} & set(path.parts)}


def python(code: str, seconds: float = 30) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=seconds, env=environment()
    )


def test_a_commit_is_finished_first() -> None:
    code = """
import os, signal
from pipeline.stopping import Stopped, shielded, stoppable

with stoppable():
    try:
        with shielded(), shielded():
            os.kill(os.getpid(), signal.SIGTERM)
            print("finished", flush=True)
        print("went on", flush=True)
    except Stopped as stopped:
        os.kill(os.getpid(), signal.SIGTERM)  # once is enough
        print("stopped by", stopped, flush=True)
"""
    done = python(code)
    assert done.stdout == "finished\nstopped by SIGTERM\n", done.stderr


@pytest.mark.slow
def test_code_that_never_returns_to_python_is_ended_all_the_same() -> None:
    code = """
import hashlib, os, signal, threading
from pipeline import stopping

stopping._WITHIN_SECONDS = 0.5
with stopping.stoppable():
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)
"""
    started_at = time.monotonic()
    assert python(code).returncode == 143
    assert time.monotonic() - started_at < 10


def test_pressing_it_twice_ends_at_once() -> None:
    code = """
import os, signal, time
from pipeline.stopping import Stopped, stoppable

with stoppable():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except Stopped:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
"""
    started_at = time.monotonic()
    assert python(code).returncode == 130
    assert time.monotonic() - started_at < 4
