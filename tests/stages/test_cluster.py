import hashlib
import resource
import sys
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline import schemas
from pipeline.compute.clustering import METHODS
from pipeline.compute.task import Linkage
from pipeline.errors import UserError
from pipeline.stages.cluster import cluster
from pipeline.stages.cluster_params import ClusterParams, Method
from pipeline.stages.date_tables import DateTables
from pipeline.stages.neighbors import NeighborsParams, neighbors
from pipeline.stages.projection import ProjectionParams, fit
from pipeline.stages.vectors import to_column
from tests.bench.dates import planted

DATE = "2024-05-01"
EVERY_METHOD = [
    ClusterParams(),
    ClusterParams(method="kmeans", num_clusters=3),
    ClusterParams(method="kmeans", num_clusters=3, spherical=False, restarts=2, train_points=0),
    ClusterParams(method="agglomerative", num_clusters=3),
    ClusterParams(method="agglomerative", similarity=0.7),
    ClusterParams(method="agglomerative", similarity=0.7, dense_below=0),
    ClusterParams(method="agglomerative", linkage="ward", num_clusters=3),
    ClusterParams(method="agglomerative", linkage="ward", num_clusters=3, dense_below=0),
    ClusterParams(method="agglomerative", linkage="complete", similarity=0.7),
    ClusterParams(method="agglomerative", linkage="complete", sim=0.9, dense_below=0),
    ClusterParams(method="agglomerative", linkage="single", distance=0.5, metric="euclidean", dense_below=0),
    ClusterParams(method="agglomerative", linkage="single", similarity=0.7),
    ClusterParams(method="components", similarity=0.7),
    ClusterParams(method="chinese_whispers", similarity=0.7),
    # scikit-learn and leidenalg take seconds to import.
    pytest.param(ClusterParams(method="dbscan", similarity=0.7), marks=pytest.mark.slow),
    pytest.param(ClusterParams(method="dbscan", similarity=0.7, dense_below=0), marks=pytest.mark.slow),
    pytest.param(ClusterParams(method="hdbscan"), marks=pytest.mark.slow),
    pytest.param(ClusterParams(method="hdbscan", dense_below=0), marks=pytest.mark.slow),
    pytest.param(ClusterParams(method="leiden"), marks=pytest.mark.slow),
    pytest.param(ClusterParams(method="leiden", similarity=0.5), marks=pytest.mark.slow),
]
"""Every method, and those that have a way of their own for large dates (``dense_below``) by both; below is a test."""


def test_no_method_or_linkage_is_left_out_of_the_odd_dates() -> None:
    every = [one if isinstance(one, ClusterParams) else one.values[0] for one in EVERY_METHOD]
    assert {one.method for one in every} == set(get_args(Method)) == set(METHODS)
    trees = [one for one in every if one.method == "agglomerative"]
    ways = {(one.linkage, one.dense_below == 0) for one in trees}
    assert ways == {(linkage, large) for linkage in get_args(Linkage) for large in (False, True)}
    assert all(
        {one.dense_below == 0 for one in every if one.method == method} == {False, True}
        for method in ("dbscan", "hdbscan")
    )


def a_date(vectors: np.ndarray) -> pa.Table:
    ids = [hashlib.blake2b(str(i).encode(), digest_size=16).hexdigest() for i in range(len(vectors))]
    return pa.table({"image_id": ids, "vector": to_column(vectors)})


def clustered(rows: pa.Table, params: ClusterParams) -> tuple[pa.Table, pa.Table]:
    model = fit([rows], ProjectionParams(), rows.num_rows)
    graph = neighbors(rows, model, NeighborsParams())
    assignments, clusters, trials = cluster(DATE, DateTables(rows, model, graph), params)
    schemas.ASSIGNMENTS.check(assignments)
    schemas.CLUSTERS.check(clusters)
    assert schemas.TRIALS.check(trials).num_rows == 0
    assert sum(clusters["num_images"].to_pylist()) == rows.num_rows - rows["vector"].null_count
    assert sorted(set(assignments["cluster_id"].drop_null().to_pylist())) == clusters["cluster_id"].to_pylist()
    return assignments, clusters


@pytest.mark.parametrize("params", EVERY_METHOD, ids=lambda p: p.method)
@pytest.mark.parametrize("sizes", [[], [1], [1, 1], [1, 1, 1], [4, 4, 4]], ids=str)
def test_every_method_on_dates_of_any_size(params: ClusterParams, sizes: list[int]) -> None:
    vectors, _ = planted(sizes, scatter=0.1, seed=0)
    assignments, _ = clustered(a_date(vectors), params)
    assert assignments.num_rows == sum(sizes)


@pytest.mark.parametrize("params", EVERY_METHOD, ids=lambda p: p.method)
@pytest.mark.parametrize("value", [1.0, 0.0])
@pytest.mark.parametrize("count", [2, 40])
def test_identical_images_are_one_cluster(params: ClusterParams, value: float, count: int) -> None:
    _, clusters = clustered(a_date(np.full((count, 8), value, np.float32)), params)
    assert clusters.num_rows == 1
    assert clusters["nearest_cluster_id"].null_count == 1


@pytest.mark.parametrize("params", EVERY_METHOD, ids=lambda p: p.method)
def test_order_splits_scale_and_repetition_carry_no_information(params: ClusterParams) -> None:
    vectors, _ = planted([4] * 8 + [1] * 4, scatter=0.1, seed=1)
    rows = a_date(vectors)
    assignments, clusters = clustered(rows, params)
    shuffled = rows.take(np.random.default_rng(0).permutation(len(vectors)))
    split = pa.concat_tables([shuffled.slice(0, 7), shuffled.slice(7, 1), shuffled.slice(8)])
    for again in (rows, shuffled, split):
        assert [a.equals(b) for a, b in zip(clustered(again, params), (assignments, clusters), strict=True)] == [
            True
        ] * 2
    scaled, _ = clustered(pa.table({"image_id": rows["image_id"], "vector": to_column(vectors * 37)}), params)
    assert scaled["cluster_id"].equals(assignments["cluster_id"])


@pytest.mark.parametrize("params", EVERY_METHOD, ids=lambda p: p.method)
def test_images_that_have_nothing_in_common_stay_apart_or_are_noise(params: ClusterParams) -> None:
    """Orthogonal: no two are alike, so only a method that is told how many clusters there are may join any."""
    assignments, clusters = clustered(a_date(np.eye(20, 24, dtype=np.float32)), params)
    if params.num_clusters:
        assert clusters.num_rows <= params.num_clusters
    elif params.method != "leiden" or params.similarity:  # see below
        assert clusters.num_rows == 20
    assert assignments["cluster_id"].null_count == 0


@pytest.mark.slow
def test_leiden_compares_edges_with_one_another_and_needs_a_similarity_where_nothing_is_alike() -> None:
    """Modularity asks whether some edges are heavier than others, never whether any says that two images are alike.

    Where all weigh the same, one group is its optimum at resolution 1: by itself it cannot tell twenty shots of one
    subject from one shot of each of twenty.  ``similarity`` can, and parts no subject where there are some.
    """
    apart = a_date(np.eye(20, 24, dtype=np.float32))
    assert clustered(apart, ClusterParams(method="leiden"))[1].num_rows == 1
    assert clustered(apart, ClusterParams(method="leiden", similarity=0.3))[1].num_rows == 20
    shots = a_date(planted([4] * 6, scatter=0.02, seed=1)[0])
    assert clustered(shots, ClusterParams(method="leiden", similarity=0.3))[1].num_rows == 6


@pytest.mark.slow
def test_noise_is_kept_marked_and_left_out_of_reports() -> None:
    vectors, _ = planted([10, 10, 1, 1, 1], scatter=0.05, seed=4)
    params = ClusterParams(method="dbscan", similarity=0.8, min_cluster_size=2)
    assignments, clusters = clustered(a_date(vectors), params)
    rows = clusters.to_pylist()
    assert (
        sorted((row["num_images"], row["noise"], row["reported"]) for row in rows)
        == [(1, True, False)] * 3 + [(10, False, True)] * 2
    )
    assert sum(assignments["noise"].to_pylist()) == 3


def test_leiden_without_its_packages_is_a_mistake_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(UserError, match=r"leiden needs .*\ninstall imagetracks\[leiden\]"):
        clustered(a_date(planted([3, 3], scatter=0.1, seed=0)[0]), ClusterParams(method="leiden"))


def test_the_tables_of_planted_subjects() -> None:
    vectors, truth = planted([6] * 10, scatter=0.1, seed=2)
    rows = a_date(vectors)
    lost = pa.table({"image_id": ["lost"], "vector": [None]}, rows.schema)
    assignments, clusters = clustered(pa.concat_tables([lost, rows]), ClusterParams(num_exemplars=3))
    of_image = dict(zip(assignments["image_id"].to_pylist(), assignments.to_pylist(), strict=True))
    assert of_image.pop("lost") == dict.fromkeys(schemas.ASSIGNMENTS.names, None) | {"image_id": "lost"}
    assert clusters.num_rows == 10
    by_subject: dict[int, list[str]] = {}
    for image_id, subject in zip(rows["image_id"].to_pylist(), truth.tolist(), strict=True):
        by_subject.setdefault(subject, []).append(image_id)
    expected = {
        hashlib.blake2b("\n".join([DATE, *sorted(ids)]).encode(), digest_size=16).hexdigest(): ids
        for ids in by_subject.values()
    }
    for row in clusters.to_pylist():
        members = expected[row["cluster_id"]]
        assert {of_image[i]["cluster_id"] for i in members} == {row["cluster_id"]}
        assert row["central_image_id"] == row["exemplar_image_ids"][0]
        assert len(set(row["exemplar_image_ids"]) & set(members)) == 3
        assert row["nearest_cluster_id"] != row["cluster_id"]
        similarities = {i: of_image[i]["similarity_to_center"] for i in members}
        assert max(similarities, key=similarities.__getitem__) == row["central_image_id"]
        np.testing.assert_allclose(np.mean(list(similarities.values())), row["cohesion"], rtol=1e-5)
        assert all(of_image[i]["silhouette"] > 0.3 for i in members)


def test_the_same_images_on_another_date_are_other_clusters() -> None:
    rows = a_date(planted([2] * 3, scatter=0.1, seed=0)[0])
    model = fit([rows], ProjectionParams(), 6)
    graph = neighbors(rows, model, NeighborsParams())
    one, other = (cluster(d, DateTables(rows, model, graph), ClusterParams())[1] for d in ("2024-05-01", "2024-05-02"))
    assert not set(one["cluster_id"].to_pylist()) & set(other["cluster_id"].to_pylist())


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "dbscan"},
        {"method": "components"},
        {"method": "agglomerative", "metric": "cityblock", "similarity": 0.5},
        {"method": "agglomerative", "metric": "cityblock", "linkage": "ward", "num_clusters": 2},
        {"method": "kmeans"},
        {"method": "agglomerative"},
        {"method": "agglomerative", "similarity": 0.5, "num_clusters": 3},
        {"method": "ward"},
        {"similarity": 2.0},
    ],
)
def test_what_a_method_needs_is_asked_for(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ClusterParams.model_validate(settings)


@pytest.mark.slow
def test_fifty_thousand_images_with_every_default() -> None:
    rng = np.random.default_rng(0)
    vectors, truth = planted(rng.integers(1, 9, size=11_100).tolist(), scatter=0.2, seed=3)
    assignments, clusters = clustered(a_date(vectors), ClusterParams())
    assert assignments.num_rows == len(vectors) > 49_000
    assert abs(clusters.num_rows / len(set(truth.tolist())) - 1) < 0.2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 6 * 2**20  # kilobytes
