"""The commands that ask a person, and say how sure the tracks are; ``pipeline.cli`` registers them."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import ConfigOption, SetOption, WorkspaceOption, open_context, out, parse_dates


def review(
    workspace: WorkspaceOption,
    file: Annotated[
        Path, typer.Option("--out", help="New table of the pairs, .csv or .parquet; the sheet is beside it, .png.")
    ] = Path("review.csv"),
    most: Annotated[int, typer.Option("--pairs", help="Pairs, at most.", min=1, max=300)] = 20,
    answers: Annotated[
        str | None, typer.Option("--answers", metavar="FILE", help="Read such a table back: what it answers holds.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Ask a person about the pairs of images whose answers would move most images to another track.

    The expected gain of a pair is the probability that the tables are wrong about it, times the images that would then
    go over to another track.  Fill in the column verdict (same or different) and give the table back with --answers.
    """
    from pipeline.runtime.review import export_questions, take_answers

    context = open_context(workspace, config, set_)
    if answers is not None:
        count = take_answers(context, answers)
        out.print(f"{count} pairs are answered and kept in the workspace; the next `imagetracks run` obeys them.")
        return
    found = export_questions(context, most, file)
    if not found.num_rows:
        out.print("There is nothing to ask: no decision could be overturned by an answer.")
        return
    gain = found["expected_gain"].to_pylist()
    out.print(f"{len(gain)} pairs; expected gain {sum(gain):.1f} images, of them {gain[0]:.1f} by the first pair")
    out.print(f"Table: {file}", markup=False, soft_wrap=True)
    out.print(f"Picture: {file.with_suffix('.png')}", markup=False, soft_wrap=True)
    out.print(f"Then: imagetracks review --workspace {workspace} --answers {file}", markup=False, soft_wrap=True)


def subjects(
    workspace: WorkspaceOption,
    dates: Annotated[str | None, typer.Option("--dates", metavar="A:B", help="First and last date to show.")] = None,
    file: Annotated[
        Path | None, typer.Option("--out", help="Write the table to this file: .csv, .json (lines) or .parquet.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """How many subjects there were on each date: the expected number, and an interval for 95 %.

    A subject was there if it was seen on the date, or before and after it with a gap that linking bridges; how sure
    the links and births around a date are tells how sure the number is.
    """
    from pipeline.reports.export import write_table
    from pipeline.reports.text import table
    from pipeline.runtime.subjects import count_subjects

    context = open_context(workspace, config, set_)
    context.dates = parse_dates(dates)
    found = count_subjects(context)
    rows = [
        (
            row["date"],
            str(row["clusters"]),
            str(row["tracks"]),
            f"{row['subjects']:.1f}",
            f"{row['low']} to {row['high']}",
        )
        for row in found.to_pylist()
    ]
    out.print(table("", ("date", "clusters", "tracks seen", "subjects", "95 %"), rows))
    if file is not None:
        write_table(found, file)
