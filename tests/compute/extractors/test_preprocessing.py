"""Resizing and cropping give what torchvision's own transforms give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.extractors.preprocessing import Preprocessing, prepare


def picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = 127 + 90 * np.sin(rows / 7 + rng.uniform(0, 6, 3)[:, None, None]) * np.cos(columns / 11)
    return (waves.transpose(1, 2, 0) + rng.integers(0, 30, (height, width, 3))).clip(0, 255).astype(np.uint8)


def by_torchvision(rgb, how):
    import torch
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as transforms

    planes = torch.from_numpy(rgb).permute(2, 0, 1)
    size = [how.height, how.width] if how.resize is None else [how.resize]
    resized = transforms.resize(planes, size, interpolation=InterpolationMode(how.interpolation), antialias=True)
    if how.resize is not None:
        resized = transforms.center_crop(resized, [how.height, how.width])
    return resized.permute(1, 2, 0).numpy()


HOW = [
    Preprocessing(64, 64),
    Preprocessing(56, 56, resize=64),
    Preprocessing(64, 64, resize=64, interpolation="bicubic"),
    Preprocessing(57, 57, resize=60, interpolation="bicubic"),
]


@pytest.mark.slow
@settings(max_examples=60)
@given(st.integers(30, 300), st.integers(30, 300), st.sampled_from(HOW), st.integers(0, 3))
def test_equals_torchvision(height, width, how, seed):
    rgb = picture(height, width, seed)
    np.testing.assert_array_equal(prepare(rgb, how), by_torchvision(rgb, how))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("shape", [(1, 1), (1, 60_000), (60_000, 1), (5, 900)])
def test_any_shape_becomes_the_networks_input(shape, how):
    found = prepare(picture(*shape), how)
    assert found.shape == (how.height, how.width, 3)
    assert found.dtype == np.uint8


def test_a_strip_is_cut_in_its_middle():
    strip = np.zeros((4, 4000, 3), dtype=np.uint8)
    strip[:, 1990:2010] = 200
    found = prepare(strip, Preprocessing(64, 64, resize=64))
    # 64 pixels across the middle show 4 of the strip's 4000 columns.
    assert (found == 200).all()


def test_squashing_sees_the_whole_image():
    rgb = np.zeros((100, 400, 3), dtype=np.uint8)
    rgb[:, :40] = 250  # the left tenth
    found = prepare(rgb, Preprocessing(50, 50))
    assert (found[:, :4] == 250).all()
    assert (found[:, 6:] == 0).all()


def test_an_image_of_the_right_size_is_left_alone():
    rgb = picture(64, 64)
    np.testing.assert_array_equal(prepare(rgb, HOW[0]), rgb)


def test_views_and_read_only_arrays_are_taken():
    rgb = picture(120, 90)
    locked = rgb.copy()
    locked.flags.writeable = False
    mirrored = np.ascontiguousarray(rgb[:, ::-1])
    np.testing.assert_array_equal(prepare(locked, HOW[1]), prepare(rgb, HOW[1]))
    np.testing.assert_array_equal(prepare(rgb[:, ::-1], HOW[1]), prepare(mirrored, HOW[1]))


def test_min_side_is_what_is_resized_to():
    assert [how.min_side for how in HOW] == [64, 64, 64, 60]
