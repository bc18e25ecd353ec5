"""The few EXIF fields that are used, read from the raw block without trusting it.

A reader of its own, because the block is hostile input on the hot path: it touches eight tags, allocates a few
hundred bytes whatever the block claims, and takes some microseconds, where a general reader loads every tag.
Source: CIPA DC-008 (Exif 2.32), §4.6 and §4.8; TIFF 6.0, §2.
"""

import struct
from dataclasses import dataclass

_EXIF_IFD, _GPS_IFD, _ORIENTATION = 0x8769, 0x8825, 0x0112
_ORIGINAL, _ORIGINAL_OFFSET, _ORIGINAL_SUBSEC = 36867, 36881, 37521
_DIGITIZED, _DIGITIZED_OFFSET, _DIGITIZED_SUBSEC = 36868, 36882, 37522
_GPS_TIME, _GPS_DATE = 7, 29

_SUBFILE, _COMPRESSION, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 254, 259, 262, 330, 50706
_SENSOR_COLOURS = (32803, 34892)  # colour filter array, linear RAW
_MAKERS_COMPRESSIONS = (32767, 34713, 65535)  # Sony's, Nikon's, Pentax's

_MAX_ENTRIES = 512  # real directories hold some 60; a hostile one may claim 65 535
_MAX_TEXT = 64  # the longest field read here has 20 characters
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG
_TEXT, _RATIONALS = 2, {5: "I", 10: "i"}

_Value = int | str | tuple[float, ...]


@dataclass(frozen=True)
class Exif:
    """What a block says, as it stands there: text that may be nonsense, None where a tag is absent.

    ``orientation`` is 1 to 8 (1 where absent or out of range).  ``gps_time`` is hours, minutes, seconds in UTC.
    DateTime (306) is not read at all: it is the time of the last edit.
    """

    orientation: int = 1
    original: str | None = None
    original_subsec: str | None = None
    original_offset: str | None = None
    digitized: str | None = None
    digitized_subsec: str | None = None
    digitized_offset: str | None = None
    gps_date: str | None = None
    gps_time: tuple[float, ...] | None = None


NO_EXIF = Exif()


def read_exif(block: bytes) -> Exif:
    """Read an EXIF block: a TIFF structure, with or without the name ``Exif`` before it; a TIFF file is one too.

    Never raises: what cannot be read is absent.
    """
    if block.startswith(b"Exif\0\0"):
        block = block[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return NO_EXIF
    reader = _Reader(block, order)
    first = reader.directory(reader.integer("I", 4), {_ORIENTATION, _EXIF_IFD, _GPS_IFD})
    camera = reader.directory(
        first.get(_EXIF_IFD),
        {_ORIGINAL, _ORIGINAL_OFFSET, _ORIGINAL_SUBSEC, _DIGITIZED, _DIGITIZED_OFFSET, _DIGITIZED_SUBSEC},
    )
    gps = reader.directory(first.get(_GPS_IFD), {_GPS_TIME, _GPS_DATE})
    orientation, time = first.get(_ORIENTATION), gps.get(_GPS_TIME)
    return Exif(
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        original=_text(camera.get(_ORIGINAL)),
        original_subsec=_text(camera.get(_ORIGINAL_SUBSEC)),
        original_offset=_text(camera.get(_ORIGINAL_OFFSET)),
        digitized=_text(camera.get(_DIGITIZED)),
        digitized_subsec=_text(camera.get(_DIGITIZED_SUBSEC)),
        digitized_offset=_text(camera.get(_DIGITIZED_OFFSET)),
        gps_date=_text(gps.get(_GPS_DATE)),
        gps_time=time if isinstance(time, tuple) else None,
    )


def is_camera_raw(block: bytes) -> bool:
    """Whether a TIFF is a camera's RAW file, whose own pixels are the sensor's and whose first image is a thumbnail.

    Told by what no photograph in TIFF has: DNG's version, Canon's mark, a colour filter array, a maker's compression,
    or a first image that is a reduced one with the large ones in sub-directories (DNG 1.7, TIFF/EP).
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return False
    if block[8:10] == b"CR":
        return True
    reader = _Reader(block, order)
    wanted = {_SUBFILE, _COMPRESSION, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION}
    first = reader.directory(reader.integer("I", 4), wanted)
    return (
        _DNG_VERSION in first
        or first.get(_PHOTOMETRIC) in _SENSOR_COLOURS
        or first.get(_COMPRESSION) in _MAKERS_COMPRESSIONS
        or (first.get(_SUBFILE) == 1 and _SUB_IFDS in first)
    )


def _text(value: _Value | None) -> str | None:
    return value if isinstance(value, str) else None


class _Reader:
    """Bounded access to a TIFF structure: every offset is checked, nothing is followed twice."""

    def __init__(self, block: bytes, order: str) -> None:
        self._block = block
        self._order = order

    def integer(self, code: str, offset: int) -> int | None:
        try:
            return int(struct.unpack_from(self._order + code, self._block, offset)[0])
        except struct.error:
            return None

    def directory(self, offset: _Value | None, wanted: set[int]) -> dict[int, _Value]:
        """The wanted tags of the directory at ``offset``; the first of a repeated tag counts."""
        found: dict[int, _Value] = {}
        if not isinstance(offset, int):
            return found
        entries = self.integer("H", offset) or 0
        for position in range(offset + 2, offset + 2 + 12 * min(entries, _MAX_ENTRIES), 12):
            tag = self.integer("H", position)
            if tag is None:
                break
            value = self._value(position) if tag in wanted and tag not in found else None
            if value is not None:
                found[tag] = value
        return found

    def _value(self, position: int) -> _Value | None:
        """The value of the 12-byte entry at ``position``: tag, type, count, value or offset to it."""
        kind, count = self.integer("H", position + 2), self.integer("I", position + 4)
        if kind is None or count is None:
            return None
        if kind in _INTEGERS:
            return self.integer(_INTEGERS[kind], position + 8)
        if kind == _TEXT:
            return self._ascii(position, count)
        if kind in _RATIONALS and count == 3:
            return self._rationals(position, _RATIONALS[kind])
        return None

    def _ascii(self, position: int, count: int) -> str | None:
        start = position + 8 if count <= 4 else self.integer("I", position + 8)
        if start is None:
            return None
        raw = self._block[start : start + min(count, _MAX_TEXT)]
        return raw.split(b"\0", 1)[0].decode("ascii", "replace").strip()

    def _rationals(self, position: int, code: str) -> tuple[float, ...] | None:
        start = self.integer("I", position + 8)
        try:
            n = struct.unpack_from(f"{self._order}6{code}", self._block, start if start is not None else -1)
            return tuple(n[i] / n[i + 1] for i in (0, 2, 4))
        except (struct.error, ZeroDivisionError):
            return None
