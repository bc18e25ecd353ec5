"""What is kept of an image for later stages: a JPEG of its upright, shrunken pixels, or better where that is small."""

from dataclasses import dataclass

from pipeline.compute.decoding import guarded
from pipeline.compute.formats import Header
from pipeline.compute.pixels import Pixels, encode, encode_png, shrink, shrunken_size, upright

_SMALL_BYTES = 2**16
"""What is no larger than this costs next to nothing to keep as it is."""

_SMALL_PIXELS = 2**19
"""Bytes of pixels up to which it is worth trying a lossless encoding (some 418 x 418 pixels)."""


@dataclass(frozen=True)
class Keeping:
    """How images are kept.

    Attributes:
        image_px: pixels on the shorter side; None: as many as there are.
        quality: of the JPEG, 50 to 100.
    """

    image_px: int | None
    quality: int


def keep_whole(data: bytes, header: Header, stored: Pixels, how: Keeping) -> bytes:
    """The bytes of the ``pixels`` column for a photograph.

    Args:
        data: the object's bytes.
        header: its header.
        stored: its pixels, not yet upright: everything is decoded, so that what is kept is known to decode.
        how: see there.

    Raises:
        Flaw: there is no memory for it.
    """
    image_px = how.image_px
    if image_px is None:
        return data
    small = shrunken_size(header.height, header.width, image_px) == (header.height, header.width)
    portable = header.format in ("jpeg", "png") and header.plain and header.orientation == 1
    # Bytes beside the pixels (a film behind the photograph, thumbnails) must not swell the table.
    if small and portable and len(data) <= max(_SMALL_BYTES, stored.nbytes):
        return data
    # Turning is dear for a large image, so it is shrunk first.
    return guarded(lambda: _encoded(upright(shrink(stored, image_px), header.orientation), small, how.quality))


def keep_region(rgb: Pixels, how: Keeping) -> bytes:
    """The bytes of the ``pixels`` column for pixels that were cut out of a photograph; lossless if none are to go.

    Raises:
        Flaw: there is no memory for it.
    """
    image_px = how.image_px
    if image_px is None:
        return guarded(lambda: encode_png(rgb))
    height, width = rgb.shape[:2]
    small = shrunken_size(height, width, image_px) == (height, width)
    return guarded(lambda: _encoded(shrink(rgb, image_px), small, how.quality))


def _encoded(kept: Pixels, small: bool, quality: int) -> bytes:
    if small and kept.nbytes <= _SMALL_PIXELS:
        # On a small drawing JPEG's blocks and halved colours weigh more than the drawing does: 64 x 64 emoji at
        # quality 90 came back with fingerprints at a cosine of 0.95 to their own.
        lossless = encode_png(kept)
        if len(lossless) <= _SMALL_BYTES:
            return lossless
    return encode(kept, quality)
