"""The prompt of ``imagetracks sql``: DuckDB's own shell where it is installed, else a plain loop."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from pipeline.console import err, out
from pipeline.errors import UserError
from pipeline.reports.queries import QUERIES
from pipeline.reports.rows import render
from pipeline.runtime.context import Context
from pipeline.runtime.sql import connect, query
from pipeline.storage import is_local

HELP = "End a query with ; and the prompt with .quit; .ready lists ready queries, .tables the tables."


def prompt(context: Context) -> None:
    """Answer queries until the input ends."""
    shell = shutil.which("duckdb") if is_local(context.workspace.filesystem) else None
    if shell is None:  # DuckDB's shell knows no fsspec, so what is not on this machine is asked here
        _loop(context)
        return
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder) / "workspace.duckdb")
        connect(context, database).close()
        subprocess.run([shell, database], check=False)  # noqa: S603  # the program found on the user's own path


def _loop(context: Context) -> None:
    connection = connect(context)
    out.print(HELP)
    waiting = ""
    while True:
        try:
            line = input("imagetracks> " if not waiting else "        ...> ")
        except EOFError:
            return
        waiting = f"{waiting}\n{line}".strip()
        if waiting == ".quit":
            return
        if waiting.startswith("."):
            waiting = _command(waiting)
        if waiting.endswith(";"):
            try:
                out.print(render(query(connection, waiting)))
            except UserError as error:
                err.print(str(error), markup=False, soft_wrap=True)
            waiting = ""


def _command(words: str) -> str:
    """What ``.words`` asks for: something to run, or nothing once it is told."""
    if words == ".tables":
        return "SHOW TABLES;"
    name = words.removeprefix(".")
    if name in QUERIES:
        return f"{QUERIES[name].sql};"
    if words == ".ready":
        for ready, one in QUERIES.items():
            out.print(f".{ready:<10} {one.asks}", markup=False)
    else:
        out.print(HELP)
    return ""
