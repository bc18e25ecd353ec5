"""The seam to storage: anything that fsspec opens, and puts that are seen whole or not at all."""

import errno
import os
import random
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import UserError

FileSystem = Any
"""An ``fsspec.AbstractFileSystem`` (fsspec ships no types)."""

Permit = Callable[[], float]
"""Asked right before a write: the seconds that it may take; raises if it may not be done any more."""

TEMPORARY_SUFFIX = ".tmp"
"""Ends the hidden name under which a local file is written before it is renamed: a crash may leave one behind."""

RETRIES = 3
"""Times an operation of an object store is tried again, unless ``resources.retries`` says otherwise."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 20.0
"""Seconds before the first further try, at most, and before any; in between each may be twice the one before."""

_SECRET_NAME = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|CONNECTION_?STRING|DATABASE_URL|(^|_)DSN$"
    r"|(ACCESS|API|SAS|ACCOUNT|STORAGE|PRIVATE|SIGNING|ENCRYPTION|MASTER)_?KEY",
    re.IGNORECASE,
)
_SIGNING = re.compile(
    # AWS, Google, CloudFront, Azure's shared access signatures, and what people call theirs
    r"(x-amz-|x-goog-|awsaccesskeyid$|googleaccessid$|signature$|expires$|key-pair-id$|policy$"
    r"|(sig|se|sp|sv|sr|st|spr|sip|ske|skt|sks|skv|skoid|sktid)$|.*token|.*secret|passw|api_?key$|key$|auth)",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 6
"""Shorter values (``x``, ``1``, ``none``) are no secrets and stand in every other word."""

_WITH_USER = frozenset({"http", "https", "ftp", "github"})
"""Protocols whose URIs say who asks, or (github's) put something else before the ``@``."""

_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs"})
"""Protocols whose URIs begin with a bucket: neither ``@`` nor ``:`` is part of its name, unless that is an ARN."""

_PRECONDITION_FAILED, _NOT_FOUND = 412, 404

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK})


def open_filesystem(uri: str, retries: int = RETRIES) -> tuple[FileSystem, str]:
    """The filesystem of ``uri`` and the path within it, without a trailing slash.

    Args:
        uri: anything fsspec opens (``s3://bucket/prefix``, ``file:///folder``) or a path on this machine.
        retries: times that S3 is asked again for what it could not do; other stores' packages have rules of their own.

    Raises:
        UserError: the protocol is unknown, the package that speaks it is not installed, or the URI holds keys, or
            lacks its bucket.
    """
    refuse_keys(uri)
    _refuse_no_bucket(uri)
    try:
        filesystem, path = _open(os.fspath(uri), retries)
    except (ValueError, ImportError) as error:
        known = ", ".join(f"{name}://" for name in ("s3", "gs", "az", "http") if name in fsspec.available_protocols())
        raise UserError(
            f"cannot open {uri.split('://', 1)[0]}://…: {error}\n"
            f"expected a path on this machine or a URI that fsspec opens ({known}, …)\n"
            "check the spelling, or install the fsspec package for that store (gcsfs, adlfs, …)"
        ) from error
    if is_local(filesystem):  # fsspec leaves "." and ".." in it
        path = os.path.abspath(path)  # noqa: PTH100  (Path has nothing that does not follow links)
    return filesystem, str(path).rstrip("/") or "/"


def refuse_keys(uri: str) -> None:
    """Refuse a URI with keys where its protocol knows none: they would be taken for a part of a name, and shown.

    Raises:
        UserError: it has a user and password, or a bucket that is none; the message does not repeat it.
    """
    for link in os.fspath(uri).split("::"):
        scheme, _, rest = link.partition("://")
        scheme, place = scheme.lower(), rest.partition("/")[0]
        user, at, _ = place.rpartition("@")
        bucket = scheme in _BUCKETS and not place.startswith("arn:")
        if scheme not in _WITH_USER and (":" in user or (bucket and (at or ":" in place))):
            raise UserError(
                f"found a user, or a key, in the URI {scheme}://…; expected none there\n"
                "keys belong in the environment (AWS_ACCESS_KEY_ID, …), a profile or the machine's role"
            )


def _refuse_no_bucket(uri: str) -> None:
    scheme, separator, rest = os.fspath(uri).partition("://")
    if separator and scheme in _BUCKETS and not rest.partition("/")[0].strip():
        raise UserError(f"found no bucket in {uri!r}\nexpected {scheme}://bucket, or {scheme}://bucket/prefix")


def refuse_empty(uri: str, option: str) -> None:
    """Refuse an empty path, as of a variable that is not set: it would be the folder one happens to be in.

    Raises:
        UserError: it is empty.
    """
    if not uri.strip():
        raise UserError(f"{option} is empty\nexpected a folder (`.` is the one you are in) or a URI")


def _open(uri: str, retries: int) -> tuple[FileSystem, str]:
    if not uri.startswith(("s3://", "s3a://")):
        opened: tuple[FileSystem, str] = url_to_fs(uri)
        return opened
    from pipeline.s3 import S3

    # No cache of listings: what another process wrote must be seen.
    return S3(tries=retries + 1, use_listings_cache=False), str(S3._strip_protocol(uri))


def tries_itself(filesystem: FileSystem) -> bool:
    """Whether the filesystem tries again by itself: around it, a loop would multiply the tries."""
    return hasattr(filesystem, "tries")


def pause(attempt: int) -> float:
    """Seconds to wait after the ``attempt``-th try (from 1).

    Half of it is drawn, so that a thousand workers do not come back at the same moment.
    """
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
    return float(longest * random.uniform(0.5, 1.0))  # noqa: S311  (no result depends on it)


def is_local(filesystem: FileSystem) -> bool:
    """Whether the files lie on a disk of this machine (or one mounted as such)."""
    return isinstance(filesystem, LocalFileSystem)


def put_atomic(filesystem: FileSystem, path: str, data: bytes, permit: Permit | None = None) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old content or the new, never a part of it.

    On a local disk the bytes go to a hidden temporary file in the same folder, are synced and then renamed; on an
    object store one PUT does it.  Missing folders are made.  ``permit`` is asked last of all, and again before every
    further try.

    Raises:
        OSError: the store refused; what was there before is still there.
    """
    if is_local(filesystem):
        _put_local(Path(path), data, permit)
    elif permit is not None and tries_itself(filesystem):
        filesystem.put_permitted(path, data, permit)
    else:
        if permit is not None:
            permit()
        filesystem.pipe_file(path, data)


def exchange(filesystem: FileSystem, path: str, data: bytes, old: bytes | None, permit: Permit | None = None) -> None:
    """``put_atomic`` only while ``old`` is what is there (None: nothing), where the store can do both in one (S3).

    A put that was held up on its way, until somebody else had written, is refused then, whenever it arrives.

    Raises:
        FileExistsError: something else is there.
    """
    if not tries_itself(filesystem):
        put_atomic(filesystem, path, data, permit)
        return
    condition = _if_none() if old is None else {"IfMatch": f'"{md5(old, usedforsecurity=False).hexdigest()}"'}
    try:
        filesystem.put_permitted(path, data, permit, **condition)
    except OSError as error:
        if error.errno == errno.ENOSYS:  # a store that imitates S3 and knows no conditions
            put_atomic(filesystem, path, data, permit)
        elif not _is_unmet(error):
            raise
        else:
            _exchange_again(filesystem, path, data, old, permit)


def _exchange_again(filesystem: FileSystem, path: str, data: bytes, old: bytes | None, permit: Permit | None) -> None:
    """The condition did not hold: for the etag is no MD5 (encryption), or it was done before and not confirmed."""
    try:
        condition = {"IfMatch": str(filesystem.info(path)["ETag"])}
        found = filesystem.cat_file(path)
    except FileNotFoundError:
        condition, found = _if_none(), None
    if found == data:
        return
    if found is not None and found != old:
        raise FileExistsError(path)
    try:
        filesystem.put_permitted(path, data, permit, **condition)
    except OSError as error:
        if _is_unmet(error):
            raise FileExistsError(path) from error
        raise


def _if_none() -> dict[str, str]:
    return {"IfNoneMatch": "*"}


def _is_unmet(error: OSError) -> bool:
    """Whether a store refused a put because of its condition; if there was to be something, nothing is one too."""
    response = getattr(error.__cause__, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in (_PRECONDITION_FAILED, _NOT_FOUND) or isinstance(error, FileExistsError | FileNotFoundError)


def create(filesystem: FileSystem, path: str, data: bytes) -> None:
    """Write ``data`` to ``path`` if there is nothing yet: of several that try at once, one succeeds.

    A hard link does it on a local disk, a conditional put (``If-None-Match``) on S3, whatever fsspec has for it
    elsewhere.

    Raises:
        FileExistsError: there is something.
    """
    if is_local(filesystem):
        _create_local(Path(path), data)
        return
    try:
        filesystem.pipe_file(path, data, mode="create")
    except FileExistsError:
        raise
    except OSError as error:
        # Stores that imitate S3 word the refusal in their own ways, or know no conditions at all.
        if filesystem.exists(path):
            raise FileExistsError(path) from error
        if error.errno != errno.ENOSYS:
            raise
        filesystem.pipe_file(path, data)


def _put_local(path: Path, data: bytes, permit: Permit | None) -> None:
    with _temporary(path, data) as temporary:
        if permit is not None:
            permit()  # syncing may have taken its time
        temporary.replace(path)
    _sync_folder(path.parent)


def _create_local(path: Path, data: bytes) -> None:
    with _temporary(path, data) as temporary:
        try:
            path.hardlink_to(temporary)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            with path.open("xb") as file:  # exclusive too, but seen while it is written
                file.write(data)
    _sync_folder(path.parent)


@contextmanager
def _temporary(path: Path, data: bytes) -> Iterator[Path]:
    """A hidden file beside ``path`` that holds ``data`` for good; gone afterwards, if it still has that name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name is unique a write, so two writers of one path never share a temporary file.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last: without this a power cut may undo it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def without_secrets(uri: str) -> str:
    """``uri`` as it may be kept: without user and password, and without what signs a request.

    Such parts change from day to day and are no part of what the object is; other parts of a query may be.
    """
    scheme, _, rest = uri.partition("://")
    if not scheme.startswith("http"):
        return uri
    place, _, query = rest.partition("?")
    host, slash, path = place.partition("/")
    kept = [one for one in query.split("&") if one and not _SIGNING.match(one.partition("=")[0])]
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}" + (f"?{'&'.join(kept)}" if kept else "")


def redact(text: str) -> str:
    """``text`` without what may be a secret.

    That is, in a URI, user and password, and the query (signatures, tokens); and the values of this process's
    environment whose names say that they are secret.
    """
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "***")
    return re.sub(r"(://[^\s?'\"]*)\?[^\s'\"]*", r"\1?***", re.sub(r"://[^/\s@'\"]*@", "://***@", text))
