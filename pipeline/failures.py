"""What a store or a disk refused, in a person's words (an error of a person's is an ``ImagetracksError``)."""

import errno
from collections.abc import Callable, Iterator

from pipeline.errors import ImagetracksError, UserError
from pipeline.storage import redact

_STAYS = "what was committed stays, and the next run goes on from there"
_LONGEST = 300

_NO_CREDENTIALS = frozenset(
    ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound", "RefreshError")
)
_NO_ANSWER = frozenset(("GaveUpError", "BotoCoreError", "ClientError", "HttpError", "TimeoutError", "ConnectionError"))


def explain(error: BaseException, place: str) -> ImagetracksError | None:
    """The error that says to a person what went wrong; None if it is not a store's or a disk's, but a bug.

    Args:
        error: as it was caught; an engine may have wrapped what a worker raised.
        place: what was being written to or read, e.g. ``the workspace s3://bucket/ws``.
    """
    for one in _chain(error):
        if isinstance(one, ImagetracksError):
            return one
    for one in _chain(error):
        told = _told(one, place)
        if told is not None:
            return told
    return None


def _told(error: BaseException, place: str) -> ImagetracksError | None:
    said = redact(" ".join(str(error).split()))[:_LONGEST] or type(error).__name__
    for fits, kind, message in _RULES:
        if fits(error):
            return kind(message.format(place=place, said=said))
    return None


def _named(names: frozenset[str]) -> Callable[[BaseException], bool]:
    """Whether an error's class, or one above it, has one of these names: their packages may not be installed."""
    return lambda error: any(kind.__name__ in names for kind in type(error).__mro__)


def _numbered(*numbers: int) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, OSError) and error.errno in numbers


_RULES: tuple[tuple[Callable[[BaseException], bool], type[ImagetracksError], str], ...] = (
    (
        _named(_NO_CREDENTIALS),
        UserError,
        "{place}: found no credentials ({said})\n"
        "expected them in the environment (AWS_ACCESS_KEY_ID, …), a profile or the machine's role",
    ),
    (
        _numbered(errno.EROFS),
        UserError,
        f"{{place}} is read-only ({{said}})\nexpected to be allowed to write there; {_STAYS}",
    ),
    (
        lambda error: isinstance(error, PermissionError),
        UserError,
        f"{{place}}: permission denied ({{said}})\ncheck its permissions or credentials; {_STAYS}",
    ),
    (
        _numbered(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        UserError,
        f"{{place}}: no space left ({{said}})\nmake room, or choose another place; {_STAYS}",
    ),
    (
        lambda error: "NoSuchBucket" in str(getattr(error.__cause__, "response", "")),
        UserError,
        "{place}: there is no such bucket\ncreate it, or check its spelling",
    ),
    (
        _named(_NO_ANSWER),
        ImagetracksError,
        f"{{place}}: the store does not answer as it should ({{said}})\n{_STAYS}",
    ),
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, the outermost first; an engine's wrapper names its ``cause``."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        led = (getattr(one, "cause", None), one.__cause__, None if one.__suppress_context__ else one.__context__)
        waiting += [each for each in led if isinstance(each, BaseException)]
