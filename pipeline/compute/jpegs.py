"""JPEG: the header by its markers, the pixels by libjpeg-turbo (simplejpeg), odd ones by Pillow.

Source of the syntax: ITU-T T.81, annex B.
"""

from collections.abc import Iterator

import simplejpeg

from pipeline.compute.exif import NO_EXIF, read_exif
from pipeline.compute.formats import Header
from pipeline.compute.pillow_images import cmyk_jpeg_pixels, pillow_pixels
from pipeline.compute.pixels import Pixels, Scratch
from pipeline.compute.reasons import Flaw, Reason

# A marker that begins a frame, but for the tables DHT (c4), JPG (c8) and DAC (cc) that lie among them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x00, 0x01}
_START_OF_SCAN, _END_OF_IMAGE, _APP1, _APP14 = 0xDA, 0xD9, 0xE1, 0xEE

_MAX_SCANS = 100
"""A progressive JPEG has some 10 scans; each is a pass over the whole frame, so thousands are an attack."""

# libjpeg's warnings about files that are whole but odd; after any other the pixels are not what was photographed.
_HARMLESS = (
    "extraneous bytes",
    "unknown adobe color",
    "unknown jfif",
    "bad icc",
    "invalid sos",
    "inconsistent progression",
)
# What this decoder does not know and Pillow's may.
_UNSUPPORTED = ("subsampling", "unsupported", "not supported", "arithmetic")


def jpeg_header(data: bytes) -> Header:
    """Size, orientation and EXIF by a walk over the markers before the first scan.

    Raises:
        Flaw: there is no frame.
    """
    frame, exif = b"", NO_EXIF
    for marker, payload in _segments(data, 2):
        if marker == _START_OF_SCAN:
            break
        if marker in _FRAMES and not frame:
            frame = payload
        elif marker == _APP1 and payload.startswith(b"Exif\0\0") and exif is NO_EXIF:
            exif = read_exif(payload)
    if len(frame) < 6:
        raise Flaw(Reason.CORRUPT if b"\xff\xda" in data else Reason.TRUNCATED, "no frame header")
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    if not height or not width:
        raise Flaw(Reason.CORRUPT, f"{width}x{height} pixels")
    if exif.orientation >= 5:
        height, width = width, height
    return Header("jpeg", width, height, exif.orientation, exif, plain=frame[0] == 8 and frame[5] in (1, 3))


def jpeg_pixels(data: bytes, header: Header, scratch: Scratch | None = None) -> Pixels:
    """The stored pixels, not yet upright; in ``scratch`` if it is given and they fit.

    Raises:
        Flaw: truncated (also where a lenient decoder would fill up with grey) or corrupt.
    """
    if data.count(b"\xff\xda") > _MAX_SCANS:
        _check_scans(data)
    if not header.plain:
        return cmyk_jpeg_pixels(data, inverted=_has_adobe_marker(data))
    try:
        buffer = scratch.of(3 * header.width * header.height) if scratch is not None else None
        return simplejpeg.decode_jpeg(data, colorspace="RGB", buffer=buffer)  # type: ignore[no-any-return]  # has no types
    except ValueError as error:
        words = str(error).lower()
    if "premature end" in words:
        raise Flaw(Reason.TRUNCATED, words)
    if any(word in words for word in _HARMLESS + _UNSUPPORTED):
        return pillow_pixels(data, "jpeg")
    raise Flaw(Reason.CORRUPT, words)


def _has_adobe_marker(data: bytes) -> bool:
    """Whether four components are inverted: Photoshop's habit, told by its marker (libjpeg's usage notes)."""
    for marker, payload in _segments(data, 2):
        if marker == _START_OF_SCAN:
            break
        if marker == _APP14 and payload.startswith(b"Adobe"):
            return True
    return False


def _check_scans(data: bytes) -> None:
    scans = sum(marker == _START_OF_SCAN for marker, _ in _segments(data, 2))
    if scans > _MAX_SCANS:
        raise Flaw(Reason.CORRUPT, f"{scans} scans, at most {_MAX_SCANS}")


def _segments(data: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    """The segments with a length, as (marker, payload), up to the end of the image; what lies between is skipped.

    Within a scan's coded data 0xFF is followed by 0x00 or a restart marker only, so the walk passes through it.
    """
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data) or data[position + 1] == _END_OF_IMAGE:
            return
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in _STANDALONE:
            position += 2
        else:
            length = max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
            yield marker, data[position + 4 : position + 2 + length]
            position += 2 + length
