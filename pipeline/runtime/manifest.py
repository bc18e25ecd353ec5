"""The manifest: which images a collection has, when they were taken, and what else is known of them."""

import difflib
import gzip
import json
import logging
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.compute.dating import is_readable
from pipeline.errors import UserError
from pipeline.failures import explain
from pipeline.runtime.boxes import read_boxes
from pipeline.stages.ingest_params import SourceParams
from pipeline.storage import open_filesystem, redact

PATH, URI = "path", "uri"
_LOG = logging.getLogger("imagetracks")  # where nobody has set it up, Python writes warnings to stderr
_SHOWN = 100  # characters of a value
_MAX_BLOCK = 2**30  # column types are inferred from the first block: up to this size from the whole file

_Tables = Callable[[bytes, Sequence[str]], pa.Table]


@dataclass(frozen=True)
class Manifest:
    """A manifest's rows, column by column.

    Attributes:
        places: where each image lies, as written.
        relative: whether places are paths within the collection (a ``path`` column) rather than URIs.
        ids: the id column as text, None without one.
        dates: the date column as text, null where it is empty or there is none.
        boxes: what part of the photograph each row is, null for the whole; None without columns for it.
        metadata: every other column as one struct, its fields by name; None without any.
    """

    places: list[str]
    relative: bool
    ids: list[str] | None
    dates: list[str | None]
    boxes: pa.StructArray | None
    metadata: pa.StructArray | None


def read_manifest(uri: str, params: SourceParams) -> Manifest:
    """Read a manifest: CSV (``.csv``, ``.tsv``), JSON Lines (``.jsonl``, ``.ndjson``) or Parquet (``.parquet``).

    Raises:
        UserError: it is not there, cannot be read, has no rows, or lacks a column it must have.
    """
    rows = _read_table(uri, params)
    named = f"the manifest {redact(uri)}"
    _check_columns(named, rows, params)
    place = PATH if PATH in rows.column_names else URI
    places = _filled(named, rows, place)
    ids = _filled(named, rows, params.id_column) if params.id_column in rows.column_names else None
    dates: list[str | None] = [None] * rows.num_rows
    if params.date_column in rows.column_names:
        dates = [text.strip() or None if text is not None else None for text in _texts(rows[params.date_column])]
        _warn_of_unreadable(named, params.date_column, dates)
    boxes = read_boxes(named, rows, params.box_columns, params.box_unit)
    used = {place, params.date_column, *(params.box_columns if boxes is not None else ())}
    others = sorted(set(rows.column_names) - used)
    return Manifest(places, place == PATH, ids, dates, boxes, _struct(named, rows, others))


def _warn_of_unreadable(named: str, column: str, dates: Sequence[str | None]) -> None:
    rows = [row for row, date in enumerate(dates, 1) if not is_readable(date)]
    if rows:
        _LOG.warning(
            "imagetracks: %s: %d of %d values of %r are no time, e.g. %r in row %d (expected 2024-05-01T12:30:00, or "
            "like it); these images are dated by what else is known of them",
            *(named, len(rows), len(dates), column, (dates[rows[0] - 1] or "")[:_SHOWN], rows[0]),
        )


def _read_table(uri: str, params: SourceParams) -> pa.Table:
    name = _file_name(uri)
    suffix = name.removesuffix(".gz").rsplit(".", 1)[-1].lower()
    if suffix not in _READERS:
        raise UserError(
            f"the manifest {redact(uri)} has the suffix .{suffix}\n"
            f"expected one of {', '.join(f'.{known}' for known in _READERS)}, perhaps with .gz after it"
        )
    try:
        filesystem, path = open_filesystem(uri)
        data = filesystem.cat_file(path)
        if name.endswith(".gz"):
            data = gzip.decompress(data)
        return _READERS[suffix](data, (PATH, URI, params.date_column, params.id_column))
    except FileNotFoundError as error:
        raise UserError(f"there is no manifest at {redact(uri)}\ncheck the path given to --manifest") from error
    except (OSError, ValueError, EOFError, zlib.error) as error:  # Arrow's errors are ValueErrors
        raise UserError(
            f"cannot read the manifest {redact(uri)}: {redact(' '.join(str(error).split()))[:300]}\n"
            f"expected {_EXPECTED[suffix]}"
        ) from error
    except Exception as error:  # a store's package may raise anything
        raise explain(error, f"the manifest {redact(uri)}") or error from error


def _file_name(uri: str) -> str:
    """The last step of the path; what signs a web address comes after that and is no part of it."""
    path = urlsplit(uri).path if re.match(r"https?://", uri) else uri
    return path.rstrip("/").rsplit("/", 1)[-1]


def _read_csv(data: bytes, as_text: Sequence[str], delimiter: str = ",") -> pa.Table:
    read = pyarrow.csv.ReadOptions(block_size=min(max(len(data) + 1, 2**20), _MAX_BLOCK))
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    convert = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(as_text, pa.string()))
    # A buffer of Arrow's own: its threads must not call back into a Python that may be on its way out.
    return pyarrow.csv.read_csv(pa.BufferReader(data), read, parse, convert)


def _read_tsv(data: bytes, as_text: Sequence[str]) -> pa.Table:
    return _read_csv(data, as_text, "\t")


def _read_json_lines(data: bytes, as_text: Sequence[str]) -> pa.Table:
    records = []
    for number, line in enumerate(data.decode("utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        except RecursionError:
            raise ValueError(f"line {number}: nested too deeply") from None
        if not isinstance(record, dict):
            raise ValueError(f"line {number}: found {type(record).__name__}, expected an object")
        records.append(record)
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {name: [record.get(name) for record in records] for name in names}
    return pa.table({name: _json_column(values, name in as_text) for name, values in columns.items()})


def _json_column(values: list[Any], as_text: bool) -> pa.Array:
    if not as_text:
        try:
            return pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # numbers here, words there, or beyond 64 bits
            pass
    return pa.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])


def _read_parquet(data: bytes, as_text: Sequence[str]) -> pa.Table:  # noqa: ARG001  (it has types of its own)
    return pq.read_table(pa.BufferReader(data))


_READERS: dict[str, _Tables] = {
    "csv": _read_csv,
    "tsv": _read_tsv,
    "jsonl": _read_json_lines,
    "ndjson": _read_json_lines,
    "parquet": _read_parquet,
    "pq": _read_parquet,
}
_EXPECTED = {
    "csv": "CSV in UTF-8: a header, commas, and as many fields in every row",
    "tsv": "tab-separated text in UTF-8: a header, and as many fields in every row",
    "jsonl": "JSON Lines in UTF-8: one object a line",
    "ndjson": "JSON Lines in UTF-8: one object a line",
    "parquet": "one Parquet file",
    "pq": "one Parquet file",
}


def _check_columns(named: str, rows: pa.Table, params: SourceParams) -> None:
    names = rows.column_names
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"{named} has the column {repeated[0]!r} more than once\ngive every column a name of its own")
    if PATH not in names and URI not in names:
        raise UserError(
            f"{named} has no column {PATH!r} or {URI!r}; found {', '.join(map(repr, names)) or 'no column'}\n"
            f"rename the column that says where an image lies{_nearest((PATH, URI), names)}"
        )
    asked_for = params.model_fields_set & {"date_column", "id_column", "box_columns"}
    for key in sorted(asked_for):
        given = getattr(params, key)
        column = next((one for one in ([given] if isinstance(given, str) else given) if one not in names), None)
        if column is not None:
            raise UserError(
                f"{named} has no column {column!r}, which ingest.{key} names; found {', '.join(map(repr, names))}\n"
                f"set ingest.{key} to one of them{_nearest((column,), names)}"
            )
    if not rows.num_rows:
        raise UserError(f"{named} has no rows\nexpected one row an image")


def _nearest(wanted: Sequence[str], names: Sequence[str]) -> str:
    lowered = {name.strip().lower(): name for name in names}
    scored = [
        (difflib.SequenceMatcher(None, want, name).ratio(), lowered[name])
        for want in wanted
        for name in sorted(lowered)
    ]
    return f" (the nearest is {max(scored, key=lambda one: one[0])[1]!r})" if scored else ""


def _filled(named: str, rows: pa.Table, column: str) -> list[str]:
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
