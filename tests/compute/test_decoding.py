import io
import struct
import sys
import zlib
from collections.abc import Callable

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from pipeline.compute.decoding import Limits, decode, guarded, open_pixels, read_header
from pipeline.compute.pixels import encode
from pipeline.compute.reasons import Flaw, Reason
from tests.pictures import exif, photo, quadrants, saved
from tests.raw import dng

LIMITS = Limits(max_bytes=2**24, max_pixels=10**6)


def reason_of(data: bytes, limits: Limits = LIMITS) -> Reason:
    with pytest.raises(Flaw) as caught:
        decode(data, limits)
    return caught.value.reason


def greatest_difference(left: np.ndarray, right: np.ndarray) -> int:
    return int(np.abs(left.astype(int) - right.astype(int)).max())


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("PNG", {}, "png"),
        ("WEBP", {"lossless": True}, "webp"),
        ("TIFF", {}, "tiff"),
        ("TIFF", {"compression": "tiff_lzw"}, "tiff"),
        ("BMP", {}, "bmp"),
    ],
)
def test_lossless_formats_give_the_very_pixels(name: str, options: dict[str, object], found: str) -> None:
    image = photo()
    decoded = decode(saved(image, name, **options), LIMITS)
    assert np.array_equal(decoded.rgb, np.asarray(image))
    assert (decoded.header.format, decoded.header.width, decoded.header.height) == (found, 64, 48)
    assert decoded.rgb.flags.c_contiguous
    assert decoded.rgb.flags.writeable


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}, {"optimize": True}]
)
def test_jpegs_are_decoded_as_by_libjpeg(options: dict[str, object]) -> None:
    data = saved(photo(121, 67), quality=90, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    assert greatest_difference(decode(data, LIMITS).rgb, expected) <= 1


def test_avif() -> None:
    decoded = decode(saved(photo(), "AVIF", quality=95), LIMITS)
    assert decoded.header.format == "avif"
    assert np.abs(decoded.rgb.astype(int) - np.asarray(photo()).astype(int)).mean() < 8


def test_grey_jpeg_and_png_become_three_equal_channels() -> None:
    grey = photo().convert("L")
    assert np.array_equal(decode(saved(grey, "PNG"), LIMITS).rgb, np.stack([np.asarray(grey)] * 3, axis=2))
    rgb = decode(saved(grey), LIMITS).rgb
    assert np.array_equal(rgb[..., 0], rgb[..., 1])
    assert np.array_equal(rgb[..., 0], rgb[..., 2])


def without_adobe_marker(data: bytes) -> bytes:
    start = data.index(b"\xff\xee")
    return data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :]


def test_cmyk_with_adobes_marker_is_inverted_and_without_it_is_not() -> None:
    # 80 % cyan, 20 % magenta, no yellow, 10 % black; Pillow writes the marker and inverts.
    inks = Image.new("CMYK", (16, 16), (204, 51, 0, 26))
    adobe = saved(inks, quality=95, subsampling=0)
    expected = [(255 - ink) * (255 - 26) / 255 for ink in (204, 51, 0)]
    assert np.abs(decode(adobe, LIMITS).rgb[8, 8] - expected).max() <= 3
    upside_down = Image.new("CMYK", (16, 16), tuple(255 - ink for ink in (204, 51, 0, 26)))
    plain = without_adobe_marker(saved(upside_down, quality=95, subsampling=0))
    assert np.abs(decode(plain, LIMITS).rgb[8, 8] - expected).max() <= 3


def test_jpeg_stored_as_rgb_by_adobes_marker() -> None:
    data = saved(photo(), quality=95, keep_rgb=True)
    assert greatest_difference(decode(data, LIMITS).rgb, np.asarray(Image.open(io.BytesIO(data)))) <= 1


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, color: int, rows: bytes, *more: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = chunk(b"IHDR", head) + b"".join(more) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def test_16_bit_png_keeps_its_high_byte() -> None:
    values = np.array([[0x0000, 0x00FF, 0x80FF, 0xFFFF]], dtype=">u2")
    grey = png(4, 1, 16, 0, b"\0" + values.tobytes())
    assert decode(grey, LIMITS).rgb[0, :, 1].tolist() == [0, 0, 0x80, 0xFF]
    colored = png(2, 1, 16, 2, b"\0" + np.array([0x1234, 0x5678, 0x9ABC, 0, 0, 0xFFFF], dtype=">u2").tobytes())
    decoded = decode(colored, LIMITS)
    assert decoded.rgb[0].tolist() == [[0x12, 0x56, 0x9A], [0, 0, 0xFF]]
    assert not decoded.header.plain


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_tiff_keeps_its_high_byte(order: str) -> None:
    values = np.array([[0x0000, 0x80FF], [0x1234, 0xFFFF]], dtype=order)
    data = saved(Image.fromarray(values), "TIFF")
    assert decode(data, LIMITS).rgb[..., 0].tolist() == [[0, 0x80], [0x12, 0xFF]]


def test_transparency_lies_on_white() -> None:
    layer = Image.new("RGBA", (4, 1), (200, 0, 0, 255))
    layer.putpixel((1, 0), (200, 0, 0, 0))
    layer.putpixel((2, 0), (0, 0, 0, 128))
    rgb = decode(saved(layer, "PNG"), LIMITS).rgb[0].tolist()
    assert rgb[0] == [200, 0, 0]
    assert rgb[1] == [255, 255, 255]
    assert rgb[2] == [127, 127, 127]
    assert decode(saved(layer, "WEBP", lossless=True), LIMITS).rgb[0].tolist()[:2] == rgb[:2]


def test_palette_with_transparency_lies_on_white() -> None:
    palette = chunk(b"PLTE", bytes([10, 20, 30, 200, 100, 0])) + chunk(b"tRNS", bytes([0, 255]))
    data = png(2, 1, 8, 3, b"\0\0\1", palette)
    assert decode(data, LIMITS).rgb[0].tolist() == [[255, 255, 255], [200, 100, 0]]
    assert not read_header(data, LIMITS.max_bytes).plain


def test_grey_with_a_transparent_grey_and_grey_with_alpha() -> None:
    keyed = png(2, 1, 8, 0, b"\0\7\x64", chunk(b"tRNS", b"\0\7"))
    assert decode(keyed, LIMITS).rgb[0].tolist() == [[255] * 3, [100] * 3]
    alpha = png(2, 1, 8, 4, b"\0\7\0\x64\xff")
    assert decode(alpha, LIMITS).rgb[0].tolist() == [[255] * 3, [100] * 3]


def test_one_bit_images() -> None:
    image = Image.new("1", (9, 2), 1)
    image.putpixel((3, 0), 0)
    for name in ("PNG", "TIFF", "BMP"):
        rgb = decode(saved(image, name), LIMITS).rgb
        assert (rgb[0, 3].tolist(), rgb[0, 4].tolist()) == ([0, 0, 0], [255, 255, 255])


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_counts(name: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ((250, 0, 0), (0, 250, 0))]
    options = {"lossless": True} if name == "WEBP" else {}
    data = saved(frames[0], name, save_all=True, append_images=frames[1:], **options)
    assert decode(data, LIMITS).rgb[4, 4].tolist() == [250, 0, 0]


def test_a_gifs_transparent_background_is_white() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([1, 2, 3, 90, 80, 70])
    image.putpixel((0, 0), 1)
    rgb = decode(saved(image, "GIF", transparency=0), LIMITS).rgb
    assert (rgb[0, 0].tolist(), rgb[3, 3].tolist()) == ([90, 80, 70], [255, 255, 255])


# What EXIF orientation n stores of an upright picture: the inverse of what a reader has to do (Exif 2.32, tag 274).
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_in_every_format_comes_out_upright(name: str, orientation: int) -> None:
    picture = np.asarray(quadrants())
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](picture)))
    options: dict[str, object] = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(name, {})
    data = saved(stored, name, exif=exif(orientation), **options)
    decoded = decode(data, LIMITS)
    assert (decoded.header.width, decoded.header.height) == (64, 32)
    assert decoded.rgb.shape == (32, 64, 3)
    for y, x in ((8, 16), (8, 48), (24, 16), (24, 48)):
        assert greatest_difference(decoded.rgb[y, x], picture[y, x]) <= 12


def test_a_heic_is_turned_by_its_own_boxes_and_dated_by_its_exif() -> None:
    pillow_heif.register_heif_opener()
    data = saved(quadrants(), "HEIF", quality=95, exif=exif(6, t36867="2024:01:05 10:15:30"))
    decoded = decode(data, LIMITS)
    assert (decoded.header.format, decoded.header.exif.original) == ("heic", "2024:01:05 10:15:30")
    with Image.open(io.BytesIO(data)) as seen:
        assert greatest_difference(decoded.rgb, np.asarray(seen.convert("RGB"))) == 0
    assert greatest_difference(decoded.rgb[8, 16], np.array((255, 0, 0))) <= 12
    clear = decode(saved(quadrants().convert("RGBA"), "HEIF"), LIMITS)
    assert clear.rgb.shape == (32, 64, 3)
    assert reason_of(data[: len(data) // 2]) in (Reason.CORRUPT, Reason.TRUNCATED)


def test_a_camera_raw_is_developed_and_no_thumbnail_is_taken_for_it() -> None:
    data = dng(orientation=6)
    header = read_header(data, LIMITS.max_bytes)
    assert (header.format, header.width, header.height, header.orientation) == ("raw", 64, 96, 1)
    rgb = decode(data, LIMITS).rgb
    assert rgb.shape == (96, 64, 3)
    red, white = rgb[24, 32].astype(int), rgb[72, 32].astype(int)  # left and right, before the turn
    assert red[0] > red[1] + 30 > red[2] + 30
    assert white.min() > 200
    assert reason_of(data[:200]) in (Reason.CORRUPT, Reason.TRUNCATED)


def test_a_camera_raw_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(Flaw, match=r"imagetracks\[raw\]") as caught:
        decode(dng(), LIMITS)
    assert caught.value.reason == Reason.UNSUPPORTED_FORMAT


def test_exif_after_a_pngs_pixels_counts_too() -> None:
    data = saved(quadrants(), "PNG")
    end = data.index(b"IEND") - 4
    late = (
        data[:end]
        + chunk(b"eXIf", exif(3, t36867="2024:01:05 10:15:30").tobytes().removeprefix(b"Exif\0\0"))
        + data[end:]
    )
    header = read_header(late, LIMITS.max_bytes)
    assert (header.orientation, header.exif.original) == (3, "2024:01:05 10:15:30")


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_times_are_read_from_every_format_that_has_them(name: str) -> None:
    block = exif(1, t36867="2024:01:05 10:15:30", t36881="+01:00").tobytes()
    header = read_header(saved(photo(), name, exif=block), LIMITS.max_bytes)
    assert (header.exif.original, header.exif.original_offset) == ("2024:01:05 10:15:30", "+01:00")


def test_nonsense_exif_does_not_spoil_an_image() -> None:
    data = saved(photo(), exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert decode(data, LIMITS).rgb.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"hello, this is no image", Reason.NOT_AN_IMAGE),
        (b"<!DOCTYPE html><html>404</html>", Reason.NOT_AN_IMAGE),
        (b"\0" * 100, Reason.NOT_AN_IMAGE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.UNSUPPORTED_FORMAT),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Reason.CORRUPT),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", Reason.UNSUPPORTED_FORMAT),
        (b"8BPS\0\1" + b"\0" * 40, Reason.UNSUPPORTED_FORMAT),
        (b"%PDF-1.4", Reason.UNSUPPORTED_FORMAT),
        (b"\xff\xd8\xff", Reason.TRUNCATED),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, Reason.CORRUPT),
        (b"RIFF\x20\0\0\0WEBPVP8 garbage", Reason.CORRUPT),
        (b"BMW E30, a list of photographs", Reason.NOT_AN_IMAGE),
        (b"BM" + b"\1" * 12 + b"\x28\0\0\0" + b"\1" * 60, Reason.CORRUPT),
        (b"GIF89a", Reason.CORRUPT),
    ],
)
def test_what_is_no_image_says_so(data: bytes, reason: Reason) -> None:
    assert reason_of(data) == reason


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_an_image_that_ends_early_is_no_image(name: str, share: float) -> None:
    data = saved(photo(200, 150), name)
    assert reason_of(data[: int(len(data) * share)]) in (Reason.TRUNCATED, Reason.CORRUPT)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("missing", [2, 100, 1000])
def test_a_truncated_jpeg_is_called_truncated(options: dict[str, object], missing: int) -> None:
    data = saved(photo(200, 150), **options)
    assert reason_of(data[:-missing]) == Reason.TRUNCATED
    if missing > 2:  # the marker alone is no pixel
        assert reason_of(data[:-missing] + b"\xff\xd9") == Reason.TRUNCATED


def test_a_jpeg_with_something_behind_it_is_whole() -> None:
    data = saved(photo())
    assert np.array_equal(decode(data + b"\0film" * 1000, LIMITS).rgb, decode(data, LIMITS).rgb)


def test_odd_but_whole_jpegs_decode() -> None:
    data = saved(photo())
    start = data.index(b"\xff\xdb")
    odd = data[:start] + b"\x12\x34" + data[start:]
    assert np.array_equal(decode(odd, LIMITS).rgb, np.asarray(Image.open(io.BytesIO(data))))


def test_too_many_bytes() -> None:
    data = saved(photo())
    assert reason_of(data, Limits(len(data) - 1, 10**6)) == Reason.TOO_LARGE
    assert decode(data, Limits(len(data), 10**6)).rgb.shape == (48, 64, 3)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_too_many_pixels(name: str) -> None:
    data = saved(photo(), name)
    assert reason_of(data, Limits(2**24, 64 * 48 - 1)) == Reason.TOO_MANY_PIXELS
    assert decode(data, Limits(2**24, 64 * 48)).rgb.shape == (48, 64, 3)


def test_a_bomb_is_refused_by_its_header() -> None:
    bomb = png(30000, 30000, 8, 2, b"\0")
    assert reason_of(bomb, Limits(2**24, 2**27)) == Reason.TOO_MANY_PIXELS
    data = bytearray(saved(photo()))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    assert reason_of(bytes(data), Limits(2**24, 2**27)) == Reason.TOO_MANY_PIXELS


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = saved(photo(), progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    assert reason_of(data[:-2] + scan * 2000 + data[-2:]) == Reason.CORRUPT


def test_a_film_behind_a_jpeg_may_look_like_scans() -> None:
    data = saved(photo()) + b"\xff\xda" * 2000
    assert decode(data, LIMITS).rgb.shape == (48, 64, 3)


def test_pixels_without_a_fixed_scale_are_not_read() -> None:
    for kind in ("f4", "i4"):
        assert reason_of(saved(Image.fromarray(np.ones((4, 4), dtype=kind)), "TIFF")) == Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("size", [(1, 1), (1, 10000), (10000, 1)])
@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_thin_and_tiny_images_decode(size: tuple[int, int], name: str) -> None:
    rgb = decode(saved(Image.new("RGB", size, (9, 8, 7)), name), LIMITS).rgb
    assert rgb.shape == (size[1], size[0], 3)


def test_decoding_is_deterministic() -> None:
    data = saved(photo(300, 200), progressive=True)
    assert np.array_equal(decode(data, LIMITS).rgb, decode(data, LIMITS).rgb)


def test_stored_pixels_open_as_they_were_encoded() -> None:
    rgb = np.asarray(photo(160, 120))
    data = encode(rgb, 95)
    assert np.array_equal(open_pixels(data), np.asarray(Image.open(io.BytesIO(data))))
    assert np.abs(open_pixels(data).astype(int) - rgb).mean() < 4


def test_any_exception_of_a_decoder_becomes_a_flaw() -> None:
    def fails(error: Exception) -> Callable[[], None]:
        def read() -> None:
            raise error

        return read

    for error, reason in (
        (ZeroDivisionError("x"), Reason.CORRUPT),
        (OSError("image file is truncated"), Reason.TRUNCATED),
        (EOFError(), Reason.TRUNCATED),
        (MemoryError(), Reason.OUT_OF_MEMORY),
    ):
        with pytest.raises(Flaw) as caught:
            guarded(fails(error))
        assert caught.value.reason == reason
