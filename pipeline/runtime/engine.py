"""What a run needs of an engine, and the engine that needs nothing: this process.

Two ways of working cover the four verbs: ``map`` streams rows through a reader, an optional worker that is expensive
to build, and a writer; ``call`` runs independent functions, a few at a time (group: one a date; fit and fold: one).
What comes back is descriptors, never rows (DESIGN.md §3).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

Progress = Callable[[int, Mapping[str, int]], None]
"""Called with the number of further rows done, and reason -> how many of those failed.

It may raise an ``ImagetracksError``: the map then stops as soon as it can, and raises it.
"""


@dataclass(frozen=True)
class Fragment:
    """Rows that a map stage wrote: where, how many, of which dates, and how many failed for what reason.

    ``beside``: what was written of the same rows for other tables.
    """

    path: str
    bytes: int
    dates: Mapping[str, int]
    failed: Mapping[str, int] = field(default_factory=dict)
    beside: tuple["Fragment", ...] = ()

    @property
    def rows(self) -> int:
        """Rows of all dates."""
        return sum(self.dates.values())


@dataclass(frozen=True)
class MapJob:
    """Row-parallel work.  Everything in it is sent to workers, so it is made of picklable values.

    ``units`` are small tables that say what to do; ``read`` turns one into tables of at most ``rows`` rows; ``worker``
    builds, once per process, the function that is applied to each of them; ``write`` stores what comes out.  ``begun``
    is held while a unit is worked on by an engine whose process does not outlive a death.
    """

    units: Sequence[pa.Table]
    read: Callable[[pa.Table], Iterator[pa.Table]]
    write: Callable[[pa.Table], Fragment]
    rows: int
    worker: Callable[..., Callable[[pa.Table], pa.Table]] | None = None
    wants_gpu: bool = False
    begun: Callable[[pa.Table], AbstractContextManager[None]] = lambda _: nullcontext()


@dataclass(frozen=True)
class Call:
    """A function to run somewhere; it is given ``threads`` and ``gpu`` too.

    ``stage`` and ``key`` say to a person what it does; the result is known by its ``key``.
    """

    stage: str
    key: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    wants_gpu: bool = False


class Engine(Protocol):
    """Runs map jobs and calls; made when the first work turns up, closed at the end of the run."""

    @property
    def num_workers(self) -> int:
        """How many things it does at once."""
        ...

    def map(self, job: MapJob, progress: Progress) -> list[Fragment]:
        """Do a map job; the fragments come in no particular order.

        Rows whose process died are left out (those that a worker was built for: died each time it was tried):
        whoever asked counts.
        """
        ...

    def call(self, calls: Iterable[Call]) -> Iterator[tuple[str, Any]]:
        """Run the calls, a bounded number at once; results come as they are done.

        Raises:
            WorkerDiedError: after all other results: names the calls whose process died each time it was tried.
        """
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...


class LocalEngine:
    """Everything in this process, one thing after another: for small collections, tests and debuggers.

    An image that kills its decoder ends the run here; the next one finds its mark and gives it to a child process.
    """

    num_workers = 1

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1

    def map(self, job: MapJob, progress: Progress) -> list[Fragment]:
        """See :class:`Engine`."""
        worker = job.worker(device="cpu", threads=self._threads) if job.worker else None
        fragments = []
        for unit in job.units:
            with job.begun(unit):
                for rows in job.read(unit):
                    fragment = job.write(worker(rows) if worker else rows)
                    progress(fragment.rows, fragment.failed)
                    fragments.append(fragment)
        return fragments

    def call(self, calls: Iterable[Call]) -> Iterator[tuple[str, Any]]:
        """See :class:`Engine`."""
        for one in calls:
            yield one.key, one.function(*one.arguments, threads=self._threads, gpu=False)

    def close(self) -> None:
        """See :class:`Engine`."""
