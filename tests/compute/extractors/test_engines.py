"""A network's engines agree with torch, and an image's vector does not depend on its company."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.extractors import base, engines, network
from pipeline.compute.extractors.base import BatchExtractor, ExtractorSpec, Settings
from pipeline.compute.extractors.preprocessing import Preprocessing
from pipeline.errors import UserError
from tests.vectors import cosines

pytestmark = pytest.mark.slow  # importing torch takes seconds

HOW = Preprocessing(32, 32, mean=(100.0, 110.0, 120.0), std=(50.0, 60.0, 70.0))
SPEC = ExtractorSpec("test", "test", "", None, HOW, "", 1)


def body():
    torch.manual_seed(3)
    layers = [torch.nn.Conv2d(3, 8, 3, 2), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 20, 1)]
    return torch.nn.Sequential(*layers).eval()


class Undecided(torch.nn.Module):
    """A network that no exporter can follow: which layer runs depends on the pixels."""

    def forward(self, images):
        if float(images.sum()) > 0:
            return images.mean((2, 3)) + 1
        return images.mean((2, 3)) - 1


def images(count=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def by_torch():
    engine = engines.torch_engine(network.with_pixels_in(body(), HOW, "float32"), HOW, Settings())
    return BatchExtractor(SPEC, "digest", engine, base.CPU_BATCH)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGETRACKS_CACHE", str(tmp_path))
    return tmp_path


def test_normalises_runs_and_pools(by_torch):
    given_images = images(5)
    scaled = (given_images.astype(np.float64) - HOW.mean) / HOW.std
    with torch.inference_mode():
        expected = body().double()(torch.from_numpy(scaled).permute(0, 3, 1, 2)).mean((2, 3)).numpy()
    np.testing.assert_allclose(by_torch(given_images), expected, atol=1e-5)
    assert by_torch.dimensions == 20


@settings(max_examples=30)
@given(st.lists(st.integers(0, 39), max_size=50))
def test_a_vector_is_bit_equal_in_any_position_and_company(by_torch, chosen):
    expected = by_torch(images())
    np.testing.assert_array_equal(by_torch(images()[chosen]), expected[chosen])


def test_no_image_gives_no_vector(by_torch):
    assert by_torch(images(0)).shape == (0, 20)


def test_images_of_another_size_are_refused(by_torch):
    with pytest.raises(ValueError, match="expected"):
        by_torch(np.zeros((2, 33, 32, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="expected"):
        by_torch(np.zeros((2, 32, 32, 3), dtype=np.float32))


def test_bfloat16_is_near_and_its_normalisation_exact(by_torch):
    engine = engines.make_engine(body, HOW, "digest", Settings(precision="bfloat16"))
    found = BatchExtractor(SPEC, "digest", engine, base.CPU_BATCH)(images())
    assert found.dtype == np.float32
    assert cosines(found, by_torch(images())).min() > 0.999


def test_what_this_machine_cannot_do_is_refused():
    with pytest.raises(UserError, match="float16 needs a GPU"):
        engines.make_engine(body, HOW, "digest", Settings(precision="float16"))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="GPU"):
            engines.make_engine(body, HOW, "digest", Settings(device="cuda"))


@pytest.mark.slow
def test_a_network_that_cannot_be_exported_runs_by_torch_and_is_not_tried_again(own_cache, caplog):
    calls = []

    def make():
        calls.append(1)
        return Undecided()

    for _ in range(2):
        engine = engines.make_engine(make, HOW, "undecided", Settings())
        found = BatchExtractor(SPEC, "undecided", engine, base.CPU_BATCH)(images(3))
        assert found.shape == (3, 3)
    assert [path.stat().st_size for path in own_cache.glob("onnx/*")] == [0]
    assert caplog.text.count("runs by torch") == 1
    assert len(calls) == 3  # to export it, and once for each engine


@pytest.mark.slow
def test_the_exported_graph_agrees_and_is_kept(own_cache, by_torch):
    engine = engines.make_engine(body, HOW, "small", Settings())
    found = BatchExtractor(SPEC, "small", engine, base.CPU_BATCH)(images())
    assert cosines(found, by_torch(images())).min() > 0.99999
    kept = list(own_cache.glob("onnx/*"))
    assert [path.suffix for path in kept] == [".onnx"]
    assert kept[0].stat().st_size > 0

    def not_again():
        raise AssertionError("the network was built although its graph is kept")

    again = BatchExtractor(SPEC, "small", engines.make_engine(not_again, HOW, "small", Settings()), 16)
    np.testing.assert_array_equal(again(images()), found)
    two = BatchExtractor(SPEC, "small", engines.make_engine(not_again, HOW, "small", Settings(threads=2)), 16)
    assert (again.batch_size, two.batch_size) == (16, 32)
    np.testing.assert_array_equal(two(images()), found)  # 40: both threads, and a padded batch


def test_the_digest_names_an_extractor_by_its_parts():
    other = ExtractorSpec("test", "test", "", "node", HOW, "", 1)
    newer = ExtractorSpec("test", "test", "", None, HOW, "", 2)
    renamed_file = ExtractorSpec("test", "test", "", None, HOW, "other-file-name.pth", 1)
    found = {spec.digest("weights", "float32") for spec in (SPEC, other, newer)}
    assert len(found) == 3
    assert renamed_file.digest("weights", "float32") == SPEC.digest("weights", "float32")


def test_pooling_by_hand():
    maps = torch.arange(2 * 3 * 2 * 2, dtype=torch.float32).view(2, 3, 2, 2)
    assert network.pool(maps).tolist() == [[1.5, 5.5, 9.5], [13.5, 17.5, 21.5]]
    last = maps.permute(0, 2, 3, 1)  # Swin's order: the two equal sides are the places
    assert network.pool(last).tolist() == network.pool(maps).tolist()
    tokens = torch.tensor([[[1.0, 10.0], [3.0, 30.0]]])
    assert network.pool(tokens).tolist() == [[2.0, 20.0]]
    assert network.pool(torch.ones(2, 5)).shape == (2, 5)


def test_every_extractor_has_the_protocols_form(by_torch):
    extractor: base.Extractor = by_torch
    assert extractor.prepare(np.zeros((50, 70, 3), dtype=np.uint8)).shape == (32, 32, 3)
    assert (extractor.batch_size, extractor.digest, extractor.spec) == (16, "digest", SPEC)
