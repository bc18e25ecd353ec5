"""A filesystem that dies at a chosen write: the seam at which every crash of a run can be tried."""

import copy
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class CrashError(Exception):
    """The process died."""


class CrashingFileSystem(MemoryFileSystem):
    """Memory of its own; raises :class:`CrashError` before or after its n-th change, then refuses everything."""

    cachable = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.changes = 0
        self.crash_at: int | None = None
        self.crash_after = False
        self.dead = False
        self._inside = False

    def arm(self, change: int, after: bool) -> None:
        self.changes, self.crash_at, self.crash_after = 0, change, after

    def revive(self) -> "CrashingFileSystem":
        """The same disk under a new process."""
        other = CrashingFileSystem()
        other.store, other.pseudo_dirs = copy.copy(self.store), list(self.pseudo_dirs)
        for name, file in self.store.items():  # files know the filesystem that made them
            other.pipe_file(name, file.getvalue())
        other.changes = 0
        return other

    def _change(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        if self._inside:  # one change made of several calls is one
            return work(*args, **kwargs)
        if self.dead:
            raise CrashError
        self.changes += 1
        here = self.changes == self.crash_at
        if here and not self.crash_after:
            self.dead = True
            raise CrashError
        self._inside = True
        try:
            result = work(*args, **kwargs)
        finally:
            self._inside = False
        if here:
            self.dead = True
            raise CrashError
        return result

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> Any:
        return self._change(super().pipe_file, path, value, mode=mode, **kwargs)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> Any:
        return self._change(super().cp_file, path1, path2, **kwargs)

    def rm_file(self, path: str) -> Any:
        return self._change(super().rm_file, path)

    def _rm(self, path: str) -> Any:
        return self._change(super()._rm, path)


class SharedDisk(CrashingFileSystem):
    """``crashing://`` URIs: every opening is the same disk, until the next :meth:`fresh` or :meth:`reboot`."""

    protocol = "crashing"
    disk: "SharedDisk | None" = None

    def __new__(cls, *_: Any, **__: Any) -> "SharedDisk":
        return cls.disk if cls.disk is not None else super().__new__(cls)

    def __init__(self, **options: Any) -> None:
        if type(self).disk is None:
            super().__init__(**options)
            type(self).disk = self

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        prefix = f"{cls.protocol}://"
        if isinstance(path, str) and path.startswith(prefix):
            path = path[len(prefix) :]
        return super()._strip_protocol(path)

    @classmethod
    def fresh(cls) -> "SharedDisk":
        """An empty disk."""
        cls.disk = None
        return cls()

    @classmethod
    def reboot(cls) -> "SharedDisk":
        """The same files under a new process."""
        old = cls.disk
        assert old is not None
        new = cls.fresh()
        new.pseudo_dirs = list(old.pseudo_dirs)
        for name, file in old.store.items():
            MemoryFileSystem.pipe_file(new, name, file.getvalue())
        new.changes = 0
        return new


fsspec.register_implementation("crashing", SharedDisk, clobber=True)
