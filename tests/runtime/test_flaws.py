"""Every flaw that a collection may have, in one collection, through a run: a row each, right or with a reason."""

import os
import shutil
import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from pipeline import schemas
from pipeline.compute.decoding import open_pixels
from pipeline.errors import TooManyFailuresError, UserError
from pipeline.reports.summary import render_status
from pipeline.reports.text import plain
from pipeline.runtime import listing
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Engine, LocalEngine
from pipeline.runtime.survey import summarize, survey
from tests.collections import small
from tests.commands import imagetracks, run_arguments
from tests.killing import fragment_rows
from tests.pictures import exif, photo, quadrants, saved
from tests.runtime.runs import no_engine, open_read, run_local, tables

pytestmark = pytest.mark.slow
DAY = "2024-05-01"
TAKEN = "2024:05:01 12:00:00"
INKS = (204, 51, 0, 26)  # cyan, magenta, yellow, black
RGB_OF_INKS = [(255 - ink) * (255 - INKS[3]) / 255 for ink in INKS[:3]]
PICTURE = np.asarray(quadrants())


class Denying(MemoryFileSystem):
    """An object store that refuses to hand out some of its objects, and counts what it is asked for."""

    protocol = "denying"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    denied: ClassVar[set[str]] = set()
    asked: ClassVar[Counter[str]] = Counter()

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(path.removeprefix("denying://"))

    def cat_file(self, path: str, *args: Any, **kwargs: Any) -> bytes:
        name = path.rsplit("/", 1)[-1]
        self.asked[name] += 1
        if name in self.denied:
            raise PermissionError(f"AccessDenied: {path}")
        return bytes(super().cat_file(path, *args, **kwargs))


fsspec.register_implementation("denying", Denying, clobber=True)


def stored(picture: np.ndarray, orientation: int) -> Image.Image:
    """What a camera stores of an upright picture: the inverse of what a reader has to do (Exif 2.32, tag 274)."""
    if orientation >= 5:
        picture = picture.transpose(1, 0, 2)
        orientation = {5: 1, 6: 4, 7: 3, 8: 2}[orientation]
    turned = {1: picture, 2: picture[:, ::-1], 3: picture[::-1, ::-1], 4: picture[::-1]}[orientation]
    return Image.fromarray(np.ascontiguousarray(turned))


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header is a promise of so many pixels, kept by zeros that deflate to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    zeros = zlib.compress(bytes(height * (width // 8 + 1)), 9)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zeros) + chunk(b"IEND", b"")


def claims(data: bytes, side: int) -> bytes:
    """A JPEG that says to be ``side`` pixels wide and high."""
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", side, side) + data[frame + 9 :]


def good() -> dict[str, bytes]:
    dated = exif(t36867=TAKEN).tobytes()
    cmyk = Image.new("CMYK", (32, 32), INKS)
    inverted = Image.new("CMYK", (32, 32), tuple(255 - ink for ink in INKS))
    plain = saved(inverted, quality=95, subsampling=0, exif=dated)
    adobe = plain.index(b"\xff\xee")
    plain = plain[:adobe] + plain[adobe + 2 + int.from_bytes(plain[adobe + 2 : adobe + 4], "big") :]
    palette = Image.new("P", (32, 32), 1)
    palette.putpalette([10, 20, 30, 200, 100, 0])
    palette.paste(0, (0, 0, 16, 32))
    frames = [Image.new("RGB", (32, 32), color) for color in ((250, 0, 0), (0, 250, 0))]
    found = {
        "adobe_cmyk.jpg": saved(cmyk, quality=95, subsampling=0, exif=dated),
        "plain_cmyk.jpg": plain,
        "deep.png": saved(Image.fromarray(np.full((32, 32), 0x80FF, dtype=np.uint16)), "PNG", exif=dated),
        "palette.png": saved(palette, "PNG", transparency=0, exif=dated),
        "animated.gif": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "animated.webp": saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True),
        "pixel.png": saved(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG"),
        "thread.png": saved(Image.new("RGB", (1, 10_000), (9, 8, 7)), "PNG"),
        "nonsense.jpg": saved(photo(), exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage"),
        "year0.jpg": saved(photo(seed=1), exif=exif(t36867="0000:01:01 00:00:00")),
        "year9999.jpg": saved(photo(seed=2), exif=exif(t36867="9999:12:31 23:59:59")),
    }
    for orientation in range(1, 9):
        block = exif(orientation, t36867=TAKEN)
        found[f"turned{orientation}.jpg"] = saved(stored(PICTURE, orientation), quality=95, exif=block)
    return found


WHOLE = saved(photo(200, 150), exif=exif(t36867=TAKEN))
FLAWED = {
    "cut.jpg": (WHOLE[:-2000], "truncated"),
    "empty.jpg": (b"", "empty"),
    "text.jpg": (b"hello, this is no image", "not_an_image"),
    "error.png": (b"<!DOCTYPE html><html>404 Not Found</html>", "not_an_image"),
    "huge.png": (bomb(30_000, 30_000), "too_many_pixels"),
    "bomb.jpg": (claims(WHOLE, 65_500), "too_many_pixels"),
    "long.jpg": (WHOLE + bytes(2**17), "too_large"),
    "phone.jpg": (b"\0\0\0\x0cJXL \r\n" + b"\0" * 40, "unsupported_format"),
    "damaged.png": (saved(photo(), "PNG")[:60] + b"\0" * 500, "corrupt"),
    "vanished.jpg": (WHOLE + b"1", "not_found"),
    "changed.jpg": (WHOLE + b"2", "changed"),
    "denied.jpg": (WHOLE + b"3", "permission_denied"),
}
PASSING = {"vanished.jpg", "changed.jpg", "denied.jpg"}
LIMIT = f"ingest.max_bytes={2**17}"


@pytest.fixture
def store() -> Denying:
    filesystem = Denying()
    Denying.store.clear()
    Denying.asked.clear()
    for name, data in {**good(), **{name: data for name, (data, _) in FLAWED.items()}}.items():
        filesystem.pipe_file(f"/photos/{DAY if 'year' in name else 'all'}/{name}", data)
    Denying.denied.clear()
    Denying.denied.add("denied.jpg")
    return filesystem


def run_on(store: Denying, workspace: Path, spoil: bool = False) -> Context:
    def engine() -> Engine:  # asked for between listing and reading
        if spoil:
            store.rm_file("/photos/all/vanished.jpg")
            store.pipe_file("/photos/all/changed.jpg", WHOLE)
        return LocalEngine(1)

    return run_local("denying://photos", workspace, LIMIT, make_engine=engine)


def by_name(workspace: Path) -> dict[str, dict[str, Any]]:
    found = tables(workspace)["images"]
    rows = [{**row, "date": date} for date, part in found.items() for row in part.to_pylist()]
    return {row["uri"].rsplit("/", 1)[-1]: row for row in rows}


def test_every_flaw_gives_its_row(store: Denying, tmp_path: Path) -> None:
    context = run_on(store, tmp_path / "ws", spoil=True)
    rows = by_name(tmp_path / "ws")
    assert {name: row["reason"] for name, row in rows.items()} == {
        **dict.fromkeys(good()),
        **{name: reason for name, (_, reason) in FLAWED.items()},
    }
    assert all((row["pixels"] is None) == (row["reason"] is not None) for row in rows.values())
    assert Denying.asked["long.jpg"] == 0  # the listing says that it is too large
    _assert_decoded_right({name: open_pixels(row["pixels"]) for name, row in rows.items() if row["pixels"]})
    _assert_dated_right(rows)
    _assert_counted(context)
    done = run_on(store, tmp_path / "ws")  # what may pass is tried again, and nothing else
    assert done.done["images"] == len(PASSING) - 1  # the vanished one is listed no more
    rows = by_name(tmp_path / "ws")
    assert (rows["changed.jpg"]["reason"], rows["denied.jpg"]["reason"]) == (None, "permission_denied")
    assert rows["vanished.jpg"]["vanished"]


def _assert_decoded_right(pixels: dict[str, np.ndarray]) -> None:
    for orientation in range(1, 9):
        rgb = pixels[f"turned{orientation}.jpg"].astype(int)
        assert rgb.shape == PICTURE.shape
        for y, x in ((8, 16), (8, 48), (24, 16), (24, 48)):
            assert np.abs(rgb[y, x] - PICTURE[y, x]).max() <= 12, orientation
    for name in ("adobe_cmyk.jpg", "plain_cmyk.jpg"):
        assert np.abs(pixels[name][16, 16] - RGB_OF_INKS).max() <= 4, name
    assert np.abs(pixels["deep.png"].astype(int) - 0x80).max() <= 2
    assert np.abs(pixels["palette.png"][16, [8, 24]].astype(int) - [[255] * 3, [200, 100, 0]]).max() <= 12
    for name in ("animated.gif", "animated.webp"):
        assert np.abs(pixels[name][16, 16].astype(int) - [250, 0, 0]).max() <= 6, name
    assert pixels["pixel.png"].shape == (1, 1, 3)
    assert pixels["thread.png"].shape == (6144, 1, 3)  # 16 times image_px at most


def _assert_dated_right(rows: dict[str, dict[str, Any]]) -> None:
    for name in ("year0.jpg", "year9999.jpg"):  # no such day: the next rung, here the folder
        assert (rows[name]["date"], rows[name]["captured_at_source"]) == (DAY, "folder"), name
    for name in ("turned1.jpg", "cut.jpg", "bomb.jpg", "adobe_cmyk.jpg", "deep.png"):  # also of a flawed one
        assert (rows[name]["date"], rows[name]["captured_at_source"]) == (DAY, "exif_original"), name
    for name in ("nonsense.jpg", "empty.jpg", "denied.jpg", "vanished.jpg", "pixel.png"):
        assert (rows[name]["date"], rows[name]["captured_at"]) == (schemas.UNDATED, None), name


def _assert_counted(context: Context) -> None:
    expected = Counter(reason for _, reason in FLAWED.values())
    summary = summarize(context)
    assert summary.images == len(good()) + len(FLAWED)
    assert Counter(summary.failed) == expected
    status = Counter[str]()
    for line in survey(context):
        if line.table == "images":
            status.update(line.failed)
    assert status == expected


def test_times_of_a_manifest_that_cannot_be_read_are_told_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos = broken(tmp_path / "photos", 0, whole=3)
    lines = ["path,captured_at", "whole000.jpg,2024-05-01", "whole001.jpg,05/01/2024", "whole002.jpg,soon"]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    run_local(photos, tmp_path / "ws", manifest=tmp_path / "m.csv")
    assert "2 of 3 values of 'captured_at' are no time, e.g. '05/01/2024' in row 2" in caplog.text
    shown = plain(render_status(survey(open_read(tmp_path / "ws"))))
    assert "Images dated by unreadable 2, metadata 1; the manifest's time of 2 cannot be read" in shown
    details = sorted(str(row["detail"]) for row in by_name(tmp_path / "ws").values())
    assert details == ["None", "no time in the manifest: '05/01/2024'", "no time in the manifest: 'soon'"]


def test_images_of_a_folder_that_cannot_be_listed_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    photos = small(tmp_path / "photos", subjects=2)
    run_local(photos.root, tmp_path / "ws")
    expected, scan = tables(tmp_path / "ws"), os.scandir

    def refusing(folder: str) -> Any:  # the tests may run as one whom nothing is refused
        if str(folder).endswith("card1"):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    with monkeypatch.context() as patch:
        patch.setattr(listing.os, "scandir", refusing)
        drop = "ingest.on_vanished=drop"
        run_local(photos.root, tmp_path / "ws", drop)
        assert "a folder cannot be listed, what is known of its images stays" in caplog.text
        assert run_local(photos.root, tmp_path / "ws", drop, make_engine=no_engine).done.total() == 0
        with pytest.raises(UserError, match="every image has to be read again, and 1 folders cannot be listed"):
            run_local(photos.root, tmp_path / "ws", "ingest.image_px=300")
    assert tables(tmp_path / "ws") == expected
    shutil.rmtree(photos.root / "card1")
    run_local(photos.root, tmp_path / "ws", drop)
    assert sum(rows.num_rows for rows in tables(tmp_path / "ws")["images"].values()) == len(photos.identity) // 2


@pytest.mark.parametrize("by_manifest", [False, True])
def test_images_of_a_folder_that_cannot_be_entered_stay(
    by_manifest: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    photos, manifest = small(tmp_path / "photos", subjects=2), tmp_path / "m.csv"
    manifest.write_text("\n".join(["path", *photos.identity]))
    where = {"manifest": manifest if by_manifest else None}
    run_local(photos.root, tmp_path / "ws", **where)
    expected, stat = tables(tmp_path / "ws"), Path.stat

    def refusing(path: Path, **options: bool) -> os.stat_result:
        if path.parent.name == "card1":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(listing.Path, "stat", refusing)
        drop = "ingest.on_vanished=drop"
        run_local(photos.root, tmp_path / "ws", drop, **where)
    assert [record.message for record in caplog.records if "cannot be listed, what is known" in record.message]
    assert tables(tmp_path / "ws") == expected
    assert run_local(photos.root, tmp_path / "ws", drop, **where).done.total() == 0


def broken(root: Path, count: int, whole: int = 0) -> Path:
    root.mkdir()
    for number in range(count):
        (root / f"{number:03}.jpg").write_bytes(b"no image" + bytes([number]))
    for number in range(whole):
        (root / f"whole{number:03}.jpg").write_bytes(saved(photo(seed=number)))
    return root


def test_a_job_that_is_failing_stops_before_it_has_read_all(tmp_path: Path) -> None:
    photos = broken(tmp_path / "photos", 100)
    with pytest.raises(TooManyFailuresError, match=r"of 100 new images cannot be used \(\d+ not_an_image\)"):
        run_local(photos, tmp_path / "ws", "resources.rows_per_fragment=5", "resources.max_failed_fraction=0.1")
    assert fragment_rows(tmp_path / "ws", "images") == 15  # 11 of 100 are more than a tenth
    done = run_local(photos, tmp_path / "ws", "resources.max_failed_fraction=1").done
    assert done["images"] == 85  # what it had read counts
    assert run_local(photos, tmp_path / "ws", make_engine=no_engine).done.total() == 0


def test_a_few_failures_stop_nothing(tmp_path: Path) -> None:
    photos = broken(tmp_path / "photos", 10, whole=10)
    run_local(photos, tmp_path / "ws", "resources.rows_per_fragment=4")
    images = pa.concat_tables(tables(tmp_path / "ws")["images"].values())
    assert images["reason"].null_count == 10
    assert summarize(open_read(tmp_path / "ws")).failed == {"not_an_image": 10}


def test_less_than_twenty_may_all_fail(tmp_path: Path) -> None:
    photos = broken(tmp_path / "photos", 19)
    run_local(photos, tmp_path / "ws")
    assert summarize(open_read(tmp_path / "ws")).failed == {"not_an_image": 19}
    again = imagetracks(*run_arguments(photos, tmp_path / "ws")).stdout
    assert "Nothing to do: no image has a vector" in again  # and `status` says of the dates: not computed yet
