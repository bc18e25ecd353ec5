"""What every part of a run shares: workspace, config, the engine when first needed, and what was done."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from pipeline.config import Config
from pipeline.runtime.engine import Engine
from pipeline.schemas import Table
from pipeline.stages.fingerprint import extractor_folder
from pipeline.tablestore import TableStore
from pipeline.workspace import Workspace


class Reporter(Protocol):
    """Shows a run's progress; one task at a time."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """A stage begins that has ``total`` of ``unit`` (images, dates) to do."""
        ...

    def advance(self, done: int, failed: int = 0) -> None:
        """So many more are done, of which so many failed."""
        ...

    def finish(self) -> None:
        """The stage is done."""
        ...


def run_name(moment: datetime) -> str:
    """The name of a run that began then; later runs have later names."""
    return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z"


@dataclass
class Context:
    """One run.

    ``engine`` starts the engine at the first call; for the report, ``done`` counts work by stage, and ``churn`` what
    naming did to the published ids (empty where nothing was named).  ``run`` names the run: UTC, to the millisecond.
    """

    workspace: Workspace
    config: Config
    make_engine: Callable[[], Engine]
    reporter: Reporter
    dates: tuple[str | None, str | None] = (None, None)
    only: frozenset[str] | None = None
    done: Counter[str] = field(default_factory=Counter)
    churn: Counter[str] = field(default_factory=Counter)
    run: str = field(default_factory=lambda: run_name(datetime.now(UTC)))
    began: float = field(default_factory=time.monotonic)
    _engine: Engine | None = None

    def engine(self) -> Engine:
        """The engine; asking for it also marks the workspace as being written to."""
        if self._engine is None:
            self.workspace.begin()
            self._engine = self.make_engine()
        return self._engine

    def close(self, clean: bool = True) -> None:
        """Write the heads, stop the engine and let go of the workspace, whatever happened.

        ``clean`` says that the run came to its end; otherwise the next run looks for what this one left.
        """
        try:
            self.workspace.flush()
        finally:
            try:
                if self._engine is not None:
                    self._engine.close()
            finally:
                self.workspace.end(clean)

    def report(self) -> dict[str, Any]:
        """What the run did, as it is kept in the workspace."""
        return {
            "run": self.run,
            "clustering": self.config.clustering,
            "dates": list(self.dates),
            "seconds": round(time.monotonic() - self.began, 1),
            "computed": dict(self.done),
            "ids": dict(self.churn),
        }

    def store(self, table: Table) -> TableStore:
        """The store of a table under this run's extractor and clustering."""
        return self.workspace.store(table, self._name(table))

    def table_uri(self, table: Table) -> str:
        """Where a table lies, as a person writes it."""
        return self.workspace.table_uri(table, self._name(table))

    def in_window(self, date: str) -> bool:
        """Whether ``--dates`` takes this date in; both ends belong to it, and ``only`` may leave further dates out."""
        first, last = self.dates
        return (
            (self.only is None or date in self.only)
            and (first is None or date >= first)
            and (last is None or date <= last)
        )

    def _name(self, table: Table) -> str | None:
        names = {
            "images": None,
            "extractor": extractor_folder(self.config.fingerprint.name),
            "clustering": self.config.clustering,
        }
        return names[table.folder]


@contextmanager
def writing(context: Context) -> Iterator[None]:
    """Around a command's work on a workspace: repair what a killed run left, and close the context at the end."""
    if context.workspace.left_unclean():
        context.workspace.sweep()
    try:
        yield
    except BaseException:
        with suppress(Exception):  # what stopped the work is what is told
            context.close(clean=False)
        raise
    context.close()
