"""Asking a person: the most informative doubtful pairs out of a workspace, and the answers back into its verdicts."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.reports.export import write_table
from pipeline.reports.review_sheet import draw_pairs
from pipeline.reports.saving import save
from pipeline.runtime.context import Context, writing
from pipeline.runtime.steps import CURRENT
from pipeline.runtime.tables import pixels_of, read_dates, uris_of
from pipeline.runtime.verdicts import put_verdicts, read_verdicts
from pipeline.stages.constraints import of_clusters
from pipeline.stages.review import LINKED, SHOWN, questions

READ_BACK = (".csv", ".parquet")
"""Endings of tables that are exported to be filled in."""


def doubtful_pairs(context: Context, most: int) -> pa.Table:
    """The most informative questions (``QUESTIONS``) with ``uri`` and ``other_uri``, the best first.

    Raises:
        UserError: the workspace has no tracks yet.
    """
    links = read_dates(context, schemas.LINKS, LINKED)
    if not links.num_rows:
        raise UserError("there are no tracks yet: finish `imagetracks run` first")
    asked = set(links["date"].unique().to_pylist()).__contains__
    rules = context.store(schemas.CONSTRAINTS).partitions
    told = {date for date, manifest in rules.items() if manifest.rows and asked(date)}.__contains__
    known = of_clusters(
        read_dates(context, schemas.CONSTRAINTS, schemas.CONSTRAINTS.names, told),
        read_dates(context, schemas.ASSIGNMENTS, ("image_id", "cluster_id"), told),
    )
    found = questions(links, read_dates(context, schemas.CLUSTERS, SHOWN, asked), known).slice(0, most)
    uris = uris_of(context, {*found["date"].to_pylist(), *found["other_date"].to_pylist()})
    for name in ("uri", "other_uri"):
        place = found.column_names.index("date")
        images = found[name.replace("uri", "image_id")].to_pylist()
        found = found.add_column(place, name, pa.array([uris[image] for image in images], pa.string()))
    return found


def draw_questions(context: Context, found: pa.Table, file: Path) -> None:
    """Draw the pairs as a contact sheet."""
    pixels: dict[str, bytes | None] = {}
    for name in ("", "other_"):
        for date in found[f"{name}date"].unique().to_pylist():
            wanted = found.filter(pc.equal(found[f"{name}date"], date))[f"{name}image_id"].to_pylist()
            pixels |= pixels_of(context, date, wanted)
    save(draw_pairs(found.to_pylist(), pixels), file, "pairs.png")


def export_questions(context: Context, most: int, file: Path) -> pa.Table:
    """Write the questions as a table and, beside it, as a picture; returns the table.

    Raises:
        UserError: the files cannot be written, answers cannot be read back from such a table, or it is there already:
            somebody may be filling it in.
    """
    if file.suffix not in READ_BACK:
        raise UserError(f"--out {file}: expected {' or '.join(READ_BACK)}: from these answers are read back")
    if file.exists():
        raise UserError(f"--out {file}: there is such a file already; give another, or read it with --answers first")
    found = doubtful_pairs(context, most)
    if found.num_rows:
        write_table(found, file)
        draw_questions(context, found, file.with_suffix(".png"))
    return found


def take_answers(context: Context, file: str) -> int:
    """Add a file's verdicts to those of the workspace, in place of what was said of the same pairs before.

    Returns:
        How many pairs the file answers.

    Raises:
        UserError: the file is no table of verdicts, it contradicts what is known, or the config names a file of
            verdicts, which the next run would take instead.
    """
    if context.config.verdicts.file is not None:
        raise UserError(
            f"verdicts.file is {context.config.verdicts.file}, and the next run would take that file instead\n"
            "append the answers to it, or leave verdicts.file out of the config: the workspace keeps verdicts"
        )
    answers = read_verdicts(file, "--answers")
    with writing(context):
        store = context.store(schemas.VERDICTS)
        old = store.partitions.get(CURRENT)
        known = schemas.VERDICTS.empty() if old is None else store.read(CURRENT, None, old)
        pairs = {(row["image_id"], row["other_image_id"]): row for row in [*known.to_pylist(), *answers.to_pylist()]}
        rows = [pairs[pair] for pair in sorted(pairs)]
        put_verdicts(context, pa.Table.from_pylist(rows, schema=schemas.VERDICTS.empty().schema))
    return int(answers.num_rows)
