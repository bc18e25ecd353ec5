import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compute.date_patterns import from_folders, from_name, from_text
from pipeline.compute.dating import Clues, Dated, Period, Rules, date_image, partition_date
from pipeline.compute.exif import Exif

RULES = Rules(dt.date(1901, 1, 1), dt.date(2100, 12, 31))
BERLIN = replace(RULES, timezone=ZoneInfo("Europe/Berlin"))
EVERYTHING = Clues(
    "2019/09/09/IMG_20180808_080808.jpg",
    "2024-01-05T10:15:30",
    Exif(
        original="2023:03:03 03:03:03",
        digitized="2022:02:02 02:02:02",
        gps_date="2021:01:01",
        gps_time=(1.0, 1.0, 1.0),
    ),
    dt.datetime(2017, 7, 7, 7, 7, 7),
)


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)


def test_the_rungs_in_order_each_when_those_above_are_silent() -> None:
    rules = replace(RULES, use_modified=True)
    ladder: list[tuple[str, Clues]] = []
    clues = EVERYTHING
    for field in (None, "date_value", "original", "digitized", "gps_date", "name", "folder", "modified"):
        if field == "date_value":
            clues = replace(clues, date_value=None)
        elif field in ("original", "digitized", "gps_date"):
            clues = replace(clues, exif=replace(clues.exif, **{field: None}))
        elif field == "name":
            clues = replace(clues, key="2019/09/09/x.jpg")
        elif field == "folder":
            clues = replace(clues, key="x.jpg")
        elif field == "modified":
            clues = replace(clues, modified_at=None)
        ladder.append((str(date_image(clues, rules).source), clues))
    assert [source for source, _ in ladder] == [
        "metadata",
        "exif_original",
        "exif_digitized",
        "gps",
        "name",
        "folder",
        "modified",
        "None",
    ]
    assert [str(date_image(c, rules).captured_at) for _, c in ladder] == [
        "2024-01-05 10:15:30",
        "2023-03-03 03:03:03",
        "2022-02-02 02:02:02",
        "2021-01-01 01:01:01",
        "2018-08-08 08:08:08",
        "2019-09-09 00:00:00",
        "2017-07-07 07:07:07",
        "None",
    ]


def test_the_modification_time_counts_only_when_asked_for() -> None:
    assert date_image(Clues("x.jpg", modified_at=at(2017, 7, 7)), RULES) == Dated()


def test_a_modification_time_of_zero_is_unknown() -> None:
    assert date_image(Clues(modified_at=at(1970, 1, 1)), replace(RULES, use_modified=True)) == Dated()


@pytest.mark.parametrize(
    ("text", "wall", "offset"),
    [
        ("2024-01-05", at(2024, 1, 5), None),
        ("2024-01-05T10:15:30", at(2024, 1, 5, 10, 15, 30), None),
        ("2024-01-05 10:15:30.1234567", at(2024, 1, 5, 10, 15, 30, 123456), None),
        ("2024-01-05 10:15", at(2024, 1, 5, 10, 15), None),
        ("2024:01:05 10:15:30", at(2024, 1, 5, 10, 15, 30), None),
        ("2024/1/5", at(2024, 1, 5), None),
        ("20240105", at(2024, 1, 5), None),
        ("20240105T101530Z", at(2024, 1, 5, 10, 15, 30), 0),
        ("2024-01-05T10:15:30Z", at(2024, 1, 5, 10, 15, 30), 0),
        ("2024-01-05T10:15:30+05:30", at(2024, 1, 5, 10, 15, 30), 330),
        ("2024-01-05 10:15:30-0700", at(2024, 1, 5, 10, 15, 30), -420),
        ("1704449730", at(2024, 1, 5, 10, 15, 30), 0),
        ("1704449730.25", at(2024, 1, 5, 10, 15, 30, 250000), 0),
        ("1704449730123", at(2024, 1, 5, 10, 15, 30, 123000), 0),
    ],
)
def test_a_manifests_times(text: str, wall: dt.datetime, offset: int | None) -> None:
    assert date_image(Clues(date_value=text), RULES) == Dated(wall, offset, "metadata")


@pytest.mark.parametrize(
    "text", ["", " ", "yesterday", "05/01/2024", "2024-13-45", "2024", "0000-00-00", "NaN", "12", "1" * 40]
)
def test_text_that_is_no_date(text: str) -> None:
    assert from_text(text) is None


@pytest.mark.parametrize(
    ("text", "wall", "offset"),
    [
        ("2024-07-05T23:15:30Z", at(2024, 7, 6, 1, 15, 30), 120),
        ("2024-01-05T23:15:30Z", at(2024, 1, 6, 0, 15, 30), 60),
        ("1704449730", at(2024, 1, 5, 11, 15, 30), 60),
        ("2024-01-05T23:15:30", at(2024, 1, 5, 23, 15, 30), None),
    ],
)
def test_an_instant_is_shown_in_the_zone_asked_for_and_a_wall_clock_stays(
    text: str, wall: dt.datetime, offset: int | None
) -> None:
    assert date_image(Clues(date_value=text), BERLIN) == Dated(wall, offset, "metadata")


@pytest.mark.parametrize(
    ("original", "offset", "subsec", "expected"),
    [
        ("2024:01:05 10:15:30", "+01:00", None, Dated(at(2024, 1, 5, 10, 15, 30), 60, "exif_original")),
        ("2024:01:05 10:15:30", "-03:30", "5", Dated(at(2024, 1, 5, 10, 15, 30, 500000), -210, "exif_original")),
        ("2024-01-05 10:15:30", "Z", "abc", Dated(at(2024, 1, 5, 10, 15, 30), 0, "exif_original")),
        ("2024:01:05 10:15:30", "+99:00", None, Dated(at(2024, 1, 5, 10, 15, 30), None, "exif_original")),
        ("2024:01:05 10:15:30", "nonsense", None, Dated(at(2024, 1, 5, 10, 15, 30), None, "exif_original")),
    ],
)
def test_the_cameras_wall_clock_with_its_own_offset(
    original: str, offset: str, subsec: str | None, expected: Dated
) -> None:
    clues = Clues(exif=Exif(original=original, original_offset=offset, original_subsec=subsec))
    assert date_image(clues, RULES) == expected
    assert date_image(clues, BERLIN) == expected


@pytest.mark.parametrize(
    "nonsense",
    [
        "0000:00:00 00:00:00",
        "0001:01:01 00:00:00",
        "9999:12:31 23:59:59",
        "2024:13:01 00:00:00",
        "2024:02:30 00:00:00",
        "2024:01:01 25:00:00",
        "    :  :     :  :  ",
        "",
        "\ufffd" * 19,
    ],
)
def test_nonsense_falls_to_the_next_rung(nonsense: str) -> None:
    clues = Clues(exif=Exif(original=nonsense, digitized="2024:01:05 10:15:30", digitized_offset="+02:00"))
    dated = replace(date_image(clues, RULES), set_aside=None)
    assert dated == Dated(at(2024, 1, 5, 10, 15, 30), 120, "exif_digitized")
    assert date_image(Clues("x.jpg", exif=Exif(original=nonsense)), RULES).captured_at is None


def test_the_first_and_last_plausible_day_count() -> None:
    rules = Rules(dt.date(2020, 1, 1), dt.date(2020, 12, 31))
    found = [date_image(Clues(date_value=text), rules).captured_at for text in ("2020-01-01", "2020-12-31T23:59:59")]
    assert found == [at(2020, 1, 1), at(2020, 12, 31, 23, 59, 59)]
    late = Dated(source="implausible", set_aside="metadata 2021-01-01 00:00:00")
    assert date_image(Clues(date_value="2021-01-01"), rules) == late
    earlier = date_image(Clues("2020-05-06.jpg", "2021-01-01"), rules)
    assert earlier == Dated(at(2020, 5, 6), None, "name", late.set_aside)


def test_text_of_a_manifest_that_is_no_time_is_told_and_the_next_rung_is_taken() -> None:
    assert date_image(Clues(date_value="last May"), RULES) == Dated(source="unreadable", unreadable=True)
    assert date_image(Clues("2024-01-05.jpg", "05/01/2024"), RULES) == Dated(at(2024, 1, 5), None, "name", None, True)
    assert not date_image(Clues(date_value=" "), RULES).unreadable


def test_a_zone_that_pushes_a_time_out_of_the_calendar_is_no_error() -> None:
    rules = Rules(dt.date.min, dt.date.max, ZoneInfo("Pacific/Kiritimati"))
    assert date_image(Clues(date_value="9999-12-31T23:59:59Z"), rules).captured_at is None


def test_gps_time_is_utc() -> None:
    exif = Exif(gps_date="2024:01:05", gps_time=(23.0, 15.0, 30.0))
    assert date_image(Clues(exif=exif), RULES) == Dated(at(2024, 1, 5, 23, 15, 30), 0, "gps")
    assert date_image(Clues(exif=exif), BERLIN) == Dated(at(2024, 1, 6, 0, 15, 30), 60, "gps")


@pytest.mark.parametrize("gps_time", [None, (24.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (1e9, 0.0, 0.0)])
def test_gps_nonsense_is_no_time(gps_time: tuple[float, ...] | None) -> None:
    assert date_image(Clues(exif=Exif(gps_date="2024:01:05", gps_time=gps_time)), RULES) == Dated()


@pytest.mark.parametrize(
    ("name", "wall"),
    [
        ("IMG_20240105_101530.jpg", at(2024, 1, 5, 10, 15, 30)),
        ("PXL_20240105_101530123.jpg", at(2024, 1, 5, 10, 15, 30, 123000)),
        ("20240105101530.jpg", at(2024, 1, 5, 10, 15, 30)),
        ("IMG-20240105-WA0001.jpg", at(2024, 1, 5)),
        ("2024-01-05 10.15.30.jpg", at(2024, 1, 5, 10, 15, 30)),
        ("2024-01-05T10:15:30.jpg", at(2024, 1, 5, 10, 15, 30)),
        ("Screenshot 2024-01-05 at 10.15.30.png", at(2024, 1, 5, 10, 15, 30)),
        ("2024-01-05-101530_x.jpg", at(2024, 1, 5, 10, 15, 30)),
        ("2024_01_05_10_15_30.jpg", at(2024, 1, 5, 10, 15, 30)),
        ("11_F_2020-05-28_18-20_U.jpg", at(2020, 5, 28, 18, 20)),
        ("2024-01-05_12_34.jpg", at(2024, 1, 5)),
        ("2024-01-05 10.15.99.jpg", at(2024, 1, 5)),
        ("1999-99-99 2024-01-05.jpg", at(2024, 1, 5)),
        ("1704449730.jpg", at(2024, 1, 5, 10, 15, 30)),
        ("mmexport1704449730123.jpg", at(2024, 1, 5, 10, 15, 30, 123000)),
        ("FB_IMG_1704449730123_2.jpg", at(2024, 1, 5, 10, 15, 30, 123000)),
    ],
)
def test_names(name: str, wall: dt.datetime) -> None:
    assert date_image(Clues("some/where/" + name), RULES).captured_at == wall


@pytest.mark.parametrize(
    "name",
    [
        "DSC_0001.jpg",
        "1234567890_1045678901234_n.jpg",
        "99999999.jpg",
        "20241345.jpg",
        "120240105.jpg",
        "2024.jpg",
        "3000000000.jpg",
    ],
)
def test_names_without_a_date(name: str) -> None:
    assert from_name(name) is None


@pytest.mark.parametrize(
    ("key", "day"),
    [
        ("date=2024-01-05/x.jpg", at(2024, 1, 5)),
        ("2024/01/05/x.jpg", at(2024, 1, 5)),
        ("a/2024/1/5/x.jpg", at(2024, 1, 5)),
        ("year=2024/month=01/day=05/x.jpg", at(2024, 1, 5)),
        ("2023/02/03/2024-01-05 trip/raw/x.jpg", at(2024, 1, 5)),
        ("20240105/x.jpg", at(2024, 1, 5)),
    ],
)
def test_folders(key: str, day: dt.datetime) -> None:
    moment = from_folders(key)
    assert moment is not None
    assert (moment.at, moment.bare_date) == (day, True)


@pytest.mark.parametrize("key", ["x.jpg", "2024/01/x.jpg", "2024/13/05/x.jpg", "12/01/05/x.jpg", "2024-01-05.jpg"])
def test_folders_without_a_date(key: str) -> None:
    assert from_folders(key) is None


def test_a_bare_date_keeps_its_date_wherever_the_day_begins() -> None:
    rules = replace(RULES, day_starts_at=dt.time(4))
    dated = date_image(Clues(date_value="2024-01-05"), rules)
    assert dated.captured_at == at(2024, 1, 5, 4)
    assert partition_date(dated.captured_at, rules.day_starts_at, "day") == "2024-01-05"


@pytest.mark.parametrize(
    ("wall", "date"), [(at(2024, 1, 5, 3, 59, 59, 999999), "2024-01-04"), (at(2024, 1, 5, 4), "2024-01-05")]
)
def test_the_day_begins_when_it_is_told_to(wall: dt.datetime, date: str) -> None:
    assert partition_date(wall, dt.time(4), "day") == date


@pytest.mark.parametrize(
    ("period", "date"),
    [
        ("day", "2024-08-14"),
        ("week", "2024-08-12"),
        ("month", "2024-08-01"),
        ("quarter", "2024-07-01"),
        ("year", "2024-01-01"),
        (1, "2024-08-14"),
        (7, "2024-08-12"),
        (10, "2024-08-09"),  # 19 940 days after 1970-01-05
    ],
)
def test_a_period_is_named_by_its_first_day(period: Period, date: str) -> None:
    assert partition_date(at(2024, 8, 14, 12), dt.time(0), period) == date


@given(
    st.datetimes(dt.datetime(1901, 1, 2), dt.datetime(2100, 1, 1)),
    st.sampled_from(["day", "week", "month", "quarter", "year"]) | st.integers(1, 365),
)
def test_the_first_day_of_a_period_is_in_it_and_names_it(wall: dt.datetime, period: Period) -> None:
    first = dt.datetime.fromisoformat(partition_date(wall, dt.time(0), period))
    assert first <= wall
    assert partition_date(first, dt.time(0), period) == first.date().isoformat()


@pytest.mark.slow
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_makes_the_ladder_raise(key: str, text: str) -> None:
    exif = Exif(original=text, original_offset=key, digitized=key, gps_date=text, gps_time=(1.0, 2.0, 3.0))
    dated = date_image(Clues(key, text, exif), RULES)
    assert dated.captured_at is None or dated.captured_at.tzinfo is None


@pytest.mark.slow
@given(st.from_regex(r"[0-9:/_T .+Z-]{0,30}", fullmatch=True))
def test_no_digits_make_the_ladder_raise(text: str) -> None:
    date_image(Clues(f"{text}/{text}.jpg", text, Exif(original=text)), BERLIN)
