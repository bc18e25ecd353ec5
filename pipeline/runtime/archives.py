"""Images in archives: what lies in a tar, a zip or a Parquet file, without reading the images.

A tar is gone through once, by its members' headers: of small members that is the whole file, in blocks of a megabyte;
large ones are skipped over.  A zip has a directory at its end, a Parquet file its columns.
"""

import datetime as dt
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.compute.reasons import Flaw, Reason
from pipeline.errors import UserError
from pipeline.runtime.links import Link, content_of, followed, link_of, members_of, zip_target
from pipeline.runtime.listing import Entry
from pipeline.runtime.objects import Objects
from pipeline.storage import FileSystem, is_local

BLOCK = 2**20
KINDS = {"tar": (".tar",), "zip": (".zip",), "parquet": (".parquet", ".pq")}
"""Kind -> how the names of such files end, in lower case."""


class Archive(NamedTuple):
    """A file with images in it; its members' keys begin with ``prefix``."""

    filesystem: FileSystem
    entry: Entry
    uri: str
    prefix: str

    @property
    def named(self) -> str:
        """For a person."""
        return f"the archive {self.uri}"


def kind_of(path: str) -> str | None:
    """The kind of archive that a name says."""
    return next((kind for kind, ends in KINDS.items() if path.lower().endswith(ends)), None)


class Noted(NamedTuple):
    """A file in an archive that describes images, with its bytes."""

    key: str
    data: bytes


def add_members(
    archive: Archive, objects: Objects, chosen: Callable[[str], bool], noted: Callable[[str], bool]
) -> Iterator[Noted]:
    """List a tar or a zip: images are added to ``objects``, sidecars are given back.

    Args:
        archive: the file.
        objects: where the members go that are images.
        chosen: whether a member's name, as it stands in the archive, is an image's.
        noted: whether it is that of a sidecar.

    Raises:
        UserError: it is none, is damaged, or is compressed as a whole.
    """
    add = _add_tar if kind_of(archive.entry.path) == "tar" else _add_zip
    with _opened(archive) as file:
        yield from add(archive, file, objects, chosen, noted)


def _opened(archive: Archive) -> IO[bytes]:
    if is_local(archive.filesystem):
        return open(archive.entry.path, "rb")  # noqa: PTH123  (a name as the listing has it; whoever called closes it)
    opened: IO[bytes] = archive.filesystem.open(archive.entry.path, "rb", block_size=BLOCK, cache_type="readahead")
    return opened


def _add_tar(
    archive: Archive, file: IO[bytes], objects: Objects, chosen: Callable[[str], bool], noted: Callable[[str], bool]
) -> Iterator[Noted]:
    links = list[Link]()
    try:
        for member in members_of(file):
            name = _key(member)
            if member.islnk() or member.issym():
                links.append(link_of(member))
            elif chosen(name) and not member.isdir():
                _add_of_tar(archive, objects, member, member)
            elif noted(name) and member.isreg():
                yield Noted(archive.prefix + name, content_of(file, member))
        yield from _add_links(archive, file, objects, links, chosen, noted)
    except tarfile.TarError as error:
        raise UserError(
            f"cannot read {archive.named}: {error}\n"
            "expected a whole tar that is not compressed (the images in it are already); unpack it, or make it anew"
        ) from error


def _add_links(
    archive: Archive,
    file: IO[bytes],
    objects: Objects,
    links: list[Link],
    chosen: Callable[[str], bool],
    noted: Callable[[str], bool],
) -> Iterator[Noted]:
    """Add what a tar's links lead to, as :func:`add_members` does files."""
    wanted = [link for link in links if chosen(_key(link.member)) or noted(_key(link.member))]
    for member, target in followed(file, links, wanted):
        if chosen(_key(member)):
            _add_of_tar(archive, objects, member, target)
        elif target is not None:
            yield Noted(archive.prefix + _key(member), content_of(file, target))


def _key(member: tarfile.TarInfo) -> str:
    """As members are called in the archive."""
    return member.name.removeprefix("./")


def _add_of_tar(archive: Archive, objects: Objects, member: tarfile.TarInfo, target: tarfile.TarInfo | None) -> None:
    """Add a member with the bytes of ``target``: of itself, or of what a link leads to; None: nothing."""
    key, uri = archive.prefix + _key(member), f"tar://{member.name}::{archive.uri}"
    flaw = _flaw_of(member, target)
    if target is None or flaw is not None:
        version, place = f"{archive.entry.version}#{member.offset}", _place(archive, 0, 0, flaw)
        objects.add(key, uri, None, version, archive.entry.modified_at, place)
        return
    version = f"{archive.entry.version}#{target.offset_data}+{target.size}"
    place = _place(archive, target.offset_data, target.size)
    objects.add(key, uri, target.size, version, archive.entry.modified_at, place)


def _flaw_of(member: tarfile.TarInfo, target: tarfile.TarInfo | None) -> Flaw | None:
    if target is None:
        return Flaw(Reason.EMPTY, f"a link to {member.linkname}, which is no file in the archive")
    if not target.isreg():
        return Flaw(Reason.EMPTY, "a device or a pipe in a tar, expected a file")
    if target.issparse():
        return Flaw(Reason.UNSUPPORTED_FORMAT, "a sparse file in a tar, expected one without holes (tar without -S)")
    return None


def _add_zip(
    archive: Archive, file: IO[bytes], objects: Objects, chosen: Callable[[str], bool], noted: Callable[[str], bool]
) -> Iterator[Noted]:
    try:
        with zipfile.ZipFile(file) as opened:
            members = sorted(opened.infolist(), key=lambda one: one.header_offset)
            ends = [*(one.header_offset for one in members), opened.start_dir][1:]
            end_of = {one.header_offset: end for one, end in zip(members, ends, strict=True)}
            for member in members:
                name = member.filename.removeprefix("./")
                if member.is_dir() or not (chosen(name) or noted(name)):
                    continue
                target = zip_target(opened, member)
                if chosen(name):
                    _add_of_zip(archive, objects, member, target, 0 if target is None else end_of[target.header_offset])
                elif target is not None:
                    yield Noted(archive.prefix + name, opened.read(target))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise UserError(f"cannot read {archive.named}: {error}\nexpected a whole zip without a password") from error


def _add_of_zip(
    archive: Archive, objects: Objects, member: zipfile.ZipInfo, target: zipfile.ZipInfo | None, end: int
) -> None:
    """Add a member with the bytes of ``target``, which end before ``end``; None: it is a link to nothing."""
    key, uri = archive.prefix + member.filename.removeprefix("./"), f"zip://{member.filename}::{archive.uri}"
    if target is None:
        flaw = Flaw(Reason.EMPTY, "a link to what is no file in the archive")
        version = f"{archive.entry.version}#{member.header_offset}"
        objects.add(key, uri, None, version, _zip_time(member), _place(archive, 0, 0, flaw))
        return
    place = _place(archive, target.header_offset, end - target.header_offset)
    # By its checksum: members of a changed archive that did not change are not read again.
    version = f"{target.file_size}-{target.CRC:08x}"
    objects.add(key, uri, target.file_size, version, _zip_time(target), place)


def _zip_time(member: zipfile.ZipInfo) -> dt.datetime | None:
    try:
        return dt.datetime(*member.date_time)
    except ValueError:
        return None


def _place(archive: Archive, place: int, length: int, flaw: Flaw | None = None) -> dict[str, Any]:
    said = None if flaw is None else str(flaw)
    version = archive.entry.version
    return {"archive": archive.uri, "archive_version": version, "place": place, "length": length, "flaw": said}


# -- Parquet


def image_field(schema: pa.Schema, asked: str | None, named: str) -> pa.Field:
    """The column with the images: of bytes, or a struct with a field ``bytes`` (Hugging Face).

    Raises:
        UserError: there is none, or several and none is asked for.
    """
    fields = [field for field in schema if _holds_bytes(field.type) and (asked is None or field.name == asked)]
    if len(fields) != 1:
        found = ", ".join(f"{field.name} {field.type}" for field in schema)
        called = f" called {asked}" if asked else ""
        raise UserError(
            f"{named} has {len(fields) or 'no'} columns of images{called}; found {found[:200]}\n"
            "expected one of bytes, or of {bytes, path}; ingest.image_column says which"
        )
    return fields[0]


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _holds_bytes(kind.field(at).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


class Rows(NamedTuple):
    """The rows of a Parquet file but for the images' bytes: how each is called, where it lies, the other columns."""

    names: list[str]
    places: list[tuple[int, int]]
    columns: pa.Table


def parquet_rows(archive: Archive, asked: str | None, id_column: str) -> Rows:
    """Read what a Parquet file says of its images.

    A row is called by the ``path`` in its struct, the column ``path`` or ``key``, else by its id: never by its place.

    Raises:
        UserError: it is damaged, has no images, or no names for them.
    """
    try:
        with _opened(archive) as file:
            opened = pq.ParquetFile(file)
            field = image_field(opened.schema_arrow, asked, archive.named)
            others = [one.name for one in opened.schema_arrow if one.name != field.name and not _holds_bytes(one.type)]
            struct = pa.types.is_struct(field.type) and field.type.get_field_index("path") >= 0
            rows = opened.read([*others, *([f"{field.name}.path"] if struct else [])])
            groups = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise UserError(
            f"cannot read {archive.named}: {' '.join(str(error).split())[:200]}\nexpected Parquet"
        ) from error
    names = _names(rows, field.name if struct else None, id_column)
    if names is None:
        raise UserError(
            f"{archive.named} does not say how its images are called\nexpected a field path beside the bytes, or a "
            f"column path, key or {id_column} with a value of its own in every row (ingest.id_column)"
        )
    places = [(group, row) for group, count in enumerate(groups) for row in range(count)]
    return Rows(names, places, rows.select(others))


def _names(rows: pa.Table, struct: str | None, id_column: str) -> list[str] | None:
    candidates = [rows[name] for name in ("path", "key", id_column) if name in rows.column_names]
    if struct is not None:
        candidates.insert(0, pa.chunked_array([chunk.field("path") for chunk in rows[struct].chunks], pa.string()))
    for column in candidates:
        names = [None if value is None else str(value) for value in column.to_pylist()]
        if all(names) and len(set(names)) == len(names):
            return [str(name) for name in names]
    return None
