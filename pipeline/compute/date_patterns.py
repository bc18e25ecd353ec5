"""Times in text: the manifest's date column, file names and folders."""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

_YEAR = r"(?P<year>(?:19|20)\d\d)"

# 2024-01-05T10:15:30.5+01:00, 2024:01:05 10:15, 2024/1/5; the whole text.
_TEXT = re.compile(
    r"(?P<year>\d{4})(?P<s>[-:/.])(?P<month>\d\d?)(?P=s)(?P<day>\d\d?)"
    r"(?:(?:[Tt]|[ _]+)(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?"
)
# 20240105, 20240105T101530Z, 20240105101530; the whole text.
_COMPACT_TEXT = re.compile(
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    r"(?:[Tt _-]?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)(?P<zone>[Zz]|[+-]\d\d:?\d\d)?)?"
)
_UNIX_TEXT = re.compile(r"(?P<whole>\d{9,13})(?P<fraction>\.\d*)?")

# IMG_20240105_101530, PXL_20240105_101530123, 20240105101530, IMG-20240105-WA0001.
_COMPACT_NAME = re.compile(
    rf"(?<!\d){_YEAR}(?P<month>\d\d)(?P<day>\d\d)"
    r"(?:[ T_.-]?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)(?P<fraction>\d{3})?)?(?!\d)"
)
# 2024-01-05 10.15.30, Screenshot 2024-01-05 at 10.15.30, 2024_01_05_10_15_30, 2024-01-05_18-20, 2024-01-05-101530.
# A time without seconds needs a separator that is not an underscore: in 2024-01-05_12_34 it may be two counters.
_SPACED_NAME = re.compile(
    rf"(?<!\d){_YEAR}(?P<s>[-_.:])(?P<month>\d\d)(?P=s)(?P<day>\d\d)"
    r"(?:(?:[ T_.-]+(?:at )?)(?:"
    r"(?P<hour>\d\d)[-_.:h]?(?P<minute>\d\d)[-_.:m]?(?P<second>\d\d)(?!\d)"
    r"|(?P<hour2>\d\d)[-.:h](?P<minute2>\d\d)(?!\d)))?(?!\d)"
)
# 10 digits from 2001 to 2033 as Unix seconds, 13 as milliseconds.
_UNIX_NAME = re.compile(r"(?<!\d)(1\d{9})(\d{3})?(?!\d)")
_LONG_NUMBER = re.compile(r"\d{5,}")

_YEAR_FOLDER = re.compile(r"(?:(?:year|y)=)?((?:19|20)\d\d)")
_MONTH_FOLDER = re.compile(r"(?:(?:month|m)=)?(\d\d?)")
_DAY_FOLDER = re.compile(r"(?:(?:day|d)=)?(\d\d?)")

_UNIX_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Moment:
    """A time as a clue gives it.

    Attributes:
        at: naive: a wall clock; aware: an instant, to be shown in the zone asked for.
        bare_date: only the day of ``at`` was given.
        camera_offset: minutes from UTC that the camera noted beside a wall clock.
    """

    at: dt.datetime
    bare_date: bool = False
    camera_offset: int | None = None


def from_unix(seconds: float) -> Moment:
    """Seconds since 1970-01-01T00:00Z, rounded to the microsecond.

    Raises:
        OverflowError: outside the years 1 to 9999.
    """
    return Moment(_UNIX_EPOCH + dt.timedelta(seconds=seconds))


def from_text(text: str) -> Moment | None:
    """A manifest's date: ISO 8601 (extended or basic), EXIF's colons, slashes with the year first, or Unix time.

    Unix time has 9 or 10 digits for seconds (1973 to 2286), 12 or 13 for milliseconds.  05/01/2024 is not read: it
    is May in one country and January in the next.
    """
    text = text.strip()
    match = _TEXT.fullmatch(text) or _COMPACT_TEXT.fullmatch(text)
    if match is not None:
        return _moment(match)
    unix = _UNIX_TEXT.fullmatch(text)
    if unix is None or len(unix["whole"]) == 11:
        return None
    micros = dt.timedelta(microseconds=1) * (1_000_000 if len(unix["whole"]) < 11 else 1000)
    return Moment(_UNIX_EPOCH + int(unix["whole"]) * micros + float(unix["fraction"] or 0) * micros)


def from_name(key: str) -> Moment | None:
    """A date, with or without a time of day, or Unix time, in the file's name; the first that is a real date."""
    name = key.rsplit("/", 1)[-1]
    for moment in _in_name(name):
        return moment
    stem = name.rsplit(".", 1)[0]
    numbers = _LONG_NUMBER.findall(stem)
    unix = _UNIX_NAME.search(stem)
    # Beside other long numbers it is an identifier, as in 1234567890_1045678901234_n.jpg.
    if unix is None or len(numbers) != 1:
        return None
    return from_unix(int(unix[1]) + int(unix[2] or 0) / 1000)


def from_folders(key: str) -> Moment | None:
    """A date in the folders of a key, deepest first: ``date=2024-01-05/``, ``2024-01-05 trip/``, ``2024/01/05/``."""
    folders = key.split("/")[:-1]
    for end in range(len(folders), 0, -1):
        for moment in _in_name(folders[end - 1]):
            return moment
        nested = _three_folders(folders[max(0, end - 3) : end])
        if nested is not None:
            return nested
    return None


def _in_name(name: str) -> Iterator[Moment]:
    """The real dates of a name, those with separators first."""
    for pattern in (_SPACED_NAME, _COMPACT_NAME):
        match = pattern.search(name)
        while match is not None:
            moment = _moment(match)
            if moment is not None:
                yield moment
            # What is no date may have swallowed the beginning of one.
            match = pattern.search(name, match.start("day"))


def _three_folders(folders: list[str]) -> Moment | None:
    if len(folders) < 3:
        return None
    patterns = (_YEAR_FOLDER, _MONTH_FOLDER, _DAY_FOLDER)
    found = [pattern.fullmatch(folder) for pattern, folder in zip(patterns, folders, strict=True)]
    numbers = [int(match[1]) for match in found if match is not None]
    if len(numbers) < 3:
        return None
    try:
        return Moment(dt.datetime(numbers[0], numbers[1], numbers[2]), bare_date=True)
    except ValueError:
        return None


def _moment(match: re.Match[str]) -> Moment | None:
    """A match with groups year, month, day and perhaps hour, minute, second, fraction, zone; None if unreal."""
    parts = match.groupdict()
    try:
        day = dt.datetime(int(parts["year"]), int(parts["month"]), int(parts["day"]))
    except ValueError:
        return None
    hour, minute = parts.get("hour") or parts.get("hour2"), parts.get("minute") or parts.get("minute2")
    if hour is None or minute is None:
        return Moment(day, bare_date=True)
    micro = int((parts.get("fraction") or "0")[:6].ljust(6, "0"))
    try:
        at = day.replace(hour=int(hour), minute=int(minute), second=int(parts.get("second") or 0), microsecond=micro)
        return Moment(at.replace(tzinfo=_zone(parts.get("zone"))))
    except ValueError:
        return Moment(day, bare_date=True)


def _zone(text: str | None) -> dt.tzinfo | None:
    """The zone of ``Z``, ``UTC``, ``+02``, ``+0200`` or ``+02:00``; ValueError for 24 hours and more."""
    if not text:
        return None
    if text[0] not in "+-":
        return dt.UTC
    minutes = int(text[1:3]) * 60 + int(text[3:].lstrip(":") or 0)
    return dt.timezone(dt.timedelta(minutes=-minutes if text[0] == "-" else minutes))
