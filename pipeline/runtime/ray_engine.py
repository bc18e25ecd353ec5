"""The Ray engine: Ray Data for map, one task a call for everything else (RAY.md §0).

Ray is started (or joined) when the first work turns up: a run with nothing to do never pays for it.
"""

import logging
import os
import sys
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, NoReturn

import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError, RayTaskError
from ray.util.annotations import RayDeprecationWarning

from pipeline.errors import ImagetracksError, UserError, WorkerDiedError
from pipeline.resources import Resources
from pipeline.runtime.engine import Call, Fragment, MapJob, Progress
from pipeline.runtime.ray_watch import Watch
from pipeline.runtime.ray_workers import (
    FragmentSink,
    GuardedRead,
    GuardedWorker,
    Tally,
    dismiss,
    run_call,
    run_gpu_call,
    told,
)
from pipeline.stopping import handlers_kept

_TASK_CPUS = 0.25
"""CPUs a reading or writing task asks for: little, so that a pool of actors never starves it (RAY.md §2)."""

_ACTOR_CPUS = 0.5
"""CPUs an extractor without a GPU asks for: with one a core, half of the CPUs remain for reading and writing."""

_NO_PROGRESS_SECONDS = 600
_POLL_SECONDS = 0.5
_SHOWN = 5
_GOES_ON = "all else that was done is kept, and the next run goes on from there"


class RayEngine:
    """Joins the cluster at ``address``, or starts Ray on this machine (see :mod:`pipeline.runtime.engines`).

    A worker that dies (killed, out of memory, its node lost) is replaced, and what it did is tried again
    ``resources.retries`` times; not so what a reader without a worker behind it did (see ``_reading``).
    """

    def __init__(self, resources: Resources, address: str | None = None) -> None:
        """Start or join.

        Raises:
            UserError: there is no cluster at the address.
        """
        _connect(address, resources)
        self._watch = None if address and address != "local" else Watch()
        found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray types it not
        self._retries, self._threads = resources.retries, resources.threads
        self._cpus = max(1, min(int(found.get("CPU", 1)), resources.num_cpus or 1 << 30))
        self._gpus = int(found.get("GPU", 0)) if resources.num_gpus is None else resources.num_gpus
        self._gpus_per_date = max(1, min(resources.gpus_per_date, self._gpus, _largest_node("GPU")))

    @property
    def num_workers(self) -> int:
        """How many CPUs the cluster has."""
        return self._cpus

    def map(self, job: MapJob, progress: Progress) -> list[Fragment]:
        """See :class:`pipeline.runtime.engine.Engine`: reader -> worker -> Datasink, streamed."""
        if not job.units:
            return []
        _set_data_context()
        tally = Tally.remote()  # type: ignore[attr-defined]  # added by ray.remote
        sink = FragmentSink(job.write, tally)
        try:
            with _polled(tally, progress) as seen:
                try:
                    self._dataset(job, tally).write_datasink(sink, ray_remote_args=self._reading(job))
                except Exception as error:
                    _explain(error)
            refusal = told(tally)
        finally:
            dismiss(tally)
        if refusal is not None:
            raise refusal
        seen.complete(sink.fragments, progress)
        return sink.fragments

    def call(self, calls: Iterable[Call]) -> Iterator[tuple[str, Any]]:
        """See :class:`pipeline.runtime.engine.Engine`: at most two calls a CPU are in flight.

        Many calls get one thread each, few share the CPUs out (RAY.md §11).
        """
        listed = list(calls)
        threads = self._threads or min(_largest_node("CPU"), max(1, self._cpus // max(1, len(listed))))
        waiting, running, died = iter(listed), dict[Any, Call](), list[tuple[Call, RayError]]()
        for one in islice(waiting, 2 * self._cpus):
            running[self._submit(one, threads)] = one
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            one = running.pop(done)
            for following in islice(waiting, 1):
                running[self._submit(following, threads)] = following
            try:
                result = ray.get(done)
            except RayTaskError as error:
                _explain(error)
            except RayError as error:
                died.append((one, error))
            else:
                yield one.key, result
        if died:
            raise self._died(died)

    def close(self) -> None:
        """Leave the cluster; a Ray that this engine started ends with it."""
        if self._watch is not None:
            self._watch.stop()
        ray.shutdown()

    def _dataset(self, job: MapJob, tally: Any) -> ray.data.Dataset:
        dataset: ray.data.Dataset = ray.data.from_arrow(list(job.units))
        dataset = dataset.map_batches(
            GuardedRead(job.read, tally), batch_size=None, batch_format="pyarrow", **self._reading(job)
        )
        if not job.worker:
            return dataset
        return dataset.map_batches(
            GuardedWorker,
            fn_constructor_args=(job.worker, *self._device(job), tally),
            batch_size=job.rows,
            batch_format="pyarrow",
            max_restarts=-1,
            max_task_retries=self._retries,
            **self._pool(job),
        )

    def _submit(self, one: Call, threads: int) -> Any:
        gpu = one.wants_gpu and self._gpus > 0
        # One CPU whatever the threads: more could wait for ever for a node that is lost, or that never was so large.
        options, run = ({"num_gpus": self._gpus_per_date}, run_gpu_call) if gpu else ({"num_cpus": 1}, run_call)
        task = run.options(**options, max_retries=self._retries, scheduling_strategy="SPREAD")
        return task.remote(one.function, one.arguments, threads, gpu)

    def _died(self, died: list[tuple[Call, RayError]]) -> WorkerDiedError:
        keys = sorted(one.key for one, _ in died)
        shown = ", ".join(keys[:_SHOWN]) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
        kinds = ", ".join(sorted({type(error).__name__ for _, error in died}))
        return WorkerDiedError(
            f"{died[0][0].stage} of {shown}: the worker died, and it was given up after try {self._retries + 1} "
            f"({kinds}); {_GOES_ON}\n"
            "most often memory ran out: set resources.num_cpus lower, so that less is done at once, or use a larger "
            "machine",
            tuple(keys),
        )

    def _gpu(self, job: MapJob) -> bool:
        return job.wants_gpu and self._gpus > 0

    def _device(self, job: MapJob) -> tuple[str, int]:
        """Where the network runs, and by how many threads images are opened: a GPU's share of the CPUs feeds it."""
        return ("cuda", max(1, self._cpus // self._gpus)) if self._gpu(job) else ("cpu", 1)

    def _reading(self, job: MapJob) -> dict[str, Any]:
        """Of tasks that read and write.

        A reader that decodes is one core's work, and writes what it has read itself: Ray Data makes one task of two
        steps that ask for the same.  One that feeds a worker is light.

        What killed a decoder once is not tried again here: its rows are left out, and done by children of a process.
        That holds where a node was lost too: nothing has to be rebuilt, for what such a task leaves behind is a file.
        An extractor's death is tried again: its pixels were decoded before, and a child would have to load the network.
        """
        return (
            {"num_cpus": _TASK_CPUS, "max_retries": self._retries} if job.worker else {"num_cpus": 1, "max_retries": 0}
        )

    def _pool(self, job: MapJob) -> dict[str, Any]:
        if self._gpu(job):
            return {"num_gpus": 1, "num_cpus": 0, "compute": ActorPoolStrategy(min_size=1, max_size=self._gpus)}
        size = min(self._cpus, len(job.units))
        return {"num_cpus": _ACTOR_CPUS, "compute": ActorPoolStrategy(min_size=1, max_size=max(1, size))}


def _connect(address: str | None, resources: Resources) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    with handlers_kept(), _without_noise():
        if address and address != "local":
            try:
                ray.init(address=address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise UserError(
                    f"no Ray cluster could be joined at {address} ({' '.join(str(error).split())[:200]})\n"
                    "check --address or RAY_ADDRESS and the cluster's token (RAY_AUTH_TOKEN), or leave both out: "
                    "then Ray is started here"
                ) from error
            return
        ray.init(
            address="local",
            num_cpus=resources.num_cpus,
            num_gpus=resources.num_gpus,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            **quiet,
        )


@contextmanager
def _without_noise() -> Iterator[None]:
    """Hold back what Ray's C++ side writes to stderr while it starts; it is shown if starting fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _largest_node(resource: str) -> int:
    """CPUs or GPUs of the node that is up and has the most of them."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # Ray types it not
    return max([1, *(int(node["Resources"].get(resource, 0)) for node in nodes if node["Alive"])])


class _Seen:
    """What the progress bar has been told so far."""

    def __init__(self) -> None:
        self._done, self._failed = 0, Counter[str]()

    def advance(self, done: int, failed: Mapping[str, int], progress: Progress) -> None:
        """Tell what came since the last time; nothing where the tally began anew."""
        if done > self._done:
            more = Counter(failed) - self._failed
            progress(done - self._done, more)
            self._done, self._failed = done, self._failed + more

    def complete(self, fragments: list[Fragment], progress: Progress) -> None:
        """Tell what the tally has missed."""
        failed = Counter[str]()
        for fragment in fragments:
            failed.update(fragment.failed)
        self.advance(sum(fragment.rows for fragment in fragments), failed, progress)


@contextmanager
def _polled(tally: Any, progress: Progress) -> Iterator[_Seen]:
    """Feed ``progress`` from the tally while the block runs; its refusal is told to the tally, which ends the job."""
    stop, seen = threading.Event(), _Seen()

    def loop() -> None:
        while not stop.wait(_POLL_SECONDS):
            try:
                with suppress(RayError):
                    done, failed = ray.get(tally.total.remote())
                    seen.advance(done, failed, progress)
            except ImagetracksError as error:
                tally.stop.remote(error)
                return

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _explain(error: Exception) -> NoReturn:
    """Raise what a worker raised, or what befell Ray.

    Ray's error for what a worker raised is of that kind too, but says a coloured traceback: so it is the cause here.
    """
    cause = getattr(error, "cause", None)
    if isinstance(cause, ImagetracksError):
        raise cause from None
    if isinstance(error, RayTaskError) and isinstance(cause, Exception):
        raise cause from error
    if isinstance(error, RayError) and not isinstance(error, RayTaskError):
        words = " ".join(str(error).split())[:200]
        raise WorkerDiedError(f"Ray gave up ({type(error).__name__}: {words})\n{_GOES_ON}") from error
    raise error


def _set_data_context() -> None:
    # Bounded retries have no other home than `ray_remote_args` before Ray 2.64 (RAY.md, edge 11).
    warnings.filterwarnings("ignore", category=RayDeprecationWarning)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = _NO_PROGRESS_SECONDS
    context.max_errored_blocks = -1  # only deaths are errors here (see ray_workers), and their rows are done apart
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
