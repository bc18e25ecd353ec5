"""A table as a file, by its ending."""

from pathlib import Path

import pyarrow as pa

from pipeline.errors import UserError

ENDINGS = (".csv", ".json", ".parquet")


def write_table(rows: pa.Table, file: Path) -> None:
    """Write rows as CSV, JSON (an object a line) or Parquet.

    Raises:
        UserError: another ending, or the file cannot be written.
    """
    import pyarrow.parquet as pq
    from pyarrow import csv

    try:
        if file.suffix == ".csv":
            csv.write_csv(flat(rows), file)
        elif file.suffix == ".json":
            file.write_text(json_lines(rows), encoding="utf-8")
        elif file.suffix == ".parquet":
            pq.write_table(rows, file)
        else:
            raise UserError(f"--out {file}: expected a file that ends with {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    except OSError as error:
        raise UserError(f"--out {file}: cannot be written ({error.strerror}); choose another place") from None


def json_lines(rows: pa.Table) -> str:
    """An object a row and line; dates and times in ISO 8601, bytes in hex."""
    import json

    return "".join(json.dumps(row, default=_plain) + "\n" for row in rows.to_pylist())


def flat(rows: pa.Table) -> pa.Table:
    """Rows for CSV, which knows no lists, structs and bytes: those are JSON in a string."""
    import json

    for index, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            values = [None if one is None else json.dumps(one, default=_plain) for one in rows[field.name].to_pylist()]
            rows = rows.set_column(index, field.name, pa.array(values, pa.string()))
    return rows


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    isoformat = getattr(value, "isoformat", None)
    return str(value) if isoformat is None else isoformat()
