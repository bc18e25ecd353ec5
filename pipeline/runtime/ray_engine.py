"""The Ray engine: Ray Data for map, one task a call for everything else (RAY.md §0).

Ray is started (or joined) when the first work turns up: a run with nothing to do never pays for it.
"""

import logging
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Datasink
from ray.util.annotations import RayDeprecationWarning

from pipeline.resources import Resources
from pipeline.runtime.engine import Call, Fragment, MapJob, Progress

_TASK_CPUS = 0.25
"""CPUs a reading or writing task asks for: little, so that a pool of actors never starves it (RAY.md §2)."""

_ACTOR_CPUS = 0.5
"""CPUs an extractor without a GPU asks for: with one a core, half of the CPUs remain for reading and writing."""

_NO_PROGRESS_SECONDS = 600
_POLL_SECONDS = 0.5


class RayEngine:
    """Joins the cluster at ``address``, or starts Ray on this machine (see :mod:`pipeline.runtime.engines`)."""

    def __init__(self, resources: Resources, address: str | None = None) -> None:
        self._connect(address, resources)
        found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray types it not
        self._retries, self._threads = resources.retries, resources.threads
        self._cpus = max(1, min(int(found.get("CPU", 1)), resources.num_cpus or 1 << 30))
        self._gpus = int(found.get("GPU", 0)) if resources.num_gpus is None else resources.num_gpus

    @property
    def num_workers(self) -> int:
        """How many CPUs the cluster has."""
        return self._cpus

    def map(self, job: MapJob, progress: Progress) -> list[Fragment]:
        """See :class:`pipeline.runtime.engine.Engine`: reader -> worker -> Datasink, streamed."""
        if not job.units:
            return []
        _set_data_context()
        dataset: ray.data.Dataset = ray.data.from_arrow(list(job.units))
        dataset = dataset.map_batches(
            job.read,
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=self._reader_cpus(job),
            max_retries=self._retries,
        )
        if job.worker:
            dataset = dataset.map_batches(
                _Worker,
                fn_constructor_args=(job.worker, "cuda" if self._gpu(job) else "cpu"),
                batch_size=job.rows,
                batch_format="pyarrow",
                **self._pool(job),
            )
        sink = _FragmentSink(job.write)
        with _polled(sink.counter, progress):
            dataset.write_datasink(sink, ray_remote_args={"num_cpus": _TASK_CPUS, "max_retries": self._retries})
        return sink.fragments

    def call(self, calls: Iterable[Call]) -> Iterator[tuple[str, Any]]:
        """See :class:`pipeline.runtime.engine.Engine`: at most two calls a CPU are in flight.

        Many calls get one thread each, few share the CPUs out (RAY.md §11).
        """
        listed = list(calls)
        threads = self._threads or max(1, self._cpus // max(1, len(listed)))
        waiting, running = iter(listed), dict[Any, str]()
        for one in islice(waiting, 2 * self._cpus):
            running[self._submit(one, threads)] = one.key
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            key = running.pop(done)
            for one in islice(waiting, 1):
                running[self._submit(one, threads)] = one.key
            yield key, ray.get(done)

    def close(self) -> None:
        """Leave the cluster; a Ray that this engine started ends with it."""
        ray.shutdown()

    def _submit(self, one: Call, threads: int) -> Any:
        gpu = one.wants_gpu and self._gpus > 0
        options = {"num_gpus": 1, "num_cpus": 0} if gpu else {"num_cpus": min(threads, self._cpus)}
        task = _run_call.options(**options, max_retries=self._retries)
        return task.remote(one.function, one.arguments, threads, gpu)

    def _gpu(self, job: MapJob) -> bool:
        return job.wants_gpu and self._gpus > 0

    def _reader_cpus(self, job: MapJob) -> float:
        """A reader that decodes (no worker behind it) is one core's work; one that feeds a worker is light."""
        return _TASK_CPUS if job.worker else 1

    def _pool(self, job: MapJob) -> dict[str, Any]:
        if self._gpu(job):
            return {"num_gpus": 1, "num_cpus": 0, "compute": ActorPoolStrategy(min_size=1, max_size=self._gpus)}
        size = min(self._cpus, len(job.units))
        return {"num_cpus": _ACTOR_CPUS, "compute": ActorPoolStrategy(min_size=1, max_size=max(1, size))}

    def _connect(self, address: str | None, resources: Resources) -> None:
        logging.getLogger("ray").setLevel(logging.ERROR)
        if address and address != "local":
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            return
        ray.init(
            address="local",
            num_cpus=resources.num_cpus,
            num_gpus=resources.num_gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
        )


class _Worker:
    """An actor of a pool: builds its worker once, with one thread (the pool is what uses the cores)."""

    def __init__(self, build: Callable[..., Callable[[pa.Table], pa.Table]], device: str) -> None:
        self._work = build(device=device, threads=1)

    def __call__(self, rows: pa.Table) -> pa.Table:
        return self._work(rows)


class _FragmentSink(Datasink[list[Fragment]]):
    """Writes blocks as fragments on the workers and hands their descriptors to the driver."""

    def __init__(self, write: Callable[[pa.Table], Fragment]) -> None:
        self._write = write
        self.counter: Any = _Counter.remote()  # type: ignore[attr-defined]  # added by ray.remote
        self.fragments: list[Fragment] = []

    def __getstate__(self) -> dict[str, Any]:
        return {"_write": self._write, "counter": self.counter, "fragments": []}

    def write(self, blocks: Iterable[Any], ctx: Any) -> list[Fragment]:  # noqa: ARG002  # Ray's signature
        fragments = []
        for block in blocks:
            if block.num_rows:
                fragment = self._write(block)
                self.counter.add.remote(fragment.rows, sum(fragment.failed.values()))
                fragments.append(fragment)
        return fragments

    def on_write_complete(self, write_result: Any) -> None:
        self.fragments = [one for fragments in write_result.write_returns for one in fragments]


@ray.remote(num_cpus=0)
class _Counter:
    """Counts rows for the progress bar only; what counts is in manifests (RAY.md §10)."""

    def __init__(self) -> None:
        self._done, self._failed = 0, 0

    def add(self, done: int, failed: int) -> None:
        self._done += done
        self._failed += failed

    def total(self) -> tuple[int, int]:
        return self._done, self._failed


@contextmanager
def _polled(counter: Any, progress: Progress) -> Iterator[None]:
    """Feed ``progress`` from the counter while the block runs, and once more at its end."""
    stop, seen = threading.Event(), [0, 0]

    def poll() -> None:
        done, failed = ray.get(counter.total.remote())
        progress(done - seen[0], failed - seen[1])
        seen[:] = [done, failed]

    def loop() -> None:
        while not stop.wait(_POLL_SECONDS):
            poll()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    poll()


@ray.remote
def _run_call(function: Callable[..., Any], arguments: tuple[Any, ...], threads: int, gpu: bool) -> Any:
    return function(*arguments, threads=threads, gpu=gpu)


def _set_data_context() -> None:
    # Bounded retries have no other home than `ray_remote_args` before Ray 2.64 (RAY.md, edge 11).
    warnings.filterwarnings("ignore", category=RayDeprecationWarning)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = _NO_PROGRESS_SECONDS
    logging.getLogger("ray.data").setLevel(logging.ERROR)
