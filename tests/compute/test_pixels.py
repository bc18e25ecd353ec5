import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.compute.pixels import MAX_ELONGATION, shrink, shrunken_size
from tests.pictures import photo


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (533, 401)])
def test_shrinking_is_within_one_level_of_pillows(size: tuple[int, int]) -> None:
    image = photo(*size)
    small = shrink(np.asarray(image), 224)
    assert min(small.shape[:2]) == 224
    expected = np.asarray(image.resize((small.shape[1], small.shape[0]), Image.Resampling.BILINEAR))
    assert np.abs(small.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.slow  # imports torchvision
def test_shrinking_is_what_torchvision_does() -> None:
    import torch
    from torchvision.transforms.v2 import functional

    rgb = np.array(photo(901, 777))
    expected = functional.resize(torch.from_numpy(rgb).permute(2, 0, 1), [384, 445], antialias=True)
    assert np.array_equal(shrink(rgb, 384), expected.permute(1, 2, 0).numpy())


def test_a_small_image_is_left_alone() -> None:
    rgb = np.asarray(photo(100, 60))
    assert shrink(rgb, 60) is rgb
    assert shrink(rgb, 384) is rgb


def test_a_flat_image_stays_flat() -> None:
    small = shrink(np.full((300, 500, 3), (10, 200, 77), dtype=np.uint8), 100)
    assert (small == (10, 200, 77)).all()


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (480, 640, (384, 512)),
        (384, 10, (384, 10)),
        (1, 1, (1, 1)),
        (1, 10_000, (1, 6144)),
        (100, 1_000_000, (1, 6144)),
        (10_000_000, 1, (6144, 1)),
    ],
)
def test_sizes(height: int, width: int, expected: tuple[int, int]) -> None:
    assert shrunken_size(height, width, 384) == expected


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(16, 4000))
def test_no_side_vanishes_or_grows_and_the_longer_one_is_bounded(height: int, width: int, image_px: int) -> None:
    small = shrunken_size(height, width, image_px)
    assert 1 <= small[0] <= height
    assert 1 <= small[1] <= width
    assert min(small) <= image_px or min(height, width) <= image_px
    assert max(small) <= MAX_ELONGATION * image_px


def test_shrinking_a_thin_image() -> None:
    assert shrink(np.zeros((3, 20_000, 3), dtype=np.uint8), 384).shape == (1, 6144, 3)
