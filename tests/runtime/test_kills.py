"""Processes of a run that are killed from outside."""

import os
import random
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from tests.collections import AS_THEY_ARE, DATES, TINY, Collection, small
from tests.killing import (
    EXTRACTOR,
    GROUP,
    INJECTED,
    RAYLET,
    READER,
    STAGES,
    Killable,
    assert_undisturbed,
    disturbed,
    end_family,
    fragment_rows,
    times,
    title_of,
)
from tests.runtime.runs import run_local, tables
from tests.runtime.test_ray import free_port

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]
Tables = dict[str, dict[str, pa.Table]]

CPUS, ROWS = 2, 3
SETTINGS = (AS_THEY_ARE, f"resources.num_cpus={CPUS}", f"resources.rows_per_fragment={ROWS}")
SLOW = {"DECODE_SLEEP": "0.1"}
SEEDS = (43, 44, 34)
"""Three random moments: in images, cluster and link."""


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return small(tmp_path_factory.mktemp("kills") / "photos", subjects=4, shots=3, size=TINY)


@pytest.fixture(scope="module")
def expected(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    workspace = tmp_path_factory.mktemp("undisturbed") / "ws"
    run_local(collection.root, workspace, AS_THEY_ARE)
    return tables(workspace, AS_THEY_ARE)


def test_a_worker_killed_in_each_stage_is_replaced_and_nothing_shows(
    collection: Collection, expected: Tables, tmp_path: Path
) -> None:
    log, total = tmp_path / "decodes", len(collection.identity)
    environment = {**SLOW, "STAGE_SLEEP": "0.4", "DECODE_LOG": str(log)}
    with Killable(collection.root, tmp_path / "ws", SETTINGS, environment=environment) as run:
        for stage in STAGES:
            run.kill({"images": READER, "fingerprints": EXTRACTOR}.get(stage, GROUP), stage)
        assert run.wait() == 0, run.said
    assert len(run.killed) == len(STAGES)
    assert "raylet" not in run.said
    for what in ("read", "open"):  # what the killed worker had in its hands was done twice, and nothing else
        assert total <= times(log, what) <= total + ROWS, what
    assert_undisturbed(tmp_path / "ws", expected)


def test_a_driver_that_is_killed_leaves_work_that_the_next_run_does_not_do_again(
    collection: Collection, expected: Tables, tmp_path: Path
) -> None:
    workspace, log, total = tmp_path / "ws", tmp_path / "decodes", len(collection.identity)
    with Killable(collection.root, workspace, SETTINGS, environment={**SLOW, "DECODE_LOG": str(log)}) as run:
        run.until(lambda: fragment_rows(workspace, "images") >= total // 3)
        assert run.kill_driver()
    stored, read = fragment_rows(workspace, "images"), times(log, "read")
    assert 0 <= read - stored <= CPUS * ROWS  # in flight
    with Killable(collection.root, workspace, SETTINGS, environment={**SLOW, "DECODE_LOG": str(log)}) as run:
        run.until(lambda: fragment_rows(workspace, "fingerprints") >= total // 3)
        assert run.kill_driver()
    assert times(log, "read") == read + total - stored
    stored = fragment_rows(workspace, "fingerprints")
    assert 0 <= times(log, "open") - stored <= 2 * CPUS * ROWS  # with an extractor, or between it and a file
    done = run_local(collection.root, workspace, AS_THEY_ARE).done
    assert (done["images"], done["fingerprints"]) == (0, total - stored)
    assert_undisturbed(workspace, expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_process_at_a_random_moment(
    seed: int, collection: Collection, expected: Tables, tmp_path: Path
) -> None:
    run = Killable(collection.root, tmp_path / "ws", SETTINGS, environment={**SLOW, "STAGE_SLEEP": "0.3"})
    code = disturbed(run, random.Random(seed))
    print(run.killed)
    assert run.killed
    if code != 0:
        run_local(collection.root, tmp_path / "ws", AS_THEY_ARE)
    assert_undisturbed(tmp_path / "ws", expected)


def test_without_its_only_raylet_a_run_says_so_and_the_next_goes_on(
    collection: Collection, expected: Tables, tmp_path: Path
) -> None:
    with Killable(collection.root, tmp_path / "ws", SETTINGS, environment=SLOW) as run:
        run.until(lambda: fragment_rows(tmp_path / "ws", "images") > 0)
        run.kill(RAYLET)
        assert run.wait() == 1, run.said
    told = run.said[run.said.index("imagetracks: ") :].strip()
    assert "Ray has died on this machine (raylet was killed" in told
    assert "the next run goes on from there" in told
    assert len(told.splitlines()) <= 3
    assert "Traceback" not in run.said
    run_local(collection.root, tmp_path / "ws", AS_THEY_ARE)
    assert_undisturbed(tmp_path / "ws", expected)


def test_a_date_whose_worker_dies_each_time_is_named_and_the_others_are_committed(
    collection: Collection, tmp_path: Path
) -> None:
    workspace = tmp_path / "ws"
    run_local(collection.root, workspace, AS_THEY_ARE)
    settings = (*SETTINGS, "neighbors.k=7", "resources.retries=0")
    with Killable(collection.root, workspace, settings) as run:
        run.kill(GROUP, "neighbors")
        assert run.wait() == 1, run.said
    assert re.search(
        r"imagetracks: neighbors of 2024-05-0\d: the worker died, .* try 1 .*the next run goes on", run.said
    )
    assert "Traceback" not in run.said
    done = run_local(collection.root, workspace, AS_THEY_ARE, "neighbors.k=7").done
    assert (done["images"], done["fingerprints"], done["neighbors"], done["cluster"]) == (0, 0, 1, len(DATES))


@pytest.fixture
def two_nodes() -> Iterator[tuple[dict[str, str], psutil.Process]]:
    """A Ray cluster of two nodes; the raylet of the one that is to be lost.  Ended by pid, never by `ray stop`."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(24), "RAY_USAGE_STATS_ENABLED": "0"}
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | token
    env |= {"PYTHONPATH": str(INJECTED), "OMP_NUM_THREADS": "1", **SLOW}
    start = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--disable-usage-stats"]
    start.append("--node-ip-address=127.0.0.1")
    address = f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:

        def node(*options: str) -> psutil.Process:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = psutil.Process(subprocess.Popen([*start, *options], env=env, **quiet).pid)
            stack.callback(end_family, process)
            return raylet_of(process)

        node("--head", "--include-dashboard=false", f"--port={address.rsplit(':', 1)[1]}", "--num-cpus=1")
        lost = node(f"--address={address}", "--num-cpus=2")
        yield {**token, "RAY_ADDRESS": address}, lost


def raylet_of(process: psutil.Process) -> psutil.Process:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        found = [one for one in process.children(recursive=True) if one.name() == RAYLET]
        if found:
            time.sleep(2)  # until it has registered with the head
            return found[0]
        time.sleep(0.2)
    raise TimeoutError("the node did not start")


def test_a_node_that_is_lost_takes_nothing_with_it(
    two_nodes: tuple[dict[str, str], psutil.Process], collection: Collection, expected: Tables, tmp_path: Path
) -> None:
    environment, lost = two_nodes
    with Killable(collection.root, tmp_path / "ws", SETTINGS, environment={**SLOW, **environment}) as run:
        run.until(lambda: any(title_of(worker).startswith(READER) for worker in lost.children()))
        lost.kill()
        assert run.wait(400) == 0, run.said
    assert_undisturbed(tmp_path / "ws", expected)
