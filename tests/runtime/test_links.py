"""Members of archives that are more, or less, than a name with bytes: links, sparse files, names that stand twice."""

import io
import logging
import os
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.compute.identity import image_id
from pipeline.compute.reasons import Flaw, Reason, flaw_from
from pipeline.errors import UserError
from pipeline.runtime.archives import Archive, add_members
from pipeline.runtime.listing import look_up
from pipeline.runtime.objects import Objects
from pipeline.storage import open_filesystem
from tests.pictures import photo, saved
from tests.runtime.runs import ingested

ONE, TWO = saved(photo(32, 24), "PNG"), saved(photo(32, 24, seed=1), "PNG")
KEEP = "resources.max_failed_fraction=1"

Item = tuple[str, bytes | None, bytes | str]
"""Name, kind of tar member (None: a file), bytes or where a link leads."""


def tar(path: Path, items: list[Item]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, kind, content in items:
            member = tarfile.TarInfo(name)
            member.type = kind or tarfile.REGTYPE
            data = b"" if isinstance(content, str) else content
            member.linkname = content if isinstance(content, str) else ""
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def zipped(path: Path, items: list[tuple[str, bytes | str]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in items:
            member = zipfile.ZipInfo(name)
            member.external_attr = (stat.S_IFLNK if isinstance(content, str) else stat.S_IFREG) << 16
            archive.writestr(member, content)
    return path


def rows_of(found: pa.Table, names: list[str]) -> dict[str, dict[str, Any]]:
    """The rows by the members' names; there are no others."""
    by_id = {row["image_id"]: row for row in found.to_pylist()}
    assert sorted(by_id) == sorted(map(image_id, names))
    return {name: by_id[image_id(name)] for name in names}


def listed(path: Path) -> dict[str, tuple[Any, Any]]:
    """Of each member the bytes, or why there are none, without a run."""
    filesystem, root = open_filesystem(str(path))
    (entry,) = look_up(filesystem, [root], []).values()
    objects = Objects()
    archive = Archive(filesystem, entry, f"file://{root}", "")
    for _ in add_members(archive, objects, lambda name: name.endswith(".png"), lambda _: False):
        pass
    data = path.read_bytes()
    return {
        row["key"]: (data[row["member"]["place"] :][: row["member"]["length"]], row["member"]["flaw"])
        for row in objects.blocks().table().to_pylist()
    }


LINKED: list[Item] = [
    ("before.png", tarfile.SYMTYPE, "a/one.png"),
    ("a/one.png", None, ONE),
    ("./a/0007", None, TWO),  # no image by its name, but what leads to it is
    ("hard.png", tarfile.LNKTYPE, "a/one.png"),
    ("a/soft.png", tarfile.SYMTYPE, "0007"),
    ("b/up.png", tarfile.SYMTYPE, "../a/./0007"),
    ("chain.png", tarfile.SYMTYPE, "b/up.png"),
    ("gone.png", tarfile.SYMTYPE, "a/none.png"),
    ("out.png", tarfile.SYMTYPE, "../../etc/passwd"),
    ("ring.png", tarfile.SYMTYPE, "gnir.png"),
    ("gnir.png", tarfile.LNKTYPE, "ring.png"),
    ("pipe.png", tarfile.FIFOTYPE, b""),
    ("folder.png", tarfile.DIRTYPE, b""),
]


@pytest.mark.slow
def test_a_link_in_a_tar_is_a_row_with_the_bytes_that_it_leads_to(tmp_path: Path) -> None:
    names = [name for name, *_ in LINKED if name.endswith(".png") and name != "folder.png"]
    path = tar(tmp_path / "x.tar", LINKED)
    rows = rows_of(ingested(path, tmp_path / "ws", KEEP), names)
    ones, twos = ({rows[name]["content_hash"] for name in names[at]} for at in (slice(0, 3), slice(3, 6)))
    assert len(ones) == len(twos) == 1
    assert ones.isdisjoint(twos)
    assert [rows[name]["reason"] for name in names] == [None] * 6 + ["empty"] * 5
    assert "../../etc/passwd" in rows["out.png"]["detail"]
    assert rows["hard.png"]["uri"] == f"tar://hard.png::file://{path}"


def test_links_are_followed_within_the_archive_alone(tmp_path: Path) -> None:
    found = listed(tar(tmp_path / "x.tar", LINKED))
    assert {name for name, (data, _) in found.items() if data == ONE} == {"before.png", "a/one.png", "hard.png"}
    assert {name for name, (data, _) in found.items() if data == TWO} == {"a/soft.png", "b/up.png", "chain.png"}
    assert all(flaw_from(flaw).reason is Reason.EMPTY for data, flaw in found.values() if not data)
    assert len(found) == 11


def test_a_hard_link_keeps_what_it_led_to_and_a_file_later_takes_a_links_name(tmp_path: Path) -> None:
    items: list[Item] = [
        ("a.png", None, ONE),
        ("hard.png", tarfile.LNKTYPE, "a.png"),
        ("soft.png", tarfile.SYMTYPE, "a.png"),
        ("taken.png", tarfile.SYMTYPE, "a.png"),
        ("taken.png", None, TWO),
        ("a.png", None, TWO),
        ("self.png", None, ONE),
        ("self.png", tarfile.LNKTYPE, "self.png"),
    ]
    found = {name: data for name, (data, _) in listed(tar(tmp_path / "x.tar", items)).items()}
    # Of a name that stands twice the last one added is taken, as the dictionary does.
    assert found == {"a.png": TWO, "hard.png": ONE, "soft.png": TWO, "taken.png": TWO, "self.png": ONE}


@pytest.mark.slow
def test_a_sparse_member_is_a_row_with_a_reason(tmp_path: Path) -> None:
    with (tmp_path / "holes.png").open("wb") as file:
        file.write(ONE)
        file.truncate(2**20)
        os.lseek(file.fileno(), 0, os.SEEK_END)
        file.write(b"end")
    (tmp_path / "whole.png").write_bytes(TWO)
    command = ["tar", "-S", "-cf", "x.tar", "holes.png", "whole.png"]
    subprocess.run(command, cwd=tmp_path, check=True)
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert [member.issparse() for member in archive] == [True, False]
    rows = rows_of(ingested(tmp_path / "x.tar", tmp_path / "ws", KEEP), ["holes.png", "whole.png"])
    assert [row["reason"] for row in rows.values()] == ["unsupported_format", None]
    assert "sparse" in rows["holes.png"]["detail"]
    (tmp_path / "holes.png").rename(tmp_path / "whole.json")
    subprocess.run([*command[:4], "whole.json", "whole.png"], cwd=tmp_path, check=True)
    with pytest.raises(UserError, match=r"whole\.json is sparse"):
        ingested(tmp_path / "x.tar", tmp_path / "ws2")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_name_that_stands_twice_is_told_and_the_last_is_taken(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = [("a.png", ONE), ("b.png", TWO), ("a.png", TWO), ("./b.png", ONE), ("c.png", ONE)]
    path = tmp_path / f"x.{kind}"
    if kind == "tar":
        tar(path, [(name, None, data) for name, data in plain])
    else:
        with pytest.warns(UserWarning, match="Duplicate name"):  # zipfile warns its writer
            zipped(path, list(plain))
    with caplog.at_level(logging.WARNING, "imagetracks"):
        rows = rows_of(ingested(path, tmp_path / "ws"), ["a.png", "b.png", "c.png"])
    (said,) = [record.getMessage() for record in caplog.records if "more than once" in record.getMessage()]
    assert "2 names" in said
    assert "'a.png'" in said
    assert rows["b.png"]["content_hash"] == rows["c.png"]["content_hash"] != rows["a.png"]["content_hash"]


@pytest.mark.slow
def test_a_symbolic_link_in_a_zip_is_a_row_with_the_bytes_that_it_leads_to(tmp_path: Path) -> None:
    items: list[tuple[str, bytes | str]] = [
        ("a/one.png", ONE),
        ("b/soft.png", "../a/one.png"),
        ("chain.png", "b/soft.png"),
        ("gone.png", "none.png"),
        ("ring.png", "ring.png"),
    ]
    rows = rows_of(ingested(zipped(tmp_path / "x.zip", items), tmp_path / "ws", KEEP), [name for name, _ in items])
    assert [row["reason"] for row in rows.values()] == [None, None, None, "empty", "empty"]
    assert len({row["content_hash"] for row in list(rows.values())[:3]}) == 1


def test_sidecars_may_be_links(tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar", [("a.json", tarfile.SYMTYPE, "all.txt"), ("all.txt", None, b'{"plot": 3}')])
    filesystem, root = open_filesystem(str(path))
    (entry,) = look_up(filesystem, [root], []).values()
    archive = Archive(filesystem, entry, f"file://{root}", "")
    noted = add_members(archive, Objects(), lambda _: False, lambda name: name.endswith(".json"))
    assert list(noted) == [("a.json", b'{"plot": 3}')]


def test_a_name_in_a_legacy_encoding_is_listed_with_escapes(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        for name, target in (("\udce4.png", None), ("soft.png", "\udce4.png")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = (tarfile.SYMTYPE, target) if target else (tarfile.REGTYPE, "")
            member.size = 0 if target else len(ONE)
            archive.addfile(member, io.BytesIO(ONE))
    found = listed(tmp_path / "x.tar")
    assert {name: data for name, (data, _) in found.items()} == {"\\xe4.png": ONE, "soft.png": ONE}


def test_a_flaw_survives_being_written() -> None:
    flaw = flaw_from(str(Flaw(Reason.EMPTY, "a link to: nothing")))
    assert (flaw.reason, flaw.detail) == (Reason.EMPTY, "a link to: nothing")
