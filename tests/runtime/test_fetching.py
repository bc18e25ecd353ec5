import errno
import os
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline import storage
from pipeline.compute.reasons import Reason
from pipeline.runtime import fetching
from pipeline.runtime.fetching import fetch, flaw_of
from pipeline.runtime.sources import list_collection
from pipeline.stages.ingest_params import SourceParams
from pipeline.storage import RETRIES
from tests.objects import held


def objects(*uris: str, sizes: list[int | None] | None = None) -> pa.Table:
    return pa.table({"uri": pa.array(uris, pa.string()), "size": pa.array(sizes or [None] * len(uris), pa.int64())})


class FlakyFileSystem(MemoryFileSystem):
    """A store that fails ``failures`` times before each object's bytes come."""

    protocol = "flaky"
    cachable = False

    def __init__(self, failures: int, error: Exception) -> None:
        super().__init__()
        self.failures, self.error, self.calls = failures, error, 0

    def cat_file(self, path: str, **_: Any) -> bytes:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return path.encode()


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "FIRST_PAUSE", 0.0)


def test_names_that_are_not_text_are_read_all_the_same(tmp_path: Path) -> None:
    """Of cameras and archives older than UTF-8; they were 'not found' at each run anew."""
    names = [
        b"caf\xe9.jpg",
        b"\x8f\xff.jpg",
        b"caf\\xe8.jpg",
        "café.jpg".encode(),
    ]  # of the third, the signs are its own
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    objects, filesystem, _ = held(list_collection(str(tmp_path), None, SourceParams()))
    fetched = fetch(objects, filesystem, 7)
    assert sorted(fetched["bytes"].to_pylist()) == sorted(names)
    assert fetched["reason"].null_count == len(names)


def test_bytes_in_the_order_of_the_rows(tmp_path: Path) -> None:
    names = [f"{i}.jpg" for i in range(50)]
    for name in names:
        (tmp_path / name).write_bytes(name.encode() * 3)
    objects, filesystem, _ = held(list_collection(str(tmp_path), None, SourceParams()))
    fetched = fetch(objects, filesystem, 7)
    assert fetched["bytes"].to_pylist() == [key.encode() * 3 for key in objects["key"].to_pylist()]
    assert fetched["reason"].null_count == 50
    assert fetched.column_names == [*objects.column_names, "bytes", "reason", "detail"]


def test_one_bad_object_does_not_disturb_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "folder").mkdir()
    (tmp_path / "grown").write_bytes(b"now longer")
    (tmp_path / "big").write_bytes(b"x" * 100)
    uris = [str(tmp_path / name) for name in ("gone", "folder", "a", "grown", "big")]
    fetched = fetch(objects(*uris, sizes=[None, None, 1, 3, 100]), fsspec.filesystem("file"), 4, max_bytes=99)
    assert fetched["bytes"].to_pylist() == [None, None, b"a", None, None]
    assert fetched["reason"].to_pylist() == ["not_found", "not_found", None, "changed", "too_large"]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As root every file may be read, so the refusal is made by the kernel's own word for it.
    def refuse(*_: Any) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "a").write_bytes(b"a")
    monkeypatch.setattr(fetching.os, "open", refuse)
    assert fetch(objects(str(tmp_path / "a")), fsspec.filesystem("file"), 1)["reason"].to_pylist() == [
        "permission_denied"
    ]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.jpg")
    fetched = fetch(objects(str(tmp_path / "pipe.jpg")), fsspec.filesystem("file"), 1)
    assert fetched["reason"].to_pylist() == ["not_found"]


def test_all_failed_columns_keep_their_types(tmp_path: Path) -> None:
    fetched = fetch(objects(str(tmp_path / "x")), fsspec.filesystem("file"), 1)
    assert [fetched.schema.field(name).type for name in ("bytes", "reason", "detail")] == [
        pa.binary(),
        pa.string(),
        pa.string(),
    ]
    assert fetch(objects(), fsspec.filesystem("file"), 4).num_rows == 0


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize(
    ("failures", "error", "reason", "calls"),
    [
        (RETRIES, OSError(errno.EBUSY, "SlowDown"), None, RETRIES + 1),
        (RETRIES + 1, OSError(errno.EBUSY, "SlowDown"), "io_error", RETRIES + 1),
        (RETRIES + 1, TimeoutError(), "timed_out", RETRIES + 1),
        (1, FileNotFoundError("x"), "not_found", 1),
        (1, PermissionError("x"), "permission_denied", 1),
    ],
)
def test_what_may_pass_is_tried_again_a_bounded_number_of_times(
    failures: int, error: Exception, reason: str | None, calls: int
) -> None:
    store = FlakyFileSystem(failures, error)
    fetched = fetch(objects("flaky://a"), store, 1)
    assert fetched["reason"].to_pylist() == [reason]
    assert store.calls == calls


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("NoCredentialsError", Reason.PERMISSION_DENIED),
        ("ReadTimeoutError", Reason.TIMED_OUT),
        ("Strange", Reason.IO_ERROR),
    ],
)
def test_errors_of_stores_by_their_names(name: str, reason: Reason) -> None:
    assert flaw_of(type(name, (Exception,), {})("x")).reason == reason


def test_a_detail_shows_no_secret() -> None:
    assert "planted" not in flaw_of(OSError("GET https://u:planted@h/x?token=planted failed")).detail
