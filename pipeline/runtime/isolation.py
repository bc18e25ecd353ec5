"""Rows that killed the worker that had them, done again in a child process, which may die of them.

Decoders are C, and the bytes are anybody's.  When the process that works on some rows has died, once or (where a
network is needed) each time it was tried, they come here: a child does them; if it dies, or takes too long, each half
has a child of its own, down to the one row that does it.  That row is tried as often as anything else, and then it
keeps its place with a reason.

Rows and results go through pipes as Arrow; nothing that a child says is unpickled.
"""

import faulthandler
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from pipeline.compute.reasons import Reason
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Call, Fragment

ROWS = 32
"""Rows that a child is first given, and those that ``resources.decode_seconds`` are meant for."""

_FAILED = 70
"""Exit code of a child in which something was raised, as opposed to one that died (EX_SOFTWARE of sysexits.h)."""

_START_SECONDS = 120
"""How long a child may take to start on a busy machine, before its time begins to count."""

_SETTINGS = b"settings"
_STDERR = 2


@dataclass(frozen=True)
class Isolated:
    """A job for children.

    Attributes:
        job: its name in ``_JOBS``.
        settings: what the job is told, as JSON.
        reason: of a row that kills its process.
        payload: the column that it may be dying of; without it a row is done if even its header kills.
        attempts: children that one row is given.
        seconds: for ``ROWS`` rows.
    """

    job: str
    settings: Mapping[str, Any]
    reason: Reason
    payload: str
    attempts: int
    seconds: float

    def __call__(self, rows: pa.Table) -> pa.Table:
        """What the job makes of the rows, one result for each, in their order."""
        try:
            return self._child(rows)
        except _ChildDiedError as error:
            died = error
        if rows.num_rows == 1:
            return self._single(rows, died)
        half = rows.num_rows // 2
        return pa.concat_tables([self(rows.slice(0, half)), self(rows.slice(half))])

    def _single(self, row: pa.Table, died: "_ChildDiedError") -> pa.Table:
        for _ in range(self.attempts - 1):
            try:
                return self._child(row)
            except _ChildDiedError as error:
                died = error
        marked = _set(_set(row, "reason", str(self.reason)), "detail", str(died))
        try:
            return self._child(marked)  # what the header says is known all the same
        except _ChildDiedError:
            return self._child(_set(marked, self.payload, None))

    def _child(self, rows: pa.Table) -> pa.Table:
        seconds = self.seconds * max(1, -(-rows.num_rows // ROWS))
        settings = json.dumps({**self.settings, "seconds": seconds}).encode()
        command = [sys.executable, "-m", __name__, self.job]
        try:
            done = subprocess.run(  # noqa: S603  # this Python and this module
                command,
                input=_to_bytes(rows.replace_schema_metadata({_SETTINGS: settings})),
                capture_output=True,
                check=False,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},  # as this process has it
                timeout=seconds + _START_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise _ChildDiedError(f"no result after {seconds:.0f} s") from None
        if done.returncode == _FAILED:
            raise RuntimeError(f"in a child process:\n{done.stderr.decode(errors='replace')}")
        if done.returncode:
            raise _ChildDiedError(_death(done.returncode, seconds))
        return pa.ipc.open_stream(done.stdout).read_all()


class _ChildDiedError(Exception):
    """The child gave no result."""


def do_isolated(
    read: Callable[[pa.Table], Iterable[pa.Table]],
    work: Isolated,
    write: Callable[[pa.Table], Fragment],
    unit: pa.Table,
    *,
    threads: int,
    gpu: bool,
) -> list[Fragment]:
    """On a worker: a unit's rows, some ``ROWS`` at a time, each by children."""
    told = replace(work, settings={**work.settings, "threads": threads, "gpu": gpu})
    return [write(told(piece)) for rows in read(unit) for piece in cut(rows)]


def run_isolated(context: Context, stage: str, calls: list[tuple[Any, ...]], wants_gpu: bool = False) -> list[Fragment]:
    """Do units anew whose workers died: ``calls`` are the arguments of :func:`do_isolated`.

    Raises:
        WorkerDiedError: a process that only started children died as well.
    """
    listed = [Call(stage, f"batch {at}", do_isolated, one, wants_gpu) for at, one in enumerate(calls)]
    fragments: list[Fragment] = []
    context.reporter.start(f"{stage} apart", len(calls), "batches")
    for _, made in context.engine().call(listed):
        fragments += made
        context.reporter.advance(1)
    context.reporter.finish()
    return fragments


def cut(rows: pa.Table) -> Iterator[pa.Table]:
    """``ROWS`` rows at a time."""
    for start in range(0, rows.num_rows, ROWS):
        yield rows.slice(start, ROWS)


class Watch:
    """Ends this process when a piece of work takes longer than ``seconds``; does nothing if that is None.

    By a thread of C, for a decoder that hangs lets no Python run.  To whoever follows this process a hang is then a
    death.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        if self._seconds is not None:
            faulthandler.dump_traceback_later(self._seconds, exit=True, file=_STDERR)

    def __exit__(self, *_: object) -> None:
        if self._seconds is not None:
            faulthandler.cancel_dump_traceback_later()


def _death(code: int, seconds: float) -> str:
    if code == 1:  # of Watch
        return f"no result after {seconds:.0f} s"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"


def _set(rows: pa.Table, name: str, value: str | None) -> pa.Table:
    at = rows.schema.get_field_index(name)
    if at < 0:
        return rows
    field = rows.schema.field(at)
    return rows.set_column(at, field, pa.array([value] * rows.num_rows, field.type))


def _to_bytes(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


# -- in the child


def _ingest(settings: Mapping[str, Any]) -> Callable[[pa.Table], pa.Table]:
    # Imported now, so that the time that is measured is the decoder's.
    from pipeline.compute import dating, decoding, pixels  # noqa: F401  # for the import alone
    from pipeline.stages.ingest import ingest
    from pipeline.stages.ingest_params import IngestParams

    params = IngestParams.model_validate_json(json.dumps(settings["params"]))
    return lambda objects: ingest(objects, params)


def _fingerprint(settings: Mapping[str, Any]) -> Callable[[pa.Table], pa.Table]:
    import numpy as np

    from pipeline.runtime.fingerprint_map import Worker
    from pipeline.stages.fingerprint import FingerprintParams

    params = FingerprintParams.model_validate_json(json.dumps(settings["params"]))
    device: Literal["cpu", "cuda"] = "cuda" if settings["gpu"] else "cpu"
    fitted = {name: np.array(words, dtype=np.float32) for name, words in settings["fitted"].items()}
    return Worker([(params, settings["made_by"])], fitted, device=device, threads=settings["threads"])


_JOBS = {"images": _ingest, "fingerprints": _fingerprint}


def main(job: str) -> None:
    """A child: rows from standard input, results to standard output; whatever else is printed goes to stderr."""
    output = os.dup(1)
    os.dup2(_STDERR, 1)
    try:
        rows = pa.ipc.open_stream(sys.stdin.buffer).read_all()
        settings = json.loads(rows.schema.metadata[_SETTINGS])
        work = _JOBS[job](settings)
        with Watch(settings["seconds"]):
            result = work(rows.replace_schema_metadata(None))
        with os.fdopen(output, "wb") as pipe:
            pipe.write(_to_bytes(result))
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.exit(_FAILED)


if __name__ == "__main__":
    main(sys.argv[1])
