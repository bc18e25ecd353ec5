import io
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from pipeline.sample.camera import CAMERAS, Camera, Weather, homography, noise_tile, photograph
from pipeline.sample.fields import generator
from pipeline.sample.wall import FRAME, TEAR_AT, Wall
from pipeline.sample.world import SPLIT, Part, View
from pipeline.sample.write import encoded
from tests.pictures import photo, quadrants

pytestmark = pytest.mark.slow  # seconds together


CLEAR = Weather(1.0, 0.0, 0.0)


def test_a_homography_takes_four_points_to_four() -> None:
    before = np.array([(0, 0), (10, 0), (10, 8), (0, 8)], dtype=np.float64)
    after = np.array([(1, 2), (12, 1), (11, 9), (0, 7)], dtype=np.float64)
    a, b, c, d, e, f, g, h = homography(before, after)
    for (x, y), (u, v) in zip(before, after, strict=True):
        scale = g * x + h * y + 1
        assert ((a * x + b * y + c) / scale, (d * x + e * y + f) / scale) == pytest.approx((u, v))


def test_shots_of_one_scene_differ_but_show_it() -> None:
    scene = photo(720, 540)
    noise = noise_tile(generator(0, "noise"))
    shots = [
        np.asarray(photograph(scene, FRAME, CAMERAS[0], CLEAR, generator(0, number), noise), dtype=np.float64)
        for number in range(3)
    ]
    assert all(shot.shape == (FRAME[1], FRAME[0], 3) for shot in shots)
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(shots[one] - shots[two]).mean() > 2
        assert np.corrcoef(shots[one].ravel(), shots[two].ravel())[0, 1] > 0.6


def test_darker_weather_gives_darker_shots() -> None:
    scene = photo(720, 540)
    noise = noise_tile(generator(0, "noise"))
    bright, dark = (
        np.asarray(photograph(scene, FRAME, CAMERAS[0], Weather(exposure, 0, 1), generator(0), noise)).mean()
        for exposure in (1.0, 0.5)
    )
    assert dark == pytest.approx(bright / 2, rel=0.05)


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_file_says_when_it_was_taken_and_lies_about_nothing_else(camera: Camera) -> None:
    taken = datetime(2024, 5, 19, 14, 3, 2)
    image = quadrants(80, 120)
    with Image.open(io.BytesIO(encoded(image, camera, taken))) as opened:
        exif = opened.getexif()
        details = exif.get_ifd(0x8769)
        assert details[36867] == "2024:05:19 14:03:02"
        assert details.get(36881) == camera.offset
        assert exif[306].startswith("2025:05:19")  # the edit, not the capture
        assert opened.size == (120, 80)
        assert exif[274] == 6
        upright = opened.transpose(Image.Transpose.ROTATE_270)
    assert np.abs(np.asarray(upright, dtype=float) - np.asarray(image, dtype=float)).mean() < 12


def test_scenes_have_room_around_the_frame_and_pieces_make_up_the_print() -> None:
    wall = Wall(0)
    whole = View(SPLIT, (Part(SPLIT, "sun", 0.3),))
    pieces = [View(SPLIT, (Part(SPLIT, "sun", 0.3, piece),)) for piece in ("left", "right")]
    for view in (whole, *pieces):
        scene, frame = wall.scene(view)
        assert sorted(frame) == sorted(FRAME)
        assert scene.width > 1.3 * frame[0]
        assert scene.height > 1.3 * frame[1]
    assert 0.5 < TEAR_AT < 1


@pytest.mark.slow
def test_one_wall_gives_the_same_scene_whatever_was_asked_before() -> None:
    view = View("lake", (Part("lake", "ivy", 0.8),))
    busy = Wall(3)
    for age in (0.0, 0.4):
        busy.scene(View("lake", (Part("lake", "ivy", age),)))
    assert busy.scene(view)[0].tobytes() == Wall(3).scene(view)[0].tobytes()
    assert Wall(4).scene(view)[0].tobytes() != Wall(3).scene(view)[0].tobytes()
