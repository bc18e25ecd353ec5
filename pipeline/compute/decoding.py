"""Bytes to upright RGB pixels; what cannot be decoded raises a ``Flaw`` and nothing else.

The format is told by the first bytes, never by a name, and the size is checked on the header, before any pixel is
decoded.  Colour profiles are not applied: a network sees the numbers as the camera stored them.  Transparency is laid
on white; 16-bit samples keep their high byte (no image is scaled by its own maximum); of an animation the first frame
counts; CMYK with Adobe's marker is inverted, as Photoshop writes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pipeline.compute.formats import Header, describe_bytes, image_format, unread_format
from pipeline.compute.jpegs import jpeg_header, jpeg_pixels
from pipeline.compute.pillow_images import pillow_header, pillow_pixels
from pipeline.compute.pixels import Pixels, Scratch, upright
from pipeline.compute.raw_images import raw_header, raw_pixels
from pipeline.compute.reasons import Flaw, Reason

T = TypeVar("T")

_HEADERS: dict[str, Callable[[bytes], Header]] = {"jpeg": jpeg_header, "raw": raw_header}
"""The formats that Pillow does not read, or more slowly."""


@dataclass(frozen=True)
class Limits:
    """What is refused: objects of more bytes, images of more pixels."""

    max_bytes: int
    max_pixels: int


@dataclass(frozen=True)
class Decoded:
    """An image: upright pixels and its header."""

    rgb: Pixels
    header: Header


def decode(data: bytes, limits: Limits) -> Decoded:
    """Decode an image to upright RGB.

    Raises:
        Flaw: with the reason, whatever the bytes are.
    """
    header = read_header(data, limits.max_bytes)
    return Decoded(upright(read_pixels(data, header, limits.max_pixels), header.orientation), header)


def open_pixels(data: bytes) -> Pixels:
    """Upright RGB of the ``pixels`` column, whose size was checked when it was written.

    Raises:
        Flaw: the bytes are no image after all.
    """
    return decode(data, Limits(max_bytes=len(data), max_pixels=2**62)).rgb


def read_header(data: bytes, max_bytes: int) -> Header:
    """Format, size, orientation and EXIF, without decoding a pixel.

    Raises:
        Flaw: no bytes, too many bytes, no image, or not a format that is read.
    """
    if not data:
        raise Flaw(Reason.EMPTY)
    if len(data) > max_bytes:
        raise Flaw(Reason.TOO_LARGE, f"{len(data)} bytes, at most {max_bytes}")
    name = image_format(data)
    if name is None:
        raise _not_read(data)
    return guarded(lambda: _HEADERS[name](data) if name in _HEADERS else pillow_header(data, name))


def read_pixels(data: bytes, header: Header, max_pixels: int, scratch: Scratch | None = None) -> Pixels:
    """The pixels as they are stored: :func:`~pipeline.compute.pixels.upright` has still to turn them.

    Args:
        data: the image.
        header: its header, by :func:`read_header`.
        max_pixels: an image whose header says that it has more is not decoded.
        scratch: memory to decode into; the pixels are then valid until the next image is decoded into it.

    Raises:
        Flaw: too many pixels, truncated, corrupt, or of a kind that is not read.
    """
    if header.width * header.height > max_pixels:
        raise Flaw(Reason.TOO_MANY_PIXELS, f"{header.width}x{header.height}, at most {max_pixels} pixels")
    if header.format == "jpeg":
        return guarded(lambda: jpeg_pixels(data, header, scratch))
    if header.format == "raw":
        return guarded(lambda: raw_pixels(data))
    return guarded(lambda: pillow_pixels(data, header.format))


def _not_read(data: bytes) -> Flaw:
    unread = unread_format(data)
    if unread is not None:
        return Flaw(Reason.UNSUPPORTED_FORMAT, unread)
    return Flaw(Reason.NOT_AN_IMAGE, describe_bytes(data))


def guarded(read: Callable[[], T]) -> T:
    """Whatever a decoder raises on hostile bytes becomes a :class:`Flaw`."""
    try:
        return read()
    except Flaw:
        raise
    except MemoryError as error:
        raise Flaw(Reason.OUT_OF_MEMORY, str(error)) from error
    except Exception as error:  # decoders raise anything: OSError, SyntaxError, struct.error, zlib.error, …
        words = f"{type(error).__name__}: {error}"
        cut = isinstance(error, EOFError) or any(word in words.lower() for word in ("truncated", "premature end"))
        raise Flaw(Reason.TRUNCATED if cut else Reason.CORRUPT, words) from error
