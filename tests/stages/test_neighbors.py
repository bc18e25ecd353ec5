import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import schemas
from pipeline.stages.neighbors import NeighborsParams, neighbors
from pipeline.stages.projection import ProjectionParams, apply, fit
from tests.stages.test_projection import fingerprints


@given(st.integers(0, 30), st.integers(1, 12), st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_every_image_has_its_nearest_others(count: int, k: int, random: object) -> None:
    rows = fingerprints(count)
    model = fit([rows], ProjectionParams(), count)
    order = list(range(count))
    random.shuffle(order)
    graph = neighbors(rows.take(np.array(order, np.int64)), model, NeighborsParams(k=k))
    assert graph.equals(neighbors(rows, model, NeighborsParams(k=k)))
    schemas.NEIGHBORS.check(graph)
    assert graph.num_rows == count * min(k, max(count - 1, 0))
    ids, vectors = apply(model, rows)
    row = {image_id: i for i, image_id in enumerate(ids)}
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -2)
    best = -np.sort(-similarity, axis=1)
    for edge in graph.to_pylist():
        i, j = row[edge["image_id"]], row[edge["neighbor_id"]]
        assert i != j
        np.testing.assert_allclose(edge["similarity"], similarity[i, j], atol=1e-5)
        np.testing.assert_allclose(edge["similarity"], best[i, edge["rank"] - 1], atol=1e-5)


def test_images_without_a_vector_have_no_edges() -> None:
    rows = pa.concat_tables(
        [fingerprints(5), pa.table({"image_id": ["none"], "vector": [None]}, fingerprints(1).schema)]
    )
    graph = neighbors(rows, fit([rows], ProjectionParams(), 5), NeighborsParams())
    assert graph.num_rows == 20
    assert "none" not in graph["neighbor_id"].to_pylist()
