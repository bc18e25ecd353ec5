"""Committed tables for reports: rows of all dates with their date, read through the manifests."""

from collections.abc import Callable, Sequence

import pyarrow as pa

from pipeline.runtime.context import Context
from pipeline.schemas import Table


def read_dates(
    context: Context, table: Table, columns: Sequence[str], wanted: Callable[[str], bool] = lambda _: True
) -> pa.Table:
    """Some columns of every wanted partition and its name as ``date``; no rows if nothing is committed."""
    store = context.store(table)
    found = []
    for date, manifest in store.partitions.items():
        if wanted(date):
            rows = store.read(date, columns, manifest)
            found.append(rows.append_column("date", pa.array([date] * rows.num_rows, pa.string())))
    if not found:
        return table.empty().select(list(columns)).append_column("date", pa.array([], pa.string()))
    return pa.concat_tables(found)
