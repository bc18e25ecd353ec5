"""Files that are dear to make and may be lost: exported networks and weights fetched from elsewhere."""

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def folder() -> Path:
    """``$IMAGETRACKS_CACHE``, or ``imagetracks`` in the user's cache folder."""
    chosen = os.environ.get("IMAGETRACKS_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "imagetracks"


def remembered(name: str, make: Callable[[], bytes]) -> bytes:
    """The content kept under ``name``, made first where there is none.

    ``name`` must say everything that the content depends on.  Several processes may make it at once: each writes a file
    of its own and renames it, so a reader sees one whole content or none.  Where nothing can be written (a
    read-only container) the content is made each time.
    """
    path = folder() / name
    try:
        return path.read_bytes()
    except OSError:
        content = make()
    with contextlib.suppress(OSError):
        _put(path, content)
    return content


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".making-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
