"""Tables that a user wrote: one or many files of CSV, JSON Lines or Parquet."""

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.errors import UserError
from pipeline.failures import explain
from pipeline.runtime.described import table_of
from pipeline.storage import FileSystem, open_filesystem, redact

_MAX_BLOCK = 2**30  # column types are inferred from the first block: up to this size from the whole file

_LINES_AT_ONCE = 2**14

_Tables = Callable[[bytes, Sequence[str]], pa.Table]


def read_tables(uri: str, named: str, as_text: Sequence[str]) -> pa.Table:
    """Read a file, all files that a pattern names (``s3://bucket/manifests/*.csv``), or all those of a folder.

    Args:
        uri: CSV (``.csv``, ``.tsv``), JSON Lines (``.jsonl``, ``.ndjson``), perhaps with ``.gz``, or Parquet
            (``.parquet``); ``*`` stands for any part of a file's name.
        named: what it is, for messages: ``the manifest m.csv``.
        as_text: columns that are text whatever they look like.

    Returns:
        The rows of all files in the order of their names; what is missing in one is null, and what has no one type
        is text.

    Raises:
        UserError: there is nothing, or it cannot be read.
    """
    try:
        filesystem, path = open_filesystem(uri)
        paths = _paths(filesystem, path)
        tables = [_read(filesystem.cat_file(one), one, named, as_text) for one in paths]
    except FileNotFoundError as error:
        raise UserError(f"there is nothing at {named}\ncheck its path") from error
    except UserError:
        raise
    except Exception as error:  # a store's package may raise anything
        raise explain(error, named) or error from error
    if not tables:
        raise UserError(f"there is nothing at {named}\nexpected files that end in {_suffixes()}")
    return tables[0] if len(tables) == 1 else _joined(tables)


def _paths(filesystem: FileSystem, path: str) -> list[str]:
    if urlsplit(path).scheme in ("http", "https"):
        return [path]  # the web has no folders, and what signs an address may hold any sign
    folder, _, name = path.rpartition("/")
    if "*" in name:
        wanted = name
    elif filesystem.isdir(path):
        folder, wanted = path, "*"
    else:
        return [path]
    listed = [str(one) for one in filesystem.ls(folder, detail=False)]
    names = [one for one in listed if fnmatchcase(one.rsplit("/", 1)[-1], wanted)]
    return sorted(one for one in names if "*" in name or _suffix(one) in _READERS)


def _read(data: bytes, path: str, named: str, as_text: Sequence[str]) -> pa.Table:
    suffix = _suffix(path)
    if suffix not in _READERS:
        raise UserError(f"{named} has the suffix .{suffix}\nexpected one of {_suffixes()}, perhaps with .gz after it")
    try:
        rows = _READERS[suffix](gzip.decompress(data) if _file_name(path).endswith(".gz") else data, as_text)
        str(rows.column_names)  # a header in another encoding shows here, not when it is parsed
        return rows
    except (OSError, ValueError, EOFError, zlib.error) as error:  # Arrow's errors are ValueErrors
        raise UserError(
            f"cannot read {named}: {redact(' '.join(str(error).split()))[:300]}\nexpected {_EXPECTED[suffix]}"
        ) from error


def _joined(tables: list[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # numbers in one file, words in the next
        kinds: dict[str, set[str]] = {}
        for rows in tables:
            for field in rows.schema:
                kinds.setdefault(field.name, set()).add(str(field.type))
        mixed = {name for name, found in kinds.items() if len(found - {"null"}) > 1}
        return pa.concat_tables([_as_text(rows, mixed) for rows in tables], promote_options="permissive")


def _as_text(rows: pa.Table, names: set[str]) -> pa.Table:
    for at, field in enumerate(rows.schema):
        if field.name in names and not pa.types.is_string(field.type):
            text = [None if value is None else str(value) for value in rows[at].to_pylist()]
            rows = rows.set_column(at, field.name, pa.array(text, pa.string()))
    return rows


def _suffix(path: str) -> str:
    return _file_name(path).removesuffix(".gz").rsplit(".", 1)[-1].lower()


def _suffixes() -> str:
    return ", ".join(f".{known}" for known in _READERS)


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
    """Some lines at a time, so that a million are never held as objects; all at once where their types differ."""
    lines, tables = _records(data), list[pa.Table]()
    while batch := list(islice(lines, _LINES_AT_ONCE)):
        tables.append(table_of(batch, as_text))
        if tables[-1].num_rows != len(batch):  # all of them without a field
            return table_of(list(_records(data)), as_text)
    try:
        return pa.concat_tables(tables, promote_options="permissive") if tables else table_of([], as_text)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # numbers in some lines, words in later ones
        return table_of(list(_records(data)), as_text)


def _records(data: bytes) -> Iterator[dict[str, Any]]:
    # Not by str.splitlines: a JSON text may hold some of the signs that it takes for the end of a line.
    for number, line in enumerate(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig"), 1):
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
        yield record


def _read_parquet(data: bytes, _: Sequence[str]) -> pa.Table:  # it has types of its own
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
