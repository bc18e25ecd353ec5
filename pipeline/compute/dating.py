"""When an image was taken: the dating ladder (DESIGN.md §6) and the date (partition) that follows from it.

The wall clock at the camera is what a person means by "the day", so ``captured_at`` carries no zone; the camera's
offset is kept beside it where it is known.  EXIF 306 is never used: it is the time of the last edit.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from pipeline.compute.date_patterns import Moment, from_folders, from_name, from_text, from_unix
from pipeline.compute.exif import NO_EXIF, Exif

Source = Literal[
    "metadata", "exif_original", "exif_digitized", "gps", "name", "folder", "modified", "implausible", "unreadable"
]
"""The rungs of the ladder, in order; ``implausible``: there were times, none within the plausible days;
``unreadable``: there was text in the manifest's date column, which is no time, and nothing else."""

Period = Literal["day", "week", "month", "quarter", "year"] | int
"""What one date covers; a number is of days."""

_MONDAY = dt.date(1970, 1, 5)
"""Periods of a number of days are counted from here, so that 7 days are an ISO week."""

_EXIF_TIME = re.compile(r"(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)[ T]+(\d\d)[:.](\d\d)[:.](\d\d)")
_EXIF_DATE = re.compile(r"(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)")
_OFFSET = re.compile(r"([+-])(\d\d):?([0-5]\d)")
_WEST, _EAST = -12 * 60, 14 * 60  # the offsets in use lie between UTC-12 and UTC+14


@dataclass(frozen=True)
class Clues:
    """What is known of an image's time.

    Attributes:
        key: path relative to the collection root; only its digits are read.
        date_value: the manifest's date column as text.
        exif: as read from the bytes.
        modified_at: the object's modification time, UTC, naive.
    """

    key: str = ""
    date_value: str | None = None
    exif: Exif = NO_EXIF
    modified_at: dt.datetime | None = None


@dataclass(frozen=True)
class Rules:
    """How clues are read.

    Attributes:
        earliest, latest: a time outside these days (both included) is nonsense, and the next rung is tried.
        timezone: where a clue is an instant rather than a wall clock (an aware timestamp, Unix time, GPS time, a
            modification time), the zone whose wall clock is taken; None: the timestamp's own, else UTC.
        day_starts_at: when a day begins; a clue that is a bare date counts as that moment of the day.
        use_modified: whether the modification time is the last rung.
    """

    earliest: dt.date
    latest: dt.date
    timezone: ZoneInfo | None = None
    day_starts_at: dt.time = dt.time(0)
    use_modified: bool = False


@dataclass(frozen=True)
class Dated:
    """The ladder's result; all None for an image without a clue.

    Attributes:
        captured_at: naive, to the microsecond; None for an undated image.
        utc_offset_minutes: the camera's, where it is known.
        source: the rung that gave the time.
        set_aside: the first rung, with its time, that gave one outside the plausible days.
    """

    captured_at: dt.datetime | None = None
    utc_offset_minutes: int | None = None
    source: Source | None = None
    set_aside: str | None = None
    unreadable: bool = False
    """Whether the manifest's date column has text that is no time."""


def date_image(clues: Clues, rules: Rules) -> Dated:
    """The first rung of the ladder that gives a plausible time; never raises for a clue's content."""
    set_aside, unreadable = None, not is_readable(clues.date_value)
    for source, read in _rungs(clues, rules):
        moment = read()
        if moment is None:
            continue
        dated = _settle(moment, rules)
        if dated is not None:
            return Dated(dated[0], dated[1], source, set_aside, unreadable)
        set_aside = set_aside or f"{source} {moment.at}"
    source_of_none: Source | None = "unreadable" if unreadable else None
    if set_aside is not None:
        source_of_none = "implausible"
    return Dated(source=source_of_none, set_aside=set_aside, unreadable=unreadable)


def is_readable(date_value: str | None) -> bool:
    """Whether a manifest's date is a time, plausible or not, or there is none."""
    return not date_value or not date_value.strip() or from_text(date_value) is not None


def partition_date(captured_at: dt.datetime, day_starts_at: dt.time, period: Period) -> str:
    """The date an image belongs to, ``YYYY-MM-DD``: the first day of its period.

    Args:
        captured_at: wall clock.
        day_starts_at: what happened before it belongs to the day before.
        period: a week starts on Monday (ISO 8601); a number of days is counted from Monday, 1970-01-05.
    """
    start = dt.timedelta(hours=day_starts_at.hour, minutes=day_starts_at.minute, seconds=day_starts_at.second)
    day = (captured_at - start).date()
    if isinstance(period, int):
        return (day - dt.timedelta(days=(day - _MONDAY).days % period)).isoformat()
    return _FLOORS[period](day).isoformat()


_FLOORS: dict[str, Callable[[dt.date], dt.date]] = {
    "day": lambda day: day,
    "week": lambda day: day - dt.timedelta(days=day.weekday()),
    "month": lambda day: day.replace(day=1),
    "quarter": lambda day: day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1),
    "year": lambda day: day.replace(month=1, day=1),
}


def _rungs(clues: Clues, rules: Rules) -> Iterator[tuple[Source, Callable[[], Moment | None]]]:
    exif = clues.exif
    yield "metadata", lambda: from_text(clues.date_value or "")
    yield "exif_original", lambda: _from_camera(exif.original, exif.original_subsec, exif.original_offset)
    yield "exif_digitized", lambda: _from_camera(exif.digitized, exif.digitized_subsec, exif.digitized_offset)
    yield "gps", lambda: _from_gps(exif)
    yield "name", lambda: from_name(clues.key)
    yield "folder", lambda: from_folders(clues.key)
    if rules.use_modified:
        yield "modified", lambda: _from_modified(clues.modified_at)


def _settle(moment: Moment, rules: Rules) -> tuple[dt.datetime, int | None] | None:
    """Wall clock and offset in minutes; None if the moment lies outside the plausible days."""
    try:
        wall, offset = _wall_clock(moment, rules)
        day = wall.date()
    except (OverflowError, ValueError):  # a zone pushes it out of the years 1 to 9999
        return None
    return (wall, offset) if rules.earliest <= day <= rules.latest else None


def _wall_clock(moment: Moment, rules: Rules) -> tuple[dt.datetime, int | None]:
    if moment.bare_date:
        return dt.datetime.combine(moment.at.date(), rules.day_starts_at), None
    at = moment.at
    if at.tzinfo is None:
        return at, moment.camera_offset
    if rules.timezone is not None:
        at = at.astimezone(rules.timezone)
    offset = at.utcoffset() or dt.timedelta()
    # Offsets before the age of time zones have seconds; the column holds whole minutes.
    return at.replace(tzinfo=None), int(offset.total_seconds() // 60)


def _from_camera(text: str | None, subsec: str | None, offset: str | None) -> Moment | None:
    match = _EXIF_TIME.match(text or "")
    if match is None:
        return None
    micro = int(subsec[:6].ljust(6, "0")) if subsec and subsec.isdecimal() and subsec.isascii() else 0
    try:
        # mypy takes the numbers' count to be unknown, and so one of them to be the time zone.
        at = dt.datetime(*(int(part) for part in match.groups()), microsecond=micro)  # type: ignore[arg-type, misc]
    except ValueError:  # 0000:00:00, month 13, second 60
        return None
    return Moment(at, camera_offset=_offset_minutes(offset))


def _offset_minutes(text: str | None) -> int | None:
    if text == "Z":
        return 0
    match = _OFFSET.fullmatch(text or "")
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    minutes = -minutes if match[1] == "-" else minutes
    return minutes if _WEST <= minutes <= _EAST else None


def _from_gps(exif: Exif) -> Moment | None:
    """GPS time is UTC (Exif 2.32, GPSTimeStamp)."""
    match = _EXIF_DATE.match(exif.gps_date or "")
    if match is None or exif.gps_time is None:
        return None
    hours, minutes, seconds = exif.gps_time
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 61):
        return None
    try:
        day = dt.datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=dt.UTC)
        return Moment(day + dt.timedelta(hours=hours, minutes=minutes, seconds=seconds))
    except (ValueError, OverflowError):
        return None


def _from_modified(modified_at: dt.datetime | None) -> Moment | None:
    # A modification time of zero is how archives and object gateways say "unknown".
    if modified_at is None or modified_at == from_unix(0).at.replace(tzinfo=None):
        return None
    return Moment(modified_at.replace(tzinfo=dt.UTC))
