"""One writer a workspace: taken once, renewed, broken only when expired, and a lost lease is noticed."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline.errors import BusyError
from pipeline.lease import Lease

MakeLease = Callable[..., Lease]


@pytest.fixture
def lease(tmp_path: Path) -> Iterator[MakeLease]:
    """Makes claims to one workspace; those that were taken are given back at the end."""
    made: list[Lease] = []

    def make(seconds: float = 60, filesystem: Any = None) -> Lease:
        folder = str(tmp_path / "_lease") if filesystem is None else "/ws/_lease"
        made.append(Lease(filesystem or fsspec.filesystem("file"), folder, "WS", seconds))
        return made[-1]

    yield make
    for one in made:
        one.release(clean=True)


def files(tmp_path: Path) -> list[str]:
    """But for what a killed process was writing, whose name is hidden."""
    return sorted(path.name for path in (tmp_path / "_lease").iterdir() if not path.name.startswith("."))


def plant(tmp_path: Path, **changes: object) -> None:
    """A lease as another machine would have written it."""
    (tmp_path / "_lease").mkdir(exist_ok=True)
    holder = {"run": "other", "machine": "elsewhere", "pid": 7, "place": "elsewhere x y", "started": "1"}
    value = {**holder, "number": 3, "until": time.time() + 60, "state": "held", **changes}
    (tmp_path / "_lease" / "00000003.json").write_text(json.dumps(value))


def test_nothing_is_written_before_it_is_taken(lease: MakeLease, tmp_path: Path) -> None:
    assert lease().look() is None
    assert not (tmp_path / "_lease").exists()


def test_the_second_run_is_told_who_holds_it(lease: MakeLease) -> None:
    first, second = lease(), lease()
    assert second.look() is None
    first.take()
    with pytest.raises(BusyError) as told:
        second.take()
    assert first.run in str(told.value)
    assert f"on {socket.gethostname()}, process {os.getpid()}" in str(told.value)
    assert told.value.exit_code == 75
    with pytest.raises(BusyError, match="is being written to by run"):
        lease().look()
    first.check()


@pytest.mark.parametrize("clean", [True, False])
def test_it_is_given_back_and_says_how_the_run_ended(lease: MakeLease, tmp_path: Path, clean: bool) -> None:
    first, second = lease(), lease()
    first.take()
    first.release(clean)
    last = second.look()
    assert last is not None
    assert last.state == ("clean" if clean else "unclean")
    second.take()
    assert files(tmp_path) == ["00000002.json"]


def test_of_many_at_once_one_gets_it(lease: MakeLease) -> None:
    claims, start, won = [lease() for _ in range(8)], threading.Barrier(8), list[Lease]()

    def race(one: Lease) -> None:
        one.look()
        start.wait()
        try:
            one.take()
        except BusyError:
            return
        won.append(one)

    threads = [threading.Thread(target=race, args=(one,)) for one in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    won[0].check()


def test_what_was_planned_before_another_run_is_not_carried_out(lease: MakeLease) -> None:
    planning = lease()
    planning.look()
    for _ in range(2):
        between = lease()
        between.take()
        between.release(clean=True)
    with pytest.raises(BusyError, match="has just written"):
        planning.take()
    lease().take()  # and its attempt blocks nobody


def test_one_from_another_machine_holds_until_it_expires(lease: MakeLease, tmp_path: Path) -> None:
    plant(tmp_path, until=time.time() + 60)
    with pytest.raises(BusyError, match="on elsewhere, process 7"):
        lease().look()
    plant(tmp_path, until=time.time() - 1)
    one = lease()
    last = one.look()
    assert last is not None
    assert last.state == "held"  # so its run was killed
    one.take()
    assert files(tmp_path) == ["00000004.json"]


def test_after_one_that_was_cut_off_the_next_run_looks_once_more(lease: MakeLease, tmp_path: Path) -> None:
    plant(tmp_path, until=time.time() - 1)
    states = []
    for _ in range(2):
        one = lease()
        one.take()
        one.release(clean=True)
        last = lease().look()
        assert last is not None
        states.append(last.state)
    assert states == ["unclean", "clean"]


def test_one_that_is_renewed_after_all_is_not_broken(lease: MakeLease, tmp_path: Path) -> None:
    plant(tmp_path, until=time.time() - 1)
    one = lease()
    one.look()
    plant(tmp_path, until=time.time() + 60)
    with pytest.raises(BusyError, match="on elsewhere"):
        one.take()
    assert files(tmp_path) == ["00000003.json"]


def test_half_a_lease_is_nobodys(lease: MakeLease, tmp_path: Path) -> None:
    plant(tmp_path)
    (tmp_path / "_lease" / "00000003.json").write_text('{"run": "oth')
    lease().take()
    assert files(tmp_path) == ["00000004.json"]


@pytest.mark.slow
def test_it_is_renewed_while_it_is_held(lease: MakeLease) -> None:
    first = lease(seconds=0.4)
    first.take()
    time.sleep(1)
    with pytest.raises(BusyError, match="is being written to"):
        lease().look()
    first.check()


class Careless(MemoryFileSystem):
    """A store that does not know of conditional puts and says nothing of it."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:  # noqa: ARG002  (fsspec's)
        super().pipe_file(path, value, mode="overwrite", **options)


def test_without_conditional_puts_the_first_of_two_notices(lease: MakeLease) -> None:
    store = Careless()
    first, second = lease(0.4, store), lease(0.4, store)
    assert first.look() is second.look() is None
    first.take()
    second.take()
    time.sleep(0.35)
    with pytest.raises(BusyError, match="has lost the workspace"):
        first.check()
    second.check()


HOLDER = """
import sys
import fsspec
from pipeline.lease import Lease

lease = Lease(fsspec.filesystem("file"), sys.argv[1], "WS", float(sys.argv[2]))
lease.take()
print("taken", flush=True)
sys.stdin.readline()
try:
    lease.check()
except Exception as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
print("held", flush=True)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Callable[[float], "subprocess.Popen[str]"]]:
    """Starts a process that takes the lease, and asks whether it has it when it is told to go on."""
    processes = []

    def start(seconds: float) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", HOLDER, str(tmp_path / "_lease"), str(seconds)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


Holder = Callable[[float], "subprocess.Popen[str]"]


def test_a_killed_holder_on_this_machine_lets_go_at_once(holder: Holder, lease: MakeLease) -> None:
    process = holder(600)
    with pytest.raises(BusyError, match=f"process {process.pid}"):
        lease().look()
    process.kill()  # and not waited for: even what remains of it is dead
    deadline = time.monotonic() + 10
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
    one = lease()
    last = one.look()
    assert last is not None
    assert last.state == "held"
    one.take()


@pytest.mark.slow
def test_a_holder_that_sleeps_too_long_loses_it_and_notices_before_it_writes(holder: Holder, lease: MakeLease) -> None:
    process = holder(1)
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(1.2)
    thief = lease()
    thief.take()
    os.kill(process.pid, signal.SIGCONT)
    said, _ = process.communicate("go on\n", timeout=20)
    assert process.returncode == 75
    assert thief.run in said
    thief.check()


@pytest.mark.slow
def test_a_holder_that_sleeps_while_nobody_comes_keeps_it(holder: Holder, lease: MakeLease, tmp_path: Path) -> None:
    process = holder(1)
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(1.2)
    os.kill(process.pid, signal.SIGCONT)
    assert process.communicate("go on\n", timeout=20)[0] == "held\n"
    lease().take()
    assert files(tmp_path) == ["00000003.json"]


def test_a_lost_one_is_left_to_who_has_it(lease: MakeLease, tmp_path: Path) -> None:
    first = lease(seconds=0.4)
    first.take()
    plant(tmp_path)
    time.sleep(0.35)
    with pytest.raises(BusyError, match="to run other"):
        first.check()
    with pytest.raises(BusyError, match="to run other"):
        first.check()
    first.release(clean=True)
    assert json.loads((tmp_path / "_lease" / "00000003.json").read_text())["state"] == "held"
