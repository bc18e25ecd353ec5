"""A date's tables as the arrays that methods take, and its tree as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.schemas import LINKAGE
from pipeline.stages.cluster_params import ClusterParams
from pipeline.stages.geometry import seen

if TYPE_CHECKING:
    from pipeline.compute.task import ClusteringTask, Settings, Tree

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DateTables:
    """What of a date the stages here read, rows in any order but that of the key for ``coordinates`` and ``linkage``.

    Args:
        fingerprints: ``schemas.FINGERPRINTS`` (image_id and vector are read).
        model: One row of ``schemas.PROJECTION``.
        neighbors: ``schemas.NEIGHBORS``.
        coordinates: ``schemas.COORDINATES``, where the config weighs metadata or time.
        linkage: ``schemas.LINKAGE``, for the method agglomerative; without it the tree is grown anew.
        images: ``schemas.IMAGES`` (image_id and captured_at are read), for imagecluster's mix.
        constraints: ``schemas.CONSTRAINTS``, where there are any; obeyed whatever the method finds.
    """

    fingerprints: pa.Table
    model: pa.Table
    neighbors: pa.Table
    coordinates: pa.Table | None = None
    linkage: pa.Table | None = None
    images: pa.Table | None = None
    constraints: pa.Table | None = None


def task_of(
    tables: DateTables, params: ClusterParams, *, threads: int = 1, gpu: bool = False
) -> tuple[list[str], "ClusteringTask"]:
    """The sorted ids of the images with a vector, at least one, and what a method is given of them."""
    from pipeline.compute.task import ClusteringTask

    ids, vectors, unit = seen(tables.model, tables.fingerprints, tables.coordinates)
    found, similarities = graph_of(ids, tables.neighbors)
    settings, tree, hours = settings_of(params), _tree(tables.linkage), _hours(tables.images, ids)
    return ids, ClusteringTask(vectors, found, similarities, settings, threads, gpu, unit, hours, tree)


def linkage(tables: DateTables, params: ClusterParams, *, threads: int = 1, gpu: bool = False) -> pa.Table:
    """Grow a date's tree: ``schemas.LINKAGE``, a row fewer than images with a vector.

    Raises:
        UserError: the linkage or the metric cannot take a date of this size.
    """
    from pipeline.compute.agglomerative import grow
    from pipeline.compute.task import Tree

    tree = Tree(np.zeros((0, 4)), 0.0)
    if tables.fingerprints["vector"].null_count < tables.fingerprints.num_rows:
        _, task = task_of(tables, params, threads=threads, gpu=gpu)
        tree = grow(task)
    columns = [np.arange(len(tree.lines)), *tree.lines.T, np.full(len(tree.lines), tree.largest)]
    return LINKAGE.check(
        pa.table({c.name: pa.array(values).cast(c.type) for c, values in zip(LINKAGE.columns, columns, strict=True)})
    )


def settings_of(params: ClusterParams) -> "Settings":
    """The settings as the methods take them."""
    from pipeline.compute.task import Settings

    return Settings(**{one.name: getattr(params, one.name) for one in fields(Settings)})


def _tree(rows: pa.Table | None) -> "Tree | None":
    if rows is None:
        return None
    from pipeline.compute.task import Tree

    lines = [rows[name].to_numpy().astype(np.float64) for name in ("left", "right", "height", "num_images")]
    return Tree(np.stack(lines, axis=1), rows["largest"][0].as_py() if rows.num_rows else 0.0)


def _hours(images: pa.Table | None, ids: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """When each image was taken, in hours; NaN where unknown."""
    if images is None:
        return None
    times = images["captured_at"].cast(pa.int64()).cast(pa.float64()).to_numpy()
    return np.asarray(times[_positions(pa.chunked_array([pa.array(ids, pa.string())]), images["image_id"])] / 3.6e9)


def graph_of(image_ids: Sequence[str], neighbors: pa.Table) -> tuple[Int64s, Float32s]:
    """Turn the edges into arrays (n, k) of row numbers and similarities, by rank; -1 where there is no edge."""
    ids = pa.array(image_ids, type=pa.string())
    rows = _positions(neighbors["image_id"], ids)
    others = _positions(neighbors["neighbor_id"], ids)
    ranks = neighbors["rank"].to_numpy().astype(np.int64)
    width = int(ranks.max()) if len(ranks) else 0
    found = np.full((len(ids), width), -1, dtype=np.int64)
    similarities = np.zeros((len(ids), width), dtype=np.float32)
    found[rows, ranks - 1] = others
    similarities[rows, ranks - 1] = neighbors["similarity"].to_numpy()
    return found, similarities


def _positions(column: pa.ChunkedArray, ids: pa.Array | pa.ChunkedArray) -> Int64s:
    import pyarrow.compute as pc

    return np.asarray(pc.index_in(column, value_set=ids).to_numpy(), dtype=np.int64)
