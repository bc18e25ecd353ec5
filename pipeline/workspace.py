"""The workspace: where one collection's tables lie, and whether a run left it clean.

WORKSPACE/imagetracks.json                                what this workspace is
WORKSPACE/_running.json                                   a run is writing here, or was killed while it did
WORKSPACE/images/…  fingerprints/EXTRACTOR/…  clusterings/NAME/{projection,neighbors,…}/…  runs/RUN.json
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from pipeline.errors import UserError
from pipeline.schemas import TABLES, Table
from pipeline.storage import FileSystem, is_local, open_filesystem, put_atomic
from pipeline.tablestore import TableStore

FORMAT = 1
"""Version of the layout; a workspace of a newer one is refused."""

_IDENTITY, _RUNNING = "imagetracks.json", "_running.json"


class Workspace:
    """A workspace that is known to exist; ``open_workspace`` makes one."""

    def __init__(self, filesystem: FileSystem, root: str, uri: str, collection: str | None = None) -> None:
        self.filesystem, self.root, self.uri, self.collection = filesystem, root, uri, collection
        self._stores: dict[str, TableStore] = {}
        self._running = False

    def store(self, table: Table, name: str | None = None) -> TableStore:
        """A table's store; ``name`` is the extractor's or the clustering's folder where the table belongs to one."""
        folder = self._folder(table, name)
        if folder not in self._stores:
            self._stores[folder] = TableStore(self.filesystem, f"{self.root}/{folder}", table)
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
                parent = "fingerprints" if table.folder == "extractor" else "clusterings"
                yield from (self.store(table, name) for name in self.names(parent))

    def begin(self) -> None:
        """Mark the workspace as being written to, once, before the first write of a run."""
        if not self._running:
            self._write_identity()
            put_atomic(self.filesystem, f"{self.root}/{_RUNNING}", b"{}\n")
            self._running = True

    def end(self) -> None:
        """Write the heads and take the mark away: whatever the run's outcome, no manifest is ahead of its head."""
        if self._running:
            for store in self._stores.values():
                store.flush()
            self.filesystem.rm_file(f"{self.root}/{_RUNNING}")
            self._running = False

    def was_killed(self) -> bool:
        """Whether the last run ended without ``end``: the next sweeps first."""
        return bool(self.filesystem.exists(f"{self.root}/{_RUNNING}"))

    def sweep(self, keep_fragments: bool = True) -> list[str]:
        """Repair every table after a crash; returns the deleted objects' paths."""
        self.begin()
        return [path for store in self.stores() for path in store.sweep(keep_fragments)]

    def put_run(self, run: str, report: dict[str, Any]) -> str:
        """Keep the report of a run that did something; returns its path."""
        path = f"{self.root}/runs/{run}.json"
        put_atomic(self.filesystem, path, (json.dumps(report, indent=1, sort_keys=True) + "\n").encode())
        return path

    def table_uri(self, table: Table, name: str | None = None) -> str:
        """Where the table lies, as a person or DuckDB writes it."""
        return f"{self.uri.rstrip('/')}/{self._folder(table, name)}"

    def _folder(self, table: Table, name: str | None) -> str:
        if table.folder == "images":
            return table.name
        if name is None:
            raise ValueError(f"{table.name} belongs to an {table.folder}: give its name")
        return f"{table.name}/{name}" if table.folder == "extractor" else f"clusterings/{name}/{table.name}"

    def _write_identity(self) -> None:
        path = f"{self.root}/{_IDENTITY}"
        if not self.filesystem.exists(path):
            identity = {"format": FORMAT, "collection": self.collection}
            put_atomic(self.filesystem, path, (json.dumps(identity) + "\n").encode())


def open_workspace(uri: str, collection: str | None = None) -> Workspace:
    """Open a workspace; with ``collection``, one that does not exist yet is made at the first write.

    Raises:
        UserError: it belongs to another collection, is of a newer layout, is no workspace, or does not exist and no
            collection is given.
    """
    filesystem, root = open_filesystem(uri)
    found = _asked(uri, lambda: _read_identity(filesystem, root))
    shown = uri if "://" in uri or not is_local(filesystem) else root
    if found is None:
        if collection is None:
            raise UserError(f"no workspace at {uri}: expected the folder that `imagetracks run --workspace` wrote to")
        _refuse_foreign_folder(filesystem, root, uri)
        return Workspace(filesystem, root, shown, collection)
    if found["format"] > FORMAT:
        raise UserError(
            f"workspace {uri} has layout {found['format']}, this imagetracks knows up to {FORMAT}: upgrade imagetracks"
        )
    if collection is not None and found["collection"] != collection:
        raise UserError(
            f"workspace {uri} belongs to the collection {found['collection']}, not to {collection}\n"
            "give each collection a workspace of its own"
        )
    return Workspace(filesystem, root, shown, found["collection"])


def collection_name(uri: str) -> str:
    """How a workspace remembers its collection: the URI without credentials, local paths absolute."""
    filesystem, path = open_filesystem(uri)
    return path if is_local(filesystem) else re.sub(r"//[^/@]*@", "//", uri).rstrip("/")


def _read_identity(filesystem: FileSystem, root: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(filesystem.cat_file(f"{root}/{_IDENTITY}"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found


def _refuse_foreign_folder(filesystem: FileSystem, root: str, uri: str) -> None:
    """A folder with other things in it is not taken over: a slip in the path must not mix two people's files."""
    try:
        found = [path.rsplit("/", 1)[-1] for path in filesystem.ls(root, detail=False)]
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise UserError(f"{uri} is a file: --workspace takes a folder, new or of an earlier run") from None
    foreign = sorted(name for name in found if name and not name.startswith("."))
    if foreign:
        raise UserError(
            f"{uri} is not empty ({', '.join(foreign[:3])}{', …' if len(foreign) > 3 else ''}) and is no workspace\n"
            "give a new folder, or one that an earlier run wrote to"
        )


def _asked(uri: str, question: Callable[[], Any]) -> Any:
    """Ask the store; what it refuses is the user's to mend."""
    try:
        return question()
    except PermissionError as error:
        raise UserError(f"workspace {uri}: permission denied ({error}); check its permissions or credentials") from None
