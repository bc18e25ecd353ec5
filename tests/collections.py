"""Small collections made by the tests: a few subjects, a few dates, real JPEGs with EXIF dates."""

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

DATES = ("2024-05-01", "2024-05-02", "2024-05-04")

TINY = (32, 24)
AS_THEY_ARE = "fingerprint.extractor=raw_pixels:size=32x24:color=grey"
"""Of tiny photographs, for tests of what befalls a run: there is nothing to resize, so no process loads torch for that.

Torch costs a process four CPU seconds, more than all else that it does in such a run.
"""
PLAIN = ("--set", AS_THEY_ARE)
"""The same for the command."""


@dataclass
class Collection:
    """A folder of photographs and what is on them."""

    root: Path
    identity: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (128, 96)

    def add(self, subject: int, date: str, shot: int, name: str | None = None) -> str:
        """One more photograph: the subject's texture, a little brighter, shifted and noisier each time."""
        key = name or f"card{shot}/s{subject}_{date.replace('-', '')}_{shot}.jpg"
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        taken = dt.datetime.fromisoformat(date) + dt.timedelta(hours=12, minutes=subject)
        exif = Image.Exif()
        exif.get_ifd(0x8769)[36867] = f"{taken:%Y:%m:%d %H:%M:%S}"
        found = look(subject, DATES.index(date) if date in DATES else 3, shot)
        found.resize(self.size, Image.Resampling.BOX).save(path, quality=92, exif=exif)
        self.identity[key] = f"subject {subject}"
        return key


def look(subject: int, age: int, shot: int) -> Image.Image:
    coarse = np.random.default_rng(subject).uniform(0, 255, (6, 8, 3))
    picture = np.asarray(Image.fromarray(coarse.astype(np.uint8)).resize((128, 96), Image.Resampling.NEAREST))
    noise = np.random.default_rng((subject, age, shot)).normal(0, 6, picture.shape)
    moved = np.roll(picture, shot, axis=1) * (1 - 0.05 * age) + noise
    return Image.fromarray(np.clip(moved, 0, 255).astype(np.uint8))


def small(root: Path, subjects: int = 4, shots: int = 2, size: tuple[int, int] = (128, 96)) -> Collection:
    """``subjects`` seen on every date, ``shots`` times each."""
    collection = Collection(root, size=size)
    for subject in range(subjects):
        for date in DATES:
            for shot in range(shots):
                collection.add(subject, date, shot)
    return collection
