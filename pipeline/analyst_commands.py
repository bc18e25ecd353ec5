"""The commands that answer questions about a workspace; ``pipeline.cli`` registers them."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import ConfigOption, SetOption, WorkspaceOption, open_context, out, parse_dates
from pipeline.errors import UserError

EVENTS = ("birth", "continuation", "gap", "split", "merge", "end")


def picture(
    workspace: WorkspaceOption,
    file: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write; its folder must be there.")],
    dates: Annotated[str | None, typer.Option("--dates", metavar="A:B", help="First and last date to show.")] = None,
    tracks: Annotated[str | None, typer.Option("--tracks", metavar="ID,…", help="Only these tracks.")] = None,
    events: Annotated[
        str | None, typer.Option("--events", metavar="KIND,…", help="Only tracks with such an event: split, merge, ….")
    ] = None,
    max_tracks: Annotated[int, typer.Option("--max-tracks", help="Rows of a page, at most.", min=1, max=500)] = 30,
    max_dates: Annotated[
        int, typer.Option("--max-dates", help="Columns, at most; of more dates some are shown.", min=1, max=200)
    ] = 16,
    page: Annotated[
        str, typer.Option("--page", metavar="N|all", help="Further tracks; all: every page, into OUT-1.png, ….")
    ] = "1",
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Draw the tracks: a row a track, a column a date."""
    from pipeline.runtime.gallery import View, draw

    kinds = words_of(events)
    unknown = sorted(set(kinds) - set(EVENTS))
    if unknown:
        raise UserError(f"--events {events}: found {unknown[0]!r}, expected some of {', '.join(EVENTS)}")
    if page != "all" and not page.isdecimal():
        raise UserError(f"--page {page}: expected a number from 1, or all")
    view = View(max_tracks, max_dates, None if page == "all" else int(page), words_of(tracks), kinds)
    context = open_context(workspace, config, set_)
    context.dates = parse_dates(dates)
    for written in draw(context, file, view):
        out.print(f"Picture: {written}", markup=False, soft_wrap=True)


def words_of(value: str | None) -> tuple[str, ...]:
    """``a,b`` -> ("a", "b")."""
    return tuple(word for word in (one.strip() for one in (value or "").split(",")) if word)
