"""Settings that are part of an extractor's name: ``raw_pixels:size=92x112:color=grey``.

In the name, for they decide the vector: two settings are two extractors, with a table each.
"""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from pipeline.errors import UserError

_LARGEST_SIDE = 2048

Read = Callable[[str], Any]
"""A value's text -> the value; raises ValueError that says what was expected."""


def integer(low: int, high: int) -> Read:
    """Whole numbers from ``low`` to ``high``."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def choice(*names: str) -> Read:
    """One of these words."""

    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return text

    return read


def size(text: str) -> tuple[int, int]:
    """``WIDTHxHEIGHT`` -> (width, height), pixels; one number for a square."""
    found = re.fullmatch(r"([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", text)
    width, height = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= min(width, height) <= max(width, height) <= _LARGEST_SIDE:
        raise ValueError(f"WIDTHxHEIGHT in pixels, each at most {_LARGEST_SIDE}, such as 92x112")
    return width, height


def read_options(name: str, text: str | None, known: Mapping[str, tuple[Read, Any]]) -> dict[str, Any]:
    """Values by key, those that ``text`` leaves out at their defaults.

    Args:
        name: the extractor's, for messages.
        text: ``key=value`` pairs with colons between them; None or empty: all defaults.
        known: key -> how it is read, and its default.

    Raises:
        UserError: no ``=``, an unknown key (names the nearest), one given twice, or a value that does not fit.
    """
    found: dict[str, Any] = {}
    for pair in text.split(":") if text else ():
        key, equals, value = pair.partition("=")
        if not known:
            raise UserError(f"fingerprint.extractor: found {name}, which takes no settings")
        if not equals or key not in known or key in found:
            near = get_close_matches(key, known, n=1, cutoff=0.0)[0]
            wrong = f"{key} twice" if key in found else f"{pair!r}"
            raise UserError(
                f"fingerprint.extractor: found {wrong} in {name}; nearest: {near}=…; it takes {', '.join(known)}"
            )
        try:
            found[key] = known[key][0](value)
        except ValueError as error:
            raise UserError(f"fingerprint.extractor: found {pair!r} in {name}, expected {error}") from None
    return {key: default for key, (_, default) in known.items()} | found
