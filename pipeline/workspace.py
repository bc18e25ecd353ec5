"""The workspace: where one collection's tables lie, who writes to it, and whether the last run left it clean.

WORKSPACE/imagetracks.json                                what this workspace is
WORKSPACE/_lease/NUMBER.json                              which run is writing here, or was the last to
WORKSPACE/runs/RUN.json                                   what a run did
WORKSPACE/images/…  fingerprints/EXTRACTOR/…  clusterings/NAME/{projection,neighbors,…}/…
"""

import errno
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline.errors import UserError
from pipeline.failures import explain
from pipeline.lease import SECONDS, Lease
from pipeline.schemas import TABLES, Table
from pipeline.spent import Spent
from pipeline.stopping import shielded
from pipeline.storage import (
    RETRIES,
    FileSystem,
    is_local,
    open_filesystem,
    put_atomic,
    redact,
    refuse_empty,
    without_secrets,
)
from pipeline.tablestore import TableStore

FORMAT = 1
"""Version of the layout; a workspace of a newer one is refused."""

T = TypeVar("T")

_NO_FOLDER = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR, errno.EEXIST})
"""What a disk says where no folder can be: below a file, in ``/proc``, under a name of 300 letters, in a circle."""

IDENTITY = "imagetracks.json"
"""The file that makes a folder a workspace."""

_LEASE, _RUNS = "_lease", "runs"


@dataclass(frozen=True)
class Place:
    """Where a workspace lies: the root within its filesystem, and how people and DuckDB write it."""

    filesystem: FileSystem
    root: str
    uri: str


class Workspace:
    """A workspace; ``open_workspace`` makes one.  Reading needs no lease and never waits for one."""

    def __init__(self, place: Place, collection: str, exists: bool, lease_seconds: float = SECONDS) -> None:
        self.filesystem, self.root, self.uri, self.collection = place.filesystem, place.root, place.uri, collection
        self.lease = Lease(place.filesystem, f"{place.root}/{_LEASE}", redact(place.uri), lease_seconds)
        self._stores: dict[str, TableStore] = {}
        self._spent = Spent(place.filesystem, self.permit)
        self._exists = exists

    def store(self, table: Table, name: str | None = None) -> TableStore:
        """A table's store; ``name`` is the extractor's or the clustering's folder where the table belongs to one."""
        folder = self._folder(table, name)
        if folder not in self._stores:
            self._stores[folder] = TableStore(self.filesystem, f"{self.root}/{folder}", table, self.permit, self._spent)
        return self._stores[folder]

    def names(self, folder: str) -> list[str]:
        """The extractors (``fingerprints``) or clusterings (``clusterings``) that have a folder here."""
        try:
            found = self.filesystem.ls(f"{self.root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    def stores(self) -> Iterable[TableStore]:
        """Every table that has a folder here."""
        for table in TABLES:
            if table.folder == "images":
                yield self.store(table)
            else:
                parent = table.name if table.folder == "extractor" else "clusterings"
                yield from (self.store(table, name) for name in self.names(parent))

    def left_unclean(self) -> bool:
        """Whether the last run was killed or failed: the next sweeps first.

        Raises:
            BusyError: another run is writing here; says which.
        """
        last = self.lease.look()
        return last is not None and last.state != "clean"

    @shielded()
    def begin(self) -> None:
        """Take the lease, once, before the first write of a run.

        Raises:
            BusyError: another run is writing here, or was since this one began to plan.
        """
        if not self.lease.taken:
            _placed(f"the workspace {redact(self.uri)}", self.lease.take)
            if not self._exists:
                self._write_identity()

    def permit(self) -> float:
        """To be called before every write of the driver.

        Returns:
            Seconds within which it has to be done, or given up.

        Raises:
            BusyError: the lease cannot be had, or was lost: nothing may be written.
        """
        self.begin()
        return self.lease.check()

    def put_report(self, run: str, report: Mapping[str, Any]) -> None:
        """Keep what a run did, as ``runs/RUN.json``."""
        self.permit()
        put_atomic(self.filesystem, f"{self.root}/{_RUNS}/{run}.json", (json.dumps(report, indent=1) + "\n").encode())

    def reports(self) -> list[str]:
        """The runs that left a report, the oldest first."""
        return [name.removesuffix(".json") for name in self.names(_RUNS)]

    def flush(self) -> None:
        """Write the heads that are behind their manifests, and delete what was replaced."""
        for store in self._stores.values():
            store.flush()
        self._spent.delete()
        if self.lease.taken:
            self.permit()  # another's workers may be staging, if it was lost
            for store in self._stores.values():
                store.tidy()

    @shielded()
    def end(self, clean: bool = True) -> None:
        """Give the lease back; ``clean``: the run came to its end and leaves nothing to sweep."""
        if self.lease.taken:
            self.lease.release(clean)

    def drop_fragments(self) -> None:
        """Forget what killed runs left of map stages that have been finished since."""
        self.permit()
        for store in self.stores():
            store.drop_fragments()

    def sweep(self, keep_fragments: bool = True, check: bool = False, forget_history: bool = False) -> list[str]:
        """Repair every table after a crash; returns the deleted objects' paths.  ``check``: all parts are read.

        Raises:
            DamagedError: a table of history is damaged, and may not be forgotten.
        """
        self.permit()
        orphans = []
        for store in self.stores():
            orphans += store.sweep(keep_fragments, check, forget_history)
            store.flush()
            store.tidy()
        return orphans

    def table_uri(self, table: Table, name: str | None = None) -> str:
        """Where the table lies, as a person or DuckDB writes it, without what may be a secret in it."""
        return redact(f"{without_secrets(self.uri).rstrip('/')}/{self._folder(table, name)}")

    def _folder(self, table: Table, name: str | None) -> str:
        if table.folder == "images":
            return table.name
        if name is None:
            raise ValueError(f"{table.name} belongs to an {table.folder}: give its name")
        return f"{table.name}/{name}" if table.folder == "extractor" else f"clusterings/{name}/{table.name}"

    def _write_identity(self) -> None:
        identity = {"format": FORMAT, "collection": self.collection}
        put_atomic(self.filesystem, f"{self.root}/{IDENTITY}", (json.dumps(identity) + "\n").encode())
        self._exists = True


def open_workspace(
    uri: str, collection: str | None = None, retries: int = RETRIES, lease_seconds: float = SECONDS
) -> Workspace:
    """Open a workspace; with ``collection``, one that does not exist yet is made at the first write.

    Args:
        uri: where it lies, anything that fsspec opens.
        collection: whose it has to be, as ``collection_name`` says it.
        retries: times that the store is asked again for what it could not do.
        lease_seconds: after which the lease of a run that writes here expires unless renewed.

    Raises:
        UserError: it belongs to another collection, is of a newer layout, is no workspace, or does not exist and no
            collection is given.
        ImagetracksError: the store does not answer.
    """
    refuse_empty(uri, "--workspace")
    name = f"the workspace {redact(uri)}"
    filesystem, root = _asked(name, lambda: open_filesystem(uri, retries))
    place = Place(filesystem, root, uri if "://" in uri or not is_local(filesystem) else root)
    found = _placed(name, lambda: _read_identity(filesystem, root, name))
    if found is None:
        if collection is None:
            raise UserError(
                f"no workspace at {redact(uri)}: expected the folder that `imagetracks run --workspace` wrote to"
            )
        _placed(name, lambda: _refuse_foreign_folder(filesystem, root, name))
        return Workspace(place, collection, exists=False, lease_seconds=lease_seconds)
    if found["format"] > FORMAT:
        raise UserError(
            f"{name} has layout {found['format']}, this imagetracks knows up to {FORMAT}: upgrade imagetracks"
        )
    if collection is not None and found["collection"] != collection:
        raise UserError(
            f"{name} belongs to the collection {found['collection']}, not to {collection}\n"
            "give each collection a workspace of its own"
        )
    return Workspace(place, found["collection"], exists=True, lease_seconds=lease_seconds)


def collection_name(uri: str) -> str:
    """How a workspace remembers its collection: the URI without what may be a secret, local paths absolute."""
    refuse_empty(uri, "--collection")
    filesystem, path = _asked(f"the collection {redact(uri)}", lambda: open_filesystem(uri))
    if is_local(filesystem):
        return path
    uri = re.sub(r"//[^/@]*@", "//", uri)
    return (uri.split("?", 1)[0] if uri.startswith("http") else uri).rstrip("/")


def _read_identity(filesystem: FileSystem, root: str, name: str) -> dict[str, Any] | None:
    try:
        found = json.loads(filesystem.cat_file(f"{root}/{IDENTITY}"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("format"), int) or "collection" not in found:
        raise UserError(
            f"{name} cannot be read: its {IDENTITY} is damaged, or no file of imagetracks\n"
            "expected JSON with `format` and `collection`; give another folder, or mend the file"
        )
    return found


def _refuse_foreign_folder(filesystem: FileSystem, root: str, name: str) -> None:
    """A folder with other things in it is not taken over: a slip in the path must not mix two people's files."""
    if is_local(filesystem) and filesystem.isfile(root):
        raise UserError(f"{name} is a file: --workspace takes a folder, new or of an earlier run")
    try:
        found = [path.rstrip("/").rsplit("/", 1)[-1] for path in filesystem.ls(root, detail=False)]
    except FileNotFoundError:
        return
    # A run that dies at its first steps leaves a lease and no more.
    foreign = sorted(one for one in found if one and not one.startswith(".") and one != _LEASE)
    if foreign:
        raise UserError(
            f"{name} is not empty ({', '.join(foreign[:3])}{', …' if len(foreign) > 3 else ''}) and is no workspace\n"
            "give a new folder, or one that an earlier run wrote to"
        )


def _asked(name: str, question: Callable[[], T]) -> T:
    """Ask the store; what it refuses is told to the user."""
    try:
        return question()
    except Exception as error:
        told = explain(error, name)
        if told is None:
            raise
        raise told from error


def _placed(name: str, question: Callable[[], T]) -> T:
    """Ask the store for a workspace's folder; that there can be none is told to the user too."""
    try:
        return _asked(name, question)
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise
        raise UserError(
            f"{name} cannot be a folder ({redact(str(error))[:200]})\n"
            "give a folder, new or of an earlier run, in a place where folders can be made"
        ) from error
