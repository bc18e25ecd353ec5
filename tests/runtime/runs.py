"""Running the pipeline in tests, and looking at what it left."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from pipeline.config import Config, load_config
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Engine, LocalEngine
from pipeline.runtime.ingest import run_ingest
from pipeline.runtime.progress import LineReporter
from pipeline.runtime.run import Request, run
from pipeline.schemas import IMAGES, TABLES, Table
from pipeline.workspace import collection_name, open_workspace

COMPUTED = tuple(table for table in TABLES if not table.history)


def no_engine() -> Engine:
    raise AssertionError("a run with nothing to do asked for an engine")


def run_local(
    collection: Path | str,
    workspace: Path | str,
    *overrides: str,
    manifest: Path | None = None,
    make_engine: Callable[[], Engine] = lambda: LocalEngine(1),
    **request: object,
) -> Context:
    wanted = Request(str(collection), str(workspace), str(manifest) if manifest else None, **request)
    return run(wanted, config_of(*overrides), make_engine, LineReporter(lambda _: None))


def config_of(*overrides: str) -> Config:
    return load_config(None, overrides)


def open_read(workspace: Path | str, *overrides: str) -> Context:
    return Context(open_workspace(str(workspace)), config_of(*overrides), no_engine, LineReporter(lambda _: None))


def tables(workspace: Path | str, *overrides: str) -> dict[str, dict[str, pa.Table]]:
    """Table -> partition -> rows, each checked against its schema; but for what past runs did."""
    context = open_read(workspace, *overrides)
    found = {}
    for table in COMPUTED:
        store = context.store(table)
        found[table.name] = {name: table.check(store.read(name, None, one)) for name, one in store.partitions.items()}
    return found


def folder(workspace: Path, table: Table) -> Path:
    """Where the partitions of a table lie."""
    return Path(open_read(workspace).table_uri(table))


def up_to_naming(found: dict[str, dict[str, pa.Table]]) -> dict[str, dict[str, pa.Table]]:
    """Tables in which every track is called by its first image instead of by its id."""
    called: dict[str, str] = {}
    for rows in found["tracks"].values():
        for track, image in zip(rows["track_id"].to_pylist(), rows["image_id"].to_pylist(), strict=True):
            called.setdefault(track, image)
    named = {table.name: table for table in COMPUTED if "track_id" in table.names}
    return {
        name: {
            date: _renamed(named[name], rows, called) if name in named else rows for date, rows in partitions.items()
        }
        for name, partitions in found.items()
    }


def _renamed(table: Table, rows: pa.Table, called: dict[str, str]) -> pa.Table:
    for at, name in enumerate(rows.column_names):
        if name.endswith("track_id"):
            values = [None if one is None else called[one] for one in rows[name].to_pylist()]
            rows = rows.set_column(at, rows.schema.field(at), pa.array(values, pa.string()))
    return rows.sort_by([(name, "ascending") for name in table.key]).combine_chunks()


def files(workspace: Path) -> dict[str, tuple[int, int]]:
    """Every file with its time and size: what a run that writes nothing leaves alone."""
    return {
        str(path.relative_to(workspace)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(workspace.rglob("*"))
        if path.is_file()
    }


def ingested(
    collection: Path | str,
    workspace: Path | str,
    *overrides: str,
    manifest: Path | None = None,
    dates: tuple[str | None, str | None] = (None, None),
) -> pa.Table:
    """The rows of ``images``, with their date, after ingest alone; sorted by ``uri`` and id."""
    opened, reporter = open_workspace(str(workspace), collection_name(str(collection))), LineReporter(lambda _: None)
    with closing(Context(opened, config_of(*overrides), lambda: LocalEngine(1), reporter, dates)) as context:
        run_ingest(context, str(collection), str(manifest) if manifest else None)
        store = context.store(IMAGES)
        found = [store.read(date, None, one) for date, one in store.partitions.items()]
        named = [pa.array([date] * rows.num_rows) for date, rows in zip(store.partitions, found, strict=True)]
    joined = [rows.append_column("date", date) for rows, date in zip(found, named, strict=True)]
    rows = pa.concat_tables(joined, promote_options="default")
    return rows.sort_by([("uri", "ascending"), ("image_id", "ascending")])
