"""Clustering a date: which of its images look alike."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.schemas import ASSIGNMENTS, CLUSTERS, TRIALS
from pipeline.stages.choose import choose
from pipeline.stages.cluster_params import TREE_KEYS, ClusterParams
from pipeline.stages.constraints import bonds
from pipeline.stages.date_tables import DateTables, settings_of, task_of
from pipeline.stages.projection import content_of
from pipeline.stages.vectors import to_column

if TYPE_CHECKING:
    from pipeline.compute.describing import Description
    from pipeline.compute.task import ClusteringTask

Int64s = npt.NDArray[np.int64]


def cluster(
    date: str, tables: DateTables, params: ClusterParams, *, threads: int = 1, gpu: bool = False
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Cluster a date.

    Args:
        date: The partition; part of the clusters' ids.
        tables: What is read.
        params: The stage's parameters.
        threads: For FAISS.
        gpu: Run FAISS on the GPUs.

    Returns:
        ``schemas.ASSIGNMENTS`` with a row an image, ``schemas.CLUSTERS`` and ``schemas.TRIALS``.  Centers, exemplars
        and cohesion are of the content alone, for linking sees it alone; silhouettes are of what the method saw.

    Raises:
        UserError: the method cannot take a date of this size, or needs a package that is not installed.
    """
    every_id = pa.array(sorted(tables.fingerprints["image_id"].to_pylist()), type=pa.string())
    if tables.fingerprints["vector"].null_count == tables.fingerprints.num_rows:
        _, content = content_of(tables.model, tables.fingerprints)
        return _assignments(every_id, {}), CLUSTERS.empty([("center", to_column(content).type)]), TRIALS.empty()
    from pipeline.compute.clustering import NOISE, canonical_labels, noise_alone
    from pipeline.compute.constraints import mend
    from pipeline.compute.describing import describe, exemplars, medoids, silhouettes

    image_ids, task = task_of(tables, params, threads=threads, gpu=gpu)
    content = task.vectors if task.unit else content_of(tables.model, tables.fingerprints)[1]
    params, found, trials = _labelled(task, params)
    noise, labels = found == NOISE, noise_alone(found)
    if tables.constraints is not None:
        labels = canonical_labels(mend(content, labels, bonds(tables.constraints, image_ids)))
        noise &= np.bincount(labels)[labels] == 1
    described = describe(content, labels, replace(task.search, unit=True))
    chosen = exemplars(content, labels, described.to_center, params.num_exemplars)
    ids = np.array(image_ids, dtype=object)
    cluster_ids = np.array(_cluster_ids(date, ids, labels), dtype=object)
    columns = {
        "image_id": ids,
        "cluster_id": cluster_ids[labels],
        "similarity_to_center": described.to_center,
        "silhouette": silhouettes(task.vectors, labels, task.search),
        "noise": noise,
    }
    shown = (ids[medoids(content, labels, described.to_center)], [ids[rows] for rows in chosen])
    clusters = _clusters(cluster_ids, described, *shown)
    is_noise = pa.array(cluster_ids[labels[noise]], pa.string())
    return _assignments(every_id, columns), _marked(clusters, is_noise, params.min_cluster_size), trials


def _labelled(task: "ClusteringTask", params: ClusterParams) -> tuple[ClusterParams, Int64s, pa.Table]:
    """The parameters that the date is clustered with, its labels, and what was tried to find them."""
    settings = params.tried(len(task.vectors))
    if not settings:
        return params, _labels(task, params), TRIALS.empty()
    chosen, found, trials = choose(task, settings, lambda one, its: _labels(one, params.replaced(its)), params.choose)
    return params.replaced(chosen), found, trials


def _labels(task: "ClusteringTask", params: ClusterParams) -> Int64s:
    from pipeline.compute.clustering import cluster_rows

    settings = settings_of(params)
    same = all(getattr(settings, key) == getattr(task.settings, key) for key in TREE_KEYS)
    return cluster_rows(params.method, replace(task, settings=settings, tree=task.tree if same else None))


def _cluster_ids(date: str, ids: npt.NDArray[np.object_], labels: Int64s) -> list[str]:
    """Name clusters by their date and members: ids are sorted, so each cluster's are."""
    hashes = [hashlib.blake2b(date.encode(), digest_size=16) for _ in range(int(labels.max()) + 1)]
    for image_id, label in zip(ids, labels, strict=True):
        hashes[label].update(b"\n" + image_id.encode())
    return [h.hexdigest() for h in hashes]


def _assignments(every_id: pa.Array, columns: dict[str, npt.NDArray[np.generic]]) -> pa.Table:
    """One row for each of ``every_id``; nulls where ``columns`` have none."""
    types = {c.name: c.type for c in ASSIGNMENTS.columns}
    if not columns:
        nothing = {n: pa.nulls(len(every_id), t) for n, t in types.items() if n != "image_id"}
        return ASSIGNMENTS.check(pa.table({"image_id": every_id, **nothing}))
    import pyarrow.compute as pc

    place = pc.index_in(every_id, value_set=pa.array(columns["image_id"], type=pa.string()))
    rest = {
        name: pa.array(values, type=types[name], from_pandas=True).take(place)
        for name, values in columns.items()
        if name != "image_id"
    }
    return ASSIGNMENTS.check(pa.table({"image_id": every_id, **rest}))


def _clusters(
    cluster_ids: npt.NDArray[np.object_],
    described: "Description",
    medoid_ids: npt.NDArray[np.object_],
    exemplar_ids: Sequence[npt.NDArray[np.object_]],
) -> pa.Table:
    alone = described.nearest < 0
    types = {c.name: c.type for c in CLUSTERS.columns}
    nearest_ids = pa.array(cluster_ids[described.nearest], pa.string(), mask=alone)
    columns = {
        "cluster_id": pa.array(cluster_ids, pa.string()),
        "num_images": pa.array(described.sizes.astype(np.int32)),
        "medoid_image_id": pa.array(medoid_ids, pa.string()),
        "central_image_id": pa.array([ids[0] for ids in exemplar_ids], pa.string()),
        "center": to_column(described.centers),
        "exemplar_image_ids": pa.array([list(ids) for ids in exemplar_ids], types["exemplar_image_ids"]),
        "cohesion": pa.array(described.cohesion),
        "nearest_cluster_id": nearest_ids,
        "nearest_similarity": pa.array(described.nearest_similarity, mask=alone),
    }
    return pa.table(columns).sort_by("cluster_id")


def _marked(clusters: pa.Table, noise: pa.Array, min_cluster_size: int) -> pa.Table:
    """Add which clusters are noise, and which are large enough for reports."""
    import pyarrow.compute as pc

    rows = clusters.append_column("noise", pc.is_in(clusters["cluster_id"], value_set=noise))
    return CLUSTERS.check(rows.append_column("reported", pc.greater_equal(rows["num_images"], min_cluster_size)))
