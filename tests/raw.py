"""A camera RAW file made for tests: the smallest DNG that LibRaw develops."""

import io
from functools import cache

import numpy as np
import tifffile


@cache
def dng(orientation: int = 1) -> bytes:
    """96 x 64 sensor pixels under red, green, green, blue filters: the left half reddish, the right half white."""
    sensor = np.full((64, 96), 1000, np.uint16)
    sensor[::2, ::2], sensor[1::2, 1::2] = 3000, 300
    sensor[:, 48:] = 4000
    matrix = (324, -154, -50, -97, 188, 4, 6, -20, 106)  # from XYZ to linear sRGB, in hundredths
    numbers = tuple(number for entry in matrix for number in (entry, 100))
    tags = [
        (50706, 1, 4, bytes([1, 4, 0, 0]), True),  # DNGVersion
        (33421, 3, 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, 1, 4, bytes([0, 1, 1, 2]), True),  # CFAPattern
        (50708, 2, 0, "Test Camera", True),  # UniqueCameraModel
        (271, 2, 0, "Test", True),
        (272, 2, 0, "Camera", True),
        (274, 3, 1, orientation, True),
        (50714, 3, 1, 0, True),  # BlackLevel
        (50717, 4, 1, 4095, True),  # WhiteLevel
        (50721, 10, 9, numbers, True),  # ColorMatrix1
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),  # AsShotNeutral
        (50778, 3, 1, 21, True),  # CalibrationIlluminant1
    ]
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, sensor, photometric=32803, metadata=None, extratags=tags)
    return buffer.getvalue()
