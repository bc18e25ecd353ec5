"""The commands that look back over runs; ``pipeline.cli`` registers them."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import ConfigOption, SetOption, WorkspaceOption, open_context, out
from pipeline.errors import UserError


def changes(
    workspace: WorkspaceOption,
    since: Annotated[str, typer.Option("--since", metavar="DATE|RUN", help="A day, or the name of a run.")],
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="OUT.png", help="Draw these tracks: contact sheets of 30.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Show the tracks that are new, ended, revived, split, merged, renamed or gone since a day or a run."""
    from pipeline.reports.changes import notes_of, render_changes
    from pipeline.runtime.gallery import View, draw
    from pipeline.runtime.history import changed_tracks

    context = open_context(workspace, config, set_)
    found = changed_tracks(context, since)
    out.print(render_changes(found, since))
    if picture is None:
        return
    alive = {*found["track_id"].to_pylist(), *found["other_track_id"].to_pylist()} - {None}
    gone = {row["track_id"] for row in found.to_pylist() if row["what"] in ("merged", "renamed", "gone")}
    if not alive - gone:
        raise UserError(f"--picture {picture}: no track that is there changed since {since}; nothing was drawn")
    shown = View(tracks=tuple(sorted(alive - gone)), notes=notes_of(found))
    if len(shown.tracks) > shown.max_tracks:
        shown = replace(shown, page=None)
    for written in draw(context, picture, shown):
        out.print(f"Picture: {written}", markup=False, soft_wrap=True)


def diff(
    workspace: WorkspaceOption,
    one: Annotated[str, typer.Argument(metavar="ONE", help="A clustering, or a run of the config's clustering.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Another; it is scored against ONE.")],
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Compare two clusterings, or two runs, by the measures of `evaluate`, with ONE in the place of the truth."""
    from pipeline.reports.changes import as_truth
    from pipeline.reports.evaluate import evaluate
    from pipeline.reports.evaluation_views import render
    from pipeline.runtime.history import state

    context = open_context(workspace, config, set_)
    before, tracks = state(context, one), state(context, other)
    truth = as_truth(before)
    if not truth.num_rows or not tracks.num_rows:
        raise UserError(f"{one if not truth.num_rows else other} has no tracks to compare")
    out.print(render(evaluate(tracks, truth)))
    if {one, other} <= set(context.workspace.names("clusterings")):  # of runs the clusters of then are not known
        clusters = evaluate(tracks, as_truth(before, "cluster_id")).clusters["bcubed_f"]
        out.print(f"Clusters beside those of {one}, within their dates: BCubed F {clusters:.4f}", markup=False)
