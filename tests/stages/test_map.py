import numpy as np
import pyarrow as pa
import pytest

from pipeline import schemas
from pipeline.config import load_config
from pipeline.stages.catalog import MAP
from pipeline.stages.map import MapParams, map_images, split
from pipeline.stages.projection import ProjectionParams, fit
from tests.bench.dates import planted
from tests.stages.test_cluster import a_date


def mapped(rows: pa.Table, **params: object) -> pa.Table:
    model = fit([rows], ProjectionParams(), rows.num_rows)
    return schemas.MAP.check(map_images(rows, model, MapParams(method="tsne", iterations=100, **params)))


@pytest.mark.slow
def test_neither_order_nor_images_without_a_vector_matter() -> None:
    rows = a_date(planted([5] * 4, 0.1, 0)[0])
    lost = pa.table({"image_id": ["lost"], "vector": [None]}, rows.schema)
    places = mapped(rows)
    again = mapped(pa.concat_tables([lost, rows.take(np.random.default_rng(0).permutation(20))]))
    assert again.num_rows == 21
    assert again.filter(again["x"].is_valid()).combine_chunks().equals(places.combine_chunks())
    assert again.filter(again["x"].is_null())["image_id"].to_pylist() == ["lost"]


def test_a_small_date_needs_no_library() -> None:
    assert mapped(a_date(planted([1, 1, 1], 0.1, 0)[0])).num_rows == 3


def test_the_collections_map_is_split_by_date() -> None:
    places = pa.table({"image_id": ["a", "b", "c"], "x": pa.array([1, 2, 3], pa.float32()), "y": pa.nulls(3)})
    parts = split(places, [["c", "a"], [], ["b"]])
    assert [part["image_id"].to_pylist() for part in parts] == [["a", "c"], [], ["b"]]


def test_runs_make_maps_only_where_asked() -> None:
    assert not MAP.wanted(load_config(None).map)
    assert MAP.wanted(load_config(None, ["map.method=umap"]).map)
