from itertools import pairwise

import numpy as np
import pytest

from pipeline.sample.fields import covering, fractal, generator, resized, smoothstep


def test_a_generator_depends_on_the_seed_and_every_name() -> None:
    draws = {float(generator(*key).random()) for key in ((0, "a"), (1, "a"), (0, "b"), (0, "a", "a"))}
    assert len(draws) == 4
    assert generator(0, "a", 3).random() == generator(0, "a", 3).random()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_covering_covers_the_share_asked_for(share: float) -> None:
    field = fractal(generator(1), (120, 160))
    assert covering(field, share, softness=0.01).mean() == pytest.approx(share, abs=0.03)


def test_what_is_covered_stays_covered() -> None:
    field = fractal(generator(2), (60, 80))
    masks = [covering(field, share) for share in (0.0, 0.2, 0.4, 0.8, 1.0)]
    assert not masks[0].any()
    assert all((later >= earlier).all() for earlier, later in pairwise(masks))


def test_fields_are_single_precision_and_of_the_shape_asked_for() -> None:
    field = fractal(generator(3), (31, 47), cells=(1, 9))
    assert field.shape == (31, 47)
    assert field.dtype == np.float32
    assert resized(field, (10, 20)).shape == (10, 20)


def test_smoothstep_by_hand() -> None:
    assert smoothstep(np.array([-1, 0, 0.5, 1, 2], dtype=np.float32)).tolist() == [0, 0, 0.5, 1, 1]
