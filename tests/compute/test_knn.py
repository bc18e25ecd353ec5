from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.knn import Search, distinct_rows, nearest, neighbor_graph, similarities
from pipeline.compute.projection import unit_rows
from tests.gpus import pretend_gpus


def units(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dimensions))).astype(np.float32)


def brute_force(vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs; sorted by similarity as float32, then by row number."""
    products = (vectors[:, None].astype(np.float64) * vectors[None]).sum(axis=2).astype(np.float32)
    rows = [
        sorted((j for j in range(len(vectors)) if j != i), key=lambda j, i=i: (-products[i, j], j))[:count]
        for i in range(len(vectors))
    ]
    found = np.array(rows, dtype=np.int64).reshape(len(vectors), -1)
    return found, np.take_along_axis(products, found, axis=1)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 5), st.integers(0, 100))
@settings(max_examples=30)
def test_the_graph_is_that_of_brute_force_with_equal_vectors_among_them(
    size: int, count: int, copies: int, seed: int
) -> None:
    vectors = units(size, 4, seed)
    vectors = np.concatenate([vectors, np.repeat(vectors[:1], copies, axis=0)])
    found, products = neighbor_graph(vectors, count, Search())
    expected, similarities = brute_force(vectors, count)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(products, similarities, atol=1e-6)


def test_all_equal_vectors_are_each_others_neighbours_by_number() -> None:
    found, products = neighbor_graph(np.repeat(units(1, 4), 6, axis=0), 2, Search())
    np.testing.assert_array_equal(found, [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1], [0, 1]])
    np.testing.assert_allclose(products, 1, atol=1e-6)


def test_one_vector_has_no_neighbour_and_two_have_each_other() -> None:
    assert neighbor_graph(units(1, 4), 5, Search())[0].shape == (1, 0)
    np.testing.assert_array_equal(neighbor_graph(units(2, 4), 5, Search())[0], [[1], [0]])


def test_inverted_lists_find_nearly_all_and_the_same_twice() -> None:
    centers = units(150, 16)
    vectors = unit_rows(np.repeat(centers, 20, axis=0) + 0.05 * units(3000, 16, 1)).astype(np.float32)
    exact, _ = neighbor_graph(vectors, 10, Search())
    search = Search(exact_below=1000, num_probes=16)
    found, _ = neighbor_graph(vectors, 10, search)
    hits = [len(set(a) & set(b)) for a, b in zip(exact, found, strict=True)]
    assert np.mean(hits) / 10 > 0.99
    np.testing.assert_array_equal(found, neighbor_graph(vectors, 10, search)[0])


def test_queries_that_are_none_of_the_vectors() -> None:
    vectors = np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    found, products = nearest(np.array([[0.6, 0.8]], np.float32), vectors, 2, Search())
    np.testing.assert_array_equal(found, [[1, 0]])
    np.testing.assert_allclose(products, [[0.8, 0.6]], rtol=1e-6)


def test_distinct_rows_keep_the_order_of_first_occurrence() -> None:
    rows = np.array([[2, 1], [0, 5], [2, 1], [9, 9]], dtype=np.float32)
    distinct, group = distinct_rows(rows)
    np.testing.assert_array_equal(distinct, rows[[0, 1, 3]])
    np.testing.assert_array_equal(group, [0, 1, 0, 2])


@pytest.mark.gpu
def test_the_gpu_finds_the_same() -> None:
    import faiss

    if not faiss.get_num_gpus():
        pytest.skip("no CUDA device")
    vectors = units(5000, 32)
    found, products = neighbor_graph(vectors, 10, Search(gpu=True))
    expected, similarities = neighbor_graph(vectors, 10, Search())
    assert (found == expected).mean() > 0.999
    np.testing.assert_allclose(products, similarities, atol=1e-5)


@pytest.mark.parametrize("gpus", [0, 1, 3])
@pytest.mark.parametrize("exact_below", [10, 5000])
@pytest.mark.parametrize("unit", [True, False])
def test_every_gpu_that_is_seen_holds_a_share_of_the_vectors(
    monkeypatch: pytest.MonkeyPatch, gpus: int, exact_below: int, unit: bool
) -> None:
    """With FAISS's own shards on the CPU in the GPUs' place: see ``tests.gpus``; no GPU is asked for anything."""
    vectors = units(900, 16) * (1 if unit else 3)
    search = Search(exact_below=exact_below, seed=5, unit=unit)
    expected = neighbor_graph(vectors, 10, search)
    seen = pretend_gpus(monkeypatch, gpus)
    found = neighbor_graph(vectors, 10, replace(search, gpu=True))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    lists = exact_below < len(vectors)
    assert seen == ([(gpus, False)] * lists + [(gpus, True)] if gpus else [])


@pytest.mark.parametrize("unit", [True, False])
def test_a_pairs_similarity_is_the_same_wherever_they_lie_and_whoever_asks(unit: bool) -> None:
    vectors = units(70, 33) * (1 if unit else 5)
    pairs = np.random.default_rng(0).integers(70, size=(70, 9))
    pairs[3, 4] = -1
    found = similarities(vectors, vectors, pairs, unit)
    assert found[3, 4] == -np.inf
    order = np.random.default_rng(1).permutation(70)
    place = np.append(np.argsort(order), -1)
    np.testing.assert_array_equal(similarities(vectors[order], vectors[order], place[pairs[order]], unit), found[order])
    square = similarities(vectors, vectors, np.tile(np.arange(70), (70, 1)), unit)
    np.testing.assert_array_equal(square, square.T)
    exact = 1 - ((vectors[:, None].astype(float) - vectors) ** 2).sum(axis=2) / 2
    np.testing.assert_allclose(square, exact, atol=1e-4)


@pytest.mark.parametrize("exact_below", [100, 10])
def test_vectors_of_any_length_are_searched_by_euclidean_distance(exact_below: int) -> None:
    vectors = units(60, 3) * np.linspace(0.5, 3, 60, dtype=np.float32)[:, None]
    found, similarity = neighbor_graph(vectors, 4, Search(exact_below, num_probes=1000, unit=False))
    distance = np.linalg.norm(vectors[:, None].astype(float) - vectors, axis=2)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(found, np.argsort(distance, axis=1)[:, :4])
    np.testing.assert_allclose(similarity, 1 - np.sort(distance, axis=1)[:, :4] ** 2 / 2, atol=1e-5)
