"""Published ids: short, readable over the telephone, and safe against a slip of the tongue.

An id is nine characters in groups of three, ``8GH-9ZG-7FX``: eight of content (40 bits) and one to check them, all of
Crockford's base32 (no I, L, O or U).  The check is a weighted sum over the field of 32 elements with different weights
that are not zero (a shortened Reed-Solomon code, Reed and Solomon 1960), so every single wrong character and every
exchange of two is found.
"""

from hashlib import blake2b

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CONTENT = 8
_GROUP = 3
_READ_AS = str.maketrans("ILO", "110", "- ")
_POLYNOMIAL = 0b100101
"""x^5 + x^2 + 1, primitive: the powers of x are all elements but zero."""


def published_id(key: str, attempt: int = 0) -> str:
    """The id that a track of linking gets: from its key alone.

    Args:
        key: the track's key.
        attempt: 0, or more where the id before was given to another track already.
    """
    text = key if attempt == 0 else f"{key}/{attempt}"
    number = int.from_bytes(blake2b(text.encode(), digest_size=5).digest(), "big")
    values = [(number >> shift) & 31 for shift in range(35, -1, -5)]
    return _written([*values, _check(values)])


def read_id(text: str) -> str:
    """An id as a person may give it (small letters, no dashes, O for 0, I or L for 1) in its own form.

    Raises:
        ValueError: it has another length, another character, or does not pass its own check.
    """
    plain = text.upper().translate(_READ_AS)
    if len(plain) != _CONTENT + 1 or set(plain) - set(ALPHABET):
        raise ValueError(f"{text!r} is no track id: expected nine letters and digits like {published_id('')}")
    values = [ALPHABET.index(character) for character in plain]
    if _check(values[:-1]) != values[-1]:
        raise ValueError(f"{text!r} is no track id: a character is wrong, or two are exchanged")
    return _written(values)


def _written(values: list[int]) -> str:
    text = "".join(ALPHABET[value] for value in values)
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def _check(values: list[int]) -> int:
    """Sum of x^(i+1) times the i-th value; the check itself has the weight 1."""
    total = 0
    for value in reversed(values):
        total = _times_x(total ^ value)
    return total


def _times_x(value: int) -> int:
    doubled = value << 1
    return doubled ^ _POLYNOMIAL if doubled & 32 else doubled
