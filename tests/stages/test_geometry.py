import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline.errors import UserError
from pipeline.stages.cluster import cluster
from pipeline.stages.cluster_params import ClusterParams
from pipeline.stages.date_tables import DateTables, linkage
from pipeline.stages.geometry import GeometryParams, coordinates
from pipeline.stages.neighbors import NeighborsParams, neighbors
from pipeline.stages.projection import ProjectionParams, apply, fit
from pipeline.stages.vectors import to_column
from tests.bench.dates import planted
from tests.stages.test_cluster import EVERY_METHOD
from tests.stages.test_projection import fingerprints

CAMERA = {"camera": {"kind": "categorical", "weight": 2.0}}


def images(count: int, **metadata: list[object]) -> pa.Table:
    taken = [dt.datetime(2024, 5, 1, 6) + dt.timedelta(hours=i) for i in range(count)]
    fields = [pa.array(values) for values in metadata.values()]
    return pa.table(
        {
            "image_id": [f"{i:032x}" for i in range(count)],
            "captured_at": pa.array(taken, pa.timestamp("us")),
            "metadata": pa.StructArray.from_arrays(fields, list(metadata)),
        }
    )


def placed(params: dict[str, object], rows: pa.Table) -> np.ndarray:
    vectors = fingerprints(rows.num_rows)
    model = fit([vectors], ProjectionParams(), rows.num_rows)
    table = coordinates(vectors, model, rows, GeometryParams.model_validate(params))
    place = np.array(table["vector"].to_pylist())
    content = apply(model, vectors)[1]
    return ((place[:, None] - place) ** 2).sum(axis=2) - ((content[:, None] - content) ** 2).sum(axis=2)


def test_time_and_metadata_add_to_the_squared_distance_of_the_content() -> None:
    rows = images(3, camera=["a", "b", "a"], degrees=["4", "", "10"])
    np.testing.assert_allclose(placed({"metadata": CAMERA}, rows)[0], [0, 2, 0], atol=1e-5)
    np.testing.assert_allclose(placed({"time": 0.5, "time_scale": 2.0}, rows)[0], [0, 0.125, 0.5], atol=1e-5)
    warmth = {"degrees": {"kind": "numeric", "weight": 1, "scale": 3}}
    np.testing.assert_allclose(placed({"metadata": warmth}, rows)[0, 1:], [4, 4], atol=1e-5)  # "" is missing
    hour = {"hour": {"kind": "cyclic", "weight": 1, "period": 4}}
    np.testing.assert_allclose(placed({"metadata": hour}, rows)[0], [0, 0.5, 1], atol=1e-5)


def test_what_is_carried_and_not_named_changes_nothing() -> None:
    one, other = (
        images(4, camera=list(cameras), shirt=list(shirts)) for cameras, shirts in (("abab", "xxyy"), ("abab", "yxzx"))
    )
    np.testing.assert_array_equal(placed({"metadata": CAMERA}, one), placed({"metadata": CAMERA}, other))
    assert not GeometryParams().weighs
    assert not GeometryParams.model_validate({"metadata": {"camera": {"kind": "categorical", "weight": 0}}}).weighs


@pytest.mark.parametrize("params", [ClusterParams(), ClusterParams(method="agglomerative", num_clusters=2)])
def test_a_weighed_column_parts_what_looks_alike(params: ClusterParams) -> None:
    """Also where it is constant or missing."""
    rows = images(8, camera=list("abababab"), site=["one"] * 8, lost=pa.nulls(8, pa.string()).to_pylist())
    vectors = fingerprints(8).set_column(1, "vector", fingerprints(1)["vector"].take(pa.array([0] * 8)))
    model = fit([vectors], ProjectionParams(), 8)
    for name, expected in (("camera", 2), ("site", 1), ("lost", 1)):
        geometry = GeometryParams.model_validate({"metadata": {name: {"kind": "categorical", "weight": 9.0}}})
        place = coordinates(vectors, model, rows, geometry)
        given = DateTables(vectors, model, neighbors(vectors, model, NeighborsParams(), place), place)
        _, clusters, _ = cluster("2024-05-01", given, params)
        assert clusters.num_rows == expected
        np.testing.assert_allclose(clusters["cohesion"], 1, atol=1e-6)  # of the content


@pytest.mark.parametrize("params", EVERY_METHOD, ids=lambda p: p.method)
@pytest.mark.parametrize("value", ["one", None])
def test_a_column_that_says_nothing_changes_no_methods_clusters(params: ClusterParams, value: str | None) -> None:
    """Constant, or missing everywhere: every method finds the planted subjects that it finds without the column."""
    found, truth = planted([4] * 6, scatter=0.02, seed=1)
    params = params.replaced({"num_clusters": 6}) if params.num_clusters else params
    rows = images(len(found), camera=pa.array([value] * len(found), pa.string()))
    vectors = pa.table({"image_id": rows["image_id"], "vector": to_column(found)})
    model = fit([vectors], ProjectionParams(), len(found))
    labels = []
    for place in (None, coordinates(vectors, model, rows, GeometryParams.model_validate({"metadata": CAMERA}))):
        given = DateTables(vectors, model, neighbors(vectors, model, NeighborsParams(), place), place)
        labels.append(cluster("2024-05-01", given, params)[0]["cluster_id"])
    assert labels[0].equals(labels[1])
    if params.method in ("auto", "agglomerative"):
        assert len(set(labels[0].to_pylist())) == len(set(truth.tolist()))


@pytest.mark.parametrize("params", EVERY_METHOD, ids=lambda p: p.method)
def test_every_method_where_every_other_image_lacks_the_column(params: ClusterParams) -> None:
    """No cluster has images of two planted subjects, none is lost, and rows' order and repetition say nothing."""
    found, truth = planted([4] * 6, scatter=0.02, seed=1)
    cameras = ["ab"[subject % 2] if i % 2 else None for i, subject in enumerate(truth.tolist())]
    rows = images(len(found), camera=pa.array(cameras, pa.string()))
    vectors = pa.table({"image_id": rows["image_id"], "vector": to_column(found)})
    model = fit([vectors], ProjectionParams(), len(found))
    geometry = GeometryParams.model_validate({"metadata": {"camera": {"kind": "categorical", "weight": 0.1}}})
    told = {"num_clusters": 6, "restarts": 20}  # of k-means: one start may end with two subjects in one cluster
    params = params.replaced(told if params.num_clusters else {})

    def assigned(order: np.ndarray) -> pa.Table:
        mixed = vectors.take(order)
        split = pa.concat_tables([mixed.slice(0, 5), mixed.slice(5)])
        place = coordinates(split, model, rows.take(order[::-1]), geometry)
        given = DateTables(split, model, neighbors(split, model, NeighborsParams(), place), place)
        return cluster("2024-05-01", given, params)[0]

    every, shuffled = np.arange(len(found)), np.random.default_rng(0).permutation(len(found))
    assert assigned(every).equals(assigned(shuffled))
    assert assigned(every).equals(assigned(every))
    clusters = assigned(every)["cluster_id"]
    assert clusters.null_count == 0
    assert len(set(clusters.to_pylist())) == len(set(zip(clusters.to_pylist(), truth.tolist(), strict=True)))


@pytest.mark.slow
def test_a_date_can_be_clustered_in_its_own_map() -> None:
    found, truth = planted([12] * 5, scatter=0.05, seed=2)
    rows = images(len(found), camera=["a"] * len(found))
    vectors = pa.table({"image_id": rows["image_id"], "vector": to_column(found)})
    model = fit([vectors], ProjectionParams(), len(found))
    params = GeometryParams(reduction="tsne", neighbors=8)
    place = coordinates(vectors, model, rows, params)
    assert params.weighs
    assert place.equals(coordinates(vectors, model, rows, params))
    np.testing.assert_allclose(np.mean(np.sum(np.array(place["vector"].to_pylist()) ** 2, axis=1)), 1.0, rtol=1e-5)
    given = DateTables(vectors, model, neighbors(vectors, model, NeighborsParams(), place), place)
    assigned, _, _ = cluster("2024-05-01", given, ClusterParams(method="agglomerative", linkage="ward", num_clusters=5))
    assert len(set(zip(assigned["cluster_id"].to_pylist(), truth.tolist(), strict=True))) == 5


def test_a_tree_that_was_written_is_cut_again() -> None:
    vectors = fingerprints(30)
    model = fit([vectors], ProjectionParams(), 30)
    graph = neighbors(vectors, model, NeighborsParams())
    for cut in ({"num_clusters": 4}, {"sim": 0.97}, {"similarity": 0.9}):
        params = ClusterParams(method="agglomerative", linkage="complete", **cut)
        tree = linkage(DateTables(vectors, model, graph), params)
        anew = cluster("2024-05-01", DateTables(vectors, model, graph), params)
        again = cluster("2024-05-01", DateTables(vectors, model, graph, linkage=tree), params)
        assert [a.equals(b) for a, b in zip(anew, again, strict=True)] == [True] * 3
        assert anew[1].num_rows > 1


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"camra": {"kind": "categorical", "weight": 1}}, "'camra', expected one of the manifest's: camera"),
        ({"camera": {"kind": "numeric", "weight": 1, "scale": 1}}, "'camera' is to be a number"),
        ({"camera": {"kind": "ordered", "weight": 1, "levels": ["a"]}}, "holds 'b', expected one of a"),
    ],
)
def test_columns_that_are_not_what_the_config_says(metadata: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        placed({"metadata": metadata}, images(2, camera=["a", "b"]))


@pytest.mark.parametrize(
    ("weighed", "message"),
    [
        ({"kind": "numeric", "weight": 1}, "camera: kind numeric needs scale"),
        ({"kind": "categorical"}, "camera: weight: Field required"),
        ({"kind": "categorical", "weight": 1, "wait": 2}, "camera: wait: Extra inputs"),
        ({"kind": "geographic", "weight": 1, "scale": 2}, "needs columns"),
    ],
)
def test_mistakes_in_the_config_name_the_column(weighed: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GeometryParams.model_validate({"metadata": {"camera": weighed}})
