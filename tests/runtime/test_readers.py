"""DuckDB, Polars, pandas and pyarrow read every table by plain glob, dates typed."""

import datetime as dt
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest

from pipeline.schemas import TABLES, Table
from tests.collections import DATES, small
from tests.runtime.runs import folder, open_read, run_local, tables

pytestmark = pytest.mark.slow
ASKED_FOR = {"coordinates", "linkage", "map", "collection_map"}
"""Tables that only a setting or a command makes; a default run leaves not even their folders."""
DATED = [table for table in TABLES if table.partition_key == "date" and table.name not in ASKED_FOR]
DAYS = [dt.date.fromisoformat(date) for date in DATES]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("readers")
    collection = small(root / "photos", subjects=3)
    manifest = root / "manifest.csv"
    manifest.write_text("path,weight,label\n" + "".join(f"{key},1.5,x\n" for key in collection.identity))
    run_local(collection.root, root / "ws", manifest=manifest)
    return root / "ws"


@pytest.fixture(scope="module")
def num_rows(workspace: Path) -> dict[str, int]:
    """Table -> rows, as the project itself reads them."""
    return {name: sum(rows.num_rows for rows in dates.values()) for name, dates in tables(workspace).items()}


def test_a_default_run_makes_all_tables_but_those_that_are_asked_for(workspace: Path) -> None:
    made = {table.name for table in TABLES if folder(workspace, table).is_dir()}
    assert not made & ASKED_FOR
    assert {table.name for table in DATED} <= made


@pytest.mark.parametrize("table", DATED, ids=lambda table: table.name)
def test_duckdb(workspace: Path, num_rows: dict[str, int], table: Table) -> None:
    glob = folder(workspace, table) / "date=*" / "*.parquet"
    rows = duckdb.sql(f"SELECT *, date AS day FROM read_parquet('{glob}', hive_partitioning = true)")
    assert dict(zip(rows.columns, map(str, rows.types), strict=True))["day"] == "DATE"
    assert len(rows.fetchall()) == num_rows[table.name]


@pytest.mark.parametrize("table", DATED, ids=lambda table: table.name)
def test_polars(workspace: Path, num_rows: dict[str, int], table: Table) -> None:
    glob = folder(workspace, table) / "date=*" / "*.parquet"
    rows = pl.read_parquet(glob, hive_partitioning=True, try_parse_hive_dates=True)
    assert rows.schema["date"] == pl.Date
    assert rows.height == num_rows[table.name]


@pytest.mark.parametrize("table", DATED, ids=lambda table: table.name)
def test_pandas(workspace: Path, num_rows: dict[str, int], table: Table) -> None:
    rows = pd.read_parquet(folder(workspace, table))
    assert len(rows) == num_rows[table.name]
    if len(rows):
        assert set(pd.to_datetime(rows["date"].astype(str)).dt.date) <= set(DAYS)


@pytest.mark.parametrize("table", DATED, ids=lambda table: table.name)
def test_pandas_with_real_dates(workspace: Path, num_rows: dict[str, int], table: Table) -> None:
    if not num_rows[table.name]:
        pytest.skip(f"{table.name} has no rows here")
    rows = pd.read_parquet(folder(workspace, table))
    rows["date"] = pd.to_datetime(rows["date"].astype(str))
    assert set(rows["date"].dt.date) <= set(DAYS)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_hugging_face(workspace: Path, table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    expected = sum(one.rows for one in open_read(workspace).store(table).partitions.values())
    if not expected:
        pytest.skip(f"{table.name} has no rows here")
    datasets.disable_progress_bars()
    glob = str(folder(workspace, table) / f"{table.partition_key}=*" / "*.parquet")
    rows = datasets.Dataset.from_polars(pl.read_parquet(glob, hive_partitioning=True, try_parse_hive_dates=True))
    assert rows.num_rows == expected
    assert table.partition_key in rows.column_names
    options = {"split": "train", "batch_size": 1000, "cache_dir": str(tmp_path)}
    streamed = datasets.load_dataset("parquet", data_files=glob, **options)
    assert streamed.num_rows == rows.num_rows


@pytest.mark.parametrize("table", DATED, ids=lambda table: table.name)
def test_pyarrow(workspace: Path, num_rows: dict[str, int], table: Table) -> None:
    import pyarrow as pa

    parts = ds.partitioning(pa.schema([("date", pa.date32())]), flavor="hive")
    rows = ds.dataset(folder(workspace, table), partitioning=parts).to_table()
    assert rows.schema.field("date").type == pa.date32()
    assert rows.num_rows == num_rows[table.name]


def test_the_query_that_a_run_prints(workspace: Path) -> None:
    from pipeline.cli import QUERY

    glob = folder(workspace, next(t for t in TABLES if t.name == "tracks")) / "date=*" / "*.parquet"
    rows = duckdb.sql(QUERY.format(tracks=glob)).fetchall()
    expected = tables(workspace)["track_summary"]
    assert sum(row[1] for row in rows) == 18
    assert {(row[0], row[2], row[3]) for row in rows} == {
        (one["track_id"], one["first_date"], one["last_date"]) for part in expected.values() for one in part.to_pylist()
    }


def test_the_model_is_read_by_all_of_them(workspace: Path) -> None:
    """Its name is a column of its own, so the path's key has another name: pandas refuses one in both places."""
    place = folder(workspace, next(t for t in TABLES if t.name == "projection"))
    glob = place / "name=*" / "*.parquet"
    wanted = [path.name.removeprefix("name=") for path in place.glob("name=*")]
    assert len(wanted) == 1
    assert duckdb.sql(f"SELECT model FROM read_parquet('{glob}')").fetchall() == [(wanted[0],)]
    assert pl.read_parquet(glob)["model"].to_list() == wanted
    assert pd.read_parquet(place)["model"].tolist() == wanted
    assert ds.dataset(place, partitioning="hive").to_table()["model"].to_pylist() == wanted
