"""A workspace in DuckDB, on this machine and on S3; the ready queries there and in Polars."""

import stat
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import UserError
from pipeline.reports.queries import QUERIES
from pipeline.runtime.sql import connect, query
from pipeline.schemas import TABLES
from tests.collections import DATES, Collection, small
from tests.runtime.runs import open_read, run_local, tables
from tests.s3_server import s3_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    found = small(tmp_path_factory.mktemp("sql's [1]") / "photos", subjects=3)
    found.add(7, DATES[1], 0)
    (found.root / "broken_20240501.jpg").write_bytes(b"no image")
    return found


@pytest.fixture(scope="module")
def workspace(collection: Collection) -> Path:
    """Below a folder with signs that SQL and globs know; two runs, so that images have changed."""
    place = collection.root.parent / "ws"
    run_local(collection.root, place)
    collection.add(8, DATES[2], 0)
    run_local(collection.root, place)
    return place


def frames(workspace: Path) -> dict[str, pl.LazyFrame]:
    """Every table as its partitions give it, and the runs."""
    context = open_read(workspace)
    found = {"runs": pl.from_arrow(connect(context).table("runs").to_arrow_table()).lazy()}
    for table in TABLES:
        key, store = table.partition_key, context.store(table)
        if store.partitions:
            place = f"{pa.scalar(store.root)}".replace("[", "[[]")
            glob = f"{place}/{key}=*/*.parquet"
            found[table.name] = pl.scan_parquet(glob, hive_partitioning=True, try_parse_hive_dates=key == "date")
        else:
            found[table.name] = pl.from_arrow(table.empty().append_column(key, pa.array([], pa.string()))).lazy()
    return found


def test_a_view_has_the_rows_of_its_table(workspace: Path) -> None:
    connection = connect(open_read(workspace))
    for name, partitions in tables(workspace).items():
        rows = sum(part.num_rows for part in partitions.values())
        assert query(connection, f"SELECT count(*) AS n FROM {name}")["n"].to_pylist() == [rows], name
    kinds = {str(row[0]) for row in connection.sql("SELECT DISTINCT typeof(date) FROM tracks").fetchall()}
    assert kinds == {"DATE"}


@pytest.mark.parametrize("name", QUERIES)
def test_a_ready_query_gives_the_same_in_polars(workspace: Path, name: str) -> None:
    one, given = QUERIES[name], frames(workspace)
    rows = query(connect(open_read(workspace)), one.sql).to_pydict()
    if one.polars is None:
        found = pl.SQLContext(given).execute(one.sql).collect()
    else:
        found = eval(f"({one.polars})", {"pl": pl, **given}).collect()  # noqa: S307  # a text of ours
    if name == "cost":  # a map is a list of structs there
        found, rows = found.drop("computed"), {key: value for key, value in rows.items() if key != "computed"}
    assert found.to_dict(as_series=False) == rows
    assert found.height or name in ("splits", "changes", "renamed", "review")


def test_the_runs_say_what_they_did(workspace: Path) -> None:
    first, second = query(connect(open_read(workspace)), "FROM runs ORDER BY run").to_pylist()
    assert dict(first["computed"])["images"] == 20
    assert dict(second["computed"])["images"] == 1
    assert first["clustering"] == "default"
    assert second["seconds"] >= 0


def test_a_workspace_on_s3_is_read_with_the_credentials_of_fsspec(tmp_path: Path, workspace: Path) -> None:
    with s3_server(tmp_path) as server:
        server.filesystem.mkdir("tracks")
        server.filesystem.put(str(workspace).replace("[", "[[]"), "tracks/ws", recursive=True)
        found = query(connect(open_read("s3://tracks/ws")), "SELECT count(*) AS n, max(date) AS d FROM tracks")
        (row,) = found.to_pylist()
        assert (row["n"], str(row["d"])) == (21, DATES[-1])


def test_the_prompt_goes_on_after_a_mistake(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    words = "SELECT count(*) AS n\nFROM runs;\nnonsense;\n.cost\n.x\n.tables\n"
    done = CliRunner().invoke(app, ["sql", str(workspace)], input=words)
    assert done.exit_code == 0, done.output
    assert "Parser Error" in done.output
    assert done.output.index("Parser Error") < done.output.index("computed") < done.output.index("track_summary")


def test_the_command(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*words: str) -> str:
        done = CliRunner().invoke(app, ["sql", str(workspace), *words])
        if isinstance(done.exception, UserError):
            raise done.exception
        return done.stdout

    assert ask("SELECT 1 AS one, 'a' AS two", "--csv") == '"one","two"\n1,"a"\n'
    assert ask("SELECT DATE '2024-05-01' AS d, [1, 2] AS l", "--json") == '{"d": "2024-05-01", "l": [1, 2]}\n'
    assert "(--csv or --json: all)" in ask("FROM range(50)")
    assert "not_an_image" in ask("failed")
    with pytest.raises(UserError, match="Table with name nowhere does not exist"):
        ask("FROM nowhere")
    with pytest.raises(UserError, match="expected one of them"):
        ask("failed", "--csv", "--json")

    # DuckDB's own shell, where there is one, gets a database with the views.
    shell, seen = tmp_path / "duckdb", tmp_path / "seen"
    shell.write_text(f'#!/bin/sh\ncp "$1" "{seen}"\n')
    shell.chmod(shell.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    ask()
    import duckdb

    with duckdb.connect(str(seen), read_only=True) as given:
        assert given.sql("SELECT count(*) FROM tracks").fetchall() == [(21,)]
