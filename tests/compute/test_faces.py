"""Faces on a photograph that scikit-image ships (of NASA's), read as a file, without importing the package."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.compute.faces import LANDMARKS_FILE, find_faces, model_file
from pipeline.compute.pixels import Pixels


@cache
def astronaut() -> Pixels:
    """512 x 512 pixels; the face is about 88 wide, with eyes near (205, 102) and (247, 104)."""
    package = find_spec("skimage")
    assert package is not None
    assert package.submodule_search_locations
    return np.asarray(Image.open(Path(package.submodule_search_locations[0]) / "data/astronaut.png").convert("RGB"))


def test_a_face_is_found_with_its_landmarks() -> None:
    (face,) = find_faces(astronaut())
    assert abs(face.x + face.width / 2 - 223) < 12
    assert abs(face.y + face.height / 2 - 127) < 12
    assert 80 <= face.width <= 100
    assert face.score > 1
    assert face.landmarks.dtype == np.int32
    assert face.landmarks.shape == (5, 2)
    right, left = face.landmarks[:2].mean(0), face.landmarks[2:4].mean(0)  # of the image
    assert np.abs(right - (247, 104)).max() < 6
    assert np.abs(left - (205, 102)).max() < 6
    assert face.landmarks[0, 0] > face.landmarks[1, 0] > face.landmarks[3, 0] > face.landmarks[2, 0]


def test_two_faces_are_given_from_left_to_right_whatever_their_scores() -> None:
    two = np.concatenate([astronaut(), astronaut()[:, ::-1]], axis=1)
    faces = find_faces(two, least_score=1.0)
    assert [round(face.x, -2) for face in faces] == [200, 800]


def test_a_face_at_the_edge_keeps_a_box_within_the_image_and_one_of_nothing_is_none() -> None:
    cut = np.ascontiguousarray(astronaut()[:150, 190:420])
    for face in find_faces(cut, least_score=-0.5):
        assert face.x >= 0
        assert face.y >= 0
        assert face.x + face.width <= 230
        assert face.y + face.height <= 150
    assert find_faces(np.zeros((1, 1, 3), np.uint8)) == []


def test_smaller_faces_than_asked_for_are_left_out() -> None:
    assert find_faces(astronaut()[:, :, ::-1], least_size=80, least_score=5.0) == []
    with pytest.raises(ValueError, match="20 or more"):
        find_faces(astronaut(), least_size=19)


@pytest.mark.slow  # imports torch, to scale
def test_the_least_size_is_in_pixels_of_the_image_that_is_given() -> None:
    assert find_faces(astronaut(), least_size=160) == []
    large = np.repeat(np.repeat(astronaut(), 2, axis=0), 2, axis=1)
    (face,) = find_faces(large, least_size=160)
    assert 160 <= face.width <= 200
    assert abs(face.x + face.width / 2 - 446) < 24


def test_a_model_that_is_not_shipped_is_said() -> None:
    assert model_file(LANDMARKS_FILE).is_file()
    with pytest.raises(FileNotFoundError, match="has no model"):
        model_file("nothing.dat")
