"""What no manifest names any more, deleted together: one request for many objects, where a store can do that.

A reader by glob sees both the old part and the new one until then; so it is not put off for long.  What a run that
dies leaves of it, the next one's sweep deletes.
"""

import time
from collections.abc import Iterable

from pipeline.storage import FileSystem, Permit, tries_itself

MOST = 100
"""Objects that may wait: some 13 GB of parts of full size."""

SECONDS = 60.0
"""How long one may wait, seen at the end of a stage or when the next one comes."""


class Spent:
    """Paths that wait for being deleted, in the order in which they came."""

    def __init__(
        self, filesystem: FileSystem, permit: Permit | None = None, most: int = MOST, seconds: float = SECONDS
    ) -> None:
        """``permit`` is asked before anything is deleted."""
        self._filesystem, self._permit, self._most, self._seconds = filesystem, permit, most, seconds
        self._paths: dict[str, None] = {}
        self._since = 0.0

    def add(self, paths: Iterable[str]) -> None:
        """These are not needed any more."""
        if not self._paths:
            self._since = time.monotonic()
        self._paths.update(dict.fromkeys(paths))
        self.delete_due()

    def keep(self, paths: Iterable[str]) -> None:
        """These are needed again."""
        for path in paths:
            self._paths.pop(path, None)

    def delete_due(self) -> None:
        """Delete them if they are many, or have waited long."""
        if len(self._paths) >= self._most or (self._paths and time.monotonic() - self._since >= self._seconds):
            self.delete()

    def delete(self) -> None:
        """Delete them all."""
        if self._paths:
            remove(self._filesystem, list(self._paths), self._permit)
            self._paths = {}


def remove(filesystem: FileSystem, paths: list[str], permit: Permit | None = None) -> None:
    """Delete objects; ``permit`` is asked before, and before every further try."""
    if permit is not None and tries_itself(filesystem):
        filesystem.rm(paths, permit=permit)
        return
    if permit is not None:
        permit()
    filesystem.rm(paths)
