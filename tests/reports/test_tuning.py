import pyarrow as pa
import pytest

from pipeline.errors import UserError
from pipeline.reports.text import plain, setting_text
from pipeline.reports.tuning import over_dates, render_tuning
from pipeline.schemas import TRIALS


def trials(*rows: tuple[str, str, float | None, str | None]) -> pa.Table:
    types = [(column.name, column.type) for column in TRIALS.columns] + [("date", pa.string())]
    made = [
        dict.fromkeys(TRIALS.names)
        | {"date": date, "settings": settings, "rank": rank, "refused": refused}
        | {"num_clusters": 3, "noise_fraction": 0.0, "largest_fraction": 0.5, "silhouette": 0.25, "chosen": False}
        for date, settings, rank, refused in rows
    ]
    return pa.Table.from_pylist(made, schema=pa.schema(types))


def test_ranks_over_dates_by_hand() -> None:
    found = over_dates(
        trials(
            ("d1", '{"similarity": 0.5}', 1.0, None),
            ("d1", '{"similarity": 0.7}', 2.0, None),
            ("d1", '{"method": "auto"}', 3.0, None),
            ("d2", '{"similarity": 0.5}', None, "fewer than min_clusters"),
            ("d2", '{"similarity": 0.7}', 1.0, None),
        )
    )
    # Three settings: a date that refused one, or did not try it, counts 3 for it.
    assert [(one.settings, one.rank, one.refused) for one in found] == [
        ({"similarity": 0.7}, 1.5, 0),
        ({"similarity": 0.5}, 2.0, 1),
        ({"method": "auto"}, 3.0, 0),
    ]
    text = plain(render_tuning(found), 80)
    assert "similarity 0.7" in text
    assert "1/2" in text
    assert "0.25" in text
    assert "gap" not in text


def test_nothing_tried_is_said() -> None:
    with pytest.raises(UserError, match="nothing was tried"):
        over_dates(trials())


def test_a_setting_is_told_with_its_method_first() -> None:
    assert setting_text({"linkage": "ward", "method": "agglomerative", "num_clusters": 9}) == (
        "agglomerative, linkage ward, num_clusters 9"
    )
