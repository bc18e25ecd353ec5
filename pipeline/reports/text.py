"""What the renderers share: tables of one look, numbers of one form, and plain text for where there is no terminal."""

import io
from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

DASH = "-"
"""Shown where there is nothing to show."""


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> Table:
    """A table whose first ``text_columns`` are text and whose other columns are numbers."""
    result = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(columns):
        numeric = position >= text_columns
        result.add_column(column, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in rows:
        result.add_row(*(Text(cell) for cell in row))  # Text: a bracket in a name is not markup
    return result


def plain(renderable: RenderableType, width: int = 120) -> str:
    """Text without colour or terminal codes, no trailing blanks, ending with a newline."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, force_terminal=False, legacy_windows=False).print(renderable)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    return "\n".join(lines).strip("\n") + "\n"


def score(value: float) -> str:
    """A score with four digits; a dash for nan."""
    return DASH if isnan(value) else f"{value:.4f}"


def count(value: int) -> str:
    """A count with thousands separated by blanks."""
    return f"{value:,}".replace(",", " ")


def joined(counts: Iterable[tuple[str, int]]) -> str:
    """``name 3, other 1``, or a dash."""
    return ", ".join(f"{name} {count(number)}" for name, number in counts) or DASH


def setting_text(settings: Mapping[str, Any]) -> str:
    """Keys of the section ``cluster`` with values as a person reads them, the method first."""
    keys = sorted(settings, key=lambda key: key != "method")
    return ", ".join(str(settings[key]) if key == "method" else f"{key} {settings[key]}" for key in keys)
