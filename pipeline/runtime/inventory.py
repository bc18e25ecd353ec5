"""A list of the objects that somebody else made, such as an S3 inventory, read a block at a time."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.errors import UserError
from pipeline.failures import explain
from pipeline.runtime.blocks import BLOCK_ROWS
from pipeline.runtime.listing import Entry, entry_of
from pipeline.storage import FileSystem, open_filesystem, redact

_CSV_BLOCK = 2**23
_READ = 2**20
_NAMES = {
    "bucket": "bucket",
    "key": "key",
    "size": "size",
    "etag": "etag",
    "lastmodifieddate": "modified",
    "lastmodified": "modified",
    "islatest": "latest",
    "isdeletemarker": "deleted",
}
"""Columns by their names in lower case without signs between words (those of S3, and what people write)."""


def read_inventory(uri: str, root: str) -> Iterator[Entry]:
    """The objects below a root, in the order of the list.

    Args:
        uri: CSV with a header or Parquet, columns ``key``, ``size``, and ``etag`` or ``last_modified``; with a column
            ``bucket`` keys are the bucket's, else relative to the root.  Or the ``manifest.json`` of an S3 inventory,
            which names such files and their columns.
        root: the collection's path within its store: ``bucket/prefix``.

    Raises:
        UserError: it is not there, cannot be read, or lacks a column.
    """
    named = f"ingest.inventory {redact(uri)}"
    try:
        filesystem, path = open_filesystem(uri)
        if path.endswith(".json"):
            batches = _of_manifest(filesystem, json.loads(filesystem.cat_file(path)), named)
        else:
            batches = _batches(filesystem, path, None, named)
        for batch in batches:
            yield from _entries(batch, root, named)
    except FileNotFoundError as error:
        raise UserError(f"there is nothing at {named} ({error})\ncheck its path") from error
    except UserError:
        raise
    except Exception as error:  # a store's package may raise anything
        if not _is_of_content(error):
            raise explain(error, named) or error from error
        raise UserError(
            f"cannot read {named}: {redact(f'{type(error).__name__}: {error}')[:200]}\n"
            "expected CSV with a header, Parquet, or the manifest.json of an S3 inventory in one of them"
        ) from error


def _is_of_content(error: Exception) -> bool:
    """Whether it says that what was read is damaged or something else: of Arrow's a ValueError, or without a number."""
    is_unpacked = type(error) is OSError and error.errno is None
    return is_unpacked or isinstance(error, ValueError | KeyError | TypeError | EOFError)


def _of_manifest(filesystem: FileSystem, manifest: dict[str, Any], named: str) -> Iterator[pa.RecordBatch]:
    """The files that the manifest of an S3 inventory names; keys are URL-encoded in its CSV."""
    kind = str(manifest["fileFormat"]).lower()
    if kind not in ("csv", "parquet"):
        raise UserError(f"{named} is in {manifest['fileFormat']}\nexpected an inventory in CSV or Parquet")
    bucket = str(manifest["destinationBucket"]).removeprefix("arn:aws:s3:::")
    names = [name.strip() for name in str(manifest.get("fileSchema", "")).split(",")] if kind == "csv" else None
    for file in manifest["files"]:
        path = f"{bucket}/{file['key']}"
        yield from _batches(filesystem, path, names, named)


def _batches(filesystem: FileSystem, path: str, names: list[str] | None, named: str) -> Iterator[pa.RecordBatch]:
    """Blocks of rows, of a file that is never held as a whole.

    ``names`` are the columns' of an S3 inventory's CSV, which has no header.
    """
    if not path.endswith((".csv", ".csv.gz", ".parquet")):
        raise UserError(f"{named}: found the suffix of {path}\nexpected .csv, .csv.gz, .parquet or manifest.json")
    with filesystem.open(path, "rb", block_size=_READ, cache_type="readahead") as file:
        if path.endswith(".parquet"):
            # Without a buffer's size a row group's columns would be read whole, and one may hold all rows.
            yield from pq.ParquetFile(file, buffer_size=_READ, pre_buffer=False).iter_batches(BLOCK_ROWS)
        else:
            yield from _csv_batches(pa.PythonFile(file, "r"), path.endswith(".gz"), names)


def _csv_batches(stream: Any, packed: bool, names: list[str] | None) -> Iterator[pa.RecordBatch]:
    if packed:
        stream = pa.CompressedInputStream(stream, "gzip")
    read = pyarrow.csv.ReadOptions(block_size=_CSV_BLOCK, column_names=names, use_threads=False)
    types = {name: pa.string() for name in ("Key", "key", "ETag", "etag", "e_tag", "Bucket", "bucket")}
    convert = pyarrow.csv.ConvertOptions(column_types=types)
    for batch in pyarrow.csv.open_csv(stream, read, convert_options=convert):
        if names is None:
            yield batch
            continue
        keys = [unquote_plus(key) for key in batch.column("Key").to_pylist()]
        yield batch.set_column(batch.schema.get_field_index("Key"), "Key", pa.array(keys, pa.string()))


def _entries(batch: pa.RecordBatch, root: str, named: str) -> Iterator[Entry]:
    columns = {}
    for name in batch.schema.names:
        known = _NAMES.get("".join(sign for sign in name.lower() if sign.isalnum()))
        if known is not None:
            columns[known] = batch.column(name)
    missing = [wanted for wanted in ("key", "size") if wanted not in columns]
    if missing or not {"etag", "modified"} & set(columns):
        lacks = missing[0] if missing else "etag"
        raise UserError(
            f"{named} has no column {lacks!r}; found {', '.join(map(repr, batch.schema.names))}\n"
            "expected key, size, and etag or last_modified (an S3 inventory's own CSV is read by its manifest.json)"
        )
    columns["size"] = columns["size"].cast(pa.int64())
    values = {name: column.to_pylist() for name, column in columns.items()}
    inside = root.rstrip("/") + "/"
    in_bucket = inside.lstrip("/")
    for row, found in enumerate(values["key"]):
        key = str(found or "")
        if not key or key.endswith("/") or not _is_current(values, row):
            continue
        if "bucket" in values:
            path = f"{values['bucket'][row]}/{key}"
            if not path.startswith(in_bucket):
                continue
            key = path.removeprefix(in_bucket)
        etag, modified = (values[name][row] if name in values else None for name in ("etag", "modified"))
        yield entry_of(inside + key, values["size"][row], etag, modified)


def _is_current(values: dict[str, list[Any]], row: int) -> bool:
    """Not an old version, nor the mark of one that was deleted."""
    latest, deleted = (str(values[name][row]).lower() if name in values else "" for name in ("latest", "deleted"))
    return latest != "false" and deleted != "true"
