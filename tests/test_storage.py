from pathlib import Path

import fsspec
import pytest

from pipeline.errors import UserError
from pipeline.storage import is_local, open_filesystem, put_atomic, redact


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/", "file://{}//"])
def test_paths_and_file_uris_of_one_folder_are_the_same(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "a b#c%20+=é"
    filesystem, path = open_filesystem(form.format(folder))
    assert is_local(filesystem)
    assert path == str(folder)


def test_an_s3_uri_opens_without_a_request_and_asks_for_one_get_an_object() -> None:
    filesystem, path = open_filesystem("s3://bucket/a b#c%20+=é/")
    assert path == "bucket/a b#c%20+=é"
    assert filesystem.max_concurrency == 1
    assert not is_local(filesystem)


@pytest.mark.parametrize("uri", ["foo://bucket/x", "sftpx://a"])
def test_an_unknown_protocol_is_the_users_mistake(uri: str) -> None:
    with pytest.raises(UserError, match="expected a path on this machine"):
        open_filesystem(uri)


def test_a_put_makes_folders_replaces_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    filesystem, root = open_filesystem(str(tmp_path))
    put_atomic(filesystem, f"{root}/a/b/c.json", b"old")
    put_atomic(filesystem, f"{root}/a/b/c.json", b"new")
    assert (tmp_path / "a/b/c.json").read_bytes() == b"new"
    assert [one.name for one in (tmp_path / "a/b").iterdir()] == ["c.json"]


def test_a_put_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    filesystem, root = open_filesystem(str(tmp_path))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/x").write_bytes(b"old")
    with pytest.raises(OSError, match="directory"):
        put_atomic(filesystem, f"{root}/taken", b"new")
    assert (tmp_path / "taken/x").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"]


def test_a_reader_sees_the_old_content_or_the_new(tmp_path: Path) -> None:
    filesystem, root = open_filesystem(str(tmp_path))
    target = tmp_path / "x"
    put_atomic(filesystem, f"{root}/x", b"a" * 1000)
    with target.open("rb") as reader:
        put_atomic(filesystem, f"{root}/x", b"b" * 2000)
        assert reader.read() == b"a" * 1000
    assert target.read_bytes() == b"b" * 2000


def test_a_put_on_an_object_store() -> None:
    filesystem = fsspec.filesystem("memory")
    put_atomic(filesystem, "/storage-test/a/b", b"x")
    assert filesystem.cat_file("/storage-test/a/b") == b"x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:planted@host/x.jpg", "https://***@host/x.jpg"),
        ("see https://host/x.jpg?X-Amz-Signature=planted now", "see https://host/x.jpg?*** now"),
        ("s3://bucket/a b.jpg", "s3://bucket/a b.jpg"),
        ("what? nothing", "what? nothing"),
    ],
)
def test_secrets_in_uris_are_not_shown(text: str, shown: str) -> None:
    assert redact(text) == shown
