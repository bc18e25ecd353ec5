"""Running the pipeline in tests, and looking at what it left."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from pipeline.config import Config, load_config
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Engine, LocalEngine
from pipeline.runtime.progress import LineReporter
from pipeline.runtime.run import Request, run
from pipeline.schemas import TABLES
from pipeline.workspace import open_workspace


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
