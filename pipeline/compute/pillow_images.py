"""Every format but the common JPEG, by Pillow."""

import io
import warnings
from functools import cache

import numpy as np
from PIL import Image, ImageChops, TiffImagePlugin, WebPImagePlugin

from pipeline.compute.exif import NO_EXIF, Exif, read_exif
from pipeline.compute.formats import Header, png_exif
from pipeline.compute.pixels import Pixels
from pipeline.compute.reasons import Flaw, Reason

# Only the decoder that the first bytes call for is ever tried.  Importing the modules registers them; without that
# the first TIFF or WebP would make Pillow import all of its forty decoders.
_PLUGINS = (TiffImagePlugin, WebPImagePlugin)

# Pillow's own limit is a global one; ours is checked on every header, before `load`.
Image.MAX_IMAGE_PIXELS = None

# Pillow comments on every odd tag; what is wrong with an image stands in its row.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

_CONVERTED = ("1", "P", "CMYK", "YCbCr", "RGBX")
_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")


def pillow_header(data: bytes, name: str) -> Header:
    """Size, orientation and EXIF; ``name`` is the format that the first bytes say.

    Raises:
        Exception: whatever Pillow raises on bytes that do not keep that promise.
    """
    image = _open(data, name)
    exif = _exif(data, name, image)
    # Pillow turns a TIFF itself, its size too; so does the reader of HEIC, whose own boxes count, not its EXIF.
    orientation = 1 if name in ("tiff", "heic") else exif.orientation
    width, height = image.size if orientation < 5 else image.size[::-1]
    depth = data[24] if name == "png" else 8  # Pillow calls 16-bit RGB "RGB" too (PNG 1.2, 11.2.2)
    plain = image.mode in ("L", "RGB") and depth == 8 and "transparency" not in image.info
    return Header(name, width, height, orientation, exif, plain)


def pillow_pixels(data: bytes, name: str) -> Pixels:
    """The pixels of the first frame, as stored (a TIFF: upright).

    Raises:
        Flaw: pixels of a kind that has no fixed scale.
        Exception: whatever Pillow raises on damaged bytes.
    """
    image = _open(data, name)
    image.load()
    return _rgb(image)


def cmyk_jpeg_pixels(data: bytes, inverted: bool) -> Pixels:
    """A JPEG that is not 8-bit grey or RGB, as a rule four inks; Pillow takes every one of those to be inverted."""
    image: Image.Image = _open(data, "jpeg")
    image.load()
    if image.mode == "CMYK" and not inverted:
        image = ImageChops.invert(image)
    return _rgb(image)


def _open(data: bytes, name: str) -> Image.Image:
    if name == "heic":
        _register_heif()
        name = "heif"
    return Image.open(io.BytesIO(data), formats=(name,))


@cache
def _register_heif() -> None:
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1  # workers are many already
    pillow_heif.register_heif_opener()


def _exif(data: bytes, name: str, image: Image.Image) -> Exif:
    if name == "tiff":
        return read_exif(data)
    block = png_exif(data) if name == "png" else image.info.get("exif")
    return read_exif(block) if isinstance(block, bytes) else NO_EXIF


def _rgb(image: Image.Image) -> Pixels:
    mode = image.mode
    if mode.startswith("I;16"):
        # The high byte: the same scale for every image, whatever its own darkest and brightest pixel.
        return _three_times((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if mode in _TRANSPARENT or ("transparency" in image.info and mode in ("1", "L", "P", "RGB")):
        return _on_white(image)
    if mode == "L":
        return _three_times(np.asarray(image))
    if mode in _CONVERTED:
        image = image.convert("RGB")
    if image.mode != "RGB":
        raise Flaw(Reason.UNSUPPORTED_FORMAT, f"pixels of kind {mode} have no fixed scale")
    return np.array(image, dtype=np.uint8)


def _on_white(image: Image.Image) -> Pixels:
    layer = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(white, layer).convert("RGB"), dtype=np.uint8)


def _three_times(grey: Pixels) -> Pixels:
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
