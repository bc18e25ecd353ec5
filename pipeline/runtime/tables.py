"""Committed tables for reports: rows of all dates with their date, read through the manifests."""

from collections.abc import Callable, Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import UserError
from pipeline.runtime.context import Context
from pipeline.schemas import IMAGES, TRACKS, Table

_ROWS_OF_PIXELS = 1024


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


def read_date(context: Context, table: Table, date: str) -> pa.Table:
    """All columns of one date's partition.

    Raises:
        UserError: it is not there.
    """
    store = context.store(table)
    if date not in store.partitions:
        raise UserError(
            f"{context.table_uri(table)} has nothing of {date}, which is clustered; expected the table that it was "
            "clustered from\ngive the --config or --set that the run had, fingerprint.extractor above all"
        )
    return store.read(date, None, store.partitions[date])


def uris_of(context: Context, dates: Collection[str]) -> dict[str, str]:
    """Where the images of some dates lie, by their ids."""
    rows = read_dates(context, TRACKS, ("image_id", "uri"), dates.__contains__)
    return dict(zip(rows["image_id"].to_pylist(), rows["uri"].to_pylist(), strict=True))


def pixels_of(context: Context, date: str, image_ids: Collection[str]) -> dict[str, bytes | None]:
    """The shrunken pictures of some images of a date, read a thousand rows at a time."""
    store = context.store(IMAGES)
    wanted = pa.array(sorted(image_ids), pa.string())
    pixels: dict[str, bytes | None] = {}
    for _, rows in store.scan(date, store.partitions[date], ("image_id", "pixels"), _ROWS_OF_PIXELS):
        found = rows.filter(pc.is_in(rows["image_id"], value_set=wanted))
        pixels.update(zip(found["image_id"].to_pylist(), found["pixels"].to_pylist(), strict=True))
    return pixels
