"""Clustering a date: which of its images look alike."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from pipeline.params import Params
from pipeline.schemas import ASSIGNMENTS, CLUSTERS
from pipeline.stages.projection import apply
from pipeline.stages.vectors import to_column

if TYPE_CHECKING:
    from pipeline.compute.clustering import Description

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]


class ClusterParams(Params):
    """Parameters of the clustering of a date."""

    method: Literal["auto", "kmeans", "agglomerative"] = Field(
        "auto",
        description="auto needs no other key; kmeans needs num_clusters; agglomerative num_clusters or similarity.",
    )
    num_clusters: int | None = Field(None, ge=1, description="Clusters a date, for kmeans and agglomerative.")
    similarity: float | None = Field(
        None, ge=-1.0, le=1.0, description="Average similarity below which agglomerative merges no more."
    )
    dense_below: int = Field(
        16_000, ge=0, description="Images a date up to which agglomerative reads all pairs (8 bytes each, twice)."
    )
    num_exemplars: int = Field(5, ge=1, le=100, description="Members that stand for a cluster's looks, at most.")
    seed: int = Field(0, ge=0, description="Seed of kmeans.")

    @model_validator(mode="after")
    def _has_what_the_method_needs(self) -> "ClusterParams":
        if self.method == "kmeans" and self.num_clusters is None:
            raise ValueError("cluster.method kmeans needs cluster.num_clusters")
        if self.method == "agglomerative" and (self.num_clusters is None) == (self.similarity is None):
            raise ValueError("cluster.method agglomerative needs one of cluster.similarity and cluster.num_clusters")
        return self


def cluster(  # noqa: PLR0913  (what a date's stage reads, its parameters, its resources)
    date: str,
    fingerprints: pa.Table,
    model: pa.Table,
    neighbors: pa.Table,
    params: ClusterParams,
    *,
    threads: int = 1,
    gpu: bool = False,
) -> tuple[pa.Table, pa.Table]:
    """Cluster a date.

    Args:
        date: The partition; part of the clusters' ids.
        fingerprints: The date's ``schemas.FINGERPRINTS`` (image_id and vector are read), in any order.
        model: One row of ``schemas.PROJECTION``.
        neighbors: The date's ``schemas.NEIGHBORS``, in any order.
        params: The stage's parameters.
        threads: For FAISS.
        gpu: Run FAISS on the first GPU.

    Returns:
        ``schemas.ASSIGNMENTS`` with a row an image, and ``schemas.CLUSTERS``.
    """
    image_ids, vectors = apply(model, fingerprints)
    every_id = pa.array(sorted(fingerprints["image_id"].to_pylist()), type=pa.string())
    if not image_ids:
        return _assignments(every_id, {}), CLUSTERS.empty([("center", to_column(vectors).type)])
    from pipeline.compute.clustering import METHODS, canonical_labels, describe, exemplars
    from pipeline.compute.knn import Search
    from pipeline.compute.task import ClusteringTask

    found, similarities = _graph(image_ids, neighbors)
    task = ClusteringTask(
        vectors,
        found,
        similarities,
        num_clusters=params.num_clusters,
        similarity=params.similarity,
        dense_below=params.dense_below,
        seed=params.seed,
        threads=threads,
        gpu=gpu,
    )
    labels = canonical_labels(METHODS[params.method](task))
    described = describe(vectors, labels, Search(seed=params.seed, threads=threads, gpu=gpu))
    chosen = exemplars(vectors, labels, described.to_center, params.num_exemplars)
    ids = np.array(image_ids, dtype=object)
    cluster_ids = np.array(_cluster_ids(date, ids, labels), dtype=object)
    columns = {
        "image_id": ids,
        "cluster_id": cluster_ids[labels],
        "similarity_to_center": described.to_center,
        "silhouette": described.silhouette,
    }
    return _assignments(every_id, columns), _clusters(cluster_ids, ids, described, chosen)


def _graph(image_ids: Sequence[str], neighbors: pa.Table) -> tuple[Int64s, Float32s]:
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


def _positions(column: pa.ChunkedArray, ids: pa.Array) -> Int64s:
    import pyarrow.compute as pc

    return np.asarray(pc.index_in(column, value_set=ids).to_numpy(), dtype=np.int64)


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
    ids: npt.NDArray[np.object_],
    described: "Description",
    chosen: Sequence[Int64s],
) -> pa.Table:
    alone = described.nearest < 0
    types = {c.name: c.type for c in CLUSTERS.columns}
    nearest_ids = pa.array(cluster_ids[described.nearest], pa.string(), mask=alone)
    columns = {
        "cluster_id": pa.array(cluster_ids, pa.string()),
        "num_images": pa.array(described.sizes.astype(np.int32)),
        "medoid_image_id": pa.array([ids[rows[0]] for rows in chosen], pa.string()),
        "center": to_column(described.centers),
        "exemplar_image_ids": pa.array([list(ids[rows]) for rows in chosen], types["exemplar_image_ids"]),
        "cohesion": pa.array(described.cohesion),
        "nearest_cluster_id": nearest_ids,
        "nearest_similarity": pa.array(described.nearest_similarity, mask=alone),
    }
    return CLUSTERS.check(pa.table(columns).sort_by("cluster_id"))
