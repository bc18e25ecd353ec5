"""Choosing the clustering's settings for a date: which are tried, and the table of what came of them."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, JsonValue, model_validator

from pipeline.params import Params
from pipeline.schemas import TRIALS

if TYPE_CHECKING:
    from pipeline.compute.choosing.trials import Trials
    from pipeline.compute.task import ClusteringTask

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]
Settings = Mapping[str, Any]
"""Some of the section ``cluster``'s keys, with values."""
Cut = Callable[["ClusteringTask", Settings], Int64s]
"""Labels the rows of a task (n,), noise -1."""

Rule = Literal["elbow", "silhouette", "calinski_harabasz", "davies_bouldin", "gap", "stability"]

_COUNTS = 20
"""Numbers of clusters that are tried where the config names none."""


class ChooseParams(Params):
    """How a date's settings are chosen."""

    by: dict[Rule, float] = Field(
        default={},
        description="Rules with their weights, e.g. {silhouette: 1}; of several, the weighted mean of the ranks "
        "decides. Rules: elbow, silhouette, calinski_harabasz, davies_bouldin, gap, stability. Empty: none is tried.",
    )
    grid: list[dict[str, list[JsonValue]]] = Field(
        default=[],
        description="What is tried: keys of this section with lists of values, all combinations of each mapping, e.g. "
        "[{method: [kmeans], num_clusters: [5, 10]}]. Empty: what the method needs: some twenty num_clusters from 2 to "
        "half the images, eight similarities, resolutions of leiden, min_samples of hdbscan.",
    )
    min_clusters: int = Field(1, ge=1, description="Settings with fewer clusters are not taken.")
    max_noise_fraction: float = Field(1.0, ge=0, le=1, description="Nor those with more of a date's images as noise.")
    max_cluster_fraction: float = Field(1.0, gt=0, le=1, description="Nor those with more of them in one cluster.")
    repeats: int = Field(10, ge=1, le=1000, description="References of gap, pairs of resamples of stability.")

    @model_validator(mode="after")
    def _weighs(self) -> "ChooseParams":
        if any(weight <= 0 for weight in self.by.values()):
            raise ValueError("cluster.choose.by: expected weights above 0; leave out the rules that do not count")
        if self.grid and not self.by:
            raise ValueError("cluster.choose.grid needs cluster.choose.by, e.g. {silhouette: 1}")
        unknown = sorted({key for one in self.grid for key in one} & {"choose", "num_exemplars"})
        if unknown:
            raise ValueError(f"cluster.choose.grid: {unknown[0]} is nothing that a clustering depends on")
        if any(not values for one in self.grid for values in one.values()):
            raise ValueError("cluster.choose.grid: a list of values is empty")
        return self

    def settings(self, num_images: int, own: Mapping[str, Sequence[Any]] | None = None) -> list[Settings]:
        """What is tried on a date of so many images, each once, in the grid's order.

        ``own`` stands in for an empty grid; without it numbers of clusters do.
        """
        grid: list[Mapping[str, Sequence[Any]]] = [*self.grid] or [own or {"num_clusters": list(_counts(num_images))}]
        every = [dict(zip(one, values, strict=True)) for one in grid for values in itertools.product(*one.values())]
        return list({as_text(one): one for one in every}.values())


def as_text(settings: Settings) -> str:
    """One form of settings: JSON with sorted keys."""
    return json.dumps(dict(settings), sort_keys=True)


def choose(
    task: "ClusteringTask", settings: Sequence[Settings], cut: Cut, params: ChooseParams
) -> tuple[Settings, Int64s, pa.Table]:
    """Try ``settings`` on a date and choose one.

    Args:
        task: The date.
        settings: What is tried, at least one.
        cut: Labels the rows of a task with one of the settings.
        params: How to choose.

    Returns:
        The chosen settings, their labels (n,), and ``schemas.TRIALS`` with a row for each that was tried.
    """
    from pipeline.compute.choosing.rules import Limits
    from pipeline.compute.choosing.trials import try_settings
    from pipeline.compute.knn import neighbor_graph

    def cluster(vectors: Float32s) -> Callable[[int], Int64s]:
        mine = task
        if vectors is not task.vectors:
            mine = replace(task, vectors=vectors, tree=None, hours=None)
            found, similarities = neighbor_graph(vectors, task.neighbors.shape[1], task.search)
            mine = replace(mine, neighbors=found, similarities=similarities)
        return lambda number: cut(mine, settings[number])

    limits = Limits(params.min_clusters, params.max_noise_fraction, params.max_cluster_fraction)
    weights = {str(rule): weight for rule, weight in params.by.items()}
    tried = try_settings(
        task.vectors, len(settings), cluster, weights, limits, times=params.repeats, seed=task.settings.seed
    )
    return settings[tried.chosen], tried.labels[tried.chosen], trials_table(settings, tried)


def trials_table(settings: Sequence[Settings], trials: "Trials") -> pa.Table:
    """Turn trials into ``schemas.TRIALS``."""
    types = {column.name: column.type for column in TRIALS.columns}
    measured = {
        name: pa.array(values, pa.float64(), from_pandas=True).cast(types[name])
        for name, values in trials.measures.items()
    }
    chosen = [number == trials.chosen for number in range(len(settings))]
    columns = measured | {
        "settings": pa.array([as_text(one) for one in settings], pa.string()),
        "rank": pa.array(trials.ranks, pa.float64(), from_pandas=True),
        "refused": pa.array(trials.refusals, pa.string()),
        "chosen": pa.array(chosen, pa.bool_()),
    }
    return TRIALS.check(pa.table({name: columns[name] for name in TRIALS.names}).sort_by("settings"))


def _counts(num_images: int) -> Iterator[int]:
    """Numbers of clusters from 2 to half the images, evenly in their logarithms."""
    most = max(num_images // 2, 2)
    yield from np.unique(np.geomspace(2, most, _COUNTS).round().astype(int)).tolist()
