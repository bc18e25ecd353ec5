import numpy as np
import pytest

from pipeline.compute.knn import Search
from pipeline.compute.maps import MAPS, MapSettings, make_map, principal_places
from tests.bench.dates import planted

pytestmark = pytest.mark.slow  # UMAP compiles

QUICK = MapSettings(neighbors=10, iterations=120)


@pytest.mark.parametrize("method", sorted(MAPS))
def test_a_map_keeps_neighbourhoods_and_its_seed(method: str) -> None:
    vectors, truth = planted([10] * 6, scatter=0.05, seed=0)
    places = make_map(vectors, method, QUICK, Search())
    np.testing.assert_array_equal(places, make_map(vectors, method, QUICK, Search()))
    assert places.shape == (60, 2)
    apart = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (truth[apart.argmin(axis=1)] == truth).mean() > 0.9
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-3)


@pytest.mark.parametrize("method", sorted(MAPS))
@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 6])
@pytest.mark.parametrize("same", [True, False])
def test_dates_too_small_for_a_neighbourhood(method: str, size: int, same: bool) -> None:
    vectors = np.tile(np.array([[1, 0, 0]], np.float32), (size, 1)) if same else planted([1] * size, 0.1, 0)[0]
    places = make_map(vectors, method, QUICK, Search())
    assert places.shape == (size, 2)
    assert np.isfinite(places).all()
    assert len(np.unique(places, axis=0)) == (min(size, 1) if same else size)


@pytest.mark.parametrize("method", sorted(MAPS))
def test_equal_images_have_one_place(method: str) -> None:
    vectors, _ = planted([1] * 12, 0.1, 0)
    places = make_map(np.repeat(vectors, 2, axis=0), method, QUICK, Search())
    np.testing.assert_array_equal(places[::2], places[1::2])


def test_the_beginning_is_the_principal_components_by_hand() -> None:
    # A line through 3 points: all variance on one axis, the other is empty.
    rows = np.array([[0, 0, 1], [3, 4, 1], [6, 8, 1]], np.float32)
    np.testing.assert_allclose(principal_places(rows, 2), [[-5, 0], [0, 0], [5, 0]], atol=1e-6)
