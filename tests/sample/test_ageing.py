from itertools import pairwise

import numpy as np
import pytest

from pipeline.sample.ageing import PLACES, Course, Weathering, bleached, effects, yellowed
from pipeline.sample.subjects import SUBJECTS, paper, texture

pytestmark = pytest.mark.slow  # seconds together


def test_a_course_by_hand() -> None:
    course = Course(0.8, start=0.2, full=0.6)
    assert [course.at(age) for age in (0.0, 0.2, 0.4, 0.6, 1.0)] == pytest.approx([0, 0, 0.4, 0.8, 0.8])


def test_bleaching_takes_yellow_before_magenta_before_cyan() -> None:
    black = np.zeros((1, 1, 3), dtype=np.float32)
    red, green, blue = bleached(black, 0.5)[0, 0]
    assert red < green < blue


def test_yellowing_makes_white_amber_and_loses_contrast() -> None:
    greys = np.repeat(np.linspace(0, 1, 5, dtype=np.float32)[:, None, None], 3, axis=2)
    old = yellowed(greys, 1.0)
    red, green, blue = old[-1, 0]
    assert red > green > blue
    assert np.ptp(old[..., 0]) < 1


@pytest.mark.parametrize("place", PLACES)
def test_a_print_is_new_at_first_and_never_stays_the_same(place: str) -> None:
    new = paper("cat")
    fate = Weathering(0, "cat", new.shape[:2], texture("grass"))
    sheets = [fate.sheet(new, age, place) for age in (0.0, 0.25, 0.5, 1.0)]
    np.testing.assert_allclose(sheets[0].pixels, new, atol=1e-6)
    assert (sheets[0].cover == 1).all()
    # The ivy grows over the scene, not in the sheet: there the sheet has had its share by half time.
    looks = [sheet.pixels * sheet.cover[..., None] for sheet in (sheets[:3] if place == "ivy" else sheets)]
    assert all(float(np.abs(later - earlier).mean()) > 0.03 for earlier, later in pairwise(looks))


def test_torn_paper_does_not_come_back() -> None:
    new = paper("cat")
    fate = Weathering(0, "cat", new.shape[:2], texture("grass"))
    covers = [fate.sheet(new, age, "sun").cover for age in (0.3, 0.6, 1.0)]
    assert all((later <= earlier + 1e-6).all() for earlier, later in pairwise(covers))
    assert effects("sun", 1.0)["peel"] == pytest.approx(1 - covers[-1].mean(), abs=0.03)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_photograph_ships_with_its_package(subject: str) -> None:
    sheet = paper(subject)
    assert max(sheet.shape[:2]) == pytest.approx(384, abs=1)
    assert sheet.dtype == np.float32
    assert 0 <= sheet.min() < 0.5 < sheet.max() <= 1
