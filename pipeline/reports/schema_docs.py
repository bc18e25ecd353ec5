"""The README's section on the tables, generated from their declarations."""

from pipeline.errors import ImagetracksError
from pipeline.schemas import TABLES, Column, Table

START, END = "<!-- tables -->", "<!-- /tables -->"

FOLDERS = {
    "images": "{table}/",
    "extractor": "{table}/<extractor>/",
    "clustering": "clusterings/<name>/{table}/",
}
"""Where a table of each folder lies in the workspace."""

_OPEN_TYPES = {"metadata": "struct of the manifest's columns"}
"""Columns whose type is known at run time only, and which are no vector."""


def render_tables() -> str:
    """Markdown: for every table its name, sentence and place, and, folded away, its columns."""
    return "\n".join(_table(one) for one in TABLES)


def insert_tables(readme: str) -> str:
    """The README's text with its section between the markers replaced by :func:`render_tables`.

    Raises:
        ImagetracksError: the markers are not there, once each and in order.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in after or END in after:
        raise ImagetracksError(f"found no section between {START} and {END}, expected one")
    return f"{before}{START}\n\n{render_tables()}\n{END}{after}"


def _table(table: Table) -> str:
    place = f"{FOLDERS[table.folder].format(table=table.name)}{table.partition_key}=*/*.parquet"
    key = ", ".join(f"`{name}`" for name in table.key)
    lines = [
        "<details>",
        f"<summary><b><code>{table.name}</code></b>: {_escaped(table.doc)}</summary>",
        "",
        f"Sorted by {key}, unique within its partition: `{place}`.",
        "",
        "| column | type | |",
        "|---|---|---|",
        *(f"| `{column.name}` | {_type(column)} | {_escaped(column.doc)} |" for column in table.columns),
        "",
        "</details>",
        "",
    ]
    return "\n".join(lines)


def _type(column: Column) -> str:
    if column.type is None:
        name = _OPEN_TYPES.get(column.name, "fixed_size_list of float")
    else:
        name = str(column.type).replace("<element: ", "<")
    return _escaped(name) + (", null" if column.nullable else "")


def _escaped(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("<", "&lt;")
