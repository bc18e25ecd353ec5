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
from pipeline.schemas import IMAGES, TABLES
from pipeline.workspace import collection_name, open_workspace


def no_engine() -> Engine:
    raise AssertionError("a run with nothing to do asked for an engine")


def run_local(
    collection: Path,
    workspace: Path,
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
    """Table -> partition -> rows, each checked against its schema."""
    context = open_read(workspace, *overrides)
    found = {}
    for table in TABLES:
        store = context.store(table)
        found[table.name] = {name: table.check(store.read(name, None, one)) for name, one in store.partitions.items()}
    return found


def files(workspace: Path) -> dict[str, tuple[int, int]]:
    """Every file with its time and size: what a run that writes nothing leaves alone."""
    return {
        str(path.relative_to(workspace)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(workspace.rglob("*"))
        if path.is_file()
    }


def ingested(collection: Path | str, workspace: Path | str, *overrides: str, manifest: Path | None = None) -> pa.Table:
    """The rows of ``images``, with their date, after ingest alone; sorted by ``uri`` and id."""
    name = collection_name(str(collection))
    reporter = LineReporter(lambda _: None)
    with closing(
        Context(open_workspace(str(workspace), name), config_of(*overrides), lambda: LocalEngine(1), reporter)
    ) as context:
        run_ingest(context, str(collection), str(manifest) if manifest else None)
        store = context.store(IMAGES)
        found = [store.read(date, None, one) for date, one in store.partitions.items()]
        dates = [pa.array([date] * rows.num_rows) for date, rows in zip(store.partitions, found, strict=True)]
    joined = [rows.append_column("date", date) for rows, date in zip(found, dates, strict=True)]
    return pa.concat_tables(joined, promote_options="default").sort_by(
        [("uri", "ascending"), ("image_id", "ascending")]
    )
