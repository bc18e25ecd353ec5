"""Near-duplicates of every date in the window, read from a workspace."""

from collections.abc import Iterator

import pyarrow as pa

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.runtime.context import Context
from pipeline.stages.near_duplicates import SCHEMA, near_duplicates


def find_near_duplicates(context: Context, threshold: float, burst_seconds: float) -> pa.Table:
    """Pairs of all dates in the window, by date, then as :func:`pipeline.stages.near_duplicates.near_duplicates`.

    Raises:
        UserError: there is no neighbour graph yet.
    """
    if not context.store(schemas.NEIGHBORS).partitions:
        raise UserError(
            f"workspace {context.workspace.uri} has no neighbours in clustering {context.config.clustering} yet\n"
            "finish `imagetracks run` first, or give its --config and --set"
        )
    return pa.concat_tables([SCHEMA.empty_table(), *_by_date(context, threshold, burst_seconds)])


def _by_date(context: Context, threshold: float, burst_seconds: float) -> Iterator[pa.Table]:
    graph, images = context.store(schemas.NEIGHBORS), context.store(schemas.IMAGES)
    for date, manifest in graph.partitions.items():
        if context.in_window(date) and date in images.partitions:
            edges = graph.read(date, ["image_id", "neighbor_id", "similarity"], manifest)
            rows = images.read(date, ["image_id", "uri", "captured_at", "content_hash"])
            yield near_duplicates(date, edges, rows, threshold, burst_seconds)
