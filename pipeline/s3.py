"""S3 as this package uses it: few requests, and one place that tries again.

Three layers would try again by themselves (botocore, s3fs around each call, s3fs around each body), each around the
other: a store that stays away would be asked some hundred times for one object.  Here their loops are off and one is
on, with a bound, a back-off that doubles and a pause that is drawn, for reads and writes alike.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import s3fs
from aiohttp import ClientError as AiohttpError
from botocore.exceptions import ConnectionError as BotocoreConnectionError  # type: ignore[import-untyped]  # has no types
from botocore.exceptions import HTTPClientError, IncompleteReadError
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]  # has no types
from fsspec.asyn import sync, sync_wrapper

from pipeline import storage
from pipeline.storage import Permit

_CONNECTIONS = 128
"""At most this many at once; botocore's own limit of 10 is below what one worker fetches at a time."""

_OBJECTS_PER_DELETE = 1000  # S3's own limit

_NO_ANSWER = (
    HTTPClientError,
    BotocoreConnectionError,
    AiohttpError,
    TimeoutError,
    ConnectionError,
    # a body that ends early, an answer of a proxy that is no XML
    IncompleteReadError,
    ResponseParserError,
)
_NOT_IMPLEMENTED = 501
_TOO_MANY_REQUESTS = 429
_PASSING_CODES = frozenset({"RequestTimeout", "OperationAborted", "ConditionalRequestConflict", "SlowDown"})


class GaveUpError(OSError):
    """The store did not answer, or was not able to, as often as it was asked; the cause is the last answer."""


class S3(s3fs.S3FileSystem):  # type: ignore[misc]  # s3fs has no types
    """``s3fs`` with one loop of tries, no request that only looks whether another is worth it, and no lost refusal.

    ``tries`` counts how often an operation is tried.
    """

    retries = 1  # s3fs's own loops: once

    def __init__(self, *args: Any, tries: int = 4, **options: Any) -> None:
        config = {
            "retries": {"total_max_attempts": 1},
            "max_pool_connections": _CONNECTIONS,
            **options.pop("config_kwargs", {}),
        }
        # One GET an object: with more at once, s3fs sends a HEAD before each (RAY.md §1).
        super().__init__(*args, **{"max_concurrency": 1, **options}, config_kwargs=config)
        self.tries = tries

    async def _call_s3(self, method: str, *akwarglist: Any, **kwargs: Any) -> Any:
        call = super()._call_s3
        return await self._tried(lambda: call(method, *akwarglist, **kwargs))

    async def _cat_file(self, path: str, **options: Any) -> bytes:
        read = super()._cat_file
        # Around the request and its body: a body cut short is asked for again.
        data: bytes = await self._tried(lambda: read(path, **options))
        return data

    def pages(self, path: str) -> Iterator[list[dict[str, Any]]]:
        """What lies below a prefix, a request's thousand at a time: a listing need not fit into memory."""
        bucket, key, _ = self.split_path(self._strip_protocol(path))
        request = {"Bucket": bucket, "Prefix": f"{key}/" if key else "", **self.req_kw}
        while True:
            answer = sync(self.loop, self._call_s3, "list_objects_v2", **request)
            found = [one for one in answer.get("Contents", []) if not one["Key"].endswith("/")]
            yield [{**one, "name": f"{bucket}/{one['Key']}", "size": one["Size"]} for one in found]
            if not answer.get("IsTruncated"):
                return
            request["ContinuationToken"] = answer["NextContinuationToken"]

    async def _cp_file(self, path1: str, path2: str, **_: Any) -> None:
        # One request for what is no larger than S3 copies at once, 5 GB; a part never is.
        await self._copy_basic(path1, path2)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Folders need not be made here."""

    makedirs = sync_wrapper(_makedirs)

    async def _put_permitted(self, path: str, data: bytes, permit: Permit | None, **conditions: str) -> None:
        """One PUT; before each try ``permit`` is asked how long it may take, and it is dropped when that is over."""
        bucket, key, _ = self.split_path(path)
        put = super()._call_s3
        await self._tried(lambda: put("put_object", Bucket=bucket, Key=key, Body=data, **conditions), permit)

    put_permitted = sync_wrapper(_put_permitted)

    async def _rm(self, path: str | list[str], recursive: bool = False, permit: Permit | None = None, **_: Any) -> None:
        paths = [path] if isinstance(path, str) else list(path)
        if recursive:
            below = [await self._lsdir(self._strip_protocol(one), delimiter="") for one in paths]
            paths = [entry["name"] for entries in below for entry in entries]
            if not paths:
                raise FileNotFoundError(path)
        for start in range(0, len(paths), _OBJECTS_PER_DELETE):
            await self._delete(paths[start : start + _OBJECTS_PER_DELETE], permit)

    async def _delete(self, paths: list[str], permit: Permit | None = None) -> None:
        """Delete objects of one bucket by one request; what is not there counts as deleted.

        Raises:
            OSError: the store kept some of them: its answer is a success all the same.
        """
        split = [self.split_path(self._strip_protocol(path)) for path in paths]
        delete = {"Objects": [{"Key": key} for _, key, _ in split], "Quiet": True}
        call = super()._call_s3
        answer = await self._tried(lambda: call("delete_objects", Bucket=split[0][0], Delete=delete), permit)
        for refusal in answer.get("Errors", []):
            message = f"cannot delete {split[0][0]}/{refusal.get('Key')}: {refusal.get('Code')}"
            raise (PermissionError if refusal.get("Code") == "AccessDenied" else OSError)(message)

    async def _tried(self, work: Callable[[], Awaitable[Any]], permit: Permit | None = None) -> Any:
        for attempt in range(1, self.tries + 1):
            # In a thread, for it may ask the store itself, which needs this loop.
            seconds = None if permit is None else await asyncio.to_thread(permit)
            try:
                return await asyncio.wait_for(work(), seconds)
            except Exception as error:
                if not may_pass(error):
                    raise
                if attempt == self.tries:
                    raise GaveUpError(f"{type(error).__name__}: {error} (tried {attempt} times)") from error
            await asyncio.sleep(storage.pause(attempt))
        raise AssertionError("no try at all")


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later: no answer, half an answer, or one that says "not now"."""
    if isinstance(error, GaveUpError):
        return False
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    if isinstance(response, dict) and "Error" in response:
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if response["Error"].get("Code") in _PASSING_CODES or status == _TOO_MANY_REQUESTS:
            return True
        return status >= 500 and status != _NOT_IMPLEMENTED
    return isinstance(error, _NO_ANSWER)
