"""Any rows, as a table for people and as CSV."""

import io

import pyarrow as pa
from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.reports.export import flat
from pipeline.reports.text import DASH, count, table

SHOWN = 40
"""Rows that are listed."""

LONGEST = 100
"""Letters of a cell that are shown."""


def render(rows: pa.Table) -> RenderableType:
    """The first rows, long values cut, numbers to the right."""
    if not rows.num_columns:
        return Text("done")
    numbers = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in rows.schema.types]
    lines = [[_cell(value) for value in row.values()] for row in rows.slice(0, SHOWN).to_pylist()]
    found = table("", rows.column_names, lines, text_columns=rows.num_columns)
    for column, is_number in zip(found.columns, numbers, strict=True):
        column.justify = "right" if is_number else "left"
    shown = f"{count(len(lines))} of {count(rows.num_rows)} rows (--csv or --json: all)"
    return Group(found, Text(shown if rows.num_rows > SHOWN else f"{count(rows.num_rows)} rows"))


def to_csv(rows: pa.Table) -> str:
    """A heading and a line a row; lists, maps and bytes as JSON."""
    from pyarrow import csv

    stream = io.BytesIO()
    csv.write_csv(flat(rows), stream)
    return stream.getvalue().decode()


def _cell(value: object) -> str:
    if value is None:
        return DASH
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list):  # of a map: its pairs
        value = ", ".join(" ".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in value)
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
