"""People's verdicts: from a file into the workspace, whose clusterings all obey them."""

import io
import logging

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from pipeline import schemas
from pipeline.digests import content_digests
from pipeline.errors import UserError
from pipeline.runtime.context import Context
from pipeline.runtime.steps import CURRENT
from pipeline.stages.constraints import known_subjects
from pipeline.storage import open_filesystem, redact

KINDS = ("same", "different")
NAMED = 3
"""Images that a warning names."""

_LOG = logging.getLogger("imagetracks")  # where nobody has set it up, Python writes warnings to stderr


def run_verdicts(context: Context) -> None:
    """Take over the verdicts of ``verdicts.file``; without one, those that the workspace has go on holding.

    Raises:
        UserError: the file cannot be read, is no table of verdicts, or contradicts itself.
    """
    if context.config.verdicts.file is not None:
        put_verdicts(context, read_verdicts(context.config.verdicts.file))


def warn_of_unknown(context: Context) -> None:
    """Say which verdicts speak of images that the workspace does not have, where a run changed either.

    Known are the images that ``constraints`` names: a few, whatever the collection's size.
    """
    store, rules = context.store(schemas.VERDICTS), context.store(schemas.CONSTRAINTS)
    if CURRENT not in store.partitions or not (context.done["verdicts"] or context.done["constraints"]):
        return
    rows = store.read(CURRENT, ("image_id", "other_image_id"), store.partitions[CURRENT])
    said = pc.unique(pa.chunked_array([*rows["image_id"].chunks, *rows["other_image_id"].chunks], pa.string()))
    held = [rules.read(date, ("image_id",), one)["image_id"] for date, one in rules.partitions.items() if one.rows]
    known = pa.chunked_array([chunk for column in held for chunk in column.chunks], pa.string())
    unknown = sorted(said.filter(pc.invert(pc.is_in(said, value_set=known))).to_pylist())
    if unknown:
        names = ", ".join(unknown[:NAMED]) + (", …" if len(unknown) > NAMED else "")
        _LOG.warning(
            "imagetracks: verdicts speak of %d images that are not in the collection (%s); they hold once these come",
            len(unknown),
            names,
        )


def put_verdicts(context: Context, verdicts: pa.Table) -> None:
    """Make these the workspace's verdicts.

    Raises:
        UserError: they contradict each other; nothing was written.
    """
    known_subjects(verdicts)
    store = context.store(schemas.VERDICTS)
    old = store.partitions.get(CURRENT)
    if old is not None and old.content == dict(content_digests(verdicts)):
        return
    context.workspace.begin()
    store.commit(CURRENT, store.stage(CURRENT, [verdicts], context.config.resources.part_bytes), {"version": "1"})
    store.flush()
    context.done["verdicts"] += verdicts.num_rows


def read_verdicts(file: str, option: str = "verdicts.file") -> pa.Table:
    """``schemas.VERDICTS`` from CSV or Parquet (by its ending); who, when and note may be missing.

    A row without a verdict is left out: of a table to fill in, what nobody answered.  ``option`` is what named the
    file, for messages.

    Raises:
        UserError: it cannot be read, lacks a column, or has another word for a verdict.
    """
    where = f"{option} {redact(file)}"
    rows = _rows(file, where)
    missing = [name for name in ("image_id", "other_image_id", "verdict") if name not in rows.column_names]
    if missing:
        had = ", ".join(rows.column_names)
        raise UserError(f"{where}: found columns {had}, expected {', '.join(missing)} too")
    texts = {
        name: pc.cast(rows[name], pa.string()) if name in rows.column_names else pa.nulls(rows.num_rows, pa.string())
        for name in schemas.VERDICTS.names
    }
    table = pa.table({name: pc.if_else(pc.equal(text, ""), None, text) for name, text in texts.items()})
    found = dict[tuple[str, str], dict[str, str]]()
    for row in table.filter(pc.is_valid(table["verdict"])).to_pylist():
        _add(found, row, where)
    ordered = [found[pair] for pair in sorted(found)]
    return schemas.VERDICTS.check(pa.Table.from_pylist(ordered, schema=schemas.VERDICTS.empty().schema))


def _add(found: dict[tuple[str, str], dict[str, str]], row: dict[str, str], where: str) -> None:
    """One more verdict, the smaller image_id first; of two that say the same of a pair the first is kept."""
    one, other = row["image_id"], row["other_image_id"]
    if row["verdict"] not in KINDS or None in (one, other) or one == other:
        raise UserError(
            f"{where}: found {row['verdict']!r} of {one} and {other}\nexpected same or different of two image_ids"
        )
    pair = (min(one, other), max(one, other))
    row["image_id"], row["other_image_id"] = pair
    known = found.setdefault(pair, row)
    if known["verdict"] != row["verdict"]:
        raise UserError(f"{where}: {one} and {other} are said to be the same and different; leave one of the two rows")


def _rows(file: str, where: str) -> pa.Table:
    try:
        filesystem, path = open_filesystem(file)
        data = filesystem.cat_file(path)
        if file.endswith((".parquet", ".pq")):
            return pa.parquet.read_table(io.BytesIO(data))
        names = pa.csv.open_csv(io.BytesIO(data)).schema.names
        kinds = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
        return pa.csv.read_csv(io.BytesIO(data), convert_options=kinds)
    except (OSError, ValueError, pa.ArrowException) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"{where}: cannot be read ({said}); expected CSV or Parquet") from None
