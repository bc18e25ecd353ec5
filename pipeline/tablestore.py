"""A table in the workspace: committed partitions, read by their manifests (DESIGN.md rule 3).

    TABLE/_head.json                         partition -> manifest, for all partitions: planning reads this one object
    TABLE/_staging/PARTITION/part-HASH…      written, not committed; a partition of one small part does without
    TABLE/_staging/fragments/part-HASH…      rows of an unfinished map stage, kept so that the next run goes on
    TABLE/date=2024-05-01/part-HASH.parquet  a part
    TABLE/date=2024-05-01/_manifest.json     the list of the partition's parts, put last: the commit

The head object is a copy of the manifests and may be behind after a crash; ``sweep`` rebuilds it.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from pipeline.commits import Manifest, as_json, manifest_of
from pipeline.errors import BusyError, CommitError, DamagedError, damaged
from pipeline.parts import Part, Staged, is_as_written, open_part, put_part, read_part, stage_parts
from pipeline.schemas import Table
from pipeline.spent import Spent, remove
from pipeline.stopping import shielded
from pipeline.storage import TEMPORARY_SUFFIX, FileSystem, Permit, exchange, is_local, put_atomic

_HEAD, _MANIFEST, _STAGING, _FRAGMENTS = "_head.json", "_manifest.json", "_staging", "fragments"

_OF_ALL = frozenset({"listing"})
"""Facts in a head that hold only while every partition is there that was there when they were written."""

_FOR_EVER = math.inf

_NOT_OURS = (ValueError, TypeError, KeyError, AttributeError)
"""What comes of taking anything else for a head or a manifest."""

_Head = tuple[dict[str, Manifest], dict[str, Any]]
"""Partitions, and facts about the whole table."""


class TableStore:
    """One table at one place.  Workers stage and read; the driver alone commits, removes and flushes."""

    def __init__(
        self,
        filesystem: FileSystem,
        root: str,
        table: Table,
        permit: Permit = lambda: _FOR_EVER,
        spent: Spent | None = None,
    ) -> None:
        """A store; nothing is read or written yet.

        Args:
            filesystem: where it lies.
            root: the table's folder.
            table: its schema.
            permit: called before every change by the driver; raises if this process may not write any more.
            spent: what is to be deleted, of all tables that are written together; without it, nothing waits long.
        """
        self.filesystem, self.root, self.table, self._permit = filesystem, root, table, permit
        self._spent = spent or Spent(filesystem, permit, most=1)
        self._partitions: dict[str, Manifest] | None = None
        self._extra: dict[str, Any] = {}
        self._dirty = False

    def __getstate__(self) -> dict[str, Any]:
        """Only the place travels to a worker: the heads are the driver's."""
        return {"filesystem": self.filesystem, "root": self.root, "table": self.table}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # unpickling is construction here

    # -- reading

    @property
    def partitions(self) -> Mapping[str, Manifest]:
        """Partition value (a date, a model's name) -> manifest, sorted."""
        if self._partitions is None:
            self._load_head()
        assert self._partitions is not None  # noqa: S101  # for the type checker
        return self._partitions

    @property
    def extra(self) -> Mapping[str, Any]:
        """Small facts about the whole table, kept in its head object."""
        self.partitions  # noqa: B018  # loads the head
        return self._extra

    def read(self, partition: str, columns: Sequence[str] | None = None, manifest: Manifest | None = None) -> pa.Table:
        """The rows of a committed partition in the order of the key.

        ``manifest`` spares a worker the request for it.

        Raises:
            KeyError: the partition is not committed.
        """
        manifest = manifest or self.manifest(partition)
        return pa.concat_tables(
            read_part(self.filesystem, f"{self.folder(partition)}/{part.name}", part.bytes, columns)
            for part in manifest.parts
        )

    def scan(
        self, partition: str, manifest: Manifest, columns: Sequence[str] | None, rows: int
    ) -> Iterator[tuple[str, pa.Table]]:
        """Rows of a partition, some ``rows`` at a time, each with the name of its part: for what memory cannot hold."""
        for part in manifest.parts:
            with open_part(self.filesystem, f"{self.folder(partition)}/{part.name}", part.bytes) as file:
                for batch in file.iter_batches(rows, columns=None if columns is None else list(columns)):
                    yield part.name, pa.Table.from_batches([batch])

    def manifest(self, partition: str) -> Manifest:
        """The manifest as it lies in the store now.

        Raises:
            KeyError: the partition is not committed.
            DamagedError: what lies there is no manifest.
        """
        path = f"{self.folder(partition)}/{_MANIFEST}"
        try:
            return manifest_of(json.loads(self.filesystem.cat_file(path)))
        except FileNotFoundError:
            raise KeyError(f"{self.table.name}: partition {partition} is not committed") from None
        except _NOT_OURS as error:
            raise damaged(path, error) from error

    # -- writing: workers

    def stage(
        self, partition: str, batches: Iterable[pa.Table], part_bytes: int, old: Manifest | None = None
    ) -> Staged:
        """Write a partition's rows where no reader looks, or carry them if they are few; ``commit`` publishes them.

        ``old`` is the partition as it is committed: the same rows need not be written again.
        """
        folder = f"{self.root}/{_STAGING}/{self._name(partition)}"
        committed = None if old is None else Staged(folder, old.parts, old.content, old.failed)
        return stage_parts(self.filesystem, folder, self.table, batches, part_bytes, committed)

    def put_fragment(self, digest: str, rows: pa.Table) -> Part:
        """Keep some rows of an unfinished map stage (this table's columns and ``date``) for its end, or for a resume.

        ``digest`` is the stage's: rows made under other parameters are never taken up again.
        """
        return put_part(self.filesystem, f"{self._fragments}/{digest}", self.table, rows)

    def fragments(self, digest: str) -> list[tuple[str, int]]:
        """Path and size of the fragments that an unfinished run of the stage left, in the order of their names."""
        try:
            found = self.filesystem.ls(f"{self._fragments}/{digest}", detail=True)
        except FileNotFoundError:
            return []
        return sorted((one["name"], one["size"]) for one in found if one["name"].endswith(".parquet"))

    def fragment_path(self, digest: str, name: str) -> str:
        """Where a fragment lies."""
        return f"{self._fragments}/{digest}/{name}"

    def drop_fragments(self) -> None:
        """Forget all unfinished map stages of this table."""
        with suppress(FileNotFoundError):
            self._spent.add(self.filesystem.find(self._fragments))

    # -- writing: the driver

    @shielded()
    def commit(
        self, partition: str, staged: Staged, inputs: Mapping[str, str], expected_rows: int | None = None
    ) -> Manifest:
        """Publish staged parts as the partition's whole content.

        The parts are put beside the old ones, one manifest is put (the commit), then the old parts are deleted, some
        together.

        Raises:
            CommitError: the rows are not as many as expected; the old content stays.
            BusyError: somebody else has written the partition.
        """
        if expected_rows is not None and staged.rows != expected_rows:
            raise CommitError(
                f"{self.table.name} {partition}: {staged.rows} rows came out where {expected_rows} went in; "
                "nothing was committed and the old content stays. Run again; if it persists, report it"
            )
        old = self.partitions.get(partition)
        kept = {part.name for part in old.parts} if old else set()
        # The same rows in other parts, or from other inputs, are not worth a copy: the old parts stay.
        parts = old.parts if old and old.content == dict(staged.content) else staged.parts
        folder = self.folder(partition)
        self._spent.keep(f"{folder}/{part.name}" for part in parts)
        self._permit()
        for part in parts:
            if part.name not in kept:
                self._place(staged, part.name, folder)
        manifest = Manifest(dict(inputs), parts, dict(staged.content), dict(staged.failed))
        self._publish(partition, manifest, old)
        self._remember(partition, manifest)
        gone = kept - {part.name for part in parts}
        self._spent.add(f"{folder}/{name}" for name in sorted(gone))
        self.discard(staged)
        return manifest

    def discard(self, staged: Staged) -> None:
        """Give up staged parts: they are committed, or not wanted."""
        if not staged.kept and staged.carried is None:
            self._spent.add(f"{staged.folder}/{part.name}" for part in staged.parts)

    @shielded()
    def remove(self, partition: str) -> None:
        """Take a partition away: its manifest first, so that no reader finds it half gone."""
        self._permit()
        self._remove_tree(self.folder(partition))
        self._partitions = {name: one for name, one in self.partitions.items() if name != partition}
        self._dirty = True

    def set_extra(self, **facts: Any) -> None:
        """Remember small facts about the whole table; ``flush`` writes them."""
        if {**self.extra, **facts} != self._extra:
            self._extra.update(facts)
            self._dirty = True

    @shielded()
    def flush(self) -> None:
        """Write the head object if anything changed, and delete what has waited for that."""
        self._spent.delete_due()
        if self._dirty:
            head = {"partitions": {name: asdict(one) for name, one in self.partitions.items()}, "extra": self._extra}
            put_atomic(self.filesystem, f"{self.root}/{_HEAD}", as_json(head), self._permit)
            self._dirty = False

    def tidy(self) -> None:
        """Delete empty folders of what was staged; while no worker stages anything."""
        if is_local(self.filesystem):
            for folder, _, _ in os.walk(f"{self.root}/{_STAGING}", topdown=False):
                with suppress(OSError):  # not empty
                    os.rmdir(folder)  # noqa: PTH106  (text, as os.walk gives it)

    def sweep(self, keep_fragments: bool = True, check: bool = False, forget_history: bool = False) -> list[str]:
        """Repair what a crash left: delete what no manifest names, rebuild the head; returns what was deleted.

        A partition whose manifest cannot be read, or with a part that is missing or has another size, is given up:
        the next run computes it again.  ``check``: every part is read, and has to hold what was written.

        Raises:
            DamagedError: a partition of history is damaged, which nothing computes again, and it may not be forgotten;
                nothing was deleted.
        """
        self._permit()
        sizes = self._files()
        manifests = dict(self._sound(sizes, check))
        kept = {f"{self.folder(name)}/{part.name}" for name, one in manifests.items() for part in one.parts}
        kept |= {f"{self.folder(name)}/{_MANIFEST}" for name in manifests}
        if self.table.history and not forget_history:
            self._refuse_loss(path for path in sizes if path.endswith(f"/{_MANIFEST}") and path not in kept)
        orphans = [path for path in sizes if path not in kept and self._is_orphan(path, keep_fragments)]
        # A manifest goes before its parts, so that no reader that follows manifests finds it half gone.
        orphans.sort(key=lambda path: (not path.endswith(f"/{_MANIFEST}"), path))
        if orphans:
            remove(self.filesystem, orphans, self._permit)
        try:
            head, dirty = self._read_head(), False
        except DamagedError:
            head, dirty = None, True
        self._rebuild_head(head, manifests, dirty or (head is None and bool(manifests)))
        return orphans

    # -- inside

    @property
    def _fragments(self) -> str:
        return f"{self.root}/{_STAGING}/{_FRAGMENTS}"

    def _name(self, partition: str) -> str:
        return f"{self.table.partition_key}={partition}"

    def folder(self, partition: str) -> str:
        """Where a partition's parts and manifest lie."""
        return f"{self.root}/{self._name(partition)}"

    def _is_orphan(self, path: str, keep_fragments: bool) -> bool:
        if path.startswith(f"{self._fragments}/") and not path.endswith(TEMPORARY_SUFFIX):
            return not keep_fragments
        return path != f"{self.root}/{_HEAD}"

    def _sound(self, sizes: Mapping[str, int], check: bool) -> Iterator[tuple[str, Manifest]]:
        """Partitions whose manifest can be read and whose parts are there as it names them."""
        for path in sizes:
            name = self._partition_of(path.removesuffix(f"/{_MANIFEST}")) if path.endswith(f"/{_MANIFEST}") else None
            if name is None:
                continue
            with suppress(DamagedError, KeyError):
                manifest = self.manifest(name)
                parts = {f"{self.folder(name)}/{part.name}": part.bytes for part in manifest.parts}
                if all(sizes.get(part) == size for part, size in parts.items()) and not (
                    check and not all(is_as_written(self.filesystem, part) for part in parts)
                ):
                    yield name, manifest

    def _refuse_loss(self, damaged_manifests: Iterator[str]) -> None:
        lost = next(damaged_manifests, None)
        if lost is not None:
            raise DamagedError(
                f"the partition of {lost} is damaged, and it is history: no run can compute {self.table.name} again\n"
                f"bring {lost.rpartition('/')[0]} back from a copy of the workspace, "
                "or give it up by `imagetracks sweep --check --forget-history --workspace …`"
            )

    def _partition_of(self, folder: str) -> str | None:
        prefix = f"{self.root}/{self.table.partition_key}="
        name = folder.removeprefix(prefix)
        return name if folder.startswith(prefix) and name and "/" not in name else None

    def _load_head(self) -> None:
        """Load the head; where there is none, the manifests say what it would."""
        head = self._read_head()
        if head is None:
            found = self._committed()
            self._rebuild_head(None, found, dirty=bool(found))
        else:
            self._partitions, self._extra = head

    def _rebuild_head(self, head: _Head | None, partitions: Mapping[str, Manifest], dirty: bool) -> None:
        """Take the partitions that are there; of the facts, those that hold of them."""
        found = dict(sorted(partitions.items()))
        if head is None:
            extra = self._recalled(found)
        else:
            lost = not set(head[0]) <= set(found)
            extra = {name: fact for name, fact in head[1].items() if not lost or name not in _OF_ALL}
        self._partitions, self._extra, self._dirty = found, extra, dirty or (head is not None and head[0] != found)

    def _read_head(self) -> _Head | None:
        path = f"{self.root}/{_HEAD}"
        try:
            head = json.loads(self.filesystem.cat_file(path))
            partitions = {name: manifest_of(one) for name, one in head["partitions"].items()}
            return dict(sorted(partitions.items())), dict(head["extra"])
        except FileNotFoundError:
            return None
        except _NOT_OURS as error:
            raise damaged(path, error) from error

    def _committed(self) -> dict[str, Manifest]:
        """The partitions that have a manifest."""
        try:
            folders = [path.rstrip("/") for path in self.filesystem.ls(self.root, detail=False)]
        except (FileNotFoundError, NotADirectoryError):
            return {}
        found = {}
        for name in filter(None, map(self._partition_of, folders)):
            with suppress(KeyError):  # parts of a commit that was not reached
                found[name] = self.manifest(name)
        return found

    def _recalled(self, partitions: Mapping[str, Manifest]) -> dict[str, Any]:
        """What a lost head said that its partitions tell too: the stage that they were all made by; the one model."""
        made_by = {one.digest for one in partitions.values()}
        if self.table.name == "images" and len(made_by) == 1:
            return {"stage": made_by.pop()}
        return {"model": next(iter(partitions))} if self.table.partition_key == "name" and len(partitions) == 1 else {}

    def _remember(self, partition: str, manifest: Manifest) -> None:
        self._partitions = dict(sorted({**self.partitions, partition: manifest}.items()))
        self._dirty = True

    def _files(self) -> dict[str, int]:
        """Path -> size of all that lies here, sorted."""
        try:
            found = self.filesystem.find(self.root, detail=True)
        except FileNotFoundError:
            return {}
        return {str(path): int(info["size"] or 0) for path, info in sorted(found.items())}

    def _place(self, staged: Staged, name: str, folder: str) -> None:
        if staged.carried is not None:
            put_atomic(self.filesystem, f"{folder}/{name}", staged.carried, self._permit)
            return
        self.filesystem.makedirs(folder, exist_ok=True)
        self.filesystem.cp_file(f"{staged.folder}/{name}", f"{folder}/{name}")

    def _publish(self, partition: str, manifest: Manifest, old: Manifest | None) -> None:
        """Put the manifest in the place of the old one: the commit."""
        path, before = f"{self.folder(partition)}/{_MANIFEST}", None if old is None else as_json(asdict(old))
        try:
            exchange(self.filesystem, path, as_json(asdict(manifest)), before, self._permit)
        except FileExistsError:
            raise BusyError(
                f"{path} was written by somebody else since this run planned\n"
                "it stopped before it could write over the other's work; run again"
            ) from None

    def _remove_tree(self, folder: str) -> None:
        """Delete the manifest first and the rest after it."""
        for path, recursive in ((f"{folder}/{_MANIFEST}", False), (folder, True)):
            with suppress(FileNotFoundError):
                self.filesystem.rm(path, recursive=recursive)
