"""What every part of a run shares: workspace, config, the engine when first needed, and what was done."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

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


@dataclass
class Context:
    """One run.  ``engine`` starts the engine at the first call; ``done`` counts work by stage, for the report."""

    workspace: Workspace
    config: Config
    make_engine: Callable[[], Engine]
    reporter: Reporter
    dates: tuple[str | None, str | None] = (None, None)
    done: Counter[str] = field(default_factory=Counter)
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

    def store(self, table: Table) -> TableStore:
        """The store of a table under this run's extractor and clustering."""
        return self.workspace.store(table, self._name(table))

    def table_uri(self, table: Table) -> str:
        """Where a table lies, as a person writes it."""
        return self.workspace.table_uri(table, self._name(table))

    def in_window(self, date: str) -> bool:
        """Whether ``--dates`` takes this date in; both ends belong to it."""
        first, last = self.dates
        return (first is None or date >= first) and (last is None or date <= last)

    def _name(self, table: Table) -> str | None:
        names = {
            "images": None,
            "extractor": extractor_folder(self.config.fingerprint.extractor),
            "clustering": self.config.clustering,
        }
        return names[table.folder]
