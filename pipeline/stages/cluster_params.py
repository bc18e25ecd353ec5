"""The section ``cluster`` of the config: which method, its settings, and what they need of each other."""

import json
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from pipeline.params import Params
from pipeline.stages.choose import ChooseParams, as_text
from pipeline.stages.choose import Settings as Chosen

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
    "kmeans": ("num_clusters", "spherical", "restarts", "train_points", "seed"),
    "agglomerative": (
        *("num_clusters", "similarity", "distance", "sim", "sim_scale", "criterion"),
        *("linkage", "metric"),
    ),
    "dbscan": ("similarity", "distance", "metric", "min_samples", "dense_below"),
    "hdbscan": ("metric", "min_cluster_size", "min_samples", "dense_below"),
    "leiden": ("similarity", "resolution", "seed"),
    "components": ("similarity",),
    "chinese_whispers": ("similarity",),
}
"""Method -> the keys that change its clusters; of agglomerative those that cut the tree."""

_SIMILARITIES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

TRIED: dict[str, dict[str, Sequence[float]]] = {
    "dbscan": {"similarity": _SIMILARITIES, "min_samples": (2, 3)},
    "hdbscan": {"min_samples": (1, 2, 3, 5)},
    "leiden": {"resolution": (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)},
    "components": {"similarity": _SIMILARITIES},
    "chinese_whispers": {"similarity": _SIMILARITIES},
}
"""Method that takes no number of clusters -> what ``choose`` tries where the config names no grid."""

TREE_KEYS = ("linkage", "metric", "mix", "alpha", "dense_below", "seed")
"""The keys that a date's tree depends on."""


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
    mix: Literal["weights", "imagecluster"] = Field(
        "weights",
        description="Of agglomerative: weights, distances are those of section geometry; imagecluster, distances are "
        "(1 - alpha) of content plus alpha of time, each over the largest of the date (with sim_scale dendrogram and "
        "metric euclidean this is that program).",
    )
    alpha: float = Field(0.3, ge=0, le=1, description="Share of the time in imagecluster's mix.")
    min_cluster_size: int = Field(
        1, ge=1, description="Smaller clusters are kept and left out of reports; hdbscan makes none (of less than 2)."
    )
    min_samples: int = Field(
        3, ge=1, description="Images within reach, itself counted, that make a core of dbscan and hdbscan."
    )
    resolution: float = Field(1.0, gt=0, description="Of leiden: more clusters the higher it is.")
    spherical: bool = Field(True, description="Whether kmeans' centers have unit length, where the vectors have.")
    restarts: int = Field(1, ge=1, le=100, description="Of kmeans: the start with the least sum of squares is kept.")
    train_points: int = Field(
        256, ge=0, description="Images a center that kmeans is trained on, at most (a sample by seed); 0: all."
    )
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
        elif not self.choose.grid and "num_clusters" not in READ[self.method] and self.method not in TRIED:
            raise ValueError(f"cluster.choose: {self.method} has nothing to try; name other methods in grid")
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
        return self.choose.settings(num_images, TRIED.get(self.method)) if self.choose.by else []

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
        if self.mix == "imagecluster" and (self.method != "agglomerative" or self.similarity is not None):
            raise ValueError("cluster.mix imagecluster needs method agglomerative, with sim, distance or num_clusters")
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
        """The keys that the method reads: the others are in no digest, and the tree's not in that of its cut."""
        if stage == "linkage":
            return frozenset(TREE_KEYS)
        always = {"method", "min_cluster_size", "num_exemplars"}
        chosen = {"choose", *TREE_KEYS} if self.choose.by else set()
        return frozenset({*always, *chosen, *(key for method in self._methods() for key in READ[method])})

    @property
    def has_tree(self) -> bool:
        """Whether a date's tree is grown, written and cut."""
        return "agglomerative" in self._methods()

    def _methods(self) -> set[str]:
        return {self.replaced(settings).method for settings in self.tried(2)} or {self.method}
