"""What a user's columns say of images: from a manifest, from sidecars, from a Parquet file that holds the images."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.compute.dating import is_readable
from pipeline.errors import UserError
from pipeline.runtime.boxes import read_boxes
from pipeline.stages.ingest_params import SourceParams

_LOG = logging.getLogger("imagetracks")  # where nobody has set it up, Python writes warnings to stderr
_SHOWN = 100  # characters of a value


@dataclass(frozen=True)
class Described:
    """Columns, row by row.

    Attributes:
        ids: the id column as text, None without one.
        dates: the date column as text, null where it is empty or there is none.
        boxes: what part of the photograph each row is, null for the whole; None without columns for it.
        metadata: every other column as one struct, its fields by name; None without any.
    """

    ids: list[str] | None
    dates: pa.Array
    boxes: pa.StructArray | None
    metadata: pa.StructArray | None


def describe(named: str, rows: pa.Table, params: SourceParams, place: str | None = None) -> Described:
    """Sort a user's columns out.

    Args:
        named: what they are, for messages: ``the manifest m.csv``.
        rows: the columns.
        params: which of them are what.
        place: the column that says where the image lies, which is no metadata.

    Raises:
        UserError: an id is missing, a box is none, or a column holds bytes.
    """
    ids = filled(named, rows, params.id_column) if params.id_column in rows.column_names else None
    dates: list[str | None] = [None] * rows.num_rows
    if params.date_column in rows.column_names:
        dates = [text.strip() or None if text is not None else None for text in _texts(rows[params.date_column])]
        _warn_of_unreadable(named, params.date_column, dates)
    boxes = read_boxes(named, rows, params.box_columns, params.box_unit)
    used = {place, params.date_column, *(params.box_columns if boxes is not None else ())}
    others = sorted(set(rows.column_names) - used)
    return Described(ids, pa.array(dates, pa.string()), boxes, _struct(named, rows, others))


def _warn_of_unreadable(named: str, column: str, dates: Sequence[str | None]) -> None:
    rows = [row for row, date in enumerate(dates, 1) if not is_readable(date)]
    if rows:
        _LOG.warning(
            "imagetracks: %s: %d of %d values of %r are no time, e.g. %r in row %d (expected 2024-05-01T12:30:00, or "
            "like it); these images are dated by what else is known of them",
            *(named, len(rows), len(dates), column, (dates[rows[0] - 1] or "")[:_SHOWN], rows[0]),
        )


def table_of(records: Sequence[dict[str, Any]], as_text: Sequence[str]) -> pa.Table:
    """Records of any fields as columns; what has no one type becomes text, and the columns ``as_text`` are text."""
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {name: [record.get(name) for record in records] for name in names}
    # Without a column there would be no rows either.
    return pa.table({name: _json_column(values, name in as_text) for name, values in columns.items()})


def _json_column(values: list[Any], as_text: bool) -> pa.Array:
    if not as_text:
        try:
            return pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # numbers here, words there, or beyond 64 bits
            pass
    return pa.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])


def filled(named: str, rows: pa.Table, column: str) -> list[str]:
    """A column as text, in which every row must have a value."""
    texts = _texts(rows[column])
    for number, text in enumerate(texts, 1):
        if text is None or not text.strip():
            raise UserError(f"{named}: row {number} has no {column}\nfill it in, or leave the row out")
    return [text for text in texts if text is not None]


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _texts(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    return [value if value is None or isinstance(value, str) else str(value) for value in column.to_pylist()]


def _struct(named: str, rows: pa.Table, names: Sequence[str]) -> pa.StructArray | None:
    # By name, so that the order of the manifest's columns carries no information.
    if not names:
        return None
    arrays = [_portable(named, name, rows[name].combine_chunks()) for name in names]
    return pa.StructArray.from_arrays(arrays, names=list(names))


def _portable(named: str, name: str, column: pa.Array) -> pa.Array:
    """A column in one of the types that every reader of the tables knows; nested values as JSON."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _portable(named, name, column.cast(kind.value_type))
    for fits, portable in _PORTABLE:
        if fits(kind):
            try:
                return column.cast(portable(kind))
            except pa.ArrowInvalid:  # an unsigned number beyond the signed ones, a year beyond the microseconds
                break
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        raise UserError(f"{named}: the column {name!r} holds bytes, which are not carried as metadata\nleave it out")
    if pa.types.is_nested(kind):
        return pa.array(
            [None if value is None else json.dumps(value, sort_keys=True, default=str) for value in column.to_pylist()],
            pa.string(),
        )
    return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())


_PORTABLE: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], pa.DataType]], ...] = (
    (pa.types.is_boolean, lambda _: pa.bool_()),
    (pa.types.is_integer, lambda _: pa.int64()),
    (pa.types.is_floating, lambda _: pa.float64()),
    (pa.types.is_decimal, lambda _: pa.float64()),
    (pa.types.is_string, lambda _: pa.string()),
    (pa.types.is_large_string, lambda _: pa.string()),
    (pa.types.is_null, lambda _: pa.string()),
    (pa.types.is_date, lambda _: pa.date32()),
    (pa.types.is_timestamp, lambda kind: pa.timestamp("us", kind.tz)),
)
