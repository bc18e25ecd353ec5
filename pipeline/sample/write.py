"""Writing the sample: photographs with EXIF, the truth beside them, and the blemishes of a real collection."""

import csv
import io
import shutil
import string
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from hashlib import blake2b
from pathlib import Path

from PIL import Image

from pipeline.errors import UserError
from pipeline.sample.camera import CAMERAS, Camera, noise_tile, photograph
from pipeline.sample.fields import generator
from pipeline.sample.wall import Wall
from pipeline.sample.world import DATES, WEATHER, View, events, views

SHOTS, SHOT_SHARES = (3, 4, 5), (0.4, 0.4, 0.2)
"""How many shots a subject gets on a date, and how often."""

THREADS = 2
"""Views drawn at a time: Pillow and NumPy leave Python's lock for most of the work, and the result is the same."""

FOLDERS = 6
"""Folders of the memory cards; a photograph's folder follows from its name, so neither says anything about it."""

EXIF_IFD, ORIENTATION, DATETIME, MODEL = 0x8769, 274, 306, 272
DATETIME_ORIGINAL, OFFSET_ORIGINAL = 36867, 36881
TURNED_LEFT = 6
"""EXIF orientation of a picture that was stored turned to the left and is shown turned back."""

NOT_AN_IMAGE = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>\n"


@dataclass(frozen=True)
class SampleReport:
    """What was written; paths in ``broken``, ``duplicate`` and ``undated`` are relative to ``images``."""

    images: Path
    truth: Path
    truth_events: Path
    num_files: int
    num_subjects: int
    dates: tuple[date, ...]
    broken: tuple[str, str]
    duplicate: tuple[str, str]
    undated: str


@dataclass(frozen=True)
class _Shot:
    """A photograph in memory: its path below the images folder, its JPEG bytes, when and of whom it was taken."""

    path: str
    identity: str
    data: bytes


def write_sample(folder: Path, seed: int = 0) -> SampleReport:
    """Write the sample into ``folder``: images/, truth.csv (path, identity) and truth_events.csv.

    The same seed gives the same bytes (with the same Pillow).  The truth names every photograph that has a date and
    can be read, with its path relative to images/.  It is written beside ``folder`` under the ending ``.partial`` and
    moved when it is whole, so that an interrupted call leaves no half sample; what such a call left is replaced.

    Raises:
        UserError: ``folder`` holds something already, or a photograph is missing from its package.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} holds something already; give a new or an empty folder")
    unfinished = folder.absolute().with_name(folder.absolute().name + ".partial")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    writer = _Writer(unfinished / "images", seed)
    with ThreadPoolExecutor(THREADS) as pool:
        for index in range(len(DATES)):
            for shots in pool.map(partial(writer.shots, index), views(index)):
                writer.put_shots(index, shots)
    broken, duplicate, undated = writer.blemishes()
    _write_rows(unfinished / "truth.csv", ("path", "identity"), sorted(writer.truth.items()))
    rows = [(event.kind, event.date.isoformat(), event.identity, event.other) for event in events()]
    _write_rows(unfinished / "truth_events.csv", ("kind", "date", "identity", "other"), rows)
    if folder.exists():
        folder.rmdir()
    unfinished.rename(folder)
    return SampleReport(
        images=folder / "images",
        truth=folder / "truth.csv",
        truth_events=folder / "truth_events.csv",
        num_files=writer.num_files,
        num_subjects=len(set(writer.truth.values())),
        dates=DATES,
        broken=broken,
        duplicate=duplicate,
        undated=undated,
    )


class _Writer:
    """Takes the photographs of one sample and keeps the truth about them."""

    def __init__(self, images: Path, seed: int) -> None:
        self.truth: dict[str, str] = {}
        self.num_files = 0
        self._images = images
        self._seed = seed
        self._wall = Wall(seed)
        self._noise = noise_tile(generator(seed, "noise"))
        self._last: dict[int, _Shot] = {}

    def shots(self, index: int, view: View) -> list[_Shot]:
        """All photographs of one view on one date; depends on nothing that was shot before."""
        scene, frame = self._wall.scene(view)
        rng = generator(self._seed, "shots", index, view.identity)
        taken_shots = []
        for number in range(int(rng.choice(SHOTS, p=SHOT_SHARES))):
            camera = CAMERAS[int(rng.integers(len(CAMERAS)))]
            taken = datetime.combine(DATES[index], time(10)) + timedelta(seconds=int(rng.integers(0, 7 * 3600)))
            image = photograph(scene, frame, camera, WEATHER[index], rng, self._noise)
            path = self._name(index, view.identity, number)
            taken_shots.append(_Shot(path, view.identity, encoded(image, camera, taken)))
        return taken_shots

    def put_shots(self, index: int, shots: list[_Shot]) -> None:
        """Write the photographs of one view on one date and note the truth about them."""
        for shot in shots:
            self._put(shot.path, shot.data)
            self.truth[shot.path] = shot.identity
            self._last[index] = shot

    def blemishes(self) -> tuple[tuple[str, str], tuple[str, str], str]:
        """Two broken files, an exact duplicate on its own date, and a photograph that nothing dates."""
        whole, copied, stripped = (self._last[index] for index in (3, 6, 9))
        truncated, page, copy, undated = (self._name("blemish", number) for number in range(4))
        self._put(truncated, whole.data[: len(whole.data) // 3])
        self._put(page, NOT_AN_IMAGE)
        self._put(copy, copied.data)
        self.truth[copy] = copied.identity
        with Image.open(io.BytesIO(stripped.data)) as opened:
            bare = io.BytesIO()
            opened.save(bare, "JPEG", quality=85)
        self._put(undated, bare.getvalue())
        return (truncated, page), (copied.path, copy), undated

    def _name(self, *what: object) -> str:
        """A path that says nothing, letters only: digits might be taken for a date."""
        digest = blake2b("/".join(map(str, (self._seed, *what))).encode(), digest_size=11).digest()
        letters = "".join(string.ascii_lowercase[byte % 26] for byte in digest[1:])
        return f"DCIM/{100 + digest[0] % FOLDERS}MEDIA/photo_{letters}.jpg"

    def _put(self, path: str, data: bytes) -> None:
        target = self._images / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self.num_files += 1


def encoded(image: Image.Image, camera: Camera, taken: datetime) -> bytes:
    """The JPEG file as the camera writes it: an upright shot is stored lying, with the orientation that turns it."""
    exif = Image.Exif()
    exif[MODEL] = camera.model
    # The time of the last edit, which is not the time of capture: whoever dates by it is wrong by a year.
    exif[DATETIME] = (taken + timedelta(days=365)).strftime("%Y:%m:%d %H:%M:%S")
    details = exif.get_ifd(EXIF_IFD)
    details[DATETIME_ORIGINAL] = taken.strftime("%Y:%m:%d %H:%M:%S")
    if camera.offset is not None:
        details[OFFSET_ORIGINAL] = camera.offset
    if image.height > image.width:
        image = image.transpose(Image.Transpose.ROTATE_90)
        exif[ORIENTATION] = TURNED_LEFT
    data = io.BytesIO()
    image.save(data, "JPEG", quality=camera.quality, exif=exif)
    return data.getvalue()


def _write_rows(path: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
