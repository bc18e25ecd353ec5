"""Clustering a date: which of its images look alike."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, ValidationError, model_validator

from pipeline.params import Params
from pipeline.schemas import ASSIGNMENTS, CLUSTERS, TRIALS
from pipeline.stages.choose import ChooseParams, as_text, choose
from pipeline.stages.choose import Settings as Chosen
from pipeline.stages.projection import apply
from pipeline.stages.vectors import to_column

if TYPE_CHECKING:
    from pipeline.compute.clustering import Description
    from pipeline.compute.task import ClusteringTask, Settings

Method = Literal["auto", "kmeans", "agglomerative", "dbscan", "hdbscan", "leiden", "components", "chinese_whispers"]
Metric = Literal[
    "cosine", "euclidean", "cityblock", "chebyshev", "canberra", "braycurtis", "correlation", "sqeuclidean"
]

NEEDED: dict[str, tuple[str, ...]] = {
    "kmeans": ("num_clusters",),
    "agglomerative": ("num_clusters", "similarity", "distance", "sim"),
    "dbscan": ("similarity", "distance"),
    "components": ("similarity",),
    "chinese_whispers": ("similarity",),
}
"""Method -> the keys of which it needs exactly one."""

_MEASURED = ("agglomerative", "dbscan", "hdbscan")

READ: dict[str, tuple[str, ...]] = {
    "auto": ("seed",),
    "kmeans": ("num_clusters", "seed"),
    "agglomerative": (
        *("num_clusters", "similarity", "distance", "sim", "sim_scale", "criterion"),
        *("linkage", "metric", "dense_below", "seed"),
    ),
    "dbscan": ("similarity", "distance", "metric", "min_samples", "dense_below"),
    "hdbscan": ("metric", "min_cluster_size", "min_samples", "dense_below"),
    "leiden": ("similarity", "resolution", "seed"),
    "components": ("similarity",),
    "chinese_whispers": ("similarity",),
}
"""Method -> the keys that change its clusters."""

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]


class ClusterParams(Params):
    """Parameters of the clustering of a date."""

    method: Method = Field(
        "auto",
        description="auto needs no other key; the others need those that name them, as far as they have no value.",
    )
    num_clusters: int | None = Field(None, ge=1, description="Clusters a date, of kmeans and agglomerative.")
    similarity: float | None = Field(
        None,
        ge=-1.0,
        le=1.0,
        description="Similarity from which agglomerative merges (of two clusters, by its linkage), and from which two "
        "images are neighbours of dbscan, components, chinese_whispers and leiden; metric cosine or euclidean.",
    )
    distance: float | None = Field(
        None, gt=0, description="In place of similarity, of agglomerative and dbscan: a distance of the metric."
    )
    sim: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="In place of similarity, of agglomerative: 0 one cluster, 1 every image alone.",
    )
    sim_scale: Literal["fixed", "dendrogram"] = Field(
        "fixed",
        description="What sim is a fraction of: fixed, the metric's whole range (0 to 2), the same on every date; "
        "dendrogram, the largest distance of the date.",
    )
    criterion: Literal["distance", "inconsistent"] = Field(
        "distance", description="What distance bounds, of agglomerative: merges' heights, or SciPy's inconsistency."
    )
    linkage: Literal["average", "complete", "ward", "single"] = Field("average", description="Of agglomerative.")
    metric: Metric = Field(
        "cosine",
        description="Of agglomerative, dbscan and hdbscan; up to dense_below images any of these, above cosine and "
        "euclidean. ward takes lengths: cosine and euclidean are one to it.",
    )
    min_cluster_size: int = Field(
        1, ge=1, description="Smaller clusters are kept and left out of reports; hdbscan makes none (of less than 2)."
    )
    min_samples: int = Field(
        3, ge=1, description="Images within reach, itself counted, that make a core of dbscan and hdbscan."
    )
    resolution: float = Field(1.0, gt=0, description="Of leiden: more clusters the higher it is.")
    dense_below: int = Field(
        16_000,
        ge=0,
        description="Images a date up to which agglomerative, dbscan and hdbscan read all pairs (8 bytes each, twice: "
        "2 GB at 16 000); above, those of the neighbour graph.",
    )
    num_exemplars: int = Field(5, ge=1, le=100, description="Members that stand for a cluster's looks, at most.")
    seed: int = Field(0, ge=0, description="Of kmeans and leiden.")

    choose: ChooseParams = Field(default_factory=ChooseParams, description="Choosing other keys for each date.")

    @model_validator(mode="after")
    def _can_be_done(self) -> "ClusterParams":
        if not self.choose.by:
            self._refuse_what_the_method_cannot_do()
        elif not self.choose.grid and "num_clusters" not in READ[self.method]:
            raise ValueError(f"cluster.choose: {self.method} takes no num_clusters; name in grid what is to be tried")
        for settings in self.tried(2):
            try:
                self.replaced(settings)
            except ValidationError as error:
                wrong = error.errors()[0]
                keys = "".join(f"{key}: " for key in wrong["loc"])
                raise ValueError(f"cluster.choose tries {as_text(settings)}: {keys}{wrong['msg']}") from None
        return self

    def tried(self, num_images: int) -> list[Chosen]:
        """What is tried on a date of so many images; nothing where nothing is to be chosen."""
        return self.choose.settings(num_images) if self.choose.by else []

    def replaced(self, settings: Chosen) -> "ClusterParams":
        """These parameters with ``settings`` in place of their own, and nothing left to choose."""
        own = self.model_dump(mode="json", exclude={"choose"})
        return ClusterParams.model_validate_json(json.dumps({**own, **settings}), strict=True)

    def _refuse_what_the_method_cannot_do(self) -> None:
        needed = NEEDED.get(self.method, ())
        given = [key for key in needed if getattr(self, key) is not None]
        if needed and len(given) != 1:
            names = " or ".join(f"cluster.{key}" for key in needed)
            found = f"; found {', '.join(given)}" if given else ""
            raise ValueError(f"cluster.method {self.method} needs {'one of ' * (len(needed) > 1)}{names}{found}")
        self._refuse_similarity_of_other_metrics()

    def _refuse_similarity_of_other_metrics(self) -> None:
        if self.method not in _MEASURED or self.metric in ("cosine", "euclidean"):
            return
        if self.linkage == "ward" and self.method == "agglomerative":
            raise ValueError(f"cluster.linkage ward needs cluster.metric euclidean, found {self.metric}")
        if self.similarity is not None:
            raise ValueError(f"cluster.metric {self.metric} has no similarity: give cluster.distance")
        if self.sim is not None and self.sim_scale == "fixed":
            raise ValueError(f"cluster.metric {self.metric} has no fixed scale: set cluster.sim_scale=dendrogram")

    def read_by(self, stage: str) -> frozenset[str]:
        """The keys that the method reads: the others are in no digest."""
        del stage
        always = {"method", "min_cluster_size", "num_exemplars"}
        chosen = {"choose", "seed"} if self.choose.by else set()
        methods = {self.replaced(settings).method for settings in self.tried(2)} or {self.method}
        return frozenset({*always, *chosen, *(key for method in methods for key in READ[method])})


def cluster(  # noqa: PLR0913  (what a date's stage reads, its parameters, its resources)
    date: str,
    fingerprints: pa.Table,
    model: pa.Table,
    neighbors: pa.Table,
    params: ClusterParams,
    *,
    threads: int = 1,
    gpu: bool = False,
) -> tuple[pa.Table, pa.Table, pa.Table]:
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
        ``schemas.ASSIGNMENTS`` with a row an image, ``schemas.CLUSTERS`` and ``schemas.TRIALS``.
    """
    image_ids, vectors = apply(model, fingerprints)
    every_id = pa.array(sorted(fingerprints["image_id"].to_pylist()), type=pa.string())
    if not image_ids:
        return _assignments(every_id, {}), CLUSTERS.empty([("center", to_column(vectors).type)]), TRIALS.empty()
    from pipeline.compute.clustering import NOISE, describe, exemplars, noise_alone
    from pipeline.compute.knn import Search
    from pipeline.compute.task import ClusteringTask

    task = ClusteringTask(vectors, *_graph(image_ids, neighbors), settings_of(params), threads, gpu)
    params, trials = _with_what_is_chosen(task, params)
    found = _labels(task, params)
    noise, labels = found == NOISE, noise_alone(found)
    described = describe(vectors, labels, Search(seed=params.seed, threads=threads, gpu=gpu))
    chosen = exemplars(vectors, labels, described.to_center, params.num_exemplars)
    ids = np.array(image_ids, dtype=object)
    cluster_ids = np.array(_cluster_ids(date, ids, labels), dtype=object)
    columns = {
        "image_id": ids,
        "cluster_id": cluster_ids[labels],
        "similarity_to_center": described.to_center,
        "silhouette": described.silhouette,
        "noise": noise,
    }
    clusters = _clusters(cluster_ids, ids, described, chosen)
    is_noise = pa.array(cluster_ids[labels[noise]], pa.string())
    return _assignments(every_id, columns), _marked(clusters, is_noise, params.min_cluster_size), trials


def _with_what_is_chosen(task: "ClusteringTask", params: ClusterParams) -> tuple[ClusterParams, pa.Table]:
    """The parameters that the date is clustered with, and what was tried to find them."""
    settings = params.tried(len(task.vectors))
    if not settings:
        return params, TRIALS.empty()
    chosen, trials = choose(task, settings, lambda one, its: _labels(one, params.replaced(its)), params.choose)
    return params.replaced(chosen), trials


def _labels(task: "ClusteringTask", params: ClusterParams) -> Int64s:
    from pipeline.compute.clustering import cluster_rows

    return cluster_rows(params.method, replace(task, settings=settings_of(params)))


def settings_of(params: ClusterParams) -> "Settings":
    """The settings as the methods take them."""
    from pipeline.compute.task import Settings

    return Settings(**{one.name: getattr(params, one.name) for one in fields(Settings) if hasattr(params, one.name)})


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
    return pa.table(columns).sort_by("cluster_id")


def _marked(clusters: pa.Table, noise: pa.Array, min_cluster_size: int) -> pa.Table:
    """Add which clusters are noise, and which are large enough for reports."""
    import pyarrow.compute as pc

    rows = clusters.append_column("noise", pc.is_in(clusters["cluster_id"], value_set=noise))
    return CLUSTERS.check(rows.append_column("reported", pc.greater_equal(rows["num_images"], min_cluster_size)))
