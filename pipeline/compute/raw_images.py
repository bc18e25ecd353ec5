"""Camera RAW (DNG, NEF, CR2, CR3, ARW, ORF, RW2, RAF, PEF) by LibRaw, where the package rawpy is installed.

The sensor's numbers are developed alike for every photograph: the camera's white balance, no brightening by the
image's own maximum, sRGB in 8 bits.
"""

import io
from types import ModuleType
from typing import Any

import numpy as np

from pipeline.compute.exif import NO_EXIF, Exif, read_exif
from pipeline.compute.formats import Header
from pipeline.compute.jpegs import jpeg_header
from pipeline.compute.pixels import Pixels
from pipeline.compute.reasons import Flaw, Reason

INSTALL = "camera RAW needs the package rawpy: pip install 'imagetracks[raw]'"

_SIDEWAYS = (5, 6)
"""LibRaw's ``flip`` of a quarter turn."""


def raw_header(data: bytes) -> Header:
    """Size and EXIF, without developing; LibRaw turns the photograph itself.

    Raises:
        Flaw: rawpy is not installed.
        Exception: whatever LibRaw raises on damaged bytes.
    """
    with _rawpy().imread(io.BytesIO(data)) as raw:
        sizes = raw.sizes
        width, height = (sizes.iwidth, sizes.iheight)[:: -1 if sizes.flip in _SIDEWAYS else 1]
        return Header("raw", width, height, 1, _exif(data, raw), plain=False)


def raw_pixels(data: bytes) -> Pixels:
    """The developed photograph, upright.

    Raises:
        Flaw: rawpy is not installed.
        Exception: whatever LibRaw raises on damaged bytes.
    """
    with _rawpy().imread(io.BytesIO(data)) as raw:
        return np.asarray(raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=8), dtype=np.uint8)


def _rawpy() -> ModuleType:
    try:
        import rawpy
    except ImportError as error:
        raise Flaw(Reason.UNSUPPORTED_FORMAT, INSTALL) from error
    module: ModuleType = rawpy
    return module


def _exif(data: bytes, raw: Any) -> Exif:
    """From the file itself where that is a TIFF but for its magic number, else from the preview within."""
    found = read_exif(b"II*\0" + data[4:] if data[:4] in (b"IIRO", b"IIRS", b"IIU\0") else data)
    if found.original is not None:
        return found
    try:
        preview = raw.extract_thumb()
        return jpeg_header(bytes(preview.data)).exif if str(preview.format).endswith("JPEG") else NO_EXIF
    except Exception:  # a RAW without a preview is whole; its date is looked for elsewhere
        return NO_EXIF
