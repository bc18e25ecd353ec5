"""A date that was clustered, as its method was given it: vectors, graph, settings, and its tree."""

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline import schemas
from pipeline.compute.task import ClusteringTask
from pipeline.runtime.context import Context
from pipeline.runtime.tables import read_date
from pipeline.schemas import Table
from pipeline.stages.cluster_params import TREE_KEYS, ClusterParams
from pipeline.stages.date_tables import DateTables, task_of

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

MAX_TREE = 5_000
"""Images of a date up to which a tree that was not written is grown to explain or to draw it: 200 MB of distances."""


@dataclass(frozen=True)
class Clustered:
    """A date that was clustered, of the images with a vector.

    Attributes:
        ids: The images, sorted.
        labels: The cluster of each, as its place among ``names`` (n,).
        names: The clusters' ids, sorted.
        params: What it was clustered with; what was chosen for the date is in place.
        chosen: The settings that were chosen, as text, and among how many; None where nothing was to be chosen.
        tables: What was read.
        task: What the method was given.
    """

    ids: list[str]
    labels: Int64s
    names: list[str]
    params: ClusterParams
    chosen: tuple[str, int] | None
    tables: DateTables
    task: ClusteringTask

    @property
    def tree(self) -> Float64s | None:
        """The tree of the method as SciPy has it, average linkage for a method without one.

        None of more than ``MAX_TREE`` images, unless it was written, and of one image.
        """
        from pipeline.compute.agglomerative import condensed_distances, grow

        if len(self.ids) < 2:
            return None
        if self.task.tree is not None and self.params.method == "agglomerative":
            return self.task.tree.lines
        if len(self.ids) > MAX_TREE:
            return None
        if self.params.method == "agglomerative":
            return grow(self.task).lines
        from scipy.cluster.hierarchy import linkage

        return np.asarray(linkage(condensed_distances(self.task.vectors, unit=self.task.unit), "average"))


def clustered(context: Context, date: str) -> Clustered:
    """Read a date that has clusters."""
    manifest = context.store(schemas.ASSIGNMENTS).partitions[date]
    given = {key: value for key, value in manifest.inputs.items() if key.startswith("cluster.")}
    params, chosen = _params(given), None
    trials = read_date(context, schemas.TRIALS, date)
    for settings in trials.filter(trials["chosen"])["settings"].to_pylist():
        params, chosen = params.replaced(json.loads(settings)), (settings, trials.num_rows)
    tables = _tables(context, date, params)
    ids, task = task_of(tables, params)
    rows = read_date(context, schemas.ASSIGNMENTS, date).sort_by("image_id")
    cluster_ids = rows.filter(rows["cluster_id"].is_valid())["cluster_id"].to_pylist()
    names, labels = np.unique(np.array(cluster_ids), return_inverse=True)
    return Clustered(ids, labels.astype(np.int64), names.tolist(), params, chosen, tables, task)


def _params(inputs: dict[str, str]) -> ClusterParams:
    """The section from what a partition was computed from; what its method does not read is at its default."""
    known = {key.removeprefix("cluster."): json.loads(value) for key, value in inputs.items()}
    return ClusterParams.model_validate_json(json.dumps(known), strict=True)


def model_of(context: Context) -> pa.Table:
    """The projection that the clustering was made with: one row of ``schemas.PROJECTION``."""
    models = context.store(schemas.PROJECTION)
    name = str(models.extra["model"])
    return models.read(name, None, models.partitions[name])


def _tables(context: Context, date: str, params: ClusterParams) -> DateTables:
    """What the stage read; the tree only if it is that of these parameters."""

    def read(table: Table, *columns: str) -> pa.Table | None:
        store = context.store(table)
        return store.read(date, columns or None, store.partitions[date]) if date in store.partitions else None

    return DateTables(
        read_date(context, schemas.FINGERPRINTS, date),
        model_of(context),
        read_date(context, schemas.NEIGHBORS, date),
        read(schemas.COORDINATES),
        read(schemas.LINKAGE) if _has_tree_of(context, date, params) else None,
        read(schemas.IMAGES, "image_id", "captured_at") if params.mix == "imagecluster" else None,
        read(schemas.CONSTRAINTS),
    )


def _has_tree_of(context: Context, date: str, params: ClusterParams) -> bool:
    manifest = context.store(schemas.LINKAGE).partitions.get(date)
    inputs = manifest.inputs if manifest else {}
    return manifest is not None and all(
        inputs.get(f"cluster.{key}") == json.dumps(getattr(params, key)) for key in TREE_KEYS
    )
