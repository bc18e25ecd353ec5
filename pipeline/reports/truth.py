"""Reading the truth: labels of images, and true events.  Only ``evaluate`` and tests do."""

import difflib
import io
import os
import posixpath
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from pipeline.compute.identity import image_id
from pipeline.errors import UserError

KEYS = ("image_id", "path", "uri")
"""Columns that may name the image, the first one there is taken."""

EVENT_COLUMNS = ("kind", "date", "identity", "other")


def read_truth(
    file: str, column: str = "identity", collection_root: str = "", image_ids: pa.ChunkedArray | None = None
) -> pa.Table:
    """Read labels from CSV, TSV, JSON Lines or Parquet (by the file's ending).

    The image is named by a column ``image_id``, ``path`` or ``uri``.  A path is absolute, relative to the collection,
    or relative to the file's own folder; where the last two differ, the reading is taken that gives more of
    ``image_ids`` a label (the collection where level, or without ``image_ids``).  Rows without a label are left out.

    Returns:
        image_id, identity, key (as the file names the image), all strings; one row an image, in the file's order.

    Raises:
        UserError: no such file or column, not readable, or two labels for one image.
    """
    names = _column_names(file)
    key = next((name for name in KEYS if name in names), None)
    if key is None:
        raise UserError(f"{file}: no column {', '.join(KEYS[:-1])} or {KEYS[-1]}; found {', '.join(names)}")
    _require(file, names, [column])
    rows = _read(file, [key, column])
    rows = rows.filter(pc.and_(pc.is_valid(rows[key]), pc.is_valid(rows[column])))
    keys = rows[key].to_pylist()
    ids = keys if key == "image_id" else _image_ids(keys, file, collection_root, image_ids)
    truth = pa.table({"image_id": pa.array(ids, pa.string()), "identity": rows[column], "key": rows[key]})
    return _one_label_each(file, truth)


def read_truth_events(file: str) -> pa.Table:
    """Read true events: kind, date (YYYY-MM-DD), identity and other (null where there is none), all strings.

    Raises:
        UserError: no such file or column, or not readable.
    """
    _require(file, _column_names(file), EVENT_COLUMNS)
    return _read(file, list(EVENT_COLUMNS))


def _image_ids(keys: list[str], file: str, root: str, image_ids: pa.ChunkedArray | None) -> list[str]:
    """Ids of images named by path or URI."""
    root = _absolute(root) if root else ""
    in_collection = [image_id(_relative(key, root, "")) for key in keys]
    folder = posixpath.dirname(_absolute(file))
    if image_ids is None or not root or folder == root:
        return in_collection
    beside_file = [image_id(_relative(key, root, folder)) for key in keys]
    wanted = set(image_ids.to_pylist())
    readings = (in_collection, beside_file)
    return max(readings, key=lambda ids: sum(one in wanted for one in ids))


def _relative(key: str, root: str, folder: str) -> str:
    """The key below the collection's root: of an absolute path or URI, or of one relative to a folder."""
    if _is_absolute(key) or folder:
        key = _absolute(key) if _is_absolute(key) else posixpath.join(folder, key)
        head, _, path = key.rpartition("://") if "://" in key else ("", "", key)
        key = f"{head}://{posixpath.normpath(path)}" if head else posixpath.normpath(path)
        return key.removeprefix(root.rstrip("/") + "/") if root else key
    return posixpath.normpath(key)


def _is_absolute(key: str) -> bool:
    return "://" in key or key.startswith("/")


def _absolute(path: str) -> str:
    path = path.removeprefix("file://").removeprefix("local://")
    return path if "://" in path else os.path.abspath(path)  # noqa: PTH100 - a string that may also be a URI's path


def _one_label_each(file: str, truth: pa.Table) -> pa.Table:
    pairs = truth.group_by(["image_id", "identity"], use_threads=False).aggregate([("key", "first")])
    if len(pc.unique(pairs["image_id"])) < pairs.num_rows:
        counts = pairs["image_id"].combine_chunks().value_counts()
        twice = pc.filter(counts.field("values"), pc.greater(counts.field("counts"), 1))[0]
        rows = pairs.filter(pc.equal(pairs["image_id"], twice))
        labels = " and ".join(repr(label) for label in rows["identity"].to_pylist()[:2])
        raise UserError(f"{file}: {rows['key_first'][0]} has labels {labels}, expected one label an image")
    return pairs.rename_columns(["image_id", "identity", "key"])


def _require(file: str, names: Sequence[str], wanted: Sequence[str]) -> None:
    for column in wanted:
        if column not in names:
            near = difflib.get_close_matches(column, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"found {', '.join(names)}"
            raise UserError(f"{file}: no column {column}; {hint}")


def _column_names(file: str) -> list[str]:
    data, ending = _data(file)
    try:
        if ending == "parquet":
            return list(pa.parquet.read_schema(io.BytesIO(data)).names)
        if ending == "json":
            return list(_read_json(data).column_names)
        return list(pa.csv.open_csv(io.BytesIO(data), parse_options=_parse(ending)).schema.names)
    except pa.ArrowException as error:
        raise _unreadable(file, ending, error) from None


def _read(file: str, columns: list[str]) -> pa.Table:
    """These columns as strings; an empty text is null."""
    data, ending = _data(file)
    try:
        if ending == "parquet":
            rows = pa.parquet.read_table(io.BytesIO(data), columns=columns)
        elif ending == "json":
            rows = _read_json(data).select(columns)
        else:
            rows = pa.csv.read_csv(
                io.BytesIO(data),
                parse_options=_parse(ending),
                convert_options=pa.csv.ConvertOptions(
                    include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
                ),
            )
        texts = [pc.cast(rows[column], pa.string()) for column in columns]
    except pa.ArrowException as error:
        raise _unreadable(file, ending, error) from None
    return pa.table([pc.if_else(pc.equal(text, ""), None, text) for text in texts], columns)


def _read_json(data: bytes) -> pa.Table:
    # One block: a column that is first absent and later there would otherwise change its type between blocks.
    return pa.json.read_json(io.BytesIO(data), read_options=pa.json.ReadOptions(block_size=max(1 << 20, len(data) + 1)))


def _parse(ending: str) -> pa.csv.ParseOptions:
    return pa.csv.ParseOptions(delimiter="\t" if ending == "tsv" else ",", newlines_in_values=True)


def _unreadable(file: str, ending: str, error: Exception) -> UserError:
    return UserError(f"{file}: not readable as {ending.upper()} ({' '.join(str(error).split())[:200]})")


def _data(file: str) -> tuple[bytes, str]:
    import fsspec

    endings = {".parquet": "parquet", ".pq": "parquet", ".jsonl": "json", ".ndjson": "json", ".json": "json"}
    suffix = posixpath.splitext(file)[1].lower()
    ending = endings.get(suffix, "tsv" if suffix == ".tsv" else "csv")
    try:
        with fsspec.open(file, "rb") as stream:
            return bytes(stream.read()), ending
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            f"{file}: the truth cannot be read ({error}); expected a CSV, JSON Lines or Parquet file"
        ) from None
