"""The manifest: which images a collection has, when they were taken, and what else is known of them."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.compute.regions import Box, box_text
from pipeline.errors import UserError
from pipeline.runtime.described import Described, describe, filled
from pipeline.runtime.table_files import read_tables
from pipeline.stages.ingest_params import SourceParams
from pipeline.storage import redact

PATH, URI = "path", "uri"
_EXAMPLE = "FROM manifest QUALIFY count(*) OVER (PARTITION BY subject) > 15"


@dataclass(frozen=True)
class Manifest:
    """A manifest's rows.

    Attributes:
        places: where each image lies, as written.
        relative: whether places are paths within the collection (a ``path`` column) rather than URIs.
        described: what else the rows say.
        name: for messages.
    """

    places: list[str]
    relative: bool
    described: Described
    name: str

    def keyed(self, keys: Sequence[str]) -> list[str]:
        """Keys of the rows from those of their photographs: a region's has its box behind it."""
        boxes = self.described.boxes
        if boxes is None:
            return list(keys)
        texts = ("" if box is None else f"#{box_text(Box(**box))}" for box in boxes.to_pylist())
        return [key + text for key, text in zip(keys, texts, strict=True)]


def read_manifest(uri: str, params: SourceParams) -> Manifest:
    """Read a manifest, one file or many, and reshape it by ``params.manifest_sql``.

    Raises:
        UserError: it is not there, cannot be read, has no rows, or lacks a column it must have; the SQL is wrong.
    """
    named = f"the manifest {redact(uri)}"
    rows = read_tables(uri, named, (PATH, URI, params.date_column, params.id_column))
    if params.manifest_sql is not None:
        _refuse_repeated_columns(named, rows.column_names)
        rows = _queried(rows, params.manifest_sql)
        named = f"what ingest.manifest_sql made of {named}"
    _check_columns(named, rows, params)
    place = PATH if PATH in rows.column_names else URI
    places = filled(named, rows, place)
    return Manifest(places, place == PATH, describe(named, rows, params, place), redact(uri))


def _queried(rows: pa.Table, sql: str) -> pa.Table:
    """What a query makes of the rows, in DuckDB as the table ``manifest``; it sees no files and no network."""
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "python_enable_replacements": "false",
        "threads": "1",
    }
    try:
        with duckdb.connect(config=settings) as database:
            database.register("manifest", rows)
            found: pa.Table = database.sql(sql).to_arrow_table()
            return found
    except (duckdb.Error, AttributeError) as error:  # what is no query has no result
        said = " ".join(str(error).split())[:300] if isinstance(error, duckdb.Error) else "it gives no rows"
        raise UserError(
            f"ingest.manifest_sql: {said}\nexpected a query over the table manifest, such as {_EXAMPLE}"
        ) from error


def _refuse_repeated_columns(named: str, names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"{named} has the column {repeated[0]!r} more than once\ngive every column a name of its own")


def _check_columns(named: str, rows: pa.Table, params: SourceParams) -> None:
    names = rows.column_names
    _refuse_repeated_columns(named, names)
    if len(names) == 1 and any(sign in names[0] for sign in ";\t"):
        raise UserError(f"{named} has the one column {names[0]!r}\nexpected commas between columns (tabs in a .tsv)")
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
