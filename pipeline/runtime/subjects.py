"""How many subjects there were on each date, from a workspace as it is stored."""

import pyarrow as pa

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.runtime.context import Context
from pipeline.runtime.tables import read_dates
from pipeline.stages.subjects import LINKED, subjects


def count_subjects(context: Context) -> pa.Table:
    """``stages.subjects.SUBJECTS`` of the dates in the window; dates outside it tell of gaps too.

    Raises:
        UserError: there are no links by this config, or none in the window.
    """
    found = subjects(read_dates(context, schemas.LINKS, LINKED))
    shown = found.filter(pa.array([context.in_window(date) for date in found["date"].to_pylist()], pa.bool_()))
    if not shown.num_rows:
        where = "on these dates" if found.num_rows else f"in clustering {context.config.clustering}"
        raise UserError(
            f"workspace {context.workspace.uri} has no links {where}\n"
            "finish `imagetracks run` first, or give its --config and --set, or other --dates"
        )
    return shown
