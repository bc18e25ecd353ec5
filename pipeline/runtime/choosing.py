"""Which keys are images: by their names, by patterns, by the folders of some days."""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from string import Formatter

from fsspec.utils import glob_translate

from pipeline.errors import UserError
from pipeline.stages.ingest_params import SourceParams

_FIELDS: dict[str, Callable[[dt.date], str]] = {
    "year": lambda day: f"{day.year:04}",
    "month": lambda day: f"{day.month:02}",
    "day": lambda day: f"{day.day:02}",
    "date": dt.date.isoformat,
}
_MOST_DAYS = 20_000


def is_hidden(key: str) -> bool:
    """Whether a key or one of its folders begins with a dot (``._x.jpg``, ``.thumbnails/``).

    ``..`` is no such folder: names in archives may lead out of them, and no path is made of a name.
    """
    return (key.startswith(".") or "/." in key) and any(
        step.startswith(".") and step not in (".", "..") for step in key.split("/")
    )


def chosen_by(params: SourceParams) -> Callable[[str], bool]:
    """Whether a key, relative to the collection's root, is an image's.

    Raises:
        UserError: a pattern is none.
    """
    suffixes = tuple(suffix.lower() for suffix in params.suffixes)
    include = _matcher("include", params.include or ("**",))
    exclude = _matcher("exclude", params.exclude)

    def chosen(key: str) -> bool:
        return (
            key.lower().endswith(suffixes)
            and not is_hidden(key)
            and (not params.include or include(key) is not None)
            and (not params.exclude or exclude(key) is None)
        )

    return chosen


def _matcher(name: str, patterns: Sequence[str]) -> Callable[[str], re.Match[str] | None]:
    try:
        return re.compile("|".join(f"(?:{glob_translate(pattern)})" for pattern in patterns)).match
    except (ValueError, re.error) as error:
        raise UserError(
            f"ingest.{name}: found {list(patterns)} ({error})\nexpected patterns such as camera1/*.jpg or **/raw/**"
        ) from error


def prefixes_of(template: str, dates: tuple[str | None, str | None]) -> list[str]:
    """The folders that a template such as ``{year}/{month}/`` names, one or more for each of the days.

    Args:
        template: of the fields year, month, day and date.
        dates: the first and the last day, both included.

    Returns:
        Keys that end in a slash, each once, sorted.

    Raises:
        UserError: the template has another field, or none, or does not end in a slash; there is no first or last day.
    """
    try:
        fields = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        fields = {str(error)}
    if not fields or fields - set(_FIELDS) or not template.endswith("/") or ".." in template:
        raise UserError(
            f"ingest.prefix: found {template!r}\nexpected folders with {{year}}, {{month}}, {{day}} or {{date}} in "
            "them and a slash at the end, such as {year}/{month}/{day}/"
        )
    if None in dates:
        raise UserError("ingest.prefix lists the folders of some days\nsay which: --dates 2024-05-01:2024-05-07")
    first, last = (dt.date.fromisoformat(str(date)) for date in dates)
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    if len(days) > _MOST_DAYS:
        raise UserError(f"ingest.prefix: --dates names {len(days)} days, expected at most {_MOST_DAYS}")
    return sorted({template.format(**{name: show(day) for name, show in _FIELDS.items()}) for day in days})
