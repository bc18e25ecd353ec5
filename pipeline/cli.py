"""The command ``imagetracks``."""

import atexit
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pipeline import schemas
from pipeline.analyst_commands import find, near_duplicates, picture, sql
from pipeline.cluster_commands import map_, tune, why
from pipeline.console import ConfigOption, SetOption, WorkspaceOption, err, open_context, out, parse_dates
from pipeline.errors import ImagetracksError, UserError
from pipeline.history_commands import changes, diff
from pipeline.review_commands import review, subjects
from pipeline.storage import redact, refuse_keys

if TYPE_CHECKING:
    from pipeline.reports.evaluate import Evaluation
    from pipeline.runtime.context import Context
    from pipeline.runtime.engine import Engine

app = typer.Typer(
    help="Follow the same subject through millions of photographs, date by date.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
QUERY = """\
  SELECT track_id, count(*) AS images, min(date) AS first, max(date) AS last
  FROM read_parquet('{tracks}', hive_partitioning = true)
  WHERE track_id IS NOT NULL GROUP BY track_id ORDER BY images DESC LIMIT 10;"""


@app.command()
def run(
    collection: Annotated[str, typer.Option("--collection", "-c", help="Folder or URI of the photographs.")],
    workspace: WorkspaceOption,
    manifest: Annotated[
        str | None, typer.Option("--manifest", help="CSV, JSON Lines or Parquet with a column `path` or `uri`.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    dates: Annotated[str | None, typer.Option("--dates", metavar="A:B", help="First and last date to work on.")] = None,
    engine: Annotated[str, typer.Option("--engine", help="ray, or local: this process only.")] = "ray",
    address: Annotated[
        str | None, typer.Option("--address", help="Ray cluster to join; default: start Ray here.")
    ] = None,
    refit: Annotated[bool, typer.Option("--refit", help="Fit the projection again.")] = False,
) -> None:
    """Bring the workspace up to date with the collection; what is up to date is left alone."""
    from pipeline.config import load_config
    from pipeline.reports.summary import render_summary
    from pipeline.runtime.engines import engine_maker
    from pipeline.runtime.fit import num_vectors
    from pipeline.runtime.progress import reporter_for
    from pipeline.runtime.run import Request
    from pipeline.runtime.run import run as run_pipeline
    from pipeline.runtime.survey import summarize

    started = time.monotonic()
    settings = load_config(config, set_ or [])
    request = Request(collection, workspace, manifest, parse_dates(dates), refit)
    make_engine = engine_maker(engine, address, settings.resources)

    def engine_told() -> "Engine":
        if engine == "ray":
            out.print("starting Ray…")
        return make_engine()

    with reporter_for(out) as reporter:
        context = run_pipeline(request, settings, engine_told, reporter)
    if not context.done:
        state = "all tables are up to date" if num_vectors(context) else "no image has a vector; `status` says why"
        within = f" of {dates}" if dates else ""
        out.print(f"Nothing to do{within}: {state} ({time.monotonic() - started:.1f} s).", soft_wrap=True)
        return
    out.print(render_summary(summarize(context, time.monotonic() - started)))
    show_tables(context)


@app.command()
def status(
    workspace: WorkspaceOption,
    config: ConfigOption = None,
    set_: SetOption = None,
    partitions: Annotated[bool, typer.Option("--partitions", help="A line a date of each table too.")] = False,
) -> None:
    """Show what is committed, stale (and why) and failed: a line a table, with --partitions a line a date."""
    from pipeline.reports.summary import render_status
    from pipeline.runtime.survey import survey

    out.print(render_status(survey(open_context(workspace, config, set_)), details=partitions))


@app.command()
def evaluate(
    workspace: WorkspaceOption,
    truth: Annotated[str, typer.Option("--truth", help="CSV, JSON Lines or Parquet with path (or uri) and labels.")],
    column: Annotated[str, typer.Option("--column", help="The column of labels.")] = "identity",
    events: Annotated[
        str | None, typer.Option("--truth-events", help="File with kind, date, identity, other of the true events.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--out", help="Write the scores to this file too: .json or .parquet.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Every score, by gap, length, size and probability.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Score tracks and clusters against labels; nothing but this command ever reads labels."""
    from pipeline.reports.evaluate import evaluate as score
    from pipeline.reports.evaluation_views import render
    from pipeline.reports.truth import read_truth, read_truth_events
    from pipeline.runtime.tables import read_dates

    for labels_uri in (truth, events or ""):
        refuse_keys(labels_uri)
    context = open_context(workspace, config, set_)
    tracks = read_dates(context, schemas.TRACKS, ("image_id", "uri", "cluster_id", "track_id"))
    if not tracks.num_rows:
        raise UserError(f"workspace {workspace} has no tracks yet: finish `imagetracks run` first")
    labels = read_truth(truth, column, context.workspace.collection or "", tracks["image_id"])
    result = score(
        tracks,
        labels,
        events=read_dates(context, schemas.EVENTS, schemas.EVENTS.names),
        truth_events=read_truth_events(events) if events else None,
        links=read_dates(context, schemas.LINKS, schemas.LINKS.names),
    )
    out.print(render(result, full))
    if file is not None:
        write_evaluation(result, file)


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
    seed: Annotated[int, typer.Option("--seed", help="Another seed, other photographs.")] = 0,
) -> None:
    """Make a dated sample collection: real photographs, re-photographed by simulation while they age."""
    from pipeline.sample.write import write_sample

    report = write_sample(folder, seed)
    out.print(
        f"Sample: {report.num_files} photographs of {report.num_subjects} subjects on {len(report.dates)} dates in "
        f"{report.images}\nTruth (only `imagetracks evaluate` reads it): {report.truth}, {report.truth_events}",
        soft_wrap=True,
    )


@app.command()
def sweep(
    workspace: WorkspaceOption,
    check: Annotated[bool, typer.Option("--check", help="Read every part, and drop what is not as written.")] = False,
    forget_history: Annotated[
        bool, typer.Option("--forget-history", help="Drop damaged registry, aliases, changes or verdicts too.")
    ] = False,
) -> None:
    """Delete what no manifest names, unfinished work included; runs do this by themselves after a crash.

    A partition that is damaged is dropped; the next run computes it again.  History, which none can compute, is
    dropped only with --forget-history: tracks whose ids it alone kept are named anew.
    """
    from pipeline.workspace import open_workspace

    found = open_workspace(workspace)
    swept = False
    try:
        orphans = found.sweep(keep_fragments=False, check=check, forget_history=forget_history)
        swept = True
    finally:
        found.end(clean=swept)
    dropped = sorted(path.rsplit("/", 3)[-3:-1] for path in orphans if path.endswith("/_manifest.json"))
    out.print(f"Deleted {len(orphans)} objects that no manifest names.", soft_wrap=True)
    history = {table.name for table in schemas.TABLES if table.history}
    for told, damaged in (
        ("Dropped as damaged, for the next run to compute again", [one for one in dropped if one[0] not in history]),
        ("Dropped as damaged, and gone for good", [one for one in dropped if one[0] in history]),
    ):
        if damaged:
            out.print(f"{told}: {', '.join(' '.join(one) for one in damaged)}", markup=False, soft_wrap=True)


@app.command()
def extractors(
    pattern: Annotated[
        str | None, typer.Argument(metavar="PATTERN", help="A name, or a pattern like 'timm/*dinov2*'.")
    ] = None,
) -> None:
    """List the extractors: names, dimensions, input sizes, and whether their weights are on this machine."""
    from pipeline.compute.extractors.listing import listed
    from pipeline.reports.extractors import render_extractors

    out.print(render_extractors(listed(pattern)))
    if pattern is None:
        out.print("and, with the extra timm, its networks (imagetracks extractors 'timm/*dinov2*'), any node of a")
        out.print("network (torchvision/vgg16:classifier.4), and a function of yours (package.module.function)")


@app.command()
def config(
    file: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Print the full config, defaults filled in, a comment over each key."""
    from pipeline.config import load_config
    from pipeline.reports.config_docs import render_config

    out.print(render_config(load_config(file, set_ or [])), markup=False, soft_wrap=True, end="")


def write_evaluation(result: "Evaluation", file: Path) -> None:
    """Write scores as JSON or Parquet, by the file's ending.

    Raises:
        UserError: another ending, or the file cannot be written.
    """
    import pyarrow.parquet as pq

    from pipeline.reports.evaluation_views import to_json, to_table

    try:
        if file.suffix == ".json":
            file.write_text(to_json(result), encoding="utf-8")
        elif file.suffix == ".parquet":
            pq.write_table(to_table(result), file)
        else:
            raise UserError(f"--out {file}: expected a file that ends with .json or .parquet")
    except OSError as error:
        raise UserError(f"--out {file}: cannot be written ({error.strerror}); choose another place") from None


def show_tables(context: "Context") -> None:
    """Where the tables lie, and a query to paste."""
    out.print("\nTables (Parquet, one folder a date; the results first)")
    for table in reversed(schemas.TABLES):
        place = f"{context.table_uri(table)}/{table.partition_key}=*/*.parquet"
        out.print(f"  {table.name:<14} {place}", markup=False, soft_wrap=True)
    tracks = context.table_uri(schemas.TRACKS)
    out.print("\nPaste into DuckDB")
    out.print(QUERY.format(tracks=f"{tracks}/date=*/*.parquet"), markup=False, soft_wrap=True)


for command in (picture, find, near_duplicates, sql, changes, diff, review, subjects, tune, why):
    app.command()(command)
app.command("map")(map_)


def main() -> None:
    """Run the command."""
    end_with(app)


def end_with(work: Callable[[], object]) -> NoReturn:
    """Run ``work``, the last of the process; a mistake ends with a message and its exit code, never a traceback.

    The process ends before C++ takes its libraries down: where one of their threads still runs then, it is aborted
    ("terminate called without an active exception", once in some hundred runs), and the exit code is lost.
    """
    try:
        guarded(work)
        code: object = None
    except SystemExit as end:
        code = end.code
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def guarded(work: Callable[[], object]) -> None:
    """Run ``work``; errors that are meant for a person become messages, a signal to stop an orderly end."""
    from pipeline.failures import explain
    from pipeline.stopping import Stopped, asked, stoppable, told

    try:
        with stoppable():
            work()
    except ImagetracksError as error:
        _end_with(error)
    except BaseException as error:
        number = error.number if isinstance(error, Stopped) else asked()
        if number is not None:  # whatever was raised last, the signal was why
            err.print(f"imagetracks: {told(number)}", markup=False, soft_wrap=True)
            sys.exit(128 + number)
        if not isinstance(error, Exception):
            raise
        explained = explain(error, "reading or writing")
        if explained is not None:
            _end_with(explained)
        # A bug: all that helps to find it, but what may be secret.
        err.print(redact("".join(traceback.format_exception(error))), markup=False, soft_wrap=True, end="")
        sys.exit(1)


def _end_with(error: ImagetracksError) -> NoReturn:
    err.print(f"imagetracks: {redact(str(error))}", markup=False, soft_wrap=True)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
