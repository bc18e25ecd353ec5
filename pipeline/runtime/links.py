"""A tar's members, and links in archives: which member's bytes a hard or a symbolic link stands for."""

import posixpath
import stat
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

_LONGEST_NAME = 4096
"""Bytes that a path may have; what calls itself a link and is longer is none."""


def members_of(file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, one after the other.

    Between two of them the file may be read at other places.  Names in a legacy encoding have escapes, as in a folder.

    Raises:
        tarfile.TarError: it is none, or ends within a member or without an end.
    """
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            tar.members = []  # type: ignore[attr-defined]  # it would keep all of them
            member.name, member.linkname = _text(member.name), _text(member.linkname)
            yield member
        # A damaged header behind the first looks to tarfile like the end, and what follows it would be lost.
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError(f"no header of a member at byte {tar.offset}, nor the end")


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def content_of(file: IO[bytes], member: tarfile.TarInfo) -> bytes:
    """The bytes of a file in a tar.

    Raises:
        tarfile.TarError: it has holes.
    """
    if member.issparse():
        raise tarfile.ReadError(f"the member {member.name} is sparse (make it without tar -S)")
    file.seek(member.offset_data)
    return file.read(member.size)


class Link(NamedTuple):
    """A link in a tar; ``target`` is the normalised name that it leads to."""

    member: tarfile.TarInfo
    target: str


def link_of(member: tarfile.TarInfo) -> Link:
    """Where a link leads: a hard one by a name within the archive, a symbolic one from the folder that it lies in."""
    start = "" if member.islnk() else posixpath.dirname(member.name)
    return Link(member, posixpath.normpath(posixpath.join(start, member.linkname)))


def followed(
    file: IO[bytes], links: Sequence[Link], wanted: Sequence[Link]
) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarInfo | None]]:
    """The files that links lead to, as unpacking would leave them; None: to none in the archive.

    The archive's headers are gone through once more, and only where links are wanted, so that the names of a tar
    without any are never held.

    Args:
        file: the tar.
        links: all links in it.
        wanted: those to follow.

    Yields:
        Each wanted link and its file; and a file as its own where it took a wanted link's name later in the archive.
    """
    if not wanted:
        return
    names = {link.target for link in links} | {posixpath.normpath(link.member.name) for link in wanted}
    files = _files(file, names)
    by_name = {posixpath.normpath(link.member.name): link for link in links}
    for link in wanted:
        yield link.member, _target(link, by_name, files)
        last = files.get(posixpath.normpath(link.member.name), [link.member])[-1]
        if last.offset > link.member.offset:
            yield last, last


def _files(file: IO[bytes], names: set[str]) -> dict[str, list[tarfile.TarInfo]]:
    found: dict[str, list[tarfile.TarInfo]] = {}
    for member in members_of(file):
        name = posixpath.normpath(member.name)
        if member.isreg() and name in names:
            found.setdefault(name, []).append(member)
    return found


def _target(link: Link, links: dict[str, Link], files: dict[str, list[tarfile.TarInfo]]) -> tarfile.TarInfo | None:
    seen = set[str]()
    while link.target not in seen:
        seen.add(link.target)
        there = files.get(link.target, [])
        if link.member.islnk():  # of what was there when it was unpacked
            there = [one for one in there if one.offset < link.member.offset]
        if there:
            return there[-1]
        link = links.get(link.target, link)
    return None


def zip_target(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> zipfile.ZipInfo | None:
    """The file that a zip's member is, or that it leads to as a symbolic link; None: to none in the archive."""
    seen = set[str]()
    while stat.S_ISLNK(member.external_attr >> 16):
        if member.filename in seen or member.file_size > _LONGEST_NAME:
            return None
        seen.add(member.filename)
        written = archive.read(member).decode("utf-8", "replace")
        name = posixpath.normpath(posixpath.join(posixpath.dirname(member.filename), written))
        if name not in archive.NameToInfo:
            return None
        member = archive.NameToInfo[name]
    return None if member.is_dir() else member
