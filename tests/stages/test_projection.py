from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stages.projection import ProjectionParams, apply, fit, needs_refit, select_sample
from pipeline.stages.vectors import to_column

PARAMS = ProjectionParams(dimensions=4, sample_size=500)


def fingerprints(count: int, dimensions: int = 12, seed: int = 0, scale: float = 1.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    vectors = (np.abs(rng.normal(size=(count, dimensions))) * np.linspace(3, 1, dimensions) * scale).astype("f4")
    return pa.table({"image_id": [f"{i:032x}" for i in range(count)], "vector": to_column(vectors)})


@given(st.lists(st.text("abcdef", min_size=1, max_size=4), max_size=60), st.integers(0, 20), st.integers(0, 3))
def test_the_sample_of_a_union_is_the_sample_of_the_samples(ids: list[str], size: int, seed: int) -> None:
    whole = select_sample(ids, seed, size)
    assert whole == select_sample(reversed(ids), seed, size)
    assert len(whole) == min(size, len(set(ids)))
    half = len(ids) // 2
    parts = select_sample(ids[:half], seed, size) + select_sample(ids[half:], seed, size)
    assert select_sample(parts, seed, size) == whole


def test_another_seed_is_another_sample() -> None:
    ids = [str(i) for i in range(100)]
    assert select_sample(ids, 0, 10) != select_sample(ids, 1, 10)


@given(st.lists(st.integers(0, 120), max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_a_fit_is_the_same_table_for_any_split_and_order(cuts: list[int], random: object) -> None:
    rows = fingerprints(120)
    order = list(range(120))
    random.shuffle(order)
    bounds = [0, *sorted(cuts), 120]
    parts = [rows.take(np.array(order[low:high], np.int64)) for low, high in pairwise(bounds)]
    assert fit(parts, PARAMS, 120).equals(fit([rows], PARAMS, 120))


def test_multiplying_all_vectors_changes_nothing() -> None:
    rows, twice = fingerprints(120), fingerprints(120, scale=2.0)
    model = fit([rows], PARAMS, 120)
    assert fit([twice], PARAMS, 120).equals(model)
    np.testing.assert_array_equal(apply(model, rows)[1], apply(model, twice)[1])
    tenth = apply(model, fingerprints(120, scale=0.1))[1]
    np.testing.assert_allclose(tenth, apply(model, rows)[1], atol=1e-5)


def test_the_name_is_that_of_the_numbers_alone() -> None:
    rows = fingerprints(120)
    model = fit([rows], PARAMS, 120)
    assert len(model["model"][0].as_py()) == 16
    assert fit([rows], PARAMS, 99_999)["model"] == model["model"]
    assert fit([fingerprints(120, seed=1)], PARAMS, 120)["model"] != model["model"]
    assert fit([rows], ProjectionParams(dimensions=3), 120)["model"] != model["model"]


def test_whitened_coordinates_have_equal_variance() -> None:
    rows = fingerprints(450)
    model = fit([rows], ProjectionParams(dimensions=4, reduction="whitened_pca"), 450).to_pylist()[0]
    np.testing.assert_allclose(np.array(model["scales"]) ** 2 * model["explained_variance"], 1, rtol=1e-5)


def test_rows_come_sorted_without_those_that_have_no_vector() -> None:
    rows = pa.concat_tables(
        [fingerprints(60), pa.table({"image_id": ["none"], "vector": [None]}, fingerprints(1).schema)]
    )
    model = fit([rows], PARAMS, 60)
    ids, vectors = apply(model, rows.take(list(range(60, -1, -1))))
    assert ids == sorted(ids) == fingerprints(60)["image_id"].to_pylist()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors.dtype == np.float32
    assert vectors.shape == (60, 4)


@pytest.mark.parametrize("count", [0, 1, 2, 39])
def test_few_images_keep_all_dimensions(count: int) -> None:
    rows = fingerprints(count)
    model = fit([rows], PARAMS, count)
    assert model["dimensions"][0].as_py() == 12
    ids, vectors = apply(model, rows)
    assert len(ids) == count
    assert vectors.shape == (count, 12)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_block_at_all_is_a_model_too() -> None:
    assert fit([], PARAMS, 0)["dimensions"][0].as_py() == 0


def test_a_model_is_outgrown_at_several_times_its_images() -> None:
    model = fit([fingerprints(50)], PARAMS, 50)
    assert not needs_refit(model, PARAMS, 199)
    assert needs_refit(model, PARAMS, 200)
    assert needs_refit(fit([], PARAMS, 0), PARAMS, 4)
