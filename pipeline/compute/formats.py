"""What bytes are, by their first bytes and never by their name."""

import re
from dataclasses import dataclass

from pipeline.compute.exif import Exif, is_camera_raw

_READ = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),  # BigTIFF
    (b"MM\0+", "tiff"),
    (b"FUJIFILMCCD-RAW", "raw"),
    (b"IIRO", "raw"),
    (b"IIRS", "raw"),
    (b"MMOR", "raw"),
    (b"IIU\0", "raw"),
)
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
"""Sizes of the second header of a BMP: its first two letters alone begin many a text."""

# Images and their like that are not read, so that the reason can say so instead of "not an image".
_KNOWN = (
    (b"\0\0\0\x0cjP  \r\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL \r\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\x01\0", "icon"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"gimp xcf", "GIMP"),
    (b"v/1\x01", "OpenEXR"),
    (b"SIMPLE  =", "FITS"),
)
_MEDIA_BRANDS = (
    ("avif", (b"avif", b"avis")),
    ("heic", (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")),
    ("raw", (b"crx ",)),  # Canon's CR3
)
"""Images in ISO base media files by their brands; the first that fits counts, for all of AVIF are ``mif1`` too."""
_SVG = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<svg", re.DOTALL | re.IGNORECASE)
_SNIFFED = 512
"""Bytes that are looked at."""


@dataclass(frozen=True)
class Header:
    """What is known of an image before its pixels are decoded.

    Attributes:
        format: jpeg, png, webp, tiff, bmp, gif, avif, heic or raw.
        width, height: pixels of the upright image.
        orientation: 1 to 8: what :func:`pipeline.compute.pixels.upright` has still to do to the stored pixels.
        exif: as read; its own ``orientation`` may be one that the decoder applies (TIFF, RAW).
        plain: stored as 8-bit grey or RGB without transparency, so that any reader sees the same pixels.
    """

    format: str
    width: int
    height: int
    orientation: int
    exif: Exif
    plain: bool


def image_format(data: bytes) -> str | None:
    """One of the formats of :class:`Header`; None if the bytes are none of these."""
    for signature, name in _READ:
        if data.startswith(signature):
            return "raw" if name == "tiff" and is_camera_raw(data) else name
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        found = _brands(data)
        return next((name for name, brands in _MEDIA_BRANDS if any(brand in found for brand in brands)), None)
    return None


def unread_format(data: bytes) -> str | None:
    """The name of a known format that is not read (JPEG 2000, PDF, …); None if the bytes are no image at all."""
    for signature, name in _KNOWN:
        if data.startswith(signature):
            return name
    if data[4:8] == b"ftyp":
        return f"ISO media ({data[8:12].decode('ascii', 'replace').strip()})"
    return "SVG" if _SVG.match(data[:_SNIFFED]) else None


def describe_bytes(data: bytes) -> str:
    """A few words on bytes that are no image, for a person: what they look like."""
    head = data[:_SNIFFED].lstrip()
    if head[:1] == b"<":
        return "looks like HTML or XML"
    if b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n\f\x1b" for byte in head):
        return "looks like text"
    return f"begins with {data[:8].hex(' ')}"


def png_exif(data: bytes) -> bytes:
    """The ``eXIf`` chunk of a PNG, wherever it stands; empty if there is none."""
    position = 8
    for _ in range(_MAX_CHUNKS):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        if kind == b"eXIf":
            return data[position + 8 : position + 8 + length]
        if len(kind) < 4 or kind == b"IEND":
            break
        position += 12 + length
    return b""


_MAX_CHUNKS = 100_000
"""A 24-megapixel PNG in 8 kB chunks, as some writers make them, has some 8 000."""


def _brands(data: bytes) -> list[bytes]:
    """The major and compatible brands of an ISO base media file (ISO/IEC 14496-12, 4.3)."""
    size = min(int.from_bytes(data[:4], "big"), _SNIFFED)
    return [data[8:12]] + [data[i : i + 4] for i in range(16, size, 4)]
