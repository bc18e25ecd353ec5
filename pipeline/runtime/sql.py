"""A workspace in DuckDB: every table a view over the parts that its manifests name, and the runs' reports."""

import glob
import json
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.errors import UserError
from pipeline.runtime.context import Context
from pipeline.schemas import TABLES, Table
from pipeline.storage import is_local

if TYPE_CHECKING:
    import duckdb

RUNS = pa.schema(
    [
        ("run", pa.string()),
        ("clustering", pa.string()),
        ("seconds", pa.float64()),
        ("computed", pa.map_(pa.string(), pa.int64())),
        ("ids", pa.map_(pa.string(), pa.int64())),
    ]
)
"""What a run did, from ``runs/RUN.json``: wall time, stage -> partitions or images computed, what became of ids."""


def connect(context: Context, database: str = ":memory:") -> "duckdb.DuckDBPyConnection":
    """Open DuckDB with a view for each table of the workspace, by its name, and the table ``runs``.

    A partition's date (its name, its run) is a column.  Whatever store fsspec opens is read through fsspec, with its
    credentials.  A table that is not computed yet is there without rows.

    Args:
        context: whose extractor and clustering are looked at.
        database: a new file, for another process to open, or in memory.

    Raises:
        DamagedError: a table's head cannot be read.
    """
    import duckdb

    connection = duckdb.connect(database)
    if not is_local(context.workspace.filesystem):
        connection.register_filesystem(context.workspace.filesystem)
    for table in TABLES:
        _add(connection, context, table)
    _keep(connection, "runs", pa.Table.from_pylist(_reports(context), RUNS))
    return connection


def query(connection: "duckdb.DuckDBPyConnection", sql: str) -> pa.Table:
    """The rows of a query; no columns where it gives none.

    Raises:
        UserError: what DuckDB says is wrong with it.
    """
    import duckdb

    try:
        relation = connection.sql(sql)
        return pa.table({}) if relation is None else relation.to_arrow_table()
    except duckdb.Error as error:
        first, *rest = str(error).strip().splitlines()
        hint = next((line.strip() for line in rest if line.strip()), "")
        raise UserError(f"{first}\n{hint}".strip()) from None


def _add(connection: "duckdb.DuckDBPyConnection", context: Context, table: Table) -> None:
    store = context.store(table)
    paths = [f"{store.folder(name)}/{part.name}" for name, one in store.partitions.items() for part in one.parts]
    if not paths:
        kind = pa.date32() if table.partition_key == "date" else pa.string()
        _keep(connection, table.name, table.empty().append_column(table.partition_key, pa.array([], kind)))
        return
    if not is_local(store.filesystem):
        paths = [str(store.filesystem.unstrip_protocol(path)) for path in paths]
    listed = ", ".join(f"'{glob.escape(path)}'" for path in (path.replace("'", "''") for path in paths))
    kind = "DATE" if table.partition_key == "date" else "VARCHAR"
    # Metadata may have other fields on other dates.
    by_name = "true" if any(column.optional for column in table.columns) else "false"
    connection.execute(
        f"CREATE VIEW {table.name} AS SELECT * FROM read_parquet([{listed}], hive_partitioning = true, "  # noqa: S608  # quoted above
        f"hive_types = {{'{table.partition_key}': {kind}}}, union_by_name = {by_name})"
    )


def _keep(connection: "duckdb.DuckDBPyConnection", name: str, rows: pa.Table) -> None:
    connection.register("given", rows)
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")  # noqa: S608  # a name of ours
    connection.unregister("given")


def _reports(context: Context) -> list[dict[str, object]]:
    workspace = context.workspace
    rows = []
    for run in workspace.reports():
        report = json.loads(workspace.filesystem.cat_file(f"{workspace.root}/runs/{run}.json"))
        maps = {name: list(report.get(name, {}).items()) for name in ("computed", "ids")}
        rows.append({"run": run, "clustering": report.get("clustering"), "seconds": report.get("seconds"), **maps})
    return rows
