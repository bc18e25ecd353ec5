"""The commands that answer questions about a workspace; ``pipeline.cli`` registers them."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cluster_commands import CLUSTER_KINDS, picture_of_clusters
from pipeline.console import ConfigOption, SetOption, WorkspaceOption, open_context, out, parse_dates
from pipeline.errors import UserError

EVENTS = ("birth", "continuation", "gap", "split", "merge", "revival", "end", "doubtful", "ambiguous-resolved")


def picture(
    workspace: WorkspaceOption,
    file: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write; its folder must be there.")],
    kind: Annotated[
        str, typer.Option("--kind", help=f"tracks, or of clusters: {', '.join(CLUSTER_KINDS)}.")
    ] = "tracks",
    dates: Annotated[str | None, typer.Option("--dates", metavar="A:B", help="First and last date to show.")] = None,
    colour: Annotated[str, typer.Option("--colour", help="Of the map: by cluster or track.")] = "track",
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
    """Draw the tracks (a row a track, a column a date), or a date's clusters, their map, their charts."""
    if kind != "tracks":
        picture_of_clusters(workspace, file, kind, dates, (page, colour), (config, set_))
        return
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


def find(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE…", help="Files or URIs of photographs.")],
    workspace: WorkspaceOption,
    json_: Annotated[bool, typer.Option("--json", help="JSON, an object an image.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Which track is this? The five likeliest tracks of photographs, in the collection or not.

    The probability is that the photograph shows the track's subject, as linking has learnt scores from the dates so
    far: the track against all others and against none, each track alike beforehand. It is as good as the collection
    is like the photograph: another camera or place is not allowed for, nor is the time that has passed.
    """
    import json
    from dataclasses import asdict

    from pipeline.reports.text import table
    from pipeline.runtime.find import find as find_tracks

    found = find_tracks(open_context(workspace, config, set_), images)
    if json_:
        rows = [asdict(one) | {"none": one.none} for one in found]
        out.print(json.dumps(rows, indent=2), markup=False, soft_wrap=True)
        return
    for one in found:
        lines = [(t.track_id, f"{t.probability:.3f}", f"{t.similarity:.3f}", t.last_date) for t in one.tracks]
        lines.append(("none of them", f"{one.none:.3f}", "", ""))
        out.print(table(one.image, ("track", "probability", "similarity", "last seen"), lines))
        for same in one.same:
            track = f"track {same.track_id}" if same.track_id else "no track"
            out.print(f"the same bytes as image {same.image_id} of {same.date}: {track}", markup=False, soft_wrap=True)


def near_duplicates(
    workspace: WorkspaceOption,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Least cosine of the projected vectors.", min=-1, max=1)
    ] = 0.98,
    burst: Annotated[float, typer.Option("--burst", help="Most seconds between two shots of a burst.", min=0)] = 3.0,
    dates: Annotated[str | None, typer.Option("--dates", metavar="A:B", help="First and last date to look at.")] = None,
    file: Annotated[
        Path | None, typer.Option("--out", help="Write all pairs to this file: .csv, .json (lines) or .parquet.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Pairs of images of one date that look almost the same, from the neighbour graph; bursts are marked."""
    from pipeline.reports.export import write_table
    from pipeline.reports.near_duplicates import render
    from pipeline.runtime.near_duplicates import find_near_duplicates

    context = open_context(workspace, config, set_)
    context.dates = parse_dates(dates)
    pairs = find_near_duplicates(context, threshold, burst)
    out.print(render(pairs, threshold, burst))
    if file is not None:
        write_table(pairs, file)


def sql(
    workspace: Annotated[str, typer.Argument(metavar="WORKSPACE", help="Folder or URI of the tables.")],
    query: Annotated[
        str | None, typer.Argument(metavar="[QUERY]", help="SQL, or the name of a ready query; without: a prompt.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="CSV, all rows.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="JSON, an object a line, all rows.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Open DuckDB with every table as a view, and `runs`: what each run did."""
    from pipeline.reports.queries import QUERIES
    from pipeline.reports.rows import render, to_csv
    from pipeline.runtime.sql import connect
    from pipeline.runtime.sql import query as ask

    if csv and json_:
        raise UserError("found --csv and --json; expected one of them")
    context = open_context(workspace, config, set_)
    if query is None:
        from pipeline.sql_prompt import prompt

        prompt(context)
        return
    rows = ask(connect(context), QUERIES[query].sql if query in QUERIES else query)
    if csv or json_:
        from pipeline.reports.export import json_lines

        typer.echo(to_csv(rows) if csv else json_lines(rows), nl=False)
    else:
        out.print(render(rows))
