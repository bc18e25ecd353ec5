"""What runs on Ray's workers: a map job's reader, worker and sink, and the tally by which the driver follows them.

To Ray Data an error is an error: it cannot tell a process that died, which is worth another try, from a disk that is
full.  So everything that is raised is caught here and told to the tally; the rest of the job then ends without doing
anything, and the driver raises what was told.  What Ray sees are deaths alone, and those it may try again and, after
their bound, leave out.
"""

import atexit
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import pyarrow as pa
import ray
from ray.data import Datasink
from ray.exceptions import RayError

from pipeline.runtime.engine import Fragment

T = TypeVar("T")


@ray.remote(num_cpus=0, max_restarts=-1)
class Tally:
    """Rows done, for the progress bar only (what counts is in manifests), and the first error that a worker told.

    It may die and begin anew: the bar then misses some rows, and an error is met again.
    """

    def __init__(self) -> None:
        self._done, self._failed = 0, Counter[str]()
        self._error: list[BaseException] = []
        self._actors: list[Any] = []

    def add(self, done: int, failed: Mapping[str, int]) -> None:
        """Count further rows, and those of them that failed, by their reason."""
        self._done += done
        self._failed.update(failed)

    def total(self) -> tuple[int, dict[str, int]]:
        """Rows done, and those that failed by their reason."""
        return self._done, dict(self._failed)

    def enlist(self, actor: Any) -> None:
        """Remember an actor of the job's pool."""
        self._actors.append(actor)

    def actors(self) -> list[Any]:
        """All actors of the job's pool, dead ones too."""
        return self._actors

    def stop(self, error: BaseException) -> None:
        """Remember the error, if it is the first."""
        self._error = self._error or [error]

    def error(self) -> list[BaseException]:
        """The first error, if there is one; in a list, for Ray would raise it."""
        return self._error


def told(tally: Any) -> BaseException | None:
    """The first error of the job; None too where the tally cannot be asked."""
    with suppress(RayError):
        return next(iter(ray.get(tally.error.remote())), None)
    return None


def dismiss(tally: Any) -> None:
    """End what the job has started: an actor that Ray Data restarts as the job ends would keep its CPU for ever."""
    with suppress(RayError):
        for actor in ray.get(tally.actors.remote()):
            ray.kill(actor)
    ray.kill(tally)


@cache
def leave_without_ado() -> None:
    """Let this worker's process end at once when its time has come.

    Ray has taken its leave by then, and what was written is closed; but taking torch down costs a process two to three
    CPU seconds more, at the end of each pool and of each run.
    """
    atexit.register(os._exit, 0)  # the last registered comes first


def guarded(tally: Any, work: Callable[[], Iterable[T]]) -> Iterator[T]:
    """What ``work`` yields; nothing once an error has been told, here or elsewhere."""
    leave_without_ado()
    if told(tally) is not None:
        return
    try:
        yield from work()
    except (Exception, SystemExit) as error:  # SystemExit in an actor hangs Ray Data (RAY.md, edge 7)
        _tell(tally, error)


def _tell(tally: Any, error: BaseException) -> None:
    """Tell the error itself, with where it was raised, or those words alone where it does not survive the journey."""
    where = "".join(traceback.format_exception(error))
    error.add_note(f"on a worker:\n{where}")
    try:
        ray.get(tally.stop.remote(error))
    except Exception:  # an error may refuse to be pickled in any way it likes
        with suppress(RayError):
            ray.get(tally.stop.remote(RuntimeError(where)))


@dataclass(frozen=True)
class GuardedRead:
    """A job's reader."""

    read: Callable[[pa.Table], Iterator[pa.Table]]
    tally: Any

    def __call__(self, unit: pa.Table) -> Iterator[pa.Table]:
        """Tables of the unit."""
        yield from guarded(self.tally, lambda: self.read(unit))


class GuardedWorker:
    """An actor of a pool: builds its worker once, with ``threads``: one where the pool is what uses the cores."""

    def __init__(
        self, build: Callable[..., Callable[[pa.Table], pa.Table]], device: str, threads: int, tally: Any
    ) -> None:
        self._build, self._device, self._threads, self._tally = build, device, threads, tally
        self._work: Callable[[pa.Table], pa.Table] | None = None
        tally.enlist.remote(ray.get_runtime_context().current_actor)

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        """The worker's table for the rows."""
        yield from guarded(self._tally, lambda: [self._apply(rows)])

    def _apply(self, rows: pa.Table) -> pa.Table:
        self._work = self._work or self._build(device=self._device, threads=self._threads)
        return self._work(rows)


class FragmentSink(Datasink[list[Fragment]]):
    """Writes blocks as fragments on the workers and hands their descriptors to the driver."""

    def __init__(self, write: Callable[[pa.Table], Fragment], tally: Any) -> None:
        self._write, self._tally = write, tally
        self.fragments: list[Fragment] = []

    def __getstate__(self) -> dict[str, Any]:
        return {"_write": self._write, "_tally": self._tally, "fragments": []}

    def write(self, blocks: Iterable[Any], ctx: Any) -> list[Fragment]:  # noqa: ARG002  # Ray's signature
        """On a worker: a fragment a block."""
        return list(guarded(self._tally, lambda: map(self._written, (block for block in blocks if block.num_rows))))

    def on_write_complete(self, write_result: Any) -> None:
        """On the driver: take the descriptors."""
        self.fragments = [one for fragments in write_result.write_returns for one in fragments]

    def _written(self, rows: pa.Table) -> Fragment:
        fragment = self._write(rows)
        self._tally.add.remote(fragment.rows, dict(fragment.failed))
        return fragment


def stage_call(function: Callable[..., Any], arguments: tuple[Any, ...], threads: int, gpu: bool) -> Any:
    """A call of an engine; Ray shows it, and the process that runs it, under this name."""
    leave_without_ado()
    return function(*arguments, threads=threads, gpu=gpu)


run_call = ray.remote(stage_call)

run_gpu_call = ray.remote(num_cpus=0, num_gpus=1, max_calls=1)(stage_call)
"""In a process of its own: CUDA stays with the GPUs that a process saw first, and Ray may give the next call others."""
