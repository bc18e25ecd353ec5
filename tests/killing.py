"""Runs as processes of their own, killed from outside by pid, and what is to be true after the next run."""

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schemas import TABLES
from tests.collections import AS_THEY_ARE
from tests.runtime.runs import open_read, tables

ROOT = Path(__file__).parent.parent
INJECTED = ROOT / "tests" / "injected"
READER, EXTRACTOR, GROUP, TALLY = "ray::MapBatches(", "ray::MapWorker(", "ray::stage_call", "ray::Tally"
RAYLET = "raylet"
_STAGE = re.compile(rb"^([a-z_ ]+): \d+ [a-z]+$", re.MULTILINE)
_POLL = 0.02
BY_DATE = (
    *("projection", "constraints", "neighbors", "cluster", "link"),
    *("naming", "tracks", "publish", "looks", "track_summary"),
)
STAGES = ("images", "images by date", "fingerprints", "fingerprints by date", *BY_DATE)
"""In the order of a run; those of ``BY_DATE`` and the two ``by date`` are calls, the others maps."""
FATAL = ("driver", RAYLET)
"""Who takes the run along: its own process, and the only node that it has."""


@dataclass
class Killable:
    """``imagetracks run``; every process that it starts is remembered, so that it can be killed, or ended, by pid."""

    collection: Path
    workspace: Path
    settings: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    family: dict[int, psutil.Process] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)

    def __enter__(self) -> "Killable":
        sets = [word for one in self.settings for word in ("--set", one)]
        where = ["--collection", str(self.collection), "--workspace", str(self.workspace)]
        command = [sys.executable, "-m", "pipeline.cli", "run", *where, *self.options, *sets]
        self.output = self.workspace.with_name(f"{self.workspace.name}-{time.monotonic_ns()}.log")
        env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        env |= {"PYTHONPATH": str(INJECTED), "OMP_NUM_THREADS": "1", **self.environment}
        with self.output.open("wb") as output:
            # In a session of its own: what Ray sends to its process group is not meant for the tests.
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True
            )
        self.driver = psutil.Process(self.process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.look()
            self.process.kill()
        self.process.wait(60)
        self.await_end()

    @property
    def stage(self) -> str:
        """The stage that the run said it has begun last."""
        return ([m.decode() for m in _STAGE.findall(self.output.read_bytes())] or [""])[-1]

    @property
    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def look(self) -> list[tuple[psutil.Process, str]]:
        """The processes of the run that live, with their titles."""
        found = []
        with suppress(psutil.Error):
            for process in self.driver.children(recursive=True):
                self.family[process.pid] = process
                with suppress(psutil.Error, IndexError):
                    found.append((process, process.cmdline()[0]))
        return found

    def kill(self, title: str, stage: str | None = None, seconds: float = 120) -> None:
        """SIGKILL the first process that comes with that title (during that stage)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            for process, found in self.look():
                wanted = self._is(found, title) and (stage is None or self.stage == stage)
                if wanted and self._end(process, title):
                    return
            time.sleep(_POLL)
        raise TimeoutError(f"no {title} in {stage}: the run is at {self.stage!r}\n{self.said}")

    def kill_driver(self) -> bool:
        """SIGKILL the run itself; whether it was still there."""
        self.look()
        done = self._end(self.driver, "driver")
        self.process.wait(60)
        return done

    def kill_any(self, rng: random.Random) -> bool:
        """SIGKILL a process of the run, whatever it does, or the run itself; whether there was anything to kill."""
        kinds: dict[str, list[psutil.Process]] = {}
        for process, title in self.look():
            kind = title.rsplit("/", 1)[-1].split("(")[0].split(".")[0]
            if kind == RAYLET or (kind.startswith("ray::") and "Agent" not in kind):
                kinds.setdefault(kind, []).append(process)
        kind = rng.choice(["driver", *sorted(kinds)])
        return self.kill_driver() if kind == "driver" else self._end(rng.choice(kinds[kind]), kind)

    def _end(self, process: psutil.Process, title: str) -> bool:
        """SIGKILL a process, if it and the run live; only what was killed is remembered as ``killed``."""
        stage = self.stage
        if self.process.poll() is not None:
            return False
        with suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            process.kill()
            self.killed.append(f"{title} in {stage}")
            return True
        return False

    def until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Wait for something that can be seen from outside."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or self.process.poll() is not None:
                raise TimeoutError(f"the run is at {self.stage!r}\n{self.said}")
            self.look()
            time.sleep(_POLL)

    def wait(self, seconds: float = 240) -> int:
        """Exit code."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.look()
            time.sleep(0.2)
        return self.process.wait(0.1)

    def await_end(self, seconds: float = 30) -> None:
        """Wait until no process of the run is left; what is left then is ended here, and is a failure.

        Ray's agents and idle workers, which do no work of the run, notice after a minute, or later on a busy machine,
        that their node is gone.
        """
        agents = [process for process in self.family.values() if "Agent" in title_of(process)]
        _, left = psutil.wait_procs([one for one in self.family.values() if one not in agents], seconds)
        for process in agents:
            with suppress(psutil.Error):
                process.kill()
        titles = []
        for process in left:
            with suppress(psutil.Error):
                title = " ".join(process.cmdline())[:100]
                titles += [] if title.startswith("ray::IDLE") else [title]
                process.kill()
        assert not titles, f"still there {seconds} s after the run: {titles}"

    @staticmethod
    def _is(found: str, title: str) -> bool:
        return found.startswith(title) if title.startswith("ray::") else found.endswith(f"/{title}")


def disturbed(run: Killable, rng: random.Random, latest: int = len(STAGES)) -> int:
    """Kill one process of a run that begins, at a moment drawn by stage, so that short stages are met too.

    If the run has ended before, it begins anew, in a new workspace, and is met earlier.
    """
    at, pause = rng.randrange(latest), rng.uniform(0, 2)
    with run:
        run.until(lambda: run.process.poll() is not None or (run.stage in STAGES and STAGES.index(run.stage) >= at))
        time.sleep(pause)
        run.kill_any(rng)
        code = run.wait()
    if not run.killed:
        shutil.rmtree(run.workspace)
        return disturbed(run, rng, max(1, at))
    assert code == 0 or run.killed[0].startswith(FATAL), (run.killed, run.said)
    return code


def title_of(process: psutil.Process) -> str:
    with suppress(psutil.Error, IndexError):
        return process.cmdline()[0]
    return ""


def decodes(log: Path) -> Counter[tuple[str, str]]:
    """How often each photograph was read, and how often its pixels were opened: (what, which) -> times."""
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter((what, which) for what, which in (line.split() for line in lines))


def times(log: Path, what: str) -> int:
    return sum(number for (kind, _), number in decodes(log).items() if kind == what)


def fragment_rows(workspace: Path, table: str) -> int:
    """Rows that an unfinished map stage has stored."""
    found = (workspace / table).rglob("_staging/fragments/*/part-*.parquet")
    return sum(pq.read_metadata(path).num_rows for path in found)


def assert_undisturbed(workspace: Path, expected: dict[str, dict[str, pa.Table]]) -> None:
    """Every table of a run with ``AS_THEY_ARE`` equal, and nothing to be found by a glob but what manifests name."""
    found = tables(workspace, AS_THEY_ARE)
    for name, partitions in expected.items():
        assert list(found[name]) == list(partitions), name
        for date, rows in partitions.items():
            assert found[name][date].equals(rows), (name, date)
    context = open_read(workspace, AS_THEY_ARE)
    named = {
        Path(store.folder(partition)) / part.name
        for store in (context.store(table) for table in TABLES)
        for partition, manifest in store.partitions.items()
        for part in manifest.parts
    }
    assert set(workspace.rglob("*=*/part-*.parquet")) == named


def end_family(process: psutil.Process) -> None:
    """Kill a process that a test started, and all that it started; `ray stop` would end every Ray on the machine."""
    family = [process]
    with suppress(psutil.Error):
        family += process.children(recursive=True)
    for one in family:
        with suppress(psutil.Error):
            one.kill()
    psutil.wait_procs(family, 30)
