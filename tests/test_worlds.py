"""The bars of linking on a simulated world, also where similarity means something else."""

from dataclasses import replace

import pytest

from tests.bench.baselines import threshold
from tests.bench.fold import followed
from tests.bench.following import PARAMS, follow, ours
from tests.bench.worlds import WORLDS, generate

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("power", [0.7, 1.5])
def test_a_monotone_rescaling_of_similarity_still_meets_the_bars(power: float) -> None:
    days = list(generate(WORLDS["0 plain"], 0))[:20]
    found = follow(days, ours(lambda similarity: 1 - (1 - similarity) ** power))
    best = max((follow(days, threshold(least)) for least in (0.5, 0.6, 0.7)), key=lambda one: one.f_of_links())
    assert found.false_link_rate() <= 2 * PARAMS.false_link_rate
    assert found.recall() >= 0.95 * best.recall()


def test_date_by_date_is_batch() -> None:
    """The dates so far come out the same however many follow."""
    days = list(generate(WORLDS["0 plain"], 1))[:12]
    whole, part = follow(days, ours()), follow(days[:8], ours())
    assert (whole.linked[: len(part.linked)] == part.linked).all()
    assert (whole.probability[: len(part.linked)] == part.probability).all()


def test_subjects_that_are_cut_now_and_then_keep_their_tracks() -> None:
    """One cluster in twenty is cut in two; the tracks are nearly those of the same world with its clusters whole."""
    knobs = replace(WORLDS["0 plain"], dates=20)
    whole, cut = (followed(list(generate(replace(knobs, fragments=mean), 0))) for mean in (1.0, 1.05))
    assert cut.idf1() > whole.idf1() - 0.1
    assert cut.false_link_rate() <= 2 * PARAMS.false_link_rate


@pytest.mark.parametrize(("name", "dates"), [("2 merged 10 %", 6), ("2 pieces 1.1x", 3)])
def test_the_fold_on_arrays_is_the_stages(name: str, dates: int) -> None:
    """Until the first stitch, of which the fold on arrays knows nothing."""
    days = list(generate(WORLDS[name], 0))[:dates]
    arrays, tables = follow(days, ours()), followed(days)
    assert (arrays.linked == tables.linked).all()
    assert (arrays.right == tables.right).all()
    assert arrays.probability == pytest.approx(tables.probability, abs=1e-3)
    assert arrays.idf1() == tables.idf1()
