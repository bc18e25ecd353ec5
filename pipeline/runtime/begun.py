"""Marks of what a run has begun, for an engine that works in the run's own process: what kills that kills the run.

A mark is put before a unit is worked on and taken away after it, also when something was raised.  So what the next run
finds are the units that a process died of, or with; it gives them to child processes, which may die.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pyarrow as pa

from pipeline.digests import digest
from pipeline.storage import put_atomic
from pipeline.tablestore import TableStore

_SUFFIX = ".begun"


@dataclass(frozen=True)
class Begun:
    """The marks of one map stage; they lie among its fragments and go with them.

    Attributes:
        store: of the table that the stage writes.
        stage: its digest.
        names: what a unit works on, so that the next run knows it again.
    """

    store: TableStore
    stage: str
    names: Callable[[pa.Table], list[str]]

    @contextmanager
    def __call__(self, unit: pa.Table) -> Iterator[None]:
        """While the block runs there is a mark for the unit."""
        names = self.names(unit)
        path = self.store.fragment_path(self.stage, digest(names) + _SUFFIX)
        put_atomic(self.store.filesystem, path, "\n".join(names).encode())
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                self.store.filesystem.rm_file(path)

    def left(self) -> set[str]:
        """Names of what was begun and not ended by a run that died."""
        filesystem, folder = self.store.filesystem, self.store.fragment_path(self.stage, "")
        try:
            found = [path for path in filesystem.ls(folder.rstrip("/"), detail=False) if path.endswith(_SUFFIX)]
        except FileNotFoundError:
            return set()
        return {name for path in found for name in filesystem.cat_file(path).decode().splitlines()}
