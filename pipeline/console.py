"""What the commands share: where they print, the options that most of them have, and how a workspace is opened."""

import re
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.runtime.context import Context

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

WorkspaceOption = Annotated[str, typer.Option("--workspace", "-w", help="Folder or URI of the tables.")]
ConfigOption = Annotated[str | None, typer.Option("--config", help="YAML file; `imagetracks config` prints one.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one key; may be repeated.")
]


def open_context(workspace: str, config: str | None, overrides: list[str] | None) -> "Context":
    """A context that reads: its engine would be this process, and is never asked for."""
    from pipeline.config import load_config

    return context_of(workspace, load_config(config, overrides or []))


def context_of(workspace: str, settings: "Config", engine: str = "local") -> "Context":
    """A context over a workspace that is there."""
    from pipeline.runtime.context import Context
    from pipeline.runtime.engines import engine_maker
    from pipeline.runtime.progress import reporter_for
    from pipeline.workspace import open_workspace

    make = engine_maker(engine, None, settings.resources)
    return Context(open_workspace(workspace), settings, make, reporter_for(out))


def parse_dates(value: str | None) -> tuple[str | None, str | None]:
    """``A:B``, ``A:``, ``:B`` or one date -> first and last, both included.

    Raises:
        UserError: not dates, or in the wrong order.
    """
    if value is None:
        return None, None
    first, _, last = value.partition(":") if ":" in value else (value, ":", value)
    for one in (first, last):
        if one and not _is_date(one):
            raise UserError(
                f"--dates {value}: found {one!r}, expected A:B with dates like 2024-05-01; either may be empty"
            )
    if first and last and first > last:
        raise UserError(f"--dates {value}: the first date lies after the last; swap them")
    return first or None, last or None


def _is_date(text: str) -> bool:
    from datetime import date

    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
