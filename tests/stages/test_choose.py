import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline import schemas
from pipeline.config import load_config
from pipeline.errors import UserError
from pipeline.stages.choose import ChooseParams
from pipeline.stages.cluster import cluster
from pipeline.stages.cluster_params import ClusterParams
from pipeline.stages.date_tables import DateTables
from pipeline.stages.neighbors import NeighborsParams, neighbors
from pipeline.stages.projection import ProjectionParams, fit
from tests.bench.dates import planted
from tests.stages.test_cluster import DATE, a_date

BY_TWO = {"silhouette": 1.0, "stability": 1.0}


def chosen(sizes: list[int], **params: object) -> tuple[pa.Table, list[dict[str, object]]]:
    """Clusters and trials of a planted date."""
    rows = a_date(planted(sizes, scatter=0.05, seed=0)[0])
    model = fit([rows], ProjectionParams(), rows.num_rows)
    graph = neighbors(rows, model, NeighborsParams())
    _, clusters, trials = cluster(DATE, DateTables(rows, model, graph), ClusterParams.model_validate(params))
    return clusters, schemas.TRIALS.check(trials).to_pylist()


def test_the_grid_is_tried_written_and_its_best_taken() -> None:
    grid = [
        {"method": ["agglomerative"], "num_clusters": [3, 6, 9], "linkage": ["average", "ward"]},
        {"method": ["auto"]},
        {"method": ["auto"]},
    ]
    clusters, trials = chosen([6] * 6, choose={"by": BY_TWO, "grid": grid, "repeats": 2})
    assert clusters.num_rows == 6
    assert len(trials) == 7
    assert '{"linkage": "ward", "method": "agglomerative", "num_clusters": 9}' in [row["settings"] for row in trials]
    (taken,) = [row for row in trials if row["chosen"]]
    assert taken["num_clusters"] == 6
    assert taken["rank"] == min(row["rank"] for row in trials)
    assert all(row["stability"] is not None and row["gap"] is None for row in trials)


def test_numbers_of_clusters_are_tried_where_the_config_names_none() -> None:
    clusters, trials = chosen([5] * 8, method="agglomerative", choose={"by": {"silhouette": 1.0}})
    assert clusters.num_rows == 8
    assert sorted(row["num_clusters"] for row in trials)[:3] == [2, 3, 4]
    assert max(row["num_clusters"] for row in trials) == 20


@pytest.mark.parametrize(
    ("method", "key", "tried"),
    [
        ("components", "similarity", 8),
        ("chinese_whispers", "similarity", 8),
        pytest.param("dbscan", "similarity", 16, marks=pytest.mark.slow),
        pytest.param("hdbscan", "min_samples", 4, marks=pytest.mark.slow),
        pytest.param("leiden", "resolution", 9, marks=pytest.mark.slow),
    ],
)
def test_a_method_without_a_number_of_clusters_tries_what_it_has(method: str, key: str, tried: int) -> None:
    """And finds the planted subjects by it."""
    clusters, trials = chosen([6] * 6, method=method, choose={"by": {"silhouette": 1.0}, "max_cluster_fraction": 0.9})
    assert len(trials) == tried
    assert all(key in row["settings"] for row in trials)
    assert clusters.num_rows == 6


def test_limits_are_written_beside_what_they_refuse() -> None:
    grid = [{"method": ["agglomerative"], "num_clusters": [2, 4]}]
    _, trials = chosen([5] * 4, choose={"by": {"silhouette": 1}, "grid": grid, "min_clusters": 3})
    assert [(row["refused"], row["rank"], row["chosen"]) for row in trials] == [
        ("fewer than min_clusters", None, False),
        (None, 1.0, True),
    ]


@pytest.mark.parametrize("sizes", [[], [1], [1, 1], [1, 1, 1]], ids=str)
def test_small_dates(sizes: list[int]) -> None:
    grid = [{"method": ["auto", "leiden"]}, {"method": ["kmeans"], "num_clusters": [1, 9]}]
    clusters, trials = chosen(
        sizes, choose={"by": BY_TWO | {"gap": 1.0, "davies_bouldin": 1.0}, "grid": grid, "repeats": 2}
    )
    assert sum(row["chosen"] for row in trials) == (len(sizes) > 0)
    assert sum(clusters["num_images"].to_pylist()) == len(sizes)


def test_nothing_is_tried_unless_asked() -> None:
    assert chosen([4, 4])[1] == []
    assert "choose" not in ClusterParams().read_by("cluster")
    read = ClusterParams.model_validate(
        {"choose": {"by": {"gap": 1}, "grid": [{"method": ["leiden"], "resolution": [1.0, 2.0]}]}}
    ).read_by("cluster")
    assert {"choose", "resolution", "seed"} <= read


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{by: {silhouette: 1}}", "auto has nothing to try"),
        ("{by: {silhouette: 0}, grid: [{method: [auto]}]}", "weights above 0"),
        ("{by: {best: 1}, grid: [{method: [auto]}]}", "cluster.choose.by"),
        ("{grid: [{method: [auto]}]}", "needs cluster.choose.by"),
        ("{by: {gap: 1}, grid: [{method: [kmeans]}]}", 'tries {"method": "kmeans"}: .*needs cluster.num_clusters'),
        ("{by: {gap: 1}, grid: [{method: [nothing]}]}", 'tries {"method": "nothing"}: method: '),
        ("{by: {gap: 1}, grid: [{colour: [1]}]}", "colour: "),
        ("{by: {gap: 1}, grid: [{method: []}]}", "a list of values is empty"),
    ],
)
def test_a_grid_that_cannot_be_done_is_refused(value: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        load_config(None, [f"cluster.choose={value}"])


def test_the_counts_that_are_tried_fit_the_date() -> None:
    params = ChooseParams(by={"gap": 1.0})
    assert [one["num_clusters"] for one in params.settings(1)] == [2]
    many = [one["num_clusters"] for one in params.settings(10_000)]
    assert (many[0], many[-1], len(many)) == (2, 5_000, 20)
    assert np.all(np.diff(many) > 0)


def test_choosing_may_not_be_chosen() -> None:
    with pytest.raises(ValidationError, match="num_exemplars is nothing"):
        ChooseParams.model_validate({"by": {"gap": 1}, "grid": [{"num_exemplars": [1]}]})
